"""The pulse of the event loop: how long it was held up, so that what was due had to wait."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Final

# A stall shorter than this may fall between two beats; of a longer one at most this much is missed.
BEAT_S: Final = 0.01

STALL_BOUNDS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Longest stall of each bucket but the last, which has all longer ones, seconds."""


class Pulse:
    """Wakes up all the time, and measures how late that was.

    Event loops round timers to whole milliseconds, so that up to one of them is no stall.

    Args:
        clock: monotonic seconds.
        sleep: waits for some seconds while everything else goes on.

    Attributes:
        stalls: how many beats fell into each bucket of `STALL_BOUNDS_S`.
        stalled_s: how late all beats were together, seconds.
    """

    __slots__ = ("_clock", "_longest_s", "_sleep", "stalled_s", "stalls")

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._longest_s: float = 0.0
        self.stalls: list[int] = [0] * (len(STALL_BOUNDS_S) + 1)
        self.stalled_s: float = 0.0

    async def beat(self) -> None:
        """Measure until cancelled."""
        while True:
            due_at = self._clock() + BEAT_S
            await self._sleep(BEAT_S)
            late_s = max(0.0, self._clock() - due_at)
            self._longest_s = max(self._longest_s, late_s)
            self.stalls[bisect_left(STALL_BOUNDS_S, late_s)] += 1
            self.stalled_s += late_s

    def take_longest_s(self) -> float:
        """Return the longest stall since the last call, in seconds."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s
