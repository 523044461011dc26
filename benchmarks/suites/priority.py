"""What the high lane sees: its latency alone, and with low traffic at 2 and 10 times what the node can serve.

Each round starts every balancer and its node afresh (a queue full of requests whose clients have left would
burden the next one), one balancer after the other with the same arrivals; figures are medians over rounds.
What a perfect scheduler would have made of these arrivals is simulated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import check_none_ignored, run_streams
from benchmarks.machine import this_machine
from benchmarks.open_loop import Stream, StreamCount, arrivals, high, low
from benchmarks.peers import HAPROXY, PRIOLB, PRIOLB_PREEMPTING, Task, is_installed, start_peers
from benchmarks.perfect import Due, Span, latencies_on_s, latencies_s
from benchmarks.pools import Node
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 8
SERVICE_S: Final = 0.02
CAPACITY_PER_S: Final = SLOTS / SERVICE_S
HIGH_PER_S: Final = 0.2 * CAPACITY_PER_S
UNLOADED: Final = "high alone"
OVERLOADED: Final = "low at 2x capacity"
STORMED: Final = "low at 10x capacity"
PERFECT: Final = "perfect scheduler"
PERFECT_HERE: Final = "perfect, on these slots"
_IDEALS: Final = {
    PERFECT: "that of a perfect scheduler",
    PERFECT_HERE: "that of one which had the slots when they came free",
}
IGNORED_S: Final = 1.0


@dataclass(frozen=True)
class Load:
    """What comes besides the high lane's requests.

    Args:
        low_per_s: requests of the low lane per second.
        queue_timeout_s: longest wait; it bounds how many wait at once, of which each has a connection.
        low_max: most requests of the low lane that may wait, where a balancer can bound them.
    """

    low_per_s: float
    queue_timeout_s: int = 5
    low_max: int = 0


LOADS: Final = {
    UNLOADED: Load(0.0),
    OVERLOADED: Load(2 * CAPACITY_PER_S),
    STORMED: Load(10 * CAPACITY_PER_S, queue_timeout_s=1, low_max=200),
}

COLUMNS: Final = (
    Column("load", "load"),
    Column("peer", "balancer"),
    Column("high_p50_ms", "high p50 ms", 1),
    Column("high_p99_ms", "high p99 ms", 1),
    Column("high_p99_ms_min", "lowest p99", 1),
    Column("high_p99_ms_max", "highest p99", 1),
    Column("high_outcomes", "high answers"),
    Column("low_p50_ms", "low p50 ms"),
    Column("low_outcomes", "low answers"),
)


@dataclass(frozen=True)
class Round:
    """One balancer under one load once: sorted latencies of answers with 200, and all outcomes by status."""

    high_ms: Sequence[float]
    low_ms: Sequence[float]
    high_outcomes: Counter[str]
    low_outcomes: Counter[str]


def run(quick: bool) -> Result:
    """Measure priolb, and HAProxy with `set-priority-class` where it is installed.

    Args:
        quick: one short round, to see that all works.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    count, duration_s = (1, 3.0) if quick else (5, 5.0)
    raise_open_files_limit(8192)
    rounds: dict[tuple[str, str], list[Round]] = {}
    for seed in range(1, count + 1):
        for name, load in LOADS.items():
            rounds.setdefault((name, PERFECT), []).append(_perfect_round(load, duration_s, seed))
            for peer in filter(is_installed, (PRIOLB, PRIOLB_PREEMPTING, HAPROXY)):
                counts, spans = _serve(peer, load, duration_s, seed)
                rounds.setdefault((name, peer), []).append(_round(counts))
                if peer == PRIOLB and load.low_per_s:
                    perfect = _perfect_round_on(spans, counts["high"])
                    rounds.setdefault((name, PERFECT_HERE), []).append(perfect)
    return Result(
        name="priority",
        machine=this_machine(),
        method={
            "slots": SLOTS,
            "service ms": 1e3 * SERVICE_S,
            "high requests/s": HIGH_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(load, peer, done) for (load, peer), done in rounds.items()],
        targets=[
            *(
                _perfect_target(rounds, load, perfect)
                for load in (OVERLOADED, STORMED)
                for perfect in (PERFECT, PERFECT_HERE)
            ),
            *(_preempting_target(rounds, load) for load in (OVERLOADED, STORMED)),
            _peer_target(rounds),
        ],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of sorted values; infinity when there are none."""
    if not ordered:
        return float("inf")
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def _serve(
    peer_name: str, load: Load, duration_s: float, seed: int
) -> tuple[dict[str, StreamCount], list[Span]]:
    """Let a balancer serve a round; return what became of the requests, and when the node served any."""
    with Workbench() as workbench:
        node = Node(SLOTS, SERVICE_S, has_spans=True)
        node.start(workbench)
        task = Task(node.port, SLOTS, load.queue_timeout_s, has_priorities=True, low_max=load.low_max)
        [peer] = start_peers(workbench, task, peer_name)
        counts = run_streams(workbench, peer.port, _streams(load), duration_s, seed, ignored_s=IGNORED_S)
        peer.child.check_running()
        check_none_ignored(peer_name, counts)
        return counts, node.spans()


def _round(counts: dict[str, StreamCount]) -> Round:
    urgent, rest = counts["high"], counts["low"]
    return Round(sorted(urgent.latencies_ms), sorted(rest.latencies_ms), urgent.outcomes, rest.outcomes)


def _perfect_round_on(spans: list[Span], urgent: StreamCount) -> Round:
    """Return what a perfect scheduler had made of these requests with the slots that there were."""
    high_s = latencies_on_s(sorted(urgent.started_at_s + due_s for due_s in urgent.due_s), spans)
    return Round(sorted(1e3 * each for each in high_s), (), Counter(), Counter())


def _streams(load: Load) -> list[Stream]:
    return [high(HIGH_PER_S), low(load.low_per_s)]


def _perfect_round(load: Load, duration_s: float, seed: int) -> Round:
    """Return what a perfect scheduler makes of the arrivals of a round, where nobody gives up."""
    schedule = arrivals(_streams(load), duration_s, seed)
    ignored = sum(each.stream == "high" and each.due_s < IGNORED_S for each in schedule)
    due = [Due(each.due_s, 0 if each.stream == "high" else 1) for each in schedule]
    high_s = latencies_s(due, SLOTS, SERVICE_S)[0]  # in the order in which they came, as they are served
    return Round(sorted(1e3 * each for each in high_s[ignored:]), (), Counter(), Counter())


def _row(load: str, peer: str, rounds: list[Round]) -> dict[str, Cell]:
    p99s_ms = [percentile(each.high_ms, 99) for each in rounds]
    has_low = any(each.low_ms for each in rounds)
    return {
        "load": load,
        "peer": peer,
        "high_p50_ms": median(percentile(each.high_ms, 50) for each in rounds),
        "high_p99_ms": median(p99s_ms),
        "high_p99_ms_min": min(p99s_ms),
        "high_p99_ms_max": max(p99s_ms),
        "high_outcomes": _outcomes([each.high_outcomes for each in rounds]),
        "low_p50_ms": median(percentile(each.low_ms, 50) for each in rounds) if has_low else None,
        "low_outcomes": _outcomes([each.low_outcomes for each in rounds]),
    }


def _outcomes(counts: Sequence[Counter[str]]) -> str:
    """Return how many requests of all rounds ended with which status."""
    total = sum(counts, Counter[str]())
    return ", ".join(f"{outcome}: {number}" for outcome, number in sorted(total.items()) if number) or "-"


def _p99_ms(rounds: dict[tuple[str, str], list[Round]], load: str, peer: str) -> float | None:
    done = rounds.get((load, peer))
    return median(percentile(each.high_ms, 99) for each in done) if done else None


def _perfect_target(rounds: dict[tuple[str, str], list[Round]], load: str, perfect: str) -> Target:
    perfect_ms = _p99_ms(rounds, load, perfect)
    assert perfect_ms is not None
    return Target(
        f"p99 of the high lane in ms, {load}: a quarter above {_IDEALS[perfect]}",
        limit=1.25 * perfect_ms,
        measured=_p99_ms(rounds, load, PRIOLB),
        digits=1,
    )


def _preempting_target(rounds: dict[tuple[str, str], list[Round]], load: str) -> Target:
    unloaded_ms = _p99_ms(rounds, UNLOADED, PRIOLB)
    assert unloaded_ms is not None
    return Target(
        f"p99 of the high lane in ms, preempting, {load}: a tenth above that without low traffic",
        limit=1.1 * unloaded_ms,
        measured=_p99_ms(rounds, load, PRIOLB_PREEMPTING),
        digits=1,
    )


def _peer_target(rounds: dict[tuple[str, str], list[Round]]) -> Target:
    return Target(
        f"p99 of the high lane in ms, {OVERLOADED}, at most HAProxy's",
        limit=_p99_ms(rounds, OVERLOADED, HAPROXY),
        measured=_p99_ms(rounds, OVERLOADED, PRIOLB),
        digits=1,
    )
