"""The scheduler: which ticket goes to which node, and when.

Invariants:
  1. `in_flight <= slots` for every node when a lease is given; a lease ends exactly once.
  2. Nothing whose `start_by` has passed is ever given a lease.
  3. While a node is free, no ticket waits that this node may serve once `next_dispatch` has said None, but
     those that rest before another try. With early refusal, it may not serve those for whom it is too slow.
  4. A ticket put back for a retry goes to a node it has not tried, as long as a usable one exists that is not
     on probation with its one slot taken, nor too slow for it.
  5. Every ticket accepted by `submit` leaves exactly once: by `finished` without a retry, by `cancel`, or
     among the expired or the refused. With early refusal, a ticket whose client will stop waiting before the
     median service time of any usable node is over counts as expired, too.
  6. Extra tries stay within their budgets. A try that found nobody there, or a node that did not prove what
     it runs, is no try: its node is out of use, so that it cannot be repeated there.
  7. With shares of the slots for lanes, these are told of the start and the end of every lease, and in 3.
     free means free for the ticket's lane.
"""

from __future__ import annotations

from math import inf

from priolb.core.chance import MIDDLE, Chance
from priolb.core.dispatcher import Dispatcher
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.judge import Judge
from priolb.core.nodes.node import OVER, REPEATED, Lease, NodeState
from priolb.core.outcome import GIVEN_UP, Outcome
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.retry_advice import RetryAdvice
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.budget import RetryBudget
from priolb.core.retries.hedge import Hedging
from priolb.core.retries.policy import RetryPolicy
from priolb.core.retries.retries import Retries
from priolb.core.ticket import ENDED, RUNNING, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason


