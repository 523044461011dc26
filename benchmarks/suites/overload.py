"""What waiting requests see when three times as many come as can be served, and go on coming.

A node of 8 slots and 20 ms gets 1,200 requests per second at random (Poisson) moments. In order of arrival
each waits for nearly as long as it may. A lane under control lets nobody wait long who is answered. Figures
count from when the queue has filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import check_none_ignored, run_streams
from benchmarks.machine import program, this_machine
from benchmarks.open_loop import low
from benchmarks.peers import HAPROXY
from benchmarks.pools import PRIOLB, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 8
SERVICE_S: Final = 0.02
RATE_PER_S: Final = 3 * SLOTS / SERVICE_S
IGNORED_S: Final = 6.0

CONTROLLED: Final = "priolb, controlled lane"
POLICY: Final = """
discipline = "strict"
[[lane]]
name = "all"
order = "codel"
"""

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("p50_ms", "p50 ms of the answered"),
    Column("p99_ms", "p99 ms"),
    Column("goodput_per_s", "answers/s", 1),
    Column("outcomes", "all answers"),
)


@dataclass(frozen=True)
class Round:
    """One balancer once: sorted latencies of good answers, how many a second, and all outcomes."""

    latencies_ms: Sequence[float]
    goodput_per_s: float
    outcomes: dict[str, int]


def run(quick: bool) -> Result:
    """Measure priolb with a lane in order of arrival and with one under control, and HAProxy if installed.

    Args:
        quick: one short round.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    count, duration_s = (1, 9.0) if quick else (3, 14.0)
    raise_open_files_limit(19_000)
    peers = [PRIOLB, CONTROLLED, *([HAPROXY] if program("haproxy") else [])]
    rounds: dict[str, list[Round]] = {}
    for seed in range(1, count + 1):
        for peer in peers:
            rounds.setdefault(peer, []).append(_round(peer, duration_s, seed))
    goodput_per_s = {peer: median(each.goodput_per_s for each in done) for peer, done in rounds.items()}
    return Result(
        name="overload",
        machine=this_machine(),
        method={
            "slots": SLOTS,
            "service ms": 1e3 * SERVICE_S,
            "requests/s": RATE_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(peer, done) for peer, done in rounds.items()],
        targets=[
            Target("p50 of the answered, controlled lane, ms", 200.0, _middle_ms(rounds[CONTROLLED], 50), 1),
            Target(
                "answers lost against the order of arrival, %",
                2.0,
                100.0 * (1.0 - goodput_per_s[CONTROLLED] / goodput_per_s[PRIOLB]),
                2,
            ),
        ],
    )


def _round(peer_name: str, duration_s: float, seed: int) -> Round:
    with Workbench() as workbench:
        node = Node(SLOTS, SERVICE_S)
        node.start(workbench)
        is_controlled = peer_name == CONTROLLED
        peer = start_pool_peer(
            workbench,
            Pool([node]),
            PRIOLB if is_controlled else peer_name,
            policy=POLICY if is_controlled else "",
        )
        counts = run_streams(workbench, peer.port, [low(RATE_PER_S)], duration_s, seed, ignored_s=0.0)
        peer.child.check_running()
    check_none_ignored(peer_name, counts)
    count = counts["low"]
    answers = list(zip(count.due_s, count.latencies_ms, strict=True))
    # Of those who are in line when no more come, the node serves the last with nobody behind them.
    ends_s = [due_s + latency_ms / 1e3 for due_s, latency_ms in answers]
    in_time = sum(IGNORED_S <= end_s < duration_s for end_s in ends_s)
    return Round(
        sorted(latency_ms for due_s, latency_ms in answers if due_s >= IGNORED_S),
        in_time / (duration_s - IGNORED_S),
        count.outcomes,
    )


def _middle_ms(rounds: Sequence[Round], percent: float) -> float:
    return median(percentile(each.latencies_ms, percent) for each in rounds)


def _row(peer: str, rounds: Sequence[Round]) -> dict[str, Cell]:
    statuses = sorted({status for each in rounds for status, number in each.outcomes.items() if number})
    return {
        "peer": peer,
        "p50_ms": _middle_ms(rounds, 50),
        "p99_ms": _middle_ms(rounds, 99),
        "goodput_per_s": median(each.goodput_per_s for each in rounds),
        "outcomes": ", ".join(
            f"{status}: {sum(each.outcomes.get(status, 0) for each in rounds)}" for status in statuses
        ),
    }
