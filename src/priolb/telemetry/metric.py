"""What a metric is, and what its values are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from priolb.attest.attestation import Attestation
from priolb.core.limits.limiter import LimitRule
from priolb.core.nodes.node import NodeState
from priolb.core.queueing.queue import PriorityQueue
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog

Node = tuple[NodeState, Attestation | None]


class Facts:
    """What is known at one moment.

    Args:
        nodes: the nodes, each with who asks for its proof, or None.
        queue: where requests wait.
        requests: counts of those that did not get through.
        pulse: stalls of the event loop.
        limits: the limits of callers.

    `nodes` are by the name that is their label. Where several have the same name, as those that differ in
    query or user part, #2 and so on stands behind it, in the order of the list.
    """

    __slots__ = ("limits", "nodes", "pulse", "queue", "requests")

    def __init__(
        self,
        nodes: Sequence[Node],
        queue: PriorityQueue,
        requests: RequestLog,
        pulse: Pulse,
        limits: Sequence[LimitRule] = (),
    ) -> None:
        self.limits = limits
        self.nodes: dict[str, Node] = {}
        self.queue = queue
        self.requests = requests
        self.pulse = pulse
        seen: dict[str, int] = {}
        for node in nodes:
            name = node[0].name
            seen[name] = seen.get(name, 0) + 1
            self.nodes[name if seen[name] == 1 else f"{name}#{seen[name]}"] = node


class Kind(Enum):
    """The types of Prometheus that there are here."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Spread:
    """The value of a histogram.

    Args:
        buckets: upper bound of each bucket, and how many values were not above it.
        total: sum of all values.
    """

    __slots__ = ("buckets", "total")

    def __init__(self, buckets: Sequence[tuple[str, int]], total: float) -> None:
        self.buckets = buckets
        self.total = total


Series = Iterable[tuple[tuple[str, ...], float | Spread]]
"""Values of the labels, and the value: a number, or for a histogram a `Spread`."""


class Metric:
    """A metric.

    Args:
        name: its whole name, with base unit and, for a counter, `_total`.
        kind: its type.
        labels: names of its labels.
        meaning: one sentence for the operator.
        read: reads all of its series.
    """

    __slots__ = ("kind", "labels", "meaning", "name", "read")

    def __init__(
        self, name: str, kind: Kind, labels: tuple[str, ...], meaning: str, read: Callable[[Facts], Series]
    ) -> None:
        self.name = name
        self.kind = kind
        self.labels = labels
        self.meaning = meaning
        self.read = read
