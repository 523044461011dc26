"""What clients see when nodes fail, hang, go, straggle, and are all gone for a while.

Two nodes of 8 slots and 20 ms get 360 requests per second at random (Poisson) moments, which one of them can
just carry alone. After two seconds something happens to one of them, or to both. Each round starts everything
afresh, one balancer after the other with the same arrivals; figures are medians over rounds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import run_streams
from benchmarks.machine import program, this_machine
from benchmarks.node import FAILING, HANGING
from benchmarks.open_loop import low
from benchmarks.peers import HAPROXY
from benchmarks.pools import POOL_PEERS, PRIOLB, PRIOLB_EWMA, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 8
SERVICE_S: Final = 0.02
RATE_PER_S: Final = 360.0
TRY_TIMEOUT_S: Final = 3
HAPPENS_S: Final = 2.0

# What the load generator needs from its start to its first request, about.
LOAD_STARTS_S: Final = 0.4

WELL: Final = "both well"
ONE_FAILS: Final = "one fails 9 of 10 at once"
ONE_HANGS: Final = "one hangs"
ONE_SLOW: Final = "one 10 times slower"
ONE_BACK: Final = "one killed, back after 3 s"
BOTH_GONE: Final = "both gone for 2 s"

COLUMNS: Final = (
    Column("scenario", "what happens"),
    Column("peer", "balancer"),
    Column("answered_percent", "answered with 200 %", 3),
    Column("lost", "not answered with 200", 0),
    Column("p50_ms", "p50 ms", 1),
    Column("p99_ms", "p99 ms", 1),
    Column("settled_p99_ms", "p99 ms from 3.5 s after", 1),
    Column("even_after_s", "even share after s", 1),
    Column("outcomes", "all answers"),
)


@dataclass(frozen=True)
class Scenario:
    """Something that happens to the nodes.

    Args:
        duration_s: seconds of load.
        happens: done to the two nodes `HAPPENS_S` after the load starts.
        illness: of the first node; see `benchmarks.node`.
        service_s: of the first node.
        back_s: seconds after which the first node is back, 0 for never.
    """

    duration_s: float
    happens: Callable[[Workbench, Sequence[Node]], None]
    illness: str = ""
    service_s: float = SERVICE_S
    back_s: float = 0.0


def _nothing(_workbench: Workbench, _nodes: Sequence[Node]) -> None:
    """All stays well."""


def _fall_ill(_workbench: Workbench, nodes: Sequence[Node]) -> None:
    nodes[0].fall_ill()


def _go_and_come_back(workbench: Workbench, nodes: Sequence[Node], gone_s: float) -> None:
    for node in nodes:
        node.kill()
    time.sleep(gone_s)
    for node in nodes:
        node.begin(workbench)


SCENARIOS: Final = {
    WELL: Scenario(8.0, _nothing),
    ONE_FAILS: Scenario(12.0, _fall_ill, illness=FAILING),
    ONE_HANGS: Scenario(16.0, _fall_ill, illness=HANGING),
    ONE_SLOW: Scenario(10.0, _nothing, service_s=10 * SERVICE_S),
    ONE_BACK: Scenario(18.0, lambda w, nodes: _go_and_come_back(w, nodes[:1], 3.0), back_s=3.0),
    BOTH_GONE: Scenario(12.0, lambda w, nodes: _go_and_come_back(w, nodes, 2.0)),
}


@dataclass(frozen=True)
class Round:
    """One balancer in one scenario once: latencies of good answers by when they were due, and outcomes."""

    latencies_ms: Sequence[tuple[float, float]]
    outcomes: Counter[str]
    even_after_s: float | None

    @property
    def lost(self) -> int:
        return self.outcomes.total() - self.outcomes["200"]

    def percentile_ms(self, percent: float, from_s: float = HAPPENS_S) -> float:
        """Return the percentile of the answers to requests that were due from then on."""
        return percentile(sorted(ms for due_s, ms in self.latencies_ms if due_s >= from_s), percent)


def run(quick: bool) -> Result:
    """Measure priolb, with both of its orders by load, and HAProxy where it is installed.

    Args:
        quick: one round, without the second order.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    count = 1 if quick else 5
    raise_open_files_limit(8192)
    peers = [name for name in POOL_PEERS if name != HAPROXY or program("haproxy")]
    rounds: dict[tuple[str, str], list[Round]] = {}
    for seed in range(1, count + 1):
        for name, scenario in SCENARIOS.items():
            for peer in peers:
                if peer != PRIOLB_EWMA or (name in (WELL, ONE_SLOW) and not quick):
                    rounds.setdefault((name, peer), []).append(_round(peer, scenario, seed))
    return Result(
        name="failures",
        machine=this_machine(),
        method={
            "nodes": 2,
            "slots": SLOTS,
            "service ms": 1e3 * SERVICE_S,
            "requests/s": RATE_PER_S,
            "time-out of a try s": TRY_TIMEOUT_S,
            "rounds": count,
        },
        columns=COLUMNS,
        rows=[_row(name, peer, done) for (name, peer), done in rounds.items()],
        targets=_targets(rounds),
    )


