"""What clients that dribble do to the others: latencies of normal requests with and without them.

Every balancer is there for the whole time, stopped but for its turn; each round loads it without dribblers,
then with them, with the same arrivals. Figures are medians over the rounds. HAProxy gives a head its time by
`timeout http-request 10s`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.child import Child, python_module
from benchmarks.load import run_streams
from benchmarks.machine import this_machine
from benchmarks.open_loop import low
from benchmarks.peers import HAPROXY, PRIOLB, Peer, Task, let_rest, start_node, start_peers, turn_of
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 64
REQUESTS_PER_S: Final = 300.0
DRIBBLERS: Final = 3000
BYTES_PER_S: Final = 1.0
GRACE_S: Final = 20.0

COLUMNS: Final = (
    Column("dribblers", "dribbling clients"),
    Column("peer", "balancer"),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("p99_ms_min", "lowest p99", 2),
    Column("p99_ms_max", "highest p99", 2),
    Column("failed", "failed"),
)


@dataclass(frozen=True)
class Round:
    """Sorted latencies of the normal requests, and how many had another answer than 200, or none."""

    latencies_ms: Sequence[float]
    failed: int


def run(quick: bool) -> Result:
    """Measure priolb, and HAProxy where it is installed.

    Args:
        quick: one short round, to see that all works.

    Raises:
        BenchmarkError: a balancer or a load generator failed.
    """
    rounds, duration_s = (1, 14.0) if quick else (5, 14.0)
    raise_open_files_limit(4 * DRIBBLERS)
    done: dict[tuple[int, str], list[Round]] = defaultdict(list)
    with Workbench() as workbench:
        peers = start_peers(workbench, Task(start_node(workbench), SLOTS), PRIOLB, HAPROXY)
        let_rest(peers)
        for seed in range(1, rounds + 1):
            for dribblers in (0, DRIBBLERS):
                for peer in peers:
                    with turn_of(peer):
                        seen = _round(workbench, peer, dribblers, duration_s, seed)
                    done[dribblers, peer.name].append(seen)
    return Result(
        name="slow_clients",
        machine=this_machine(),
        method={
            "normal requests/s": REQUESTS_PER_S,
            "bytes/s of each dribbler": BYTES_PER_S,
            "rounds": rounds,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(*key, done[key]) for key in sorted(done, key=lambda key: (key[0], key[1] != PRIOLB))],
        targets=[
            Target(
                f"p99 of normal requests beside {DRIBBLERS} dribbling clients, in times of that without them",
                limit=1.1,
                measured=_p99(done[DRIBBLERS, PRIOLB]) / _p99(done[0, PRIOLB]),
                digits=2,
            )
        ],
    )


def _round(workbench: Workbench, peer: Peer, dribblers: int, duration_s: float, seed: int) -> Round:
    slow: Child | None = None
    if dribblers:
        options = ("--port", peer.port, "--clients", dribblers, "--bytes-per-s", BYTES_PER_S)
        command = python_module("benchmarks.dribble", *options, "--duration-s", duration_s + GRACE_S)
        slow = workbench.start("dribblers", command, workbench.cores.others)
        slow.wait_until_printed("ready")
    count = run_streams(workbench, peer.port, [low(REQUESTS_PER_S)], duration_s, seed)["low"]
    if slow is not None:
        slow.check_running()
        slow.stop()
    peer.child.check_running()
    peer.child.forget_log()
    failed = count.outcomes.total() - count.outcomes["200"]
    return Round(sorted(count.latencies_ms), failed)


def _p99(rounds: list[Round]) -> float:
    return median(percentile(each.latencies_ms, 99) for each in rounds)


def _row(dribblers: int, peer: str, rounds: list[Round]) -> dict[str, Cell]:
    p99s_ms = [percentile(each.latencies_ms, 99) for each in rounds]
    return {
        "dribblers": dribblers,
        "peer": peer,
        "p50_ms": median(percentile(each.latencies_ms, 50) for each in rounds),
        "p99_ms": median(p99s_ms),
        "p99_ms_min": min(p99s_ms),
        "p99_ms_max": max(p99s_ms),
        "failed": sum(each.failed for each in rounds),
    }
