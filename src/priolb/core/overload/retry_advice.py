"""When those should come back who were refused because there was too much to do.

Source: the adaptive Retry-After of Kubernetes' API Priority and Fairness. Once a second, with ra the advice
in seconds and n the refusals of the last ra whole seconds:

    n >= 3 * ra, and ra has stood for ra seconds:   ra = min(32, 2 * ra)
    n < ra:                                         ra = max(1, ra - 1)

What a client is told is spread over the upper half of that (equal jitter: Brooker, "Exponential backoff and
jitter", 2015), so that those who were refused together do not come back together.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from priolb.core.chance import Chance
from priolb.errors import Reason

_MAX_S: Final = 32
# Without refusals, none is remembered after so long, and the advice has come down to a second.
_FORGOTTEN_S: Final = 2 * _MAX_S


# What is refused because there is too much to do. Without any node there is no such thing as capacity.
OVERLOADED: Final = frozenset({Reason.QUEUE_FULL, Reason.WAIT_TOO_LONG, Reason.DISPLACED, Reason.SHED})


class RetryAdvice:
    """The advice to those whom one lane refuses.

    Args:
        chance: gives the jitter.

    `retry_after_s` is the advice without it, in whole seconds.
    """

    __slots__ = ("_chance", "_changed", "_counts", "_second", "retry_after_s")

    def __init__(self, chance: Chance) -> None:
        self.retry_after_s: int = 1
        self._chance = chance
        self._counts: list[int] = [0] * _MAX_S  # by second, modulo their number
        self._second: int = 0
        self._changed: int = 0

    def refuse(self, wait_s: float, now: float) -> int:
        """Take note of a refusal, and return after how many whole seconds the client should come back.

        Args:
            wait_s: how long it would have to wait now, as far as that is known, seconds.
            now: monotonic seconds.
        """
        second = int(now)
        if second != self._second:
            self._catch_up(second)
        self._counts[second % _MAX_S] += 1
        advice = self.retry_after_s
        if wait_s > advice:
            advice = min(_MAX_S, ceil(wait_s))
        least = (advice + 1) // 2
        return least + int(self._chance.random() * (advice - least + 1))

    def _catch_up(self, second: int) -> None:
        """Bring the advice up to date with the seconds that have passed."""
        if second - self._second > _FORGOTTEN_S:
            self.retry_after_s = 1
            self._counts = [0] * _MAX_S
            self._second = self._changed = second
        while self._second < second:
            self._second += 1
            self._adapt(self._second)
            self._counts[self._second % _MAX_S] = 0

    def _adapt(self, second: int) -> None:
        advice = self.retry_after_s
        refused = sum([self._counts[(second - age) % _MAX_S] for age in range(1, advice + 1)])
        if refused >= 3 * advice:
            if second - self._changed >= advice:
                self.retry_after_s = min(_MAX_S, 2 * advice)
                self._changed = second
        elif refused < advice and advice > 1:
            self.retry_after_s = advice - 1
            self._changed = second
