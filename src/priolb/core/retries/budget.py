"""The budget of extra tries: so that retries never multiply the load of nodes that are in trouble already."""

from __future__ import annotations

from math import exp
from typing import Final

# What is "recent": an event counts for exp(-age / _MEMORY_S).
_MEMORY_S: Final = 10.0


class RetryBudget:
    """Extra tries as a share of the recent requests, and a few in any case.

    As in Finagle's `RetryBudget`, which takes 20 % of the requests of the last 10 seconds and 10 each second.
    Here the memory fades instead of ending, so that two numbers hold all of it:

        spent + 1 <= percent / 100 * requests + floor_per_s * 10 s
        where a request, or an extra try, of d seconds ago counts exp(-d / 10 s)

    Requests are not told one by one but read off a counter when somebody asks; what came since the last time
    is taken to have come evenly.

    Args:
        percent: extra tries for each hundred requests.
        floor_per_s: extra tries a second that are always there.
        now: monotonic seconds; no request has come yet.
    """

    __slots__ = ("_counted", "_counted_at", "_floor", "_requests", "_share", "_spent")

    def __init__(self, percent: float, floor_per_s: float, now: float) -> None:
        self._share: float = percent / 100.0
        self._floor: float = floor_per_s * _MEMORY_S
        self._requests: float = 0.0
        self._spent: float = 0.0
        self._counted: int = 0
        self._counted_at: float = now

    def has_one(self, requests: int, now: float) -> bool:
        """Return whether there is an extra try to spend.

        Args:
            requests: requests so far, since the start of the program.
            now: monotonic seconds.
        """
        self._fade(requests, now)
        return self._spent + 1.0 <= self._share * self._requests + self._floor

    def spend(self) -> None:
        """Spend one."""
        self._spent += 1.0

    def _fade(self, requests: int, now: float) -> None:
        passed_s = now - self._counted_at
        new = requests - self._counted
        if passed_s > 0.0:
            left = exp(-passed_s / _MEMORY_S)
            self._requests = self._requests * left + new * _MEMORY_S / passed_s * (1.0 - left)
            self._spent *= left
        else:
            self._requests += new
        self._counted = requests
        self._counted_at = max(now, self._counted_at)
