"""A lane: the waiting tickets of one priority, first in, first out.

Invariants:
  1. A ticket is in at most one Fifo, the one its `fifo` names, and is WAITING exactly while it is in one.
  2. In every Fifo the tickets stand in the order of their `sequence`, which is the order of arrival.
  3. All tickets of a Fifo have tried the same nodes, so that any node which may serve one of them may
     serve its head: nobody behind the head has to be looked at.
  4. Empty retry Fifos are dropped, so looking for the next ticket costs no more than the number of
     different sets of tried nodes that wait right now (one, while nothing fails).
  5. Of the Fifo of those who rest nobody is served. They count as waiting, keep their place and expire as all
     others do.
"""

from __future__ import annotations

from collections.abc import Callable

from priolb.core.ticket import RUNNING, WAITING, Ticket


class Fifo:
    """A doubly linked list of tickets, linked through the tickets: every operation is O(1)."""

    __slots__ = ("head", "tail")

    def __init__(self) -> None:
        self.head: Ticket | None = None
        self.tail: Ticket | None = None

    def append(self, ticket: Ticket) -> None:
        """Add `ticket` behind all others; its sequence must be the highest."""
        tail = self.tail
        ticket.fifo = self
        ticket.previous = tail
        if tail is None:
            self.head = ticket
        else:
            tail.next = ticket
        self.tail = ticket

    def insert(self, ticket: Ticket) -> None:
        """Add `ticket` at the place of its sequence, searched from the back, where it mostly belongs."""
        previous, following = self.tail, None
        while previous is not None and previous.sequence > ticket.sequence:
            previous, following = previous.previous, previous
        ticket.fifo = self
        ticket.previous, ticket.next = previous, following
        if previous is None:
            self.head = ticket
        else:
            previous.next = ticket
        if following is None:
            self.tail = ticket
        else:
            following.previous = ticket

    def remove(self, ticket: Ticket) -> None:
        """Take `ticket`, which must be in this list, out of it."""
        previous, following = ticket.previous, ticket.next
        if previous is None:
            self.head = following
        else:
            previous.next = following
        if following is None:
            self.tail = previous
        else:
            following.previous = previous
        ticket.previous = ticket.next = ticket.fifo = None


class Lane:
    """The waiting tickets of one priority.

    Args:
        name: for logs and metrics.
        limit: most tickets that may wait here, 0 for no limit. Tickets put back for a retry keep the
            place they had and are not refused by it.
    """

    __slots__ = ("fresh", "length", "limit", "name", "resting", "retries")

    def __init__(self, name: str, limit: int = 0) -> None:
        self.name: str = name
        self.limit: int = limit
        self.length: int = 0
        self.fresh: Fifo = Fifo()
        self.resting: Fifo = Fifo()
        self.retries: dict[frozenset[int], Fifo] = {}

    @property
    def is_full(self) -> bool:
        """Whether no new ticket may wait here."""
        return 0 < self.limit <= self.length

    def append(self, ticket: Ticket) -> None:
        """Add a new ticket at the end."""
        ticket.state = WAITING
        self.fresh.append(ticket)
        self.length += 1

    def put_back(self, ticket: Ticket) -> None:
        """Give a ticket whose try failed its old place in line."""
        ticket.state = WAITING
        self._insert(ticket)
        self.length += 1

    def rest(self, ticket: Ticket) -> None:
        """Give a ticket whose try failed its old place in line, and serve it no more before `wake`."""
        ticket.state = WAITING
        self.resting.insert(ticket)
        self.length += 1

    def wake(self, ticket: Ticket) -> None:
        """Let a ticket that rests be served again."""
        self.resting.remove(ticket)
        self._insert(ticket)

    def remove(self, ticket: Ticket) -> None:
        """Take a waiting ticket out, wherever it stands."""
        fifo = ticket.fifo
        assert fifo is not None
        fifo.remove(ticket)
        ticket.state = RUNNING
        self.length -= 1
        if fifo.head is None and fifo is not self.fresh and fifo is not self.resting:
            del self.retries[ticket.tried]

    def first(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the oldest ticket that one of the free nodes may serve.

        Args:
            has_node_for: whether a node is free for a ticket that has tried these nodes. Asked only for
                retries: whoever calls has made sure that a new ticket can be served.
        """
        best = self.fresh.head
        if self.retries:
            for tried, fifo in self.retries.items():
                head = fifo.head
                assert head is not None
                if (best is None or head.sequence < best.sequence) and has_node_for(tried):
                    best = head
        return best

    def oldest(self) -> Ticket | None:
        """Return the ticket that came first, whether or not a node is free for it."""
        best = self.fresh.head
        for fifo in (self.resting, *self.retries.values()):
            head = fifo.head
            if head is not None and (best is None or head.sequence < best.sequence):
                best = head
        return best

    def newest(self) -> Ticket | None:
        """Return the ticket that came last."""
        best = self.fresh.tail
        for fifo in (self.resting, *self.retries.values()):
            tail = fifo.tail
            if tail is not None and (best is None or tail.sequence > best.sequence):
                best = tail
        return best

    def _insert(self, ticket: Ticket) -> None:
        fifo = self.retries.get(ticket.tried)
        if fifo is None:
            fifo = self.retries[ticket.tried] = Fifo()
        fifo.insert(ticket)
