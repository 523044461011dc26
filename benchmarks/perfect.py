"""What a perfect scheduler would make of the same arrivals: a simulation, with no cost of its own.

Of those who wait, the first of the best lane takes the first slot that is free; who has begun is served to
the end. No other order without preemption gives the best lane shorter waits (Cobham, *Priority Assignment in
Waiting Line Problems*, 1954).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple


class Due(NamedTuple):
    """A request: when it arrives, in seconds, and its lane, 0 for the best."""

    at_s: float
    lane: int


def latencies_s(arrivals: Sequence[Due], slots: int, service_s: float) -> list[list[float]]:
    """Return for each lane the times from arrival to the end of service, in the order of service.

    Args:
        arrivals: in the order of their time.
        slots: requests served at once.
        service_s: what each of them takes, in seconds.
    """
    lanes = 1 + max((each.lane for each in arrivals), default=-1)
    waiting: list[deque[float]] = [deque() for _ in range(lanes)]
    latencies: list[list[float]] = [[] for _ in range(lanes)]
    busy_until: list[float] = []

    def serve(lane: int, arrived_at: float, start_at: float) -> None:
        latencies[lane].append(start_at + service_s - arrived_at)
        if len(busy_until) < slots:
            heappush(busy_until, start_at + service_s)
        else:
            heapreplace(busy_until, start_at + service_s)

    def serve_until(now: float) -> None:
        """Give every slot that is free by now to the first of the best lane."""
        while busy_until and busy_until[0] <= now:
            lane = next((index for index in range(lanes) if waiting[index]), None)
            if lane is None:
                heappop(busy_until)
            else:
                serve(lane, waiting[lane].popleft(), busy_until[0])

    for at_s, lane in arrivals:
        serve_until(at_s)
        if len(busy_until) < slots:
            serve(lane, at_s, at_s)
        else:
            waiting[lane].append(at_s)
    serve_until(float("inf"))
    return latencies
