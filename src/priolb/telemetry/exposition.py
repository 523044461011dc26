"""The metrics in the text format of Prometheus, written by its own client library.

The library takes a tenth of a second to import, which only who asks for metrics shall spend: see
`telemetry.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from priolb.telemetry.metric import Facts, Kind, Metric, Spread
from priolb.telemetry.metric_table import METRICS


class _Families:
    """Hands over metrics that have been read.

    Args:
        families: the metrics.
    """

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Sequence[Family]:
        """Return the metrics."""
        return self._families


def families_of(facts: Facts) -> list[Family]:
    """Return every metric with its series as of now."""
    return [_family(metric, facts) for metric in METRICS]


def text_of(families: Sequence[Family]) -> bytes:
    """Return metrics, and those of the process that all clients of Prometheus have, in the text format 0.0.4.

    It touches nothing of the program, so it may run in a thread.

    Args:
        families: the metrics.
    """
    registry = CollectorRegistry()
    registry.register(_Families(families))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _family(metric: Metric, facts: Facts) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        for labels, value in metric.read(facts):
            assert isinstance(value, Spread)
            histogram.add_metric(labels, value.buckets, value.total)
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in metric.read(facts):
        assert not isinstance(value, Spread)
        family.add_metric(labels, value)
    return family
