"""What the queue itself costs: the original's benchmark, one push and one pop for each task.

The original's readers are threads of Go. Ours take turns within one, as the program's own do: no time goes
into locks, and the figure with five readers shows only what changing between them costs.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator
from statistics import median
from typing import Final

from benchmarks.cpu import on_cores, split_cores
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result
from priolb.core.discipline import FastHighLow
from priolb.core.lanes import Lane
from priolb.core.queue import PriorityQueue
from priolb.core.ticket import Ticket

LOW: Final = 2
FAST_PER_HIGH: Final = 2
CASES: Final = ((10_000, 1), (10_000, 5), (100_000, 5))

COLUMNS: Final = (
    Column("tasks", "tasks"),
    Column("readers", "readers"),
    Column("ns_per_task", "ns per task"),
    Column("ns_per_task_min", "lowest"),
    Column("ns_per_task_max", "highest"),
)


def run(quick: bool) -> Result:
    """Measure the three cases of the original.

    Args:
        quick: fewer rounds.
    """
    rounds = 3 if quick else 21
    samples: dict[tuple[int, int], list[float]] = {case: [] for case in CASES}
    with on_cores(split_cores().measured):
        _ns_per_task(*CASES[0])  # warm-up
        for _ in range(rounds):
            for case in CASES:
                samples[case].append(_ns_per_task(*case))
    return Result(
        name="queue",
        machine=this_machine(),
        method={"rounds": rounds, "lane": "low"},
        columns=COLUMNS,
        rows=[_row(*case, samples[case]) for case in CASES],
        targets=[],
    )


def _ns_per_task(tasks: int, readers: int) -> float:
    """Return the time of pushing all tasks and of draining them, divided by their number."""
    lanes = [Lane("fast"), Lane("high"), Lane("low")]
    queue = PriorityQueue(lanes, FastHighLow(FAST_PER_HIGH))
    # Made before the clock starts, as in the original, which pushes one and the same task.
    tickets = [Ticket(LOW, 0.0, 5.0) for _ in range(tasks)]
    gc.collect()
    started_at_ns = time.perf_counter_ns()
    for ticket in tickets:
        queue.push(ticket)
    turns = deque(_reader(queue) for _ in range(readers))
    while turns:
        reader = turns.popleft()
        if next(reader, None) is not None:
            turns.append(reader)
    took_ns = time.perf_counter_ns() - started_at_ns
    assert queue.length == 0
    return took_ns / tasks


def _reader(queue: PriorityQueue) -> Iterator[Ticket]:
    ticket = queue.pop()
    while ticket is not None:
        yield ticket
        ticket = queue.pop()


def _row(tasks: int, readers: int, samples: list[float]) -> dict[str, Cell]:
    return {
        "tasks": tasks,
        "readers": readers,
        "ns_per_task": median(samples),
        "ns_per_task_min": min(samples),
        "ns_per_task_max": max(samples),
    }
