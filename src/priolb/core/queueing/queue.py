"""The priority queue: lanes and the discipline that rules them.

Where a ticket can be, and who moves it:
  1. NEW -> WAITING by `push`, which alone refuses, and only by the limit of the ticket's own lane;
     NEW -> RUNNING by `pass_by`, only while nothing waits that could be popped.
  2. WAITING -> RUNNING by `pop`, RUNNING -> WAITING by `put_back`, to its old place in line, perhaps to be
     popped for some nodes alone, or by `rest`, to the same place, but not to be popped before `wake`.
  3. WAITING -> ENDED by `drop` (cancelled, or made to go) or `take_expired`.
  4. Sequence numbers are given once, at `push`; inside a lane they are the order of service.
  5. Of a lane only one ticket has to be looked at to know who expires next: its `first_to_expire`. Mostly
     that is the oldest, as all may wait equally long; a ticket whose own deadline is earlier is looked for
     apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from priolb.core.queueing.discipline import Discipline
from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import ENDED, RUNNING, Ticket
from priolb.core.timers import AT_ONCE

ALL: Final = -1  # lanes, as bits

# So many entries of those who have left are not worth the work.
_SLACK: Final = 16


def any_node(_tried: frozenset[int]) -> bool:
    """Return that a node is free for a ticket, whatever it has tried."""
    return True


class PriorityQueue:
    """Waiting tickets in lanes, best lane first in the list.

    Args:
        lanes: the lanes; a ticket's `lane` is an index into them.
        discipline: which lane is next.
    """

    __slots__ = ("_discipline", "_resting", "_wakes", "_waking", "accepted", "lanes", "length", "occupied")

    def __init__(self, lanes: list[Lane], discipline: Discipline) -> None:
        self.lanes: list[Lane] = lanes
        self.length: int = 0
        """Tickets that wait, in all lanes together."""
        self.occupied: int = 0
        """Which lanes have somebody, as bits; bit 0 is the best lane."""
        self._discipline = discipline
        self.accepted: int = 0
        """Tickets taken so far, which is the sequence number of the last one."""
        self._resting: dict[int, Ticket] = {}  # by sequence
        # A heap of when they wake, and their sequences; of some who have left meanwhile, too.
        self._wakes: list[tuple[float, int]] = []
        # Those whose rest has ended before its time, likewise: their lanes and sequences.
        self._waking: list[tuple[int, int]] = []

    def push(self, ticket: Ticket) -> bool:
        """Add a new ticket at the end of its lane; False, and nothing done, when the lane is full."""
        lane = self.lanes[ticket.lane]
        if not lane.has_room(ticket.body_bytes, ticket.tenant):
            return False
        self.accepted += 1
        ticket.sequence = self.accepted
        lane.append(ticket)
        self.length += 1
        self.occupied |= 1 << ticket.lane
        return True

    def pop(
        self, has_node_for: Callable[[frozenset[int]], bool] = any_node, among: int = ALL
    ) -> Ticket | None:
        """Take the next ticket out; None when none waits that a free node may serve.

        Args:
            has_node_for: whether a node is free for a ticket that passes over these nodes.
            among: which lanes may start something now, as bits.
        """
        if self.length == 0:
            return None
        ticket = self._discipline.pick(self.lanes, self.occupied & among, has_node_for)
        if ticket is not None:
            self.remove(ticket)
        return ticket

    def has_one(self, has_node_for: Callable[[frozenset[int]], bool], among: int) -> bool:
        """Return whether `pop` would find somebody; the arguments are the same."""
        return any(
            among >> index & 1 and lane.length and lane.first(has_node_for) is not None
            for index, lane in enumerate(self.lanes)
        )

    def pop_retry(self, has_node_for: Callable[[frozenset[int]], bool], among: int = ALL) -> Ticket | None:
        """Take the first of those out that are back in line, in the best lane that has one; None for nobody.

        It uses no turn of its lane, as nobody but those may have the slots that are meant. The arguments are
        those of `pop`.
        """
        for index, lane in enumerate(self.lanes):
            if self.occupied & among & (1 << index):
                ticket = lane.first_retry(has_node_for)
                if ticket is not None:
                    self.remove(ticket)
                    return ticket
        return None

    def not_served(self, ticket: Ticket) -> None:
        """Take note that a ticket which was just popped has expired: it has used no turn of its lane."""
        self._discipline.not_served(ticket.lane)

    def pass_by(self, ticket: Ticket) -> None:
        """Let a new ticket go at once: the same as `push` and `pop` while nobody else can go, only faster."""
        ticket.sequence = self.accepted = self.accepted + 1
        ticket.state = RUNNING
        self._discipline.passed(ticket.lane)

    def put_back(self, ticket: Ticket, passed: frozenset[int] | None = None) -> None:
        """Give a ticket that was taken out its old place in line; never refused. See `Lane.put_back`."""
        self.lanes[ticket.lane].put_back(ticket, passed)
        self.length += 1
        self.occupied |= 1 << ticket.lane

    def rest(self, ticket: Ticket, until: float) -> None:
        """Give a ticket whose try failed its old place in line, where it is passed over for a while.

        Args:
            ticket: the ticket.
            until: monotonic seconds.
        """
        self.lanes[ticket.lane].rest(ticket)
        self.length += 1
        self.occupied |= 1 << ticket.lane
        self._resting[ticket.sequence] = ticket
        heappush(self._wakes, (until, ticket.sequence))

    def wake(self, now: float) -> None:
        """Let up to `AT_ONCE` of those be served again whose rest is over; with `now` infinite, that of all.

        `next_wake` says when to call it for the others.
        """
        resting = self._resting
        if now == inf:
            self._waking = [(ticket.lane, sequence) for sequence, ticket in resting.items()]
            heapify(self._waking)
            self._wakes.clear()
        for _ in range(AT_ONCE):
            if self._waking:
                sequence = heappop(self._waking)[1]
            elif self._wakes and self._wakes[0][0] <= now:
                sequence = heappop(self._wakes)[1]
            else:
                return
            ticket = resting.pop(sequence, None)
            if ticket is not None:
                self.lanes[ticket.lane].wake(ticket)

    def next_wake(self) -> float:
        """Return when to call `wake` next, in monotonic seconds; infinity when nobody rests."""
        if self._waking:
            return -inf
        return self._wakes[0][0] if self._wakes else inf

    def remove(self, ticket: Ticket) -> None:
        """Take a waiting ticket out, wherever it stands, to let it run."""
        lane = self.lanes[ticket.lane]
        lane.remove(ticket)
        self.length -= 1
        if lane.length == 0:
            self.occupied ^= 1 << ticket.lane

    def drop(self, ticket: Ticket) -> None:
        """Take a waiting ticket out for good."""
        self.remove(ticket)
        ticket.state = ENDED
        resting = self._resting
        if resting.pop(ticket.sequence, None) is not None and len(self._wakes) > 2 * len(resting) + _SLACK:
            self._wakes = [entry for entry in self._wakes if entry[1] in resting]
            heapify(self._wakes)

    def take_expired(self, now: float, most: int) -> list[Ticket]:
        """Drop up to `most` tickets that may not start any more, first to expire first in each lane."""
        expired: list[Ticket] = []
        for lane in self.lanes:
            ticket = lane.first_to_expire()
            while ticket is not None and ticket.start_by <= now and len(expired) < most:
                self.drop(ticket)
                expired.append(ticket)
                ticket = lane.first_to_expire()
        return expired

    def next_deadline(self) -> float:
        """Return when the first waiting ticket expires, in monotonic seconds; infinity when none waits."""
        deadline = inf
        for lane in self.lanes:
            ticket = lane.first_to_expire()
            if ticket is not None and ticket.start_by < deadline:
                deadline = ticket.start_by
        return deadline

    def lengths(self) -> tuple[int, ...]:
        """Return how many tickets wait in each lane."""
        return tuple([lane.length for lane in self.lanes])

    def ahead_of(self, ticket: Ticket) -> list[int]:
        """Return how many tickets of each lane that wait now go before a new one, at most."""
        return self._discipline.ahead_of(self.lanes, ticket, self.lanes[ticket.lane].ahead_of(ticket))

    def overtaking(self, ticket: Ticket) -> Sequence[int]:
        """Return the lanes whose tickets go before a new one even when they come later."""
        return self._discipline.overtaking(ticket.lane, ticket.start_by - ticket.enqueued_at)
