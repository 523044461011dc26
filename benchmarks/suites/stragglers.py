"""What second tries do for urgent requests when one node now and then takes twenty times as long.

Two nodes of 8 slots and 20 ms get 200 urgent requests per second at random (Poisson) moments, a quarter of
what they can carry. One of them takes 400 ms for one request of fifty. All balancers get the same arrivals;
figures are medians over rounds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import run_streams
from benchmarks.machine import program, this_machine
from benchmarks.node import STRAGGLING
from benchmarks.open_loop import arrivals, high
from benchmarks.peers import HAPROXY
from benchmarks.pools import PRIOLB, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 8
SERVICE_S: Final = 0.02
RATE_PER_S: Final = 200.0
IGNORED_S: Final = 2.0

# Longer than a node takes to print what it has begun with.
COUNTED_AFTER_S: Final = 0.5

HEDGING: Final = "priolb, second tries"

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("p50_ms", "p50 ms", 1),
    Column("p95_ms", "p95 ms", 1),
    Column("p99_ms", "p99 ms", 1),
    Column("p999_ms", "p99.9 ms", 1),
    Column("extra_percent", "second tries %", 2),
    Column("lost", "not answered with 200"),
)


@dataclass(frozen=True)
class Round:
    """One balancer once: latencies of good answers, in order, and numbers of requests."""

    latencies_ms: Sequence[float]
    lost: int
    sent: int
    begun: int

    @property
    def extra_percent(self) -> float:
        """Requests that the nodes had beyond those of the clients, per cent."""
        return 100.0 * (self.begun - self.sent) / self.sent


def run(quick: bool) -> Result:
    """Measure priolb with and without second tries, and HAProxy where it is installed.

    Args:
        quick: one short round.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    count, duration_s = (1, 6.0) if quick else (3, 20.0)
    raise_open_files_limit(8192)
    peers = [PRIOLB, HEDGING, *([HAPROXY] if program("haproxy") else [])]
    rounds: dict[str, list[Round]] = {}
    for seed in range(1, count + 1):
        for peer in peers:
            rounds.setdefault(peer, []).append(_round(peer, duration_s, seed))
    return Result(
        name="stragglers",
        machine=this_machine(),
        method={
            "nodes": 2,
            "slots": SLOTS,
            "service ms": 1e3 * SERVICE_S,
            "requests/s": RATE_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(peer, done) for peer, done in rounds.items()],
        targets=[
            Target("p99 with second tries, ms", 80.0, _middle_ms(rounds[HEDGING], 99), 1),
            Target("second tries, %", 5.0, median(each.extra_percent for each in rounds[HEDGING]), 2),
        ],
    )


def _round(peer_name: str, duration_s: float, seed: int) -> Round:
    with Workbench() as workbench:
        nodes = [Node(SLOTS, SERVICE_S, STRAGGLING), Node(SLOTS, SERVICE_S)]
        for node in nodes:
            node.start(workbench)
        nodes[0].fall_ill()
        if peer_name == HEDGING:
            peer = start_pool_peer(workbench, Pool(nodes), PRIOLB, HEDGE_LANES="high-priority")
        else:
            peer = start_pool_peer(workbench, Pool(nodes), peer_name)
        streams = [high(RATE_PER_S)]
        counts = run_streams(workbench, peer.port, streams, duration_s, seed, ignored_s=IGNORED_S)
        peer.child.check_running()
        time.sleep(COUNTED_AFTER_S)
        begun = sum(node.begun() for node in nodes)
    count = counts["high"]
    answered = len(count.latencies_ms)
    sent = len(arrivals(streams, duration_s, seed))
    return Round(sorted(count.latencies_ms), count.outcomes.total() - answered, sent, begun)


def _middle_ms(rounds: Sequence[Round], percent: float) -> float:
    return median(percentile(each.latencies_ms, percent) for each in rounds)


def _row(peer: str, rounds: Sequence[Round]) -> dict[str, Cell]:
    return {
        "peer": peer,
        "p50_ms": _middle_ms(rounds, 50),
        "p95_ms": _middle_ms(rounds, 95),
        "p99_ms": _middle_ms(rounds, 99),
        "p999_ms": _middle_ms(rounds, 99.9),
        "extra_percent": median(each.extra_percent for each in rounds),
        "lost": sum(each.lost for each in rounds),
    }
