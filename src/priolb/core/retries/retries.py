"""What becomes of a request whose try has failed: whether it is tried again, at which node, and when.

not tried yet        a node that is free, or a backup when all usable nodes have failed it: at once
all tried            one of them again, the first time at once, then after a rest that grows
asked for a pause    (Retry-After) not before that is over; another one may be sooner
"""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.core.chance import Chance
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease
from priolb.core.outcome import Outcome
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.budget import RetryBudget
from priolb.core.retries.policy import RetryPolicy
from priolb.core.ticket import Ticket

# A request that waits for one of several nodes to come free, and may not go to those that are, looks for them
# so often: as long as the longest rest before a retry.
_LOOK_AGAIN_S: Final = 0.25


class Retries:
    """Decides about requests that have failed, and puts them back in line.

    Args:
        queue: where they wait.
        fleet: the nodes.
        policy: which failures are tried again, how often, and after which rests.
        budget: bounds retries over all requests, None for no bound.
        chance: spreads the rests.

    `joins` is what `Fleet.joins` was when all who rested were last woken for it.
    """

    __slots__ = ("_budget", "_chance", "_fleet", "_policy", "_queue", "joins")

    def __init__(
        self,
        queue: PriorityQueue,
        fleet: Fleet,
        policy: RetryPolicy,
        budget: RetryBudget | None,
        chance: Chance,
    ) -> None:
        self._queue = queue
        self._fleet = fleet
        self._policy = policy
        self._budget = budget
        self._chance = chance
        self.joins: int = 0

    def allow(self, lease: Lease, outcome: Outcome, repeatable: bool, now: float) -> bool:
        """Return whether the ticket of a lease may be tried again.

        Args:
            lease: the lease, whose ticket has taken no note of the end of this try yet.
            outcome: how the try ended.
            repeatable: whether sending the request twice is safe by its method.
            now: monotonic seconds.
        """
        ticket = lease.ticket
        if now >= ticket.start_by:
            return False
        if self.is_nobody(outcome):
            return self._policy.allows(ticket.tries - 1, repeatable, outcome)
        return (
            self._policy.allows(ticket.tries, repeatable, outcome)
            and (self._budget is None or self._budget.has_one(self._queue.accepted, now))
            and (not outcome.retry_after_s or self._has_time(lease, now + outcome.retry_after_s, now))
        )

    def is_nobody(self, outcome: Outcome) -> bool:
        """Return whether a try found nobody to send to, which takes its node out of use until it is back."""
        if outcome.is_unproven:
            return not outcome.sent
        return outcome.is_absence and not self._fleet.is_panicking

    def put_back(self, ticket: Ticket, is_nobody: bool, now: float) -> bool:
        """Put a ticket back in line; False when it would have to rest for longer than it has time.

        Args:
            ticket: the ticket.
            is_nobody: whether nobody was there: then the try has been none, and the next one is no retry.
            now: monotonic seconds.
        """
        if is_nobody:
            ticket.tries -= 1
        is_back = self._return(ticket, now)
        if is_back and not is_nobody and self._budget is not None:
            self._budget.spend()
        return is_back

    def _return(self, ticket: Ticket, now: float) -> bool:
        """Put a ticket back in line, to be served at once or after a rest, if it has the time."""
        tried, fleet = ticket.tried, self._fleet
        if fleet.is_every_one_in(tried) and fleet.tiers.backup_for(tried, is_free=True) is None:
            until = now + self._policy.rest_s(ticket.tries - len(tried), self._chance)
            if fleet.tiers.backup_for(tried, is_free=False) is None:
                until = max(until, self._askable_at(ticket, now))
            if until > now:
                if until >= ticket.start_by:
                    return False
                self._rest(ticket, until)
                return True
        self._queue.put_back(ticket)
        return True

    def wait_for_others(self, ticket: Ticket, now: float) -> None:
        """Let a ticket rest for which only such nodes are free as may not get it again yet."""
        until = self._askable_at(ticket, now)
        if until <= now or self._fleet.tiers.backup_for(ticket.tried, is_free=False) is not None:
            until = now + _LOOK_AGAIN_S  # another may come free sooner, and does not tell
        self._rest(ticket, until)

    def wake_for_joins(self) -> None:
        """Let all be served again when a node has joined: they rest because no other was there."""
        self.joins = self._fleet.joins
        self._queue.wake(inf)
        self._fleet.has_news = True  # perhaps there are more of them

    def _rest(self, ticket: Ticket, until: float) -> None:
        if self.joins != self._fleet.joins:
            self.wake_for_joins()  # those that are here are no news to it, but to who rests already
        self._queue.rest(ticket, until)
        self._fleet.has_news = True

    def _has_time(self, lease: Lease, askable_at: float, now: float) -> bool:
        """Return whether a node may get a ticket in time, if that of its lease may only at `askable_at`."""
        ticket, fleet = lease.ticket, self._fleet
        tried = ticket.tried | {lease.node.node_id}
        if not fleet.is_every_one_in(tried) or fleet.tiers.backup_for(tried, is_free=False) is not None:
            return True
        not_before = {} if ticket.not_before is None else ticket.not_before
        others = [
            not_before.get(node_id, now)
            for node_id in ticket.tried
            if node_id in fleet.candidates and node_id != lease.node.node_id
        ]
        return min([askable_at, *others]) < ticket.start_by

    def _askable_at(self, ticket: Ticket, now: float) -> float:
        """Return when the first of the usable nodes may get a ticket again, monotonic seconds."""
        not_before = ticket.not_before
        if not_before is None:
            return now
        usable = [node_id for node_id in ticket.tried if node_id in self._fleet.candidates]
        return min([not_before.get(node_id, now) for node_id in usable], default=now)
