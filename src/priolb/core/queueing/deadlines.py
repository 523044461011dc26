"""Tickets by their deadlines: heaps in which those who have left the line are passed over lazily.

An entry counts while its ticket is in line; what is left of others is thrown away when it comes up, or
together when it is the most. So every operation is O(log n), and what is held is at most about twice of what
waits.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from priolb.core.ticket import Ticket

if TYPE_CHECKING:
    from priolb.core.queueing.lanes import Fifo

Entry = tuple[float, int, Ticket]

# So many entries of those who have left are not worth the work.
_SLACK: Final = 16


def add(entries: list[Entry], ticket: Ticket, line: Fifo | None, waiting: int) -> None:
    """Add a ticket that is in line.

    Args:
        entries: the heap.
        ticket: the ticket.
        line: the line in which an entry counts, None for any.
        waiting: how many may count at most, the new one included.
    """
    heappush(entries, (ticket.start_by, ticket.sequence, ticket))
    if len(entries) > 2 * waiting + _SLACK:
        # Whoever left and came back is there twice.
        entries[:] = {entry for entry in entries if _counts(entry[2], line)}
        heapify(entries)


def first(entries: list[Entry], line: Fifo | None) -> Ticket | None:
    """Return the ticket with the earliest deadline, of several the oldest, or None.

    Args:
        entries: the heap.
        line: the line in which an entry counts, None for any.
    """
    while entries:
        ticket = entries[0][2]
        if _counts(ticket, line):
            return ticket
        heappop(entries)
    return None


def _counts(ticket: Ticket, line: Fifo | None) -> bool:
    return ticket.fifo is not None if line is None else ticket.fifo is line
