"""Early refusal beside retries, backups, probation and preemption: who may go to which node, and who may not.

How long each node takes is given; so whether one is fast enough for a ticket follows from the time alone.
"""

from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.breaker import CLOSED, HALF_OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.outcome import Outcome
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Strict
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import WAITING, Ticket
from support.examples import examples
from support.tickets import answered, client_left, timed_out

WAIT_S = 5.0
URGENT, NORMAL, BATCH = 0, 1, 2
POLICY = HealthPolicy(eject_after=2, rest_s=1.0, ejected_max_percent=50)


def lane_of(kind: str) -> Lane:
    if kind == "fair":
        return FairLane(kind, max_wait_s=WAIT_S, queues=8, hand=2)
    if kind == "deadline":
        return DeadlineLane(kind, max_wait_s=WAIT_S)
    if kind == "codel":
        return CodelLane(kind, 0, 0, 1000.0)
    return Lane(kind, max_wait_s=WAIT_S)


class EarlyRefusalMachine(RuleBasedStateMachine):
    """Some nodes are too slow for some tickets: these go to others, wait for them, or expire."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.nodes: list[NodeState] = []
        self.takes_s: dict[NodeState, float] = {}
        self.leases: list[Lease] = []
        self.waiting: list[Ticket] = []
        self.scheduler: Scheduler

    @initialize(
        kinds=st.lists(st.sampled_from(["arrival", "deadline", "fair", "codel"]), min_size=3, max_size=3),
        nodes=st.lists(
            st.tuples(st.sampled_from([0.0, 0.25, 1.0, 3.0]), st.integers(1, 2), st.sampled_from([0, 0, 1])),
            min_size=1,
            max_size=4,
        ),
        preempts=st.sampled_from([True, True, False]),
    )
    def start(self, kinds: list[str], nodes: list[tuple[float, int, int]], preempts: bool) -> None:
        queue, fleet = PriorityQueue([lane_of(kind) for kind in kinds], Strict()), Fleet(policy=POLICY)
        shares: Shares | None = None
        if preempts:
            preemption = Preemption(frozenset({URGENT}), frozenset({BATCH}), 1000, self.now)
            shares = Shares(queue.lanes, fleet, [0] * 3, [100] * 3, preemption)
        self.admission = AdmissionControl(queue, fleet, 0, WaitEstimate(3), shares)
        self.scheduler = Scheduler(queue, RetryPolicy(3), fleet, admission=self.admission, shares=shares)
        for number, (takes_s, slots, tier) in enumerate(nodes, 1):
            new = NodeState(number, str(number), slots, True, tier=tier)
            self.takes_s[new] = takes_s
            self.nodes.append(new)
        self.learn()
        for each in self.nodes:
            fleet.add(each, self.now)

    def learn(self) -> None:
        """Let nobody forget how long the nodes take."""
        for each, takes_s in self.takes_s.items():
            each.service_times.add(takes_s, self.now)

    # The model

    def is_too_slow(self, each: NodeState, ticket: Ticket) -> bool:
        return self.now + self.takes_s[each] > ticket.answer_by

    def counts(self, each: NodeState) -> bool:
        """Return whether a node may be waited for: not if it is on probation with its one slot taken."""
        return each.usable and not (each.breaker.state == HALF_OPEN and each.in_flight >= each.slots)

    def begin(self, lease: Lease) -> None:
        ticket, its = lease.ticket, lease.node
        assert ticket.start_by > self.now
        assert not self.is_too_slow(its, ticket)
        assert its.in_flight <= its.slots
        self.leases.append(lease)
        breaker = its.breaker
        new = [each for each in self.leases if each.node is its and each.started_at >= breaker.started_at]
        assert breaker.state != HALF_OPEN or len(new) == 1, "one request decides"

    def pump(self) -> None:
        """Do what the engine does after each event, and what is due at once."""
        scheduler = self.scheduler
        have_time = [each for each in self.waiting if each.start_by > self.now]
        self.dispatch()
        preemption = scheduler.preemption
        while preemption is not None and (victim := scheduler.victim_of(URGENT, self.now)) is not None:
            self.leases.remove(victim)
            self.waiting.append(victim.ticket)
            lease = scheduler.preempt(victim, URGENT, self.now)
            self.waiting.remove(lease.ticket)
            self.begin(lease)
        self.dispatch()
        for ticket in scheduler.take_expired(self.now):
            self.waiting.remove(ticket)
            if ticket in have_time:
                usable = [each for each in self.nodes if self.counts(each)]
                assert all(self.is_too_slow(each, ticket) for each in usable)

    def dispatch(self) -> None:
        while (lease := self.scheduler.next_dispatch(self.now)) is not None:
            self.waiting.remove(lease.ticket)
            self.begin(lease)

    @rule(
        lane=st.sampled_from([URGENT, URGENT, NORMAL, BATCH]),
        patience_s=st.sampled_from([inf, inf, 0.1, 0.5, 2.0]),
    )
    def arrive(self, lane: int, patience_s: float) -> None:
        ticket = Ticket(lane, self.now, self.now + min(WAIT_S, patience_s))
        ticket.answer_by = self.now + patience_s
        lease = self.scheduler.start_at_once(ticket, self.now)
        if lease is not None:
            self.begin(lease)
        elif self.scheduler.submit(ticket) is None:
            self.waiting.append(ticket)
        self.pump()

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        outcome=st.sampled_from([answered(200), answered(500), timed_out(), client_left()]),
    )
    def finish(self, data: st.DataObject, outcome: Outcome) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        self.leases.remove(lease)
        if self.scheduler.finished(lease, outcome, True, self.now):
            self.waiting.append(lease.ticket)
        self.pump()

    @rule(data=st.data(), is_back=st.booleans())
    def a_node_goes_or_comes(self, data: st.DataObject, is_back: bool) -> None:
        its = data.draw(st.sampled_from(self.nodes))
        if is_back:
            self.scheduler.fleet.uncordon(its, self.now)
        else:
            self.scheduler.fleet.cordon(its, self.now)
        self.pump()

    @rule(data=st.data(), seconds=st.sampled_from([0.0, POLICY.rest_s]))
    def a_node_is_ejected(self, data: st.DataObject, seconds: float) -> None:
        its = data.draw(st.sampled_from(self.nodes))
        if its.breaker.state == CLOSED:
            self.scheduler.fleet.eject(its, "", self.now)
        self.time_passes(seconds)

    @rule(seconds=st.sampled_from([0.125, 0.5, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.learn()
        self.scheduler.advance(self.now)
        for ticket in self.scheduler.take_expired(self.now):
            assert ticket.start_by <= self.now
            self.waiting.remove(ticket)
        self.pump()

    @invariant()
    def nobody_waits_for_a_free_node_that_is_fast_enough(self) -> None:
        usable = [each for each in self.nodes if self.counts(each)]
        for ticket in self.waiting:
            assert ticket.state == WAITING
            fit = [each for each in usable if not self.is_too_slow(each, ticket)]
            fit = [each for each in fit if each.node_id not in ticket.tried] or fit
            assert all(each.in_flight >= each.slots for each in fit)

    @invariant()
    def the_nodes_have_what_has_been_leased(self) -> None:
        for its in self.nodes:
            assert its.in_flight == sum(lease.node is its for lease in self.leases)


TestEarlyRefusal = EarlyRefusalMachine.TestCase
TestEarlyRefusal.settings = settings(max_examples=examples(200), stateful_step_count=40)
