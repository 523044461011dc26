"""Tickets by their deadlines, in a heap in which each of them knows its place."""

from __future__ import annotations

from priolb.core.ticket import Ticket


class Deadlines:
    """Tickets that wait, the one with the earliest `start_by` first, of several the oldest.

    A binary heap from which anybody may leave, wherever it stands: what is held is what waits, and no
    operation takes more than O(log n) steps. With `heapq`, whoever has left has to be passed over later, and
    now and then all of them together, which took 75 ms among 100,000. Source: Knuth, "The Art of Computer
    Programming", volume 3, section 5.2.3.

    A ticket is in one of these at most, and neither its `start_by` nor its `sequence` changes meanwhile.
    """

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, ticket: Ticket) -> None:
        """Add a ticket."""
        self._heap.append(ticket)
        self._rise(ticket, len(self._heap) - 1)

    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out, which must be there."""
        place = ticket.place
        assert self._heap[place] is ticket
        last = self._heap.pop()
        if last is ticket:
            return
        if place and is_before(last, self._heap[(place - 1) >> 1]):
            self._rise(last, place)
        else:
            self._sink(last, place)

    def first(self) -> Ticket | None:
        """Return the ticket with the earliest deadline, None when there is none."""
        return self._heap[0] if self._heap else None

    def _rise(self, ticket: Ticket, place: int) -> None:
        """Put a ticket at a place, or as far above it as it belongs."""
        heap = self._heap
        while place:
            above = (place - 1) >> 1
            other = heap[above]
            if not is_before(ticket, other):
                break
            heap[place] = other
            other.place = place
            place = above
        heap[place] = ticket
        ticket.place = place

    def _sink(self, ticket: Ticket, place: int) -> None:
        """Put a ticket at a place, or as far below it as it belongs."""
        heap = self._heap
        length = len(heap)
        below = 2 * place + 1
        while below < length:
            other = heap[below]
            if below + 1 < length and is_before(heap[below + 1], other):
                below += 1
                other = heap[below]
            if not is_before(other, ticket):
                break
            heap[place] = other
            other.place = place
            place = below
            below = 2 * place + 1
        heap[place] = ticket
        ticket.place = place


def is_before(one: Ticket, other: Ticket) -> bool:
    """Return whether a ticket has an earlier deadline than another, or the same and is older."""
    return one.start_by < other.start_by or (one.start_by == other.start_by and one.sequence < other.sequence)
