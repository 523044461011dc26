"""The metrics: of each its name, what it means, and where its values are read.

Nothing is counted here. All of it is known already, and is read when somebody asks, so that metrics cost a
request nothing. Labels come from closed sets: nodes of the list, lanes of the configuration, and words of the
program. Unless a metric says otherwise, all of its series are there from the start, so that the first event
is seen as an increase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Final

from priolb import __version__
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import FAILURES
from priolb.core.queueing.lanes import Lane
from priolb.errors import Reason
from priolb.telemetry.metric import Facts, Kind, Metric, Series, Spread
from priolb.telemetry.pulse import STALL_BOUNDS_S

# Who is refused before there is a lane counts as a rejection; who is over a limit is counted there.
_WITHOUT_LANE: Final = (
    Reason.BAD_REQUEST,
    Reason.PAYLOAD_TOO_LARGE,
    Reason.TOO_MANY_CONNECTIONS,
    Reason.RATE_LIMITED,
    Reason.LOOP,
    Reason.UPGRADES_FULL,
)
REFUSALS: Final = tuple([reason for reason in Reason if reason not in _WITHOUT_LANE])
"""Why requests are refused in their lanes."""


def _of_node(name: str, kind: Kind, meaning: str, value: Callable[[NodeState], float]) -> Metric:
    """Return a metric with one series for each node."""
    return Metric(
        name,
        kind,
        ("node",),
        meaning,
        lambda facts: (((label,), value(node)) for label, (node, _) in facts.nodes.items()),
    )


def _of_node_by(
    name: str, kind: Kind, label: str, meaning: str, values: Callable[[NodeState], Mapping[str, float]]
) -> Metric:
    """Return a metric with one series for each node and each word of a closed set."""
    return Metric(
        name,
        kind,
        ("node", label),
        meaning,
        lambda facts: (
            ((name, word), value)
            for name, (node, _) in facts.nodes.items()
            for word, value in values(node).items()
        ),
    )


def _of_lane(name: str, meaning: str, value: Callable[[Lane], int | None]) -> Metric:
    """Return a gauge with one series for each lane that has a value."""
    return Metric(
        name,
        Kind.GAUGE,
        ("lane",),
        meaning,
        lambda facts: [
            ((lane.name,), found) for lane in facts.queue.lanes if (found := value(lane)) is not None
        ],
    )


def _attested(facts: Facts) -> Series:
    return [((name,), node.attested) for name, (node, proof) in facts.nodes.items() if proof is not None]


def _attestations(facts: Facts) -> Series:
    for name, (_, proof) in facts.nodes.items():
        if proof is not None:
            yield (name, "accepted"), proof.accepted - proof.warned
            yield (name, "warned"), proof.warned
            yield (name, "refused"), sum(proof.refused.values())


def _refusals(facts: Facts) -> Series:
    refusals = facts.requests.refusals.totals()
    for index, lane in enumerate(facts.queue.lanes):
        for reason in REFUSALS:
            yield (lane.name, reason.value), refusals.get((index, reason.value), 0)


def _limits(facts: Facts) -> Series:
    for rule in facts.limits:
        yield (rule.limit.name, "passed"), rule.limit.passed
        yield (rule.limit.name, "refused"), rule.limit.refused


def _stalls(facts: Facts) -> Series:
    bounds = [*map(str, STALL_BOUNDS_S), "+Inf"]
    counts = accumulate(facts.pulse.stalls)
    return [((), Spread(list(zip(bounds, counts, strict=True)), facts.pulse.stalled_s))]


METRICS: Final = (
    Metric(
        "priolb_build_info",
        Kind.GAUGE,
        ("version",),
        "Always 1; the label says which version runs.",
        lambda _facts: [((__version__,), 1)],
    ),
    _of_node(
        "priolb_node_usable",
        Kind.GAUGE,
        "1 when the node may get requests now, else 0; as it is while nodes of an earlier tier serve.",
        lambda node: node.usable,
    ),
    _of_node(
        "priolb_node_healthy",
        Kind.GAUGE,
        "1 when the node passed its last health checks, else 0.",
        lambda node: node.healthy,
    ),
    Metric(
        "priolb_node_attested",
        Kind.GAUGE,
        ("node",),
        "1 when the node has proven what it runs, else 0; only for nodes that have to.",
        _attested,
    ),
    _of_node_by(
        "priolb_node_state",
        Kind.GAUGE,
        "state",
        "1 for what the node is doing, 0 for every other state.",
        lambda node: {status.value: status is node.status for status in NodeStatus},
    ),
    _of_node_by(
        "priolb_node_state_changes_total",
        Kind.COUNTER,
        "state",
        "How often the node came to this state.",
        lambda node: {status.value: node.record.entered.get(status, 0) for status in NodeStatus},
    ),
    _of_node(
        "priolb_node_in_flight",
        Kind.GAUGE,
        "Requests that the node has now.",
        lambda node: node.in_flight,
    ),
    _of_node(
        "priolb_node_slots",
        Kind.GAUGE,
        "Requests that the node may have at once now.",
        lambda node: node.slots,
    ),
    _of_node(
        "priolb_node_answers_total",
        Kind.COUNTER,
        "Good answers of the node: whole, with a status below 400.",
        lambda node: node.answered,
    ),
    _of_node(
        "priolb_node_answer_seconds_total",
        Kind.COUNTER,
        "Time that good answers took, from the start of the try to the last byte, all together.",
        lambda node: node.busy_s,
    ),
    _of_node_by(
        "priolb_node_failures_total",
        Kind.COUNTER,
        "reason",
        "Tries at the node that failed.",
        lambda node: dict.fromkeys(FAILURES, 0) | node.record.failures,
    ),
    Metric(
        "priolb_node_attestations_total",
        Kind.COUNTER,
        ("node", "verdict"),
        "How often the node was asked to prove what it runs, only if it has to; warned was accepted, "
        "but differs in a measurement that is only warned of.",
        _attestations,
    ),
    Metric(
        "priolb_node_attestation_refusals_total",
        Kind.COUNTER,
        ("node", "reason"),
        "Why what the node proves was refused; each reason is there from its first time on.",
        lambda facts: [
            ((name, refusal.value), count)
            for name, (_, proof) in facts.nodes.items()
            if proof is not None
            for refusal, count in proof.refused.items()
        ],
    ),
    _of_lane(
        "priolb_lane_waiting",
        "Requests that wait in the lane now.",
        lambda lane: lane.length,
    ),
    _of_lane(
        "priolb_lane_waiting_bytes",
        "Bytes of bodies of requests that wait in the lane now.",
        lambda lane: lane.held_bytes,
    ),
    _of_lane(
        "priolb_lane_limit",
        "Most requests that may wait in the lane; absent when it has no limit.",
        lambda lane: lane.limit or None,
    ),
    Metric(
        "priolb_requests_total",
        Kind.COUNTER,
        (),
        "Requests that were put in line or started at once.",
        lambda facts: [((), facts.queue.accepted)],
    ),
    Metric(
        "priolb_refusals_total",
        Kind.COUNTER,
        ("lane", "reason"),
        "Requests that got an error of the balancer's own in place of a node's answer.",
        _refusals,
    ),
    Metric(
        "priolb_limit_requests_total",
        Kind.COUNTER,
        ("limit", "outcome"),
        "Requests that a limit concerns: passed, or refused with 429; in a dry run, would have been refused.",
        _limits,
    ),
    Metric(
        "priolb_rejections_total",
        Kind.COUNTER,
        ("status",),
        "What was turned away before it came to a lane, refused admin calls among it, by the status of the "
        "answer, 0 for none; each is there from its first time on.",
        lambda facts: [
            ((str(status),), count) for status, count in sorted(facts.requests.rejections.totals.items())
        ],
    ),
    Metric(
        "priolb_clients_left_total",
        Kind.COUNTER,
        ("lane",),
        "Clients that left before their answer was complete.",
        lambda facts: [
            ((lane.name,), count)
            for lane, count in zip(facts.queue.lanes, facts.requests.clients_left, strict=True)
        ],
    ),
    Metric(
        "priolb_preemptions_total",
        Kind.COUNTER,
        ("lane",),
        "Requests of the lane that lost their slots to better ones, and went back into line.",
        lambda facts: [
            ((lane.name,), count)
            for lane, count in zip(facts.queue.lanes, facts.requests.preemptions, strict=True)
        ],
    ),
    Metric(
        "priolb_log_lines_lost_total",
        Kind.COUNTER,
        (),
        "Lines of the log that were lost: their reader was too slow or gone, or the disk was full.",
        lambda facts: [((), facts.requests.lost_lines)],
    ),
    Metric(
        "priolb_event_loop_stall_seconds",
        Kind.HISTOGRAM,
        (),
        "How long the event loop was held up, measured every 10 ms; what was under way waited as long.",
        _stalls,
    ),
)
