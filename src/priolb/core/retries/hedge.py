"""Hedging: a second try of a request that takes unusually long, while the first one goes on.

Source: Dean and Barroso, "The tail at scale" (2013): after the 95th percentile of the expected latency a
second request is sent, the first good answer wins, and the other is given up. That costs about 5 % more
requests, and the budget sees to it that it never costs more. Whoever runs requests uses

    `delay_s`               when the first try starts: how long until it deserves a second one
    `Scheduler.hedge`       after that time: the lease of the second try, or None
    `Scheduler.end_aside`   to end the try that lost, or one that failed while the other goes on
    `answered`              for each first try that was answered, to tell how long it took
"""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.core.retries.budget import RetryBudget

_KEPT: Final = 512
_ENOUGH: Final = 64
_QUANTILE: Final = 0.95


class LaneLatencies:
    """The latencies of the last 512 answers of a lane, and their 95th percentile as of every 64 answers."""

    __slots__ = ("_latencies_s", "_next", "_until_sorted", "p95_s")

    def __init__(self) -> None:
        self.p95_s: float = inf
        """Seconds; infinity until there are 64 answers."""
        self._latencies_s: list[float] = []
        self._next: int = 0
        self._until_sorted: int = _ENOUGH

    def add(self, latency_s: float) -> None:
        """Add the latency of an answer."""
        if len(self._latencies_s) < _KEPT:
            self._latencies_s.append(latency_s)
        else:
            self._latencies_s[self._next] = latency_s
            self._next = (self._next + 1) % _KEPT
        self._until_sorted -= 1
        if self._until_sorted == 0:
            self._until_sorted = _ENOUGH
            ordered = sorted(self._latencies_s)
            self.p95_s = ordered[int(len(ordered) * _QUANTILE)]


class Hedging:
    """When requests of which lanes get a second try.

    Args:
        lanes: indices of the lanes that hedge.
        percent: second tries for each hundred requests, at most.
        now: monotonic seconds.
    """

    __slots__ = ("_lanes", "budget")

    def __init__(self, lanes: frozenset[int], percent: float, now: float) -> None:
        self._lanes: dict[int, LaneLatencies] = {lane: LaneLatencies() for lane in lanes}
        self.budget: RetryBudget = RetryBudget(percent, 0.0, now)

    def delay_s(self, lane: int) -> float:
        """Return after how long a try of a request of `lane` deserves a second one; infinity for never."""
        latencies = self._lanes.get(lane)
        return inf if latencies is None else latencies.p95_s

    def answered(self, lane: int, latency_s: float) -> None:
        """Take note of how long the first try of a request of `lane` took until its answer."""
        latencies = self._lanes.get(lane)
        if latencies is not None:
            latencies.add(latency_s)
