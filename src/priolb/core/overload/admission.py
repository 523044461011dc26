"""Whether a new ticket may get in line, and who has to go for it.

Invariants:
  1. With a limit, no new ticket makes more wait than that: each that gets in beyond it takes the place of one
     of a worse lane, the newest of the worst. Those that a node has had, and that are back in line, are
     spared: they are no more than the slots.
  2. A ticket is refused for its wait only while no slot is free that its lane may have.
  3. What is displaced has left the line, once, when `take_displaced` hands it over.
"""

from __future__ import annotations

from collections import deque
from math import inf

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.shares import Shares
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from priolb.errors import Reason


class AdmissionControl:
    """Decides who may get in line.

    Args:
        queue: the queue.
        fleet: the nodes.
        limit: most tickets that may wait over all lanes, 0 for no limit.
        estimate: tells how long a new ticket will wait; None for letting all in who can still wait.
        shares: bounds of the slots that lanes have, None for none; of the same queue and fleet.
    """

    __slots__ = (
        "_displaced",
        "_fleet",
        "_limit",
        "_queue",
        "_seen",
        "_shares",
        "_slots",
        "estimate",
    )

    def __init__(
        self,
        queue: PriorityQueue,
        fleet: Fleet,
        limit: int,
        estimate: WaitEstimate | None,
        shares: Shares | None = None,
    ) -> None:
        self._queue = queue
        self._fleet = fleet
        self._limit = limit
        self._shares = shares
        self._slots: int = 0  # of all usable nodes
        self._seen: int = -1  # the fleet's revision when they were counted
        self.estimate: WaitEstimate | None = estimate
        self._displaced: deque[Ticket] = deque()

    def refusal(self, ticket: Ticket) -> Reason | None:
        """Return why a new ticket that comes now may not get in line; None when it may."""
        now, answer_by = ticket.enqueued_at, ticket.answer_by
        wait_s = 0.0 if self._takes_slot(ticket) else self.wait_s(ticket, now)
        if wait_s and self.estimate is not None:
            if now + wait_s > ticket.start_by:
                return Reason.WAIT_TOO_LONG
            if answer_by < inf and now + wait_s + self.estimate.service_s(ticket.lane) > answer_by:
                return Reason.WAIT_TOO_LONG
        return Reason.QUEUE_FULL if self._limit and self._is_full_for(ticket) else None

    def admit(self, ticket: Ticket) -> None:
        """Take note of a ticket that has just got in line, and let a worse one go for it if it has to."""
        if 0 < self._limit < self._queue.length:
            worst = self._worst_below(ticket.lane)
            assert worst is not None
            self._queue.drop(worst)
            self._displaced.append(worst)

    @property
    def has_displaced(self) -> bool:
        """Whether somebody is to be told that it had to go."""
        return len(self._displaced) > 0

    def take_displaced(self, most: int) -> list[Ticket]:
        """Return up to `most` of those who had to go, the first one first."""
        return [self._displaced.popleft() for _ in range(min(most, len(self._displaced)))]

    def wait_s(self, ticket: Ticket, now: float) -> float:
        """Return how long a ticket would wait that gets in line now, seconds; 0 when nothing is known."""
        queue, lane, shares, estimate = self._queue, ticket.lane, self._shares, self.estimate
        if estimate is None:
            return 0.0
        may_start = self._fleet.free.length > 0 if shares is None else shares.may_start(lane)
        if may_start:
            return 0.0
        if self._seen != self._fleet.revision:
            self._seen = self._fleet.revision
            self._slots = sum([node.slots for node in self._fleet.candidates.values()])
        slots = self._slots
        ahead, overtaking = queue.ahead_of(ticket), queue.overtaking(ticket)
        if shares is None:
            return estimate.wait_s(ahead, overtaking, slots, now)
        return estimate.wait_within_s(lane, ahead, overtaking, slots, shares.bounds(), now)

    def is_too_late(self, ticket: Ticket, node: NodeState, now: float) -> bool:
        """Return whether `node`, as fast as it answers half of its requests, is too slow for `ticket`."""
        return (
            self.estimate is not None
            and ticket.answer_by < inf
            and now + node.service_times.value(now) > ticket.answer_by
        )

    def too_slow_for(self, ticket: Ticket, now: float) -> frozenset[int]:
        """Return the ids of all nodes that are too slow for `ticket`."""
        nodes = self._fleet.nodes.values()
        return frozenset([node.node_id for node in nodes if self.is_too_late(ticket, node, now)])

    def passed_in_line(self, ticket: Ticket, now: float) -> frozenset[int] | None:
        """Return the nodes that `ticket` passes over while it waits for one that is fast enough for it.

        None when no usable node is. One that has failed it is better than none.
        """
        slow = self.too_slow_for(ticket, now)
        passed = ticket.tried | slow
        if not self._fleet.is_every_one_in(passed):
            return passed
        return None if self._fleet.is_every_one_in(slow) else slow

    def _takes_slot(self, ticket: Ticket) -> bool:
        """Return whether a new ticket takes the slot of another at once, so that it need not wait."""
        shares = self._shares
        return (
            shares is not None
            and shares.preemption is not None
            and self._queue.lanes[ticket.lane].length == 0
            and shares.victim_of(ticket.lane, ticket.tried, ticket.enqueued_at) is not None
        )

    def _is_full_for(self, ticket: Ticket) -> bool:
        """Return whether there is no place for a new ticket, not even one of a worse ticket.

        As with the limit of a fair lane, no queue of tenants may hold more than what is left for the lane.
        """
        lane, lanes = ticket.lane, self._queue.lanes
        if self._limit <= self._queue.length and self._worst_below(lane) is None:
            return True
        backlog = lanes[lane].backlog_of(ticket.tenant)
        return backlog > 0 and self._limit <= backlog + sum([each.length for each in lanes[: lane + 1]])

    def _worst_below(self, lane: int) -> Ticket | None:
        """Return the newest ticket of the worst lane below `lane`; None when none is new there."""
        for worst in reversed(self._queue.lanes[lane + 1 :]):
            newest = worst.newest()
            if newest is not None:
                return newest
        return None
