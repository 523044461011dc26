"""Which lane is next: the disciplines of the queue."""

from __future__ import annotations

from collections.abc import Callable

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
