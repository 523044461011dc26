"""The metrics in the text format of Prometheus, written by its own client library.

The library takes a tenth of a second to import, which only who asks for metrics shall spend: see
`telemetry.metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from priolb.telemetry.metric import Facts, Kind, Metric, Series, Spread
from priolb.telemetry.metric_table import METRICS

# The lines HELP and TYPE.
_HEADER_LINES: Final = 2

# So many series are read and written in one go, which takes a millisecond or two: with 1,000 nodes there are
# tens of thousands.
SERIES_AT_ONCE: Final = 100


class _Families:
    """Hands over a metric that has been read.

    Args:
        family: the metric.
    """

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Sequence[Family]:
        """Return the metric."""
        return [self._family]


def parts_of(facts: Facts) -> Iterator[bytes]:
    """Return every metric in the text format 0.0.4, in parts of about `SERIES_AT_ONCE` series.

    What is in one part is of one moment.
    """
    texts: list[bytes] = []
    count = 0
    for metric in METRICS:
        series = iter(metric.read(facts))
        batch, is_first = list(islice(series, SERIES_AT_ONCE)), True
        while batch or is_first:
            text = _text_of(_family(metric, batch))
            texts.append(text if is_first else text.split(b"\n", _HEADER_LINES)[_HEADER_LINES])
            count += len(batch)
            if count >= SERIES_AT_ONCE:
                yield b"".join(texts)
                texts, count = [], 0
            batch, is_first = list(islice(series, SERIES_AT_ONCE)), False
    yield b"".join(texts)


def process_text() -> bytes:
    """Return the metrics of the process that all clients of Prometheus have, in the text format 0.0.4.

    It reads many small files and nothing of the program, so it may run in a thread.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _text_of(family: Family) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(family))
    return generate_latest(registry)


def _family(metric: Metric, series: Series) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        for labels, value in series:
            assert isinstance(value, Spread)
            histogram.add_metric(labels, value.buckets, value.total)
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in series:
        assert not isinstance(value, Spread)
        family.add_metric(labels, value)
    return family
