"""A lane in the order of deadlines: whoever has the least time left goes first.

Earliest deadline first (Liu and Layland, 1973) is the best order as long as there is time for all. Beyond
that it spends slots on those who are about to be late anyway: a request that cannot make it any more is
better refused before.
"""

from __future__ import annotations

from collections.abc import Callable

from priolb.core.queueing.deadlines import Deadlines, is_before
from priolb.core.queueing.lanes import Fifo, Lane
from priolb.core.ticket import NO_NODES_TRIED, Ticket


class ByDeadline(Fifo):
    """Tickets whose head is the one with the earliest `start_by`, of several the oldest.

    They are linked in the order in which they came.
    """

    __slots__ = ("_tickets",)

    def __init__(self, passed: frozenset[int] = NO_NODES_TRIED) -> None:
        super().__init__(passed)
        self._tickets = Deadlines()

    def add(self, ticket: Ticket) -> None:
        super().add(ticket)
        self._tickets.add(ticket)
        self.head = self._tickets.first()

    def remove(self, ticket: Ticket) -> None:
        super().remove(ticket)
        self._tickets.remove(ticket)
        self.head = self._tickets.first()


class DeadlineLane(Lane):
    """The waiting tickets of one priority, the one with the earliest deadline first; see `Lane`."""

    __slots__ = ()

    def ahead_of(self, ticket: Ticket) -> int:
        """Return as many as go before it if the deadlines of those who wait are spread evenly."""
        first = self.first_to_expire()
        latest = ticket.enqueued_at + self.max_wait_s
        if first is None or ticket.start_by >= latest:
            return self.length
        left_s = ticket.start_by - first.start_by
        return int(self.length * left_s / (latest - first.start_by)) if left_s > 0.0 else 0

    def first(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        best, retry = self.fresh.head, self.first_retry(has_node_for)
        return retry if best is None or (retry is not None and is_before(retry, best)) else best

    def first_retry(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        best: Ticket | None = None
        for passed, fifo in self.retries.items():
            head = fifo.head
            assert head is not None
            if (best is None or is_before(head, best)) and has_node_for(passed):
                best = head
        return best

    def first_to_expire(self) -> Ticket | None:
        best = self.fresh.head
        for fifo in (self.resting, *self.retries.values()):
            head = fifo.head
            if head is not None and (best is None or is_before(head, best)):
                best = head
        return best

    def _line_of_new(self) -> Fifo:
        return ByDeadline()

    def _line_of_returned(self, passed: frozenset[int]) -> Fifo:
        return ByDeadline(passed)

    def _add_early(self, ticket: Ticket) -> None:
        """Nobody has to be looked for apart, as all stand in the order of their deadlines."""