def _round(peer_name: str, scenario: Scenario, seed: int) -> Round:
    with Workbench() as workbench:
        nodes = [Node(SLOTS, scenario.service_s, scenario.illness), Node(SLOTS, SERVICE_S)]
        for node in nodes:
            node.start(workbench)
        peer = start_pool_peer(workbench, Pool(nodes, try_timeout_s=TRY_TIMEOUT_S), peer_name)
        happening = threading.Timer(LOAD_STARTS_S + HAPPENS_S, scenario.happens, (workbench, nodes))
        started_at = time.monotonic()
        happening.start()
        try:
            counts = run_streams(
                workbench, peer.port, [low(RATE_PER_S)], scenario.duration_s, seed, ignored_s=HAPPENS_S
            )
        finally:
            happening.cancel()
            happening.join()
        peer.child.check_running()
        back_at = started_at + LOAD_STARTS_S + HAPPENS_S + scenario.back_s
        even_after_s = _even_after(nodes, back_at) if scenario.back_s else None
    count = counts["low"]
    return Round(list(zip(count.due_s, count.latencies_ms, strict=True)), count.outcomes, even_after_s)


def _even_after(nodes: Sequence[Node], back_at: float) -> float:
    """Return how many seconds after it was started again the first node had 45 % of a second's work."""
    back, other = [node.counts() for node in nodes]
    for at, _ in back:
        if at >= back_at and (at - 1.0) >= back[0][0]:
            own, others = _in_last_second(back, at), _in_last_second(other, at)
            if own + others > 0 and own >= 0.45 * (own + others):
                return max(0.0, at - back_at)
    return float("inf")


def _in_last_second(counts: Sequence[tuple[float, int]], at: float) -> int:
    until = [count for time_s, count in counts if time_s <= at + 0.01]
    before = [count for time_s, count in counts if time_s <= at - 1.0 + 0.01]
    return (until[-1] if until else 0) - (before[-1] if before else 0)


def _row(scenario: str, peer: str, rounds: Sequence[Round]) -> dict[str, Cell]:
    outcomes = sum((each.outcomes for each in rounds), Counter[str]())
    even = [each.even_after_s for each in rounds if each.even_after_s is not None]
    return {
        "scenario": scenario,
        "peer": peer,
        "answered_percent": 100.0 * outcomes["200"] / outcomes.total(),
        "lost": outcomes.total() - outcomes["200"],
        "p50_ms": median(each.percentile_ms(50) for each in rounds),
        "p99_ms": median(each.percentile_ms(99) for each in rounds),
        "settled_p99_ms": median(each.percentile_ms(99, HAPPENS_S + TRY_TIMEOUT_S + 0.5) for each in rounds),
        "even_after_s": median(even) if even else None,
        "outcomes": ", ".join(f"{status}: {number}" for status, number in sorted(outcomes.items()) if number),
    }


def _targets(rounds: dict[tuple[str, str], list[Round]]) -> list[Target]:
    def lost_percent(scenario: str) -> float:
        outcomes = sum((each.outcomes for each in rounds[scenario, PRIOLB]), Counter[str]())
        return 100.0 * (1.0 - outcomes["200"] / outcomes.total())

    def middle(scenario: str, figure: Callable[[Round], float]) -> float:
        return median(figure(each) for each in rounds[scenario, PRIOLB])

    def settled_ms(each: Round) -> float:
        return each.percentile_ms(99, HAPPENS_S + TRY_TIMEOUT_S + 0.5)

    normal_p50_ms = middle(WELL, lambda each: each.percentile_ms(50))
    normal_p99_ms = middle(WELL, lambda each: each.percentile_ms(99))
    return [
        Target(f"not answered, {ONE_FAILS}, %", 0.1, lost_percent(ONE_FAILS), 3),
        Target(f"not answered, {ONE_HANGS}, %", 0.1, lost_percent(ONE_HANGS), 3),
        Target(
            f"p99 after the first time-out, {ONE_HANGS}, ms: 3 times the normal one",
            3.0 * normal_p99_ms,
            middle(ONE_HANGS, settled_ms),
            1,
        ),
        Target(f"not answered, {ONE_BACK}, %", 0.0, lost_percent(ONE_BACK), 3),
        Target(
            f"even share again, {ONE_BACK}, s",
            10.0,
            middle(ONE_BACK, lambda each: each.even_after_s or 0.0),
            1,
        ),
        Target(
            f"p50, {ONE_SLOW}, ms: a quarter above the normal one",
            1.25 * normal_p50_ms,
            middle(ONE_SLOW, lambda each: each.percentile_ms(50)),
            1,
        ),
        Target(f"not answered, {ONE_SLOW}, %", 0.0, lost_percent(ONE_SLOW), 3),
        Target(f"not answered, {BOTH_GONE}, %", 0.0, lost_percent(BOTH_GONE), 3),
    ]
