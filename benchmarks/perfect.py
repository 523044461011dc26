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


class Span(NamedTuple):
    """Service of a request: when it begins and ends, in seconds."""

    begin_s: float
    end_s: float


def latencies_on_s(arrivals_s: Sequence[float], spans: Sequence[Span]) -> list[float]:
    """Return how long the best lane takes from arrival to the end of service, on slots as they came free.

    Whoever is first of it takes the next span that begins; the others get what is left. Of those that come
    too late for any span nothing is said.

    Args:
        arrivals_s: when its requests arrive, in the order of their time, seconds.
        spans: of whatever was served, from when on a slot was free for it to when it was again.
    """
    latencies: list[float] = []
    begins = iter(sorted(spans))
    for at_s in arrivals_s:
        span = next((each for each in begins if each.begin_s >= at_s), None)
        if span is None:
            break
        latencies.append(span.end_s - at_s)
    return latencies


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
