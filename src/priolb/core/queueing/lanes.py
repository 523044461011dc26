"""A lane: the waiting tickets of one priority, first in, first out.

Invariants:
  1. A ticket is in at most one Fifo, the one its `fifo` names, and is WAITING exactly while it is in one.
  2. In every Fifo the tickets stand in the order of their `sequence`, which is the order of arrival.
  3. All tickets of a Fifo pass over the same nodes: those that they have tried, and, where these are known,
     those that are too slow for them. So any node which may serve one of them may serve its head: nobody
     behind the head has to be looked at.
  4. Empty retry Fifos are dropped, so looking for the next ticket costs no more than the number of
     such different sets that wait right now (one, while nothing fails and no node is too slow).
  5. Of the Fifo of those who rest nobody is served. They count as waiting, keep their place and expire as all
     others do.
  6. Among tickets without a deadline of their own, `start_by` never decreases with `sequence`. Tickets with
     an earlier deadline are also in `_early`. So the first to expire is the oldest, or the first of `_early`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from priolb.core.queueing.deadlines import Deadlines
from priolb.core.ticket import NO_NODES_TRIED, RUNNING, WAITING, Ticket

if TYPE_CHECKING:
    from priolb.core.nodes.node import Lease


class Fifo:
    """A doubly linked list of tickets, linked through the tickets: every operation is O(1).

    Args:
        passed: ids of the nodes that its tickets pass over.
    """

    __slots__ = ("head", "passed", "tail")

    def __init__(self, passed: frozenset[int] = NO_NODES_TRIED) -> None:
        self.passed: frozenset[int] = passed
        self.head: Ticket | None = None
        self.tail: Ticket | None = None

    def add(self, ticket: Ticket) -> None:
        """Add `ticket` behind all others; its sequence must be the highest."""
        tail = self.tail
        ticket.fifo = self
        ticket.previous, ticket.next = tail, None
        if tail is None:
            self.head = ticket
        else:
            tail.next = ticket
        self.tail = ticket

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


class BySequence(Fifo):
    """Tickets that come back in any order, in that of `sequence`; only the head is looked at.

    Thousands may come back at once. To find a place takes O(log n) steps, and what moves for it are 8 bytes
    for each ticket behind.
    """

    __slots__ = ("_sequences", "_tickets")

    def __init__(self, passed: frozenset[int] = NO_NODES_TRIED) -> None:
        super().__init__(passed)
        self._sequences: list[int] = []
        self._tickets: list[Ticket] = []

    def add(self, ticket: Ticket) -> None:
        ticket.fifo = self
        place = bisect_left(self._sequences, ticket.sequence)
        self._sequences.insert(place, ticket.sequence)
        self._tickets.insert(place, ticket)
        self.head = self._tickets[0]

    def remove(self, ticket: Ticket) -> None:
        ticket.fifo = None
        place = bisect_left(self._sequences, ticket.sequence)
        del self._sequences[place], self._tickets[place]
        self.head = self._tickets[0] if self._tickets else None


class Lane:
    """The waiting tickets of one priority, in the order of their arrival; base of lanes with another order.

    Args:
        name: for logs and metrics.
        limit: most tickets that may wait here, 0 for no limit. Tickets put back for a retry keep the
            place they had and are not refused by it.
        limit_bytes: most bytes of bodies that may wait here, 0 for no limit; as with `limit`.
        max_wait_s: `start_by` of a ticket without a deadline of its own is so much later than its arrival,
            seconds. Infinity when nobody knows: then each ticket is taken for one with a deadline of its own.

    `held_bytes` of bodies wait here.
    """

    __slots__ = (
        "_early",
        "fresh",
        "held_bytes",
        "length",
        "limit",
        "limit_bytes",
        "max_wait_s",
        "name",
        "resting",
        "retries",
    )

    def __init__(self, name: str, limit: int = 0, limit_bytes: int = 0, max_wait_s: float = inf) -> None:
        self.name: str = name
        self.limit: int = limit
        self.limit_bytes: int = limit_bytes
        self.length: int = 0
        self.held_bytes: int = 0
        self.max_wait_s: float = max_wait_s
        self._early: Deadlines | None = None  # none as long as there has been nobody for it
        self.retries: dict[frozenset[int], Fifo] = {}
        self.fresh: Fifo = self._line_of_new()
        self.resting: Fifo = self._line_of_returned(NO_NODES_TRIED)

    def has_room(self, body_bytes: int, tenant: bytes) -> bool:
        """Return whether a new ticket may wait here.

        Args:
            body_bytes: what it holds of its body while it waits.
            tenant: whose it is.
        """
        if 0 < self.limit <= self.length:
            return False
        return self.limit_bytes == 0 or self.held_bytes + body_bytes <= self.limit_bytes

    def ahead_of(self, ticket: Ticket) -> int:
        """Return how many who wait here go before a new ticket of this lane, as far as one can tell."""
        return self.length

    def backlog_of(self, tenant: bytes) -> int:
        """Return how many who wait here leave less room for a new one of `tenant`; see `FairLane`."""
        return 0

    def append(self, ticket: Ticket) -> None:
        """Add a new ticket at the end."""
        ticket.state = WAITING
        self.fresh.add(ticket)
        self.length += 1
        self.held_bytes += ticket.body_bytes
        if self._is_early(ticket):
            self._add_early(ticket)

    def put_back(self, ticket: Ticket, passed: frozenset[int] | None = None) -> None:
        """Give a ticket that was taken out its old place in line.

        Args:
            ticket: the ticket.
            passed: ids of the nodes that it passes over, None for those that it has tried.
        """
        self._insert(ticket, ticket.tried if passed is None else passed)
        self._returned(ticket)

    def rest(self, ticket: Ticket) -> None:
        """Give a ticket whose try failed its old place in line, and serve it no more before `wake`."""
        self.resting.add(ticket)
        self._returned(ticket)

    def wake(self, ticket: Ticket) -> None:
        """Let a ticket that rested be served again, if it is still there."""
        if ticket.fifo is self.resting:
            self.resting.remove(ticket)
            self._insert(ticket, ticket.tried)

    def remove(self, ticket: Ticket) -> None:
        """Take a waiting ticket out, wherever it stands."""
        fifo = ticket.fifo
        assert fifo is not None
        fifo.remove(ticket)
        ticket.state = RUNNING
        self.length -= 1
        self.held_bytes -= ticket.body_bytes
        if self._early is not None and self._is_early(ticket):
            self._early.remove(ticket)
        if fifo.head is None and fifo is not self.fresh and fifo is not self.resting:
            del self.retries[fifo.passed]

    def first(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the oldest ticket that one of the free nodes may serve.

        Args:
            has_node_for: whether a node is free for a ticket that passes over these nodes. Asked only for
                those that do: whoever calls has made sure that a new ticket can be served.
        """
        best = self.fresh.head
        if self.retries:
            retry = self.first_retry(has_node_for)
            if retry is not None and (best is None or retry.sequence < best.sequence):
                return retry
        return best

    def first_retry(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the oldest ticket among those that are back in line; otherwise as `first`."""
        best: Ticket | None = None
        for passed, fifo in self.retries.items():
            head = fifo.head
            assert head is not None
            if (best is None or head.sequence < best.sequence) and has_node_for(passed):
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
        """Return the ticket that came last, of those that no node has had yet."""
        return self.fresh.tail

    def first_to_expire(self) -> Ticket | None:
        """Return the ticket with the earliest `start_by`; of several the oldest."""
        oldest = self.oldest()
        early = None if self._early is None else self._early.first()
        if early is not None and oldest is not None and early.start_by < oldest.start_by:
            return early
        return oldest

    # Who runs; told only where somebody keeps accounts of it

    def begin(self, lease: Lease) -> None:
        """Take note that a try of a ticket of this lane begins, which is not in line any more."""

    def end(self, lease: Lease, took_s: float) -> None:
        """Take note that a try has ended which took so many seconds."""

    def _line_of_new(self) -> Fifo:
        """Return an empty line for new tickets."""
        return Fifo()

    def _line_of_returned(self, passed: frozenset[int]) -> Fifo:
        """Return an empty line for tickets that are back in line, and pass over the same nodes."""
        return BySequence(passed)

    def _insert(self, ticket: Ticket, passed: frozenset[int]) -> None:
        fifo = self.retries.get(passed)
        if fifo is None:
            fifo = self.retries[passed] = self._line_of_returned(passed)
        fifo.add(ticket)

    def _returned(self, ticket: Ticket) -> None:
        """Count a ticket that is back in line."""
        ticket.state = WAITING
        self.length += 1
        self.held_bytes += ticket.body_bytes
        if self._is_early(ticket):
            self._add_early(ticket)

    def _is_early(self, ticket: Ticket) -> bool:
        """Return whether a ticket expires before others that come with it may."""
        return ticket.start_by < ticket.enqueued_at + self.max_wait_s

    def _add_early(self, ticket: Ticket) -> None:
        if self._early is None:
            self._early = Deadlines()
        self._early.add(ticket)
