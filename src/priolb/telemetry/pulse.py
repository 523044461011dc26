"""The pulse of the event loop: how long it was held up, so that what was due had to wait."""

import time
from asyncio import TimerHandle
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

# A stall shorter than this may fall between two beats; of a longer one at most this much is missed.
BEAT_S: Final = 0.01

STALL_BOUNDS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Longest stall of each bucket but the last, which has all longer ones, seconds."""

CallLater = Callable[[float, Callable[[], object]], TimerHandle]
"""As `AbstractEventLoop.call_later`."""


class Pulse:
    """Wakes up all the time, and measures how late that was.

    Event loops round timers to whole milliseconds, so that up to one of them is no stall. A timer that sets
    the next one takes half as much CPU as a task that sleeps, and this is most of what an idle program does.

    Args:
        clock: monotonic seconds.

    Attributes:
        stalls: how many beats fell into each bucket of `STALL_BOUNDS_S`.
        stalled_s: how late all beats were together, seconds.
    """

    __slots__ = ("_clock", "_due_at", "_longest_s", "_timer", "stalled_s", "stalls")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._timer: TimerHandle | None = None
        self._due_at: float = 0.0
        self._longest_s: float = 0.0
        self.stalls: list[int] = [0] * (len(STALL_BOUNDS_S) + 1)
        self.stalled_s: float = 0.0

    def start(self, call_later: CallLater) -> None:
        """Measure from now on, until `stop`."""
        self._due_at = self._clock() + BEAT_S
        self._timer = call_later(BEAT_S, lambda: self._beat(call_later))

    def stop(self) -> None:
        """Measure no more; without `start` this does nothing."""
        if self._timer is not None:
            self._timer.cancel()

    def take_longest_s(self) -> float:
        """Return the longest stall since the last call, in seconds."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    def _beat(self, call_later: CallLater) -> None:
        late_s = max(0.0, self._clock() - self._due_at)
        self._longest_s = max(self._longest_s, late_s)
        self.stalls[bisect_left(STALL_BOUNDS_S, late_s)] += 1
        self.stalled_s += late_s
        self.start(call_later)
