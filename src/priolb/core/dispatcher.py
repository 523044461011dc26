"""Who gets the next free slot: tickets in line and free nodes, brought together.

The queue names who comes first among those for whom a node is free. Which node that is depends on what the
ticket has tried, on who has asked to be left alone by it and, with early refusal, on who is too slow for it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import FIRST, REPEATED, Lease, NodeState
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.shares import Shares
from priolb.core.queueing.queue import ALL, PriorityQueue
from priolb.core.retries.retries import Retries
from priolb.core.ticket import ENDED, NO_NODES_TRIED, Ticket
from priolb.core.timers import AT_ONCE

# To look at fewer nodes than that takes about as long as all else that is done for a ticket.
_FEW_NODES: Final = 256


class Dispatcher:
    """Gives free slots to tickets; whoever derives from it says which tickets are in line, and ends leases.

    Args:
        queue: where tickets wait.
        fleet: the nodes.
        retries: which of the tickets rest before another try.
        admission: who may get in line; None for all as long as there is room in their lane.
        shares: bounds and accounts of the slots that lanes have, None for none; of the same fleet.
    """

    __slots__ = (
        "_expired",
        "_has_more",
        "_is_picky",
        "_retries",
        "_shares",
        "admission",
        "fleet",
        "queue",
    )

    def __init__(
        self,
        queue: PriorityQueue,
        fleet: Fleet,
        retries: Retries,
        admission: AdmissionControl | None,
        shares: Shares | None,
    ) -> None:
        self.queue: PriorityQueue = queue
        self.fleet: Fleet = fleet
        self.admission: AdmissionControl | None = admission
        self._retries = retries
        self._shares = shares
        # Whether who comes first may not simply have a slot that is free.
        self._is_picky: bool = shares is not None or admission is not None
        self._expired: deque[Ticket] = deque()
        self._has_more: bool = False  # whether a call had no time for all, and nobody else is due at once

    def start_at_once(self, ticket: Ticket, now: float) -> Lease | None:
        """Reserve a slot for a new ticket that nobody who waits may have; None for no such slot: `submit` it.

        So it is not held against any limit: it need not wait.
        """
        queue, free = self.queue, self.fleet.free
        if not free.length or (queue.length and self._has_somebody_for_free()):
            return None
        if self._is_picky:
            return self._start_if_allowed(ticket, now)
        queue.pass_by(ticket)
        ticket.tries = 1
        return Lease(ticket, free.reserve_best(ticket), now)

    def next_dispatch(self, now: float) -> Lease | None:
        """Reserve a slot for the next ticket; None when no ticket can go now. Call it until it says None.

        Tickets found expired on the way are collected for `take_expired`; those for which all free nodes are
        too slow wait for others. After a portion of both it says None, too; it is due again at once then.
        """
        if self._retries.joins != self.fleet.joins:
            self._retries.wake_for_joins()
        shares = self._shares
        late = 0
        while self.fleet.free.length and late < AT_ONCE:
            if shares is None:
                ticket = self.queue.pop(self._has_node_for)
            else:
                ticket = self.queue.pop(self._has_node_for, shares.open_among(self.queue.occupied))
            if ticket is None:
                break
            lease = self._start(ticket, False, now)
            if lease is not None:
                return lease
            self.queue.not_served(ticket)
            late += self._effort()
        if late >= AT_ONCE:
            self._has_more, self.fleet.has_news = not self._expired, True
        return self._start_on_backup(now) if self.fleet.tiers.has_backups else None

    def _is_open(self, lane: int) -> bool:
        """Return whether a new ticket of `lane` would start at once, whoever waits."""
        return (
            self.fleet.free.length > 0
            and (self._shares is None or self._shares.may_start(lane))
            and not (self.queue.length and self._has_somebody_for_free())
        )

    def _has_somebody_for_free(self) -> bool:
        """Return whether somebody who waits may have a free slot.

        Mostly that is so: who waits is to be dispatched at the end of this turn. If not, all rest, have tried
        the nodes that are free, or have as many slots as their lanes may have.
        """
        if self._retries.joins != self.fleet.joins:
            return True  # who rests may have it, perhaps
        queue, shares = self.queue, self._shares
        among = queue.occupied if shares is None else shares.open_among(queue.occupied)
        return queue.has_one(self._has_node_for, among)

    def _start_if_allowed(self, ticket: Ticket, now: float) -> Lease | None:
        """Start a new ticket when its lane may have one of the free slots, and it is not too late."""
        if self._shares is not None and not self._shares.may_start(ticket.lane):
            return None
        node = self.fleet.free.best(NO_NODES_TRIED, ticket)
        assert node is not None
        if self.admission is not None and self.admission.is_too_late(ticket, node, now):
            node = self.fleet.free.best(self.admission.too_slow_for(ticket, now), ticket)
            if node is None:
                return None
        self.queue.pass_by(ticket)
        return self._lease(ticket, node, now)

    def _start_on_backup(self, now: float) -> Lease | None:
        """Reserve a slot of a backup for a ticket that all usable nodes, busy or not, have failed."""
        among = ALL if self._shares is None else self._shares.below_most()
        for _ in range(AT_ONCE // self._effort()):
            ticket = self.queue.pop_retry(self.fleet.is_backup_free, among)
            if ticket is None:
                return None
            lease = self._start(ticket, True, now)
            if lease is not None:
                return lease
        self._has_more, self.fleet.has_news = not self._expired, True
        return None

    def _start(self, ticket: Ticket, is_for_backup: bool, now: float) -> Lease | None:
        """Reserve a slot for a ticket that was popped; None when it expires, or waits for another node."""
        if ticket.start_by <= now:
            self._expire(ticket)
            return None
        fleet, admission, tried = self.fleet, self.admission, ticket.tried
        early = NO_NODES_TRIED if ticket.not_before is None else ticket.too_early_for(now)
        node = fleet.tiers.backup_for(tried, True) if is_for_backup else self._node_for(tried, ticket, early)
        if admission is not None and (node is None or admission.is_too_late(ticket, node, now)):
            slow = admission.too_slow_for(ticket, now)
            passed = tried | slow
            if is_for_backup:
                node = fleet.tiers.backup_for(passed, True)
            else:
                node = self._node_for(passed, ticket, slow | early)
            if node is None and not early:
                self._wait_for_faster(ticket, admission.passed_in_line(ticket, now), now)
                return None
        if node is None:  # those that are free have asked to be left alone
            self._retries.wait_for_others(ticket, now)
            return None
        return self._lease(ticket, node, now)

    def _lease(self, ticket: Ticket, node: NodeState, now: float) -> Lease:
        """Count a slot of `node`, in one step with its choice, so that nobody comes between."""
        self.fleet.free.reserve(node)
        ticket.tries += 1
        lease = Lease(ticket, node, now, REPEATED if ticket.tries > 1 else FIRST)
        if self._shares is not None:
            self._shares.begin(lease)
        return lease

    def _expire(self, ticket: Ticket) -> None:
        """Let go of a ticket that is not in line any more and may not start, whose `start_by` has passed."""
        ticket.state = ENDED
        self._expired.append(ticket)
        self.fleet.has_news = True

    def _wait_for_faster(self, ticket: Ticket, passed: frozenset[int] | None, now: float) -> None:
        """Let a ticket that was taken out pass over these nodes, or expire, for None, as all are too slow."""
        if passed is None:
            ticket.start_by = now
            self._expire(ticket)
        else:
            self.queue.put_back(ticket, passed)

    def _effort(self) -> int:
        """Return as how many a ticket counts that is put aside: early refusal looks at all nodes for it."""
        return 1 if self.admission is None else 1 + min(len(self.fleet.nodes) // _FEW_NODES, AT_ONCE - 1)

    def _has_node_for(self, passed: frozenset[int]) -> bool:
        return self._node_for(passed, None) is not None

    def _node_for(
        self, passed: frozenset[int], ticket: Ticket | None, avoided: frozenset[int] = NO_NODES_TRIED
    ) -> NodeState | None:
        fleet = self.fleet
        node = fleet.free.best(passed, ticket)
        if node is None and passed and fleet.is_every_one_in(passed):
            # All usable nodes were tried, or are too slow: one of a later tier, or else the same one again.
            node = fleet.tiers.backup_for(passed, is_free=True) or fleet.free.best(avoided, ticket)
        return node
