"""What the high lane sees: its latency alone, and with low traffic at twice what the node can serve.

Each round starts every balancer and its node afresh (a queue full of requests whose clients have left would
burden the next one), one balancer after the other with the same arrivals; figures are medians over rounds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.machine import this_machine
from benchmarks.peers import HAPROXY, PRIOLB, Task, is_installed, start_node, start_peers
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 8
SERVICE_S: Final = 0.02
CAPACITY_PER_S: Final = SLOTS / SERVICE_S
HIGH_PER_S: Final = 40.0
LOW_PER_S: Final = 2 * CAPACITY_PER_S
UNLOADED: Final = "high alone"
OVERLOADED: Final = "low at 2x capacity"
LOADS: Final = {UNLOADED: 0.0, OVERLOADED: LOW_PER_S}
GRACE_S: Final = 20.0

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
    count, duration_s = (1, 3.0) if quick else (10, 5.0)
    raise_open_files_limit(8192)
    rounds: dict[tuple[str, str], list[Round]] = {}
    for seed in range(1, count + 1):
        for load, low_per_s in LOADS.items():
            for peer in filter(is_installed, (PRIOLB, HAPROXY)):
                done = _round(peer, low_per_s, duration_s, seed)
                rounds.setdefault((load, peer), []).append(done)
    return Result(
        name="priority",
        machine=this_machine(),
        method={
            "slots": SLOTS,
            "service ms": 1e3 * SERVICE_S,
            "high requests/s": HIGH_PER_S,
            "low requests/s": LOW_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[
            _row(load, peer, rounds[load, peer])
            for load in LOADS
            for peer in (PRIOLB, HAPROXY)
            if (load, peer) in rounds
        ],
        targets=[_p99_target(rounds)],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of sorted values; infinity when there are none."""
    if not ordered:
        return float("inf")
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def _round(peer_name: str, low_per_s: float, duration_s: float, seed: int) -> Round:
    with Workbench() as workbench:
        node_port = start_node(workbench, SLOTS, SERVICE_S)
        [peer] = start_peers(workbench, Task(node_port, SLOTS, has_priorities=True), peer_name)
        printed = workbench.run_module(
            "benchmarks.open_loop",
            *("--port", peer.port, "--duration-s", duration_s, "--seed", seed),
            *("--high-per-s", HIGH_PER_S, "--low-per-s", low_per_s),
            timeout_s=duration_s + GRACE_S,
        )
        peer.child.check_running()
    lanes: dict[str, dict[str, Any]] = json.loads(printed)
    high, low = lanes["high"], lanes["low"]
    return Round(
        high_ms=sorted(high["latencies_ms"]),
        low_ms=sorted(low["latencies_ms"]),
        high_outcomes=Counter(high["outcomes"]),
        low_outcomes=Counter(low["outcomes"]),
    )


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


def _p99_target(rounds: dict[tuple[str, str], list[Round]]) -> Target:
    def p99_ms(peer: str) -> float | None:
        own = rounds.get((OVERLOADED, peer))
        return median(percentile(each.high_ms, 99) for each in own) if own else None

    return Target(
        "p99 of the high lane in ms with low traffic at 2x capacity, at most HAProxy's",
        limit=p99_ms(HAPROXY),
        measured=p99_ms(PRIOLB),
        digits=1,
    )
