"""The original's benchmark of its queue: push all tasks to the low lane, and let one reader or five pop them.

The original's readers are threads of Go. Ours take turns within one, as the program's own do: no time goes
into locks, and the figure with five readers shows only what changing between them costs.
"""

from __future__ import annotations

import gc
import json
import time
from typing import Final

from priolb.core.queueing.discipline import FastHighLow
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket

LOW: Final = 2
FAST_PER_HIGH: Final = 2
MAX_WAIT_S: Final = 5.0


class Reader:
    """Pops tasks one by one."""

    __slots__ = ("_queue", "popped")

    def __init__(self, queue: PriorityQueue) -> None:
        self._queue = queue
        self.popped: int = 0

    def pop(self) -> bool:
        """Pop one task; False when none is left."""
        if self._queue.pop() is None:
            return False
        self.popped += 1
        return True


def ns_per_task(tasks: int, readers: int) -> float:
    """Return the CPU time of pushing all tasks and of draining them, divided by their number."""
    queue = PriorityQueue(
        [Lane(name, max_wait_s=MAX_WAIT_S) for name in ("fast", "high", "low")], FastHighLow(FAST_PER_HIGH)
    )
    # Made before the clock starts, as in the original, which pushes one and the same task.
    tickets = [Ticket(LOW, 0.0, MAX_WAIT_S) for _ in range(tasks)]
    turns = [Reader(queue) for _ in range(readers)]
    gc.collect()
    started_at_ns = time.thread_time_ns()
    for ticket in tickets:
        queue.push(ticket)
    is_left = True
    while is_left:
        for reader in turns:
            is_left = reader.pop()
    took_ns = time.thread_time_ns() - started_at_ns
    # Named after the clock has stopped, too: else the compiled form would let go of the list once all are
    # pushed, and free each ticket with its pop.
    assert sum([reader.popped for reader in turns]) == len(tickets)
    return took_ns / tasks


def samples_ns(cases: list[list[int]], rounds: int) -> str:
    """Return, as JSON, what a task took in each round of each case: how many tasks, and how many readers."""
    samples: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        for own, (tasks, readers) in zip(samples, cases, strict=True):
            own.append(ns_per_task(tasks, readers))
    return json.dumps(samples)
