"""What it costs to choose a node and to take its answer into account, among 10, 100 and 1,000 of them.

In memory and without a socket: one request after the other is given a slot and its answer is noted, while 40
others are at nodes. The caches of the processor make some of the difference between few and many nodes: when
all take turns, each of a thousand has to be fetched anew.
"""

from __future__ import annotations

import gc
import random
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from benchmarks.cpu import on_cores, split_cores
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result, Target
from priolb.core.nodes.affinity import Affinity
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import RoundRobin, WeightedLeastInFlight
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.nodes.selection import LeastInFlight, Selection
from priolb.core.outcome import answered
from priolb.core.queueing.discipline import FastHighLow
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket

NODES: Final = (10, 100, 1000)
SLOTS: Final = 8
IN_FLIGHT: Final = 40
DECISIONS: Final = 20_000

LEAST: Final = "least in flight"
ORDERS: Final[dict[str, Callable[[], Selection]]] = {
    LEAST: LeastInFlight,
    "least in flight, by weight": WeightedLeastInFlight,
    "round robin": RoundRobin,
    "peak ewma, two choices": lambda: PeakEwma(random.Random(1)),
    "affinity": lambda: Affinity(WeightedLeastInFlight()),
}

COLUMNS: Final = (
    Column("order", "order"),
    *(Column(f"ns_{count}", f"ns, {count:,} nodes") for count in NODES),
)


def run(quick: bool) -> Result:
    """Measure each order with each number of nodes.

    Args:
        quick: fewer rounds.
    """
    rounds = 3 if quick else 15
    samples: dict[tuple[str, int], list[float]] = {}
    with on_cores(split_cores().measured):
        for _ in range(rounds):
            for order in ORDERS:
                for count in NODES:
                    samples.setdefault((order, count), []).append(_ns_per_request(order, count))
    medians = {key: median(values) for key, values in samples.items()}
    return Result(
        name="decisions",
        machine=this_machine(),
        method={"rounds": rounds, "requests per round": DECISIONS, "in flight": IN_FLIGHT},
        columns=COLUMNS,
        rows=[_row(order, medians) for order in ORDERS],
        targets=[
            Target(
                "ns per request among 1,000 nodes, least in flight: a fifth above that among 10",
                1.2 * medians[LEAST, 10],
                medians[LEAST, 1000],
                0,
            )
        ],
    )


def _ns_per_request(order: str, count: int) -> float:
    queue = PriorityQueue([Lane(name) for name in ("fast", "high", "low")], FastHighLow(2))
    scheduler = Scheduler(queue, RetryPolicy(3), Fleet(ORDERS[order]()))
    for number in range(count):
        scheduler.fleet.add(NodeState(number, f"http://node-{number}", SLOTS, True), 0.0)
    keys = [b"%d" % number if order == "affinity" else b"" for number in range(1000)]
    good, now = answered(200, False), 1.0
    running = deque(scheduler.start_at_once(Ticket(2, now, now + 5), now) for _ in range(IN_FLIGHT))
    gc.disable()
    try:
        started_ns = time.perf_counter_ns()
        for number in range(DECISIONS):
            now += 1e-4
            ticket = Ticket(2, now, now + 5)
            ticket.affinity = keys[number % len(keys)]
            running.append(scheduler.start_at_once(ticket, now))
            lease = running.popleft()
            assert lease is not None
            scheduler.finished(lease, good, True, now)
        return (time.perf_counter_ns() - started_ns) / DECISIONS
    finally:
        gc.enable()


def _row(order: str, medians: dict[tuple[str, int], float]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"order": order}
    row.update({f"ns_{count}": medians[order, count] for count in NODES})
    return row
