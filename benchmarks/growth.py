"""What a request costs in memory as there is more of everything around it, as a program.

    PYTHONPATH=tests python -m benchmarks.growth

Prints CPU time per request in microseconds, by what there is of it, as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from math import inf
from typing import Final

from priolb.core.limits.limiter import BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import RateLimit
from priolb.core.queueing.discipline import Discipline, Strict, Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.http.callers import Callers
from priolb.http.rules import Rules
from priolb.net.front.door import Door
from support.lean_path import MAX_WAIT_S, TRUSTED, LeanPath, caller_address

NODES: Final = (1, 10, 100, 1_000)
WAITING: Final = (1, 10, 100, 1_000, 10_000, 100_000)
LANES: Final = (1, 3, 20)
WAITING_IN_LANES: Final = 10
CALLERS: Final = (1_000, 10_000, 100_000, 1_000_000)
# So much that nobody is over the limit; every request counts all the same.
RATE: Final = 1_000_000
WARM_UP_REQUESTS: Final = 3_000
WARM_UP_ROUNDS: Final = 4
STRETCHES: Final = 20
STRETCH_REQUESTS: Final = 3_000
# What another path has pushed out of the processor's caches is back after so many, as far as there is room.
AGAIN_REQUESTS: Final = 2_000


def with_nodes(nodes: int) -> LeanPath:
    """Return a path with so many nodes."""
    return LeanPath(True, time.monotonic, nodes)


def with_waiting(waiting: int) -> LeanPath:
    """Return a path with so many others in line, most of whom have had a request before.

    The first one of a connection costs more, whatever waits.
    """
    path = LeanPath(True, time.monotonic, waiting=waiting)
    for _ in range(WARM_UP_ROUNDS * waiting):
        path.exchange()
    return path


def with_lanes(discipline: Discipline, count: int) -> LeanPath:
    """Return a path with so many lanes, of which only the last one has somebody.

    So a discipline that looks at all of them passes by the most.
    """
    lanes = [Lane(f"lane-{number}", max_wait_s=MAX_WAIT_S) for number in range(count)]
    door = Door(Callers(), Rules([], default=count - 1))
    queue = PriorityQueue(lanes, discipline)
    return LeanPath(True, time.monotonic, waiting=WAITING_IN_LANES, queue=queue, door=door)


def with_callers(callers: int) -> LeanPath:
    """Return a path for so many callers that have asked, each of which has a limit of its own.

    A proxy asks for them, so that their requests come by one connection.
    """
    limit = RateLimit("each", RATE, 1, RATE)
    now_ns = time.monotonic_ns()
    for number in range(callers):
        limit.take(caller_address(number), RATE // 2, now_ns)
    rule = LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, is_dry=False, policy=b'"each"')
    door = Door(Callers(trusted=TRUSTED), Rules([], default=0), limiter=Limiter([rule], ["all"]))
    queue = PriorityQueue([Lane("all", max_wait_s=MAX_WAIT_S)], Strict())
    return LeanPath(True, time.monotonic, queue=queue, door=door, callers=callers)


def cpu_us(paths: Sequence[LeanPath]) -> list[float]:
    """Return the CPU time of a request on each path, microseconds: of the fastest of its stretches.

    The paths take turns, so that a slow moment of the machine is one for all of them.
    """
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(path)
            for _ in range(WARM_UP_REQUESTS):
                path.exchange()
        # As the program does once it has started.
        gc.collect()
        gc.freeze()
        fastest_s = [inf] * len(paths)
        for _ in range(STRETCHES):
            for number, path in enumerate(paths):
                fastest_s[number] = min(fastest_s[number], _stretch_s(path))
    gc.unfreeze()
    return [stretch_s / STRETCH_REQUESTS * 1e6 for stretch_s in fastest_s]


def _stretch_s(path: LeanPath) -> float:
    exchange = path.exchange
    for _ in range(AGAIN_REQUESTS):
        exchange()
    started_at_s = time.process_time()
    for _ in range(STRETCH_REQUESTS):
        exchange()
    return time.process_time() - started_at_s


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "nodes": cpu_us([with_nodes(count) for count in NODES]),
                "requests in line": cpu_us([with_waiting(count) for count in WAITING]),
                "lanes, strict": cpu_us([with_lanes(Strict(), count) for count in LANES]),
                "lanes, weighted": cpu_us([with_lanes(Weighted([1] * count), count) for count in LANES]),
                "callers under a limit": cpu_us([with_callers(count) for count in CALLERS]),
            }
        )
    )
