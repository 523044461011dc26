"""The median of what was measured lately."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import inf
from typing import Final

_KEPT: Final = 64
_RECENT_S: Final = 10.0


class RecentMedian:
    """The median of the last 64 values.

    When none has come for ten seconds, nothing is known any more, and those before it are forgotten: whoever
    acts upon the median may be the one who has kept others from coming.
    """

    __slots__ = ("_last_at", "_ordered", "_values")

    def __init__(self) -> None:
        self._values: deque[float] = deque()
        self._ordered: list[float] = []
        self._last_at: float = -inf

    def add(self, value: float, now: float) -> None:
        """Add a value that was measured at `now`, monotonic seconds."""
        if now - self._last_at > _RECENT_S:
            self._values.clear()
            self._ordered.clear()
        self._last_at = now
        if len(self._values) == _KEPT:
            del self._ordered[bisect_left(self._ordered, self._values.popleft())]
        self._values.append(value)
        insort(self._ordered, value)

    def value(self, now: float) -> float:
        """Return the median, of an even number of values the lower one; 0 when nothing is known."""
        if not self._ordered or now - self._last_at > _RECENT_S:
            return 0.0
        return self._ordered[(len(self._ordered) - 1) // 2]