class Scheduler(Dispatcher):
    """Binds waiting tickets to free slots, late: a ticket leaves its lane only when a slot is reserved.

    Args:
        queue: where tickets wait.
        retry: whether and when a failed try is tried again.
        fleet: the nodes; by default an empty fleet whose nodes are judged by their checks alone.
        budget: bounds retries over all requests, None for no bound.
        hedging: which lanes get second tries, None for none.
        chance: spreads the rests before retries.
        admission: who may get in line; None for all as long as there is room in their lane.
        shares: bounds and accounts of the slots that lanes have, None for none; of the same fleet.

    `preemption` says whose slots may be taken for better requests, None for nobody's; `may_refuse` whether
    somebody in line may ever be refused before its time.
    """

    __slots__ = (
        "_advice",
        "_judge",
        "_shedding",
        "hedging",
        "may_refuse",
        "preemption",
    )

    def __init__(
        self,
        queue: PriorityQueue,
        retry: RetryPolicy,
        fleet: Fleet | None = None,
        budget: RetryBudget | None = None,
        hedging: Hedging | None = None,
        chance: Chance = MIDDLE,
        admission: AdmissionControl | None = None,
        shares: Shares | None = None,
    ) -> None:
        fleet = Fleet() if fleet is None else fleet
        super().__init__(queue, fleet, Retries(queue, fleet, retry, budget, chance), admission, shares)
        self.hedging: Hedging | None = hedging
        self._judge = Judge(fleet)
        self.preemption: Preemption | None = None if shares is None else shares.preemption
        self._advice: list[RetryAdvice] = [RetryAdvice(chance) for _ in queue.lanes]
        self._shedding: list[CodelLane] = [lane for lane in queue.lanes if isinstance(lane, CodelLane)]
        self.may_refuse: bool = admission is not None or len(self._shedding) > 0

    # Nodes

    def checked(self, node: NodeState, failure: str | None, is_late: bool, now: float) -> None:
        """Take note of a health check; see `Judge.checked`."""
        self._judge.checked(node, failure, is_late, now)

    # Tickets

    def refusal(self, ticket: Ticket) -> Reason | None:
        """Return why `submit` would refuse a new ticket, or None."""
        if not self.fleet.nodes:
            return Reason.NO_NODES
        if self._is_open(ticket.lane):
            return None
        reason = None if self.admission is None else self.admission.refusal(ticket)
        if reason is None and not self.queue.lanes[ticket.lane].has_room(ticket.body_bytes, ticket.tenant):
            reason = Reason.QUEUE_FULL
        return reason

    def is_full(self, lane: int, body_bytes: int, tenant: bytes) -> bool:
        """Return whether `submit` would refuse a new ticket for no other reason than that its lane is full.

        With this asked first, no ticket has to be made for a request that is refused as so many others are.
        """
        return (
            self.queue.length > 0
            and self.admission is None
            and len(self.fleet.nodes) > 0
            and not self.queue.lanes[lane].has_room(body_bytes, tenant)
            and not self._is_open(lane)
        )

    def retry_after_s(self, lane: int, ticket: Ticket | None, now: float) -> int:
        """Take note that a request of `lane` is refused; return when its client should come back, seconds.

        Args:
            lane: index of the lane.
            ticket: its ticket; None when it was refused because the lane is full, before there was one.
            now: monotonic seconds.
        """
        wait_s = 0.0 if self.admission is None or ticket is None else self.admission.wait_s(ticket, now)
        return self._advice[lane].refuse(wait_s, now)

    def submit(self, ticket: Ticket) -> Reason | None:
        """Put a new ticket in line; a reason when it is refused at once."""
        if not self.fleet.nodes:
            return Reason.NO_NODES
        if self.admission is not None:
            reason = self.admission.refusal(ticket)
            if reason is not None:
                return reason
        if not self.queue.push(ticket):
            return Reason.QUEUE_FULL
        if self.admission is not None:
            self.admission.admit(ticket)
        return None

    def finished(self, lease: Lease, outcome: Outcome, repeatable: bool, now: float) -> bool:
        """End `lease`; True when its ticket is back in line for another try.

        Args:
            lease: the lease, which must not have ended before.
            outcome: how the try ended.
            repeatable: whether sending the request twice is safe by its method.
            now: monotonic seconds.
        """
        node, ticket = lease.node, lease.ticket
        if outcome.good and not (lease.state or node.watched):  # as nearly always
            lease.state = OVER
            node.answered += 1
            node.busy_s += now - lease.worked_from
            self.fleet.free.release(node)
            ticket.state = ENDED
            return False
        is_back = outcome.failed and self.may_retry(lease, outcome, repeatable, now)
        # Before a verdict that makes the fleet panic
        is_nobody = is_back and self._retries.is_nobody(outcome)
        self._end(lease, outcome, is_back, now)
        if is_back:
            ticket.note_failure(node.node_id, outcome.at_fault, outcome.not_before(now))
            if self._retries.put_back(ticket, is_nobody, now):
                return True
        ticket.state = ENDED
        return False

    def may_retry(self, lease: Lease, outcome: Outcome, repeatable: bool, now: float) -> bool:
        """Return whether `finished` would put the ticket of `lease` back in line.

        It may still not do so, when the rest before the next try is longer than the ticket has time.
        """
        return self._retries.allow(lease, outcome, repeatable, now)

    def answering(self, lease: Lease, now: float) -> None:
        """Take note that the answer of a try has begun, and is a good one; it may take long to end."""
        self._judge.answering(lease, now)

    def cancel(self, ticket: Ticket) -> None:
        """Take a waiting ticket out of line for good."""
        assert ticket.state == WAITING
        self.queue.drop(ticket)

    # Second tries

    def hedge(self, lease: Lease, now: float) -> Lease | None:
        """Reserve a slot of another node for the ticket of `lease`, whose try takes long.

        None when no other node is free, when somebody waits who may have a free slot and needs it more, when
        the budget of second tries is spent, once the time is over in which a try may start, and as long as
        it would spoil what the first one tells of its node; see `Judge.may_be_outrun`.
        """
        ticket, queue = lease.ticket, self.queue
        hedging, shares = self.hedging, self._shares
        if hedging is None or now >= ticket.start_by or (queue.length and self._has_somebody_for_free()):
            return None
        if hedging.delay_s(ticket.lane) == inf or not hedging.budget.has_one(queue.accepted, now):
            return None
        if not self._judge.may_be_outrun(lease, now):
            return None
        if shares is not None and not shares.may_start(ticket.lane):
            return None
        node = self.fleet.free.best(ticket.tried | {lease.node.node_id}, ticket)
        if node is None:
            return None
        hedging.budget.spend()
        lease.state = REPEATED  # what becomes of it says something about the other one
        return self._lease(ticket, node, now)

    def end_aside(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """End one of two leases of a ticket whose other one goes on, or has decided.

        Args:
            lease: the lease, which must not have ended before.
            outcome: how the try ended; one that was given up was ended by us.
            now: monotonic seconds.
        """
        ticket = lease.ticket
        is_open = ticket.state == RUNNING
        self._end(lease, outcome, is_open, now)
        if outcome.failed and is_open:
            ticket.note_failure(lease.node.node_id, outcome.at_fault, outcome.not_before(now))

    # Slots taken from others

    def victim_of(self, lane: int, now: float) -> Lease | None:
        """Return the lease that is to be cut short for the next ticket of `lane`; None when none is.

        That is the first for which there is such a lease: who waits for a certain node holds up nobody. Nor
        does who has too little time left for any node, and so has expired.
        """
        shares, line = self._shares, self.queue.lanes[lane]
        for _ in range(AT_ONCE // self._effort()):
            if shares is None or not line.length:
                return None
            ticket = line.first(lambda tried: shares.victim_of(lane, tried, now) is not None)
            if ticket is None or ticket.start_by <= now:
                return None
            assert ticket.fifo is not None
            passed = ticket.fifo.passed
            if self.fleet.free.length and shares.may_start(lane) and self._has_node_for(passed):
                return None
            victim, admission = shares.victim_of(lane, passed, now), self.admission
            if victim is None or admission is None or not admission.is_too_late(ticket, victim.node, now):
                return victim
            self.queue.remove(ticket)
            self._wait_for_faster(ticket, admission.passed_in_line(ticket, now), now)
        self._has_more, self.fleet.has_news = not self._expired, True
        return None

    def preempt(self, victim: Lease, lane: int, now: float) -> Lease:
        """Give the slot of a lease, whose try has been cut short, to the next ticket of `lane`.

        Args:
            victim: what `victim_of` has just returned for `lane`.
            lane: index of the lane.
            now: monotonic seconds.
        """
        node = victim.node
        winner = self.queue.lanes[lane].first(lambda tried: node.node_id not in tried)
        assert self.preemption is not None and winner is not None
        loser = victim.ticket
        self.preemption.preempt(victim)
        self._end(victim, GIVEN_UP, True, now)
        loser.tries -= 1
        self.queue.put_back(loser)
        self.queue.remove(winner)
        return self._lease(winner, node, now)

    # Time

    def advance(self, now: float) -> None:
        """Do what is due: rests of nodes and of tickets that end, slow starts that go on, new tokens."""
        self._has_more = False
        self.fleet.advance(now)
        self.queue.wake(now)
        if self.preemption is not None:
            self.preemption.earn(now)

    def take_expired(self, now: float) -> list[Ticket]:
        """Take out up to `AT_ONCE` tickets that may not start any more; each comes out exactly once."""
        expired = [self._expired.popleft() for _ in range(min(AT_ONCE, len(self._expired)))]
        return expired + self.queue.take_expired(now, AT_ONCE - len(expired))

    def take_refused(self, now: float) -> list[tuple[Ticket, Reason]]:
        """Take out some of those who have to go before their time; each comes out exactly once, and why."""
        refused: list[tuple[Ticket, Reason]] = []
        if self.admission is not None:
            displaced = self.admission.take_displaced(AT_ONCE)
            refused += [(ticket, Reason.DISPLACED) for ticket in displaced]
        for lane in self._shedding:
            while len(refused) < AT_ONCE and (ticket := lane.to_shed(now)) is not None:
                self.queue.drop(ticket)
                refused.append((ticket, Reason.SHED))
        return refused

    def next_deadline(self) -> float:
        """Return when to call `advance`, `take_expired` and `take_refused` next, in monotonic seconds.

        Infinity for never.
        """
        # Found expired by a dispatch: no longer in line, so that the queue's deadline leaves it out.
        deadline = self._expired[0].start_by if self._expired else self.queue.next_deadline()
        if self._has_more:
            deadline = -inf
        due = min(deadline, self.queue.next_wake(), self.fleet.next_due(), self.next_refusal())
        return min(due, self.next_preemption())

    def next_preemption(self) -> float:
        """Return when somebody who waits can take a slot from another; see `Preemption.next_at`."""
        return inf if self.preemption is None else self.preemption.next_at(self.queue.lanes)

    def next_refusal(self) -> float:
        """Return when to call `take_refused` next, in monotonic seconds; infinity for never."""
        due = inf
        if self.admission is not None and self.admission.has_displaced:
            due = -inf
        for lane in self._shedding:
            due = min(due, lane.next_shed_at())
        return due

    def _end(self, lease: Lease, outcome: Outcome, is_back: bool, now: float) -> None:
        """Give the slot of `lease` back: to the fleet first, as the shares count what is free there then."""
        lease.end()
        self._judge.ended(lease, outcome, is_back, now)
        if self._shares is not None:
            self._shares.end(lease, now)
