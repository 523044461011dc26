"""Which lane is next: the disciplines of the queue."""

from __future__ import annotations

from collections.abc import Callable

from priolb.core.classify import HIGH_PRIORITY, LOW_PRIORITY
from priolb.core.lanes import Lane
from priolb.core.ticket import Ticket


class Discipline:
    """Chooses the next ticket among the lanes, and remembers what it has to for that."""

    __slots__ = ()

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket, still in its lane, or None when none can be served now."""
        raise NotImplementedError

    def passed(self, lane: int) -> None:
        """Take note that a ticket of `lane` was served at once, while all lanes were empty."""
        raise NotImplementedError

    def ahead_of(self, lanes: list[Lane], lane: int) -> list[int]:
        """Return how many tickets of each lane that wait now go before a new one of `lane`, at most."""
        return [each.length if index <= lane else 0 for index, each in enumerate(lanes)]

    def overtaking(self, lane: int) -> range:
        """Return the lanes whose tickets go before one of `lane` even when they come later."""
        return range(lane)


class FastHighLow(Discipline):
    """The rule of the original: fast-track and high-priority in a ratio, low only after both.

    While both wait, `fast_per_high` fast-track tickets are taken, then one high-priority ticket, and so
    on. The count starts anew whenever fast-track is empty. Low is served only when neither waits.

    Args:
        fast_per_high: fast-track tickets before one high-priority ticket; 0 lets high go first.
        drain_fast_first: fast-track is emptied before high-priority, whatever the ratio.
    """

    __slots__ = ("_drain_fast_first", "_fast_in_a_row", "_fast_per_high")

    def __init__(self, fast_per_high: int, drain_fast_first: bool = False) -> None:
        self._fast_per_high = fast_per_high
        self._drain_fast_first = drain_fast_first
        self._fast_in_a_row = 0

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket of the lanes (fast-track, high-priority, low), in that order."""
        fast = lanes[0].first(has_node_for) if lanes[0].length else None
        high = lanes[1].first(has_node_for) if lanes[1].length else None
        if fast is None:
            self._fast_in_a_row = 0
            if high is not None:
                return high
            return lanes[2].first(has_node_for) if lanes[2].length else None
        if high is None:
            return fast
        if self._drain_fast_first or self._fast_in_a_row < self._fast_per_high:
            self._fast_in_a_row += 1
            return fast
        self._fast_in_a_row = 0
        return high

    def passed(self, lane: int) -> None:
        """Start the count anew when fast-track was empty."""
        if lane != 0:
            self._fast_in_a_row = 0

    def ahead_of(self, lanes: list[Lane], lane: int) -> list[int]:
        fast, high, low = lanes[0].length, lanes[1].length, lanes[2].length
        if lane == LOW_PRIORITY:
            return [fast, high, low]
        if lane == HIGH_PRIORITY:
            return [fast if self._drain_fast_first else min(fast, self._fast_per_high * (high + 1)), high, 0]
        if self._drain_fast_first:
            return [fast, 0, 0]
        return [fast, min(high, fast // self._fast_per_high + 1) if self._fast_per_high else high, 0]

    def overtaking(self, lane: int) -> range:
        if lane == LOW_PRIORITY:
            return range(LOW_PRIORITY)
        if lane == HIGH_PRIORITY:
            return range(int(self._drain_fast_first))
        has_high_first = not self._fast_per_high and not self._drain_fast_first
        return range(HIGH_PRIORITY, LOW_PRIORITY) if has_high_first else range(0)
