"""A lane that answers few requests soon rather than all of them too late.

Controlled delay with adaptive LIFO: Maurer, "Fail at scale" (2015), with the idea of RFC 8289 that a queue
is good as long as it empties now and then, and bad once it stands. A lane that has not been empty for an
interval is congested, and then

  1. the newest request goes first, whose client is the least likely to have given up;
  2. what has waited for longer than the target is refused, but never the newest, so that a slot that
     frees always finds somebody.

"Fail at scale" has 100 ms and 5 ms. Here both are shares of the longest wait, as requests take from
milliseconds to minutes. Requests that a node has had already, and that are back in line, are neither
refused by it nor overtaken: they are no more than the slots. Those of them that rest do not count: a lane
where nobody else waits is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import Ticket

_INTERVAL_SHARE: Final = 0.05
_TARGET_SHARE: Final = 0.02


class CodelLane(Lane):
    """A lane with a bound on how long requests wait while it is congested.

    Args:
        name: as in `Lane`.
        limit: as in `Lane`.
        limit_bytes: as in `Lane`.
        max_wait_s: longest wait when it is not congested, seconds. A twentieth of it is the interval, a
            fiftieth the target.
    """

    __slots__ = ("_interval_s", "_newest_at", "_resting", "_stands_since", "_target_s")

    def __init__(self, name: str, limit: int, limit_bytes: int, max_wait_s: float) -> None:
        super().__init__(name, limit, limit_bytes, max_wait_s)
        self._interval_s: float = max_wait_s * _INTERVAL_SHARE
        self._target_s: float = max_wait_s * _TARGET_SHARE
        self._stands_since: float = inf
        self._newest_at: float = -inf
        self._resting: int = 0  # how many rest

    def append(self, ticket: Ticket) -> None:
        super().append(ticket)
        self._newest_at = ticket.enqueued_at
        if self._stands_since == inf:
            self._stands_since = ticket.enqueued_at

    def rest(self, ticket: Ticket) -> None:
        super().rest(ticket)
        self._resting += 1

    def wake(self, ticket: Ticket) -> None:
        self._resting -= ticket.fifo is self.resting
        super().wake(ticket)

    def remove(self, ticket: Ticket) -> None:
        self._resting -= ticket.fifo is self.resting
        super().remove(ticket)
        if self.length == self._resting:
            self._stands_since = inf

    def ahead_of(self, ticket: Ticket) -> int:
        """Return that nobody does while it is congested, as the newest goes first then."""
        is_congested = ticket.enqueued_at - self._stands_since >= self._interval_s
        return 0 if is_congested else self.length

    def first(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        if self._newest_at - self._stands_since < self._interval_s:
            return super().first(has_node_for)
        return self.first_retry(has_node_for) or self.fresh.tail

    def to_shed(self, now: float) -> Ticket | None:
        """Return the oldest ticket if it has waited for too long at `now` (monotonic seconds)."""
        return self.fresh.head if self.next_shed_at() <= now else None

    def next_shed_at(self) -> float:
        """Return when to call `to_shed` next, in monotonic seconds; infinity for never."""
        oldest = self.fresh.head
        if oldest is None or oldest is self.fresh.tail:
            return inf
        return max(oldest.enqueued_at + self._target_s, self._stands_since + self._interval_s)
