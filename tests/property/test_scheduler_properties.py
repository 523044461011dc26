"""The scheduler against a model that asks every node and every ticket each time.

The sentences of the invariants in `priolb.core.scheduler` are the assertions.
"""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.node import OVER, Lease, NodeState
from priolb.core.outcome import Outcome, Phase, Source
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NEW, RUNNING, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason
from support.examples import examples
from support.tickets import answered, client_left, new_queue, node, timed_out

MAX_NODES = 4
WAIT_S = 5.0
REST_S = 1.0

NOT_CONNECTED = Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_TIMEOUT, 0, sent=False, answering=False)

failures = st.sampled_from([answered(500), NOT_CONNECTED, timed_out()])
outcomes = st.one_of(failures, failures, st.sampled_from([answered(200), client_left()]))


class SchedulerMachine(RuleBasedStateMachine):
    """Tickets come, leave, fail and expire; nodes come, fall ill, recover and go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.nodes_made = 0
        self.nodes: list[NodeState] = []  # the longest untouched first
        self.leases: list[Lease] = []
        self.waiting: list[Ticket] = []  # in order of arrival
        self.accepted: list[Ticket] = []
        self.left: list[Ticket] = []
        self.unclaimed: list[Ticket] = []  # found expired by a dispatch, and not handed over yet
        self.resting: dict[Ticket, float] = {}  # of those who wait, until when
        self.has_joined = False  # whether a node has become usable since the last dispatch
        self.scheduler: Scheduler

    @initialize(
        fast_per_high=st.integers(0, 2),
        max_tries=st.integers(1, 5),
        limit=st.sampled_from([0, 0, 2]),
        slots=st.lists(st.sampled_from([1, 1, 2]), min_size=1, max_size=2),
        rest_s=st.sampled_from([0.0, REST_S]),
    )
    def start(self, fast_per_high: int, max_tries: int, limit: int, slots: list[int], rest_s: float) -> None:
        self.limit = limit
        self.max_tries = max_tries
        self.rest_s = rest_s
        # The middle of the jitter, as nobody brings a generator.
        retry = RetryPolicy(max_tries, backoff_s=2 * rest_s, backoff_max_s=4 * REST_S)
        self.scheduler = Scheduler(new_queue(fast_per_high, limits=(limit,) * 3), retry)
        for each in slots:
            self.add_node(each, is_healthy=True)

    # The model

    def usable(self) -> list[NodeState]:
        return [each for each in self.nodes if each.healthy]

    def free(self) -> list[NodeState]:
        return [each for each in self.usable() if self.in_flight(each) < each.slots]

    def in_flight(self, each: NodeState) -> int:
        return sum(lease.node is each for lease in self.leases)

    def nodes_for(self, ticket: Ticket) -> list[NodeState]:
        """The free nodes that may serve a ticket: untried ones, or any when every usable one was tried."""
        if ticket in self.resting:
            return []
        if all(each.node_id in ticket.tried for each in self.usable()):
            return self.free()
        return [each for each in self.free() if each.node_id not in ticket.tried]

    def touch(self, each: NodeState) -> None:
        if each in self.nodes:
            self.nodes.remove(each)
            self.nodes.append(each)

    def leased(self, lease: Lease, nodes: list[NodeState]) -> None:
        """Check a lease that was just given, `nodes` having been free for its ticket before."""
        ticket, chosen = lease.ticket, lease.node
        assert ticket.start_by > self.now
        assert ticket.state == RUNNING
        assert chosen is min(nodes, key=self.in_flight)
        assert lease.started_at == self.now
        self.leases.append(lease)
        assert self.in_flight(chosen) <= chosen.slots
        self.touch(chosen)

    # Nodes

    @precondition(lambda self: len(self.nodes) < MAX_NODES)
    @rule(slots=st.integers(1, 2), is_healthy=st.booleans())
    def add_node(self, slots: int, is_healthy: bool) -> None:
        self.nodes_made += 1
        new = node(self.nodes_made, slots, is_healthy)
        self.has_joined = self.has_joined or is_healthy
        self.scheduler.fleet.add(new, self.now)
        self.nodes.append(new)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def remove_node(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.nodes))
        self.scheduler.fleet.remove(gone, self.now)
        self.nodes.remove(gone)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), is_healthy=st.booleans())
    def check_health(self, data: st.DataObject, is_healthy: bool) -> None:
        checked = data.draw(st.sampled_from(self.nodes))
        self.has_joined = self.has_joined or (is_healthy and not checked.healthy)
        self.scheduler.fleet.set_healthy(checked, is_healthy, "", self.now)
        self.touch(checked)

    # Tickets

    @rule(lanes=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def arrive(self, lanes: list[int]) -> None:
        for lane in lanes:
            self.arrive_one(lane)

    def arrive_one(self, lane: int) -> None:
        ticket = Ticket(lane, self.now, self.now + WAIT_S)
        nodes = self.free()
        is_for_others = bool(self.waiting) and (self.has_joined or any(map(self.nodes_for, self.waiting)))
        lease = self.scheduler.start_at_once(ticket, self.now)
        assert (lease is not None) is (bool(nodes) and not is_for_others)
        if lease is not None:
            assert lease.ticket is ticket
            self.accepted.append(ticket)
            self.leased(lease, nodes)
            return
        reason = self.scheduler.submit(ticket)
        is_full = 0 < self.limit <= sum(each.lane == lane for each in self.waiting)
        assert reason is (Reason.NO_NODES if not self.nodes else Reason.QUEUE_FULL if is_full else None)
        assert ticket.state == (WAITING if reason is None else NEW)
        if reason is None:
            self.accepted.append(ticket)
            self.waiting.append(ticket)

    def notice_joins(self) -> None:
        """A node that has become usable ends all rests, as soon as somebody dispatches."""
        if self.has_joined:
            self.resting.clear()
            self.has_joined = False

    def dispatch_one(self) -> bool:
        """Dispatch once, and check who goes; False when nobody can."""
        self.notice_joins()
        choices = {ticket: nodes for ticket in self.waiting if (nodes := self.nodes_for(ticket))}
        lease = self.scheduler.next_dispatch(self.now)
        for ticket in [each for each in self.waiting if each.state == ENDED]:
            assert ticket.start_by <= self.now
            self.waiting.remove(ticket)
            self.unclaimed.append(ticket)
            choices.pop(ticket, None)
        if lease is None:
            assert choices == {}
            return False
        ticket = lease.ticket
        assert ticket in choices
        # Inside a lane the oldest that a free node may serve; low only when no other lane has such a one.
        assert ticket is next(each for each in choices if each.lane == ticket.lane)
        assert ticket.lane < 2 or all(each.lane == 2 for each in choices)
        self.waiting.remove(ticket)
        self.leased(lease, choices[ticket])
        return True

    @rule(at_most=st.sampled_from([1, 100, 100]))
    def dispatch(self, at_most: int) -> None:
        """Work conservation: after None nobody waits whom a free node may serve."""
        for _ in range(at_most):
            if not self.dispatch_one():
                assert not any(self.nodes_for(ticket) for ticket in self.waiting)
                break

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=outcomes, repeatable=st.booleans())
    def finish(self, data: st.DataObject, outcome: Outcome, repeatable: bool) -> None:
        self.end(data.draw(st.sampled_from(self.leases)), outcome, repeatable)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def everything_fails_on_a_node(self, data: st.DataObject) -> None:
        failing = data.draw(st.sampled_from(self.leases)).node
        for lease in [each for each in self.leases if each.node is failing]:
            self.end(lease, answered(503), repeatable=True)

    def end(self, lease: Lease, outcome: Outcome, repeatable: bool) -> None:
        ticket, tried = lease.ticket, lease.ticket.tried
        may_retry = (
            outcome.failed
            and self.now < ticket.start_by
            and ticket.tries < self.max_tries
            and (repeatable or not outcome.sent)
        )
        assert self.scheduler.may_retry(lease, outcome, repeatable, self.now) is may_retry
        rest_s = 0.0
        if may_retry and all(each.node_id in tried | {lease.node.node_id} for each in self.usable()):
            repeats = ticket.tries - len(tried | {lease.node.node_id})
            rest_s = min(self.rest_s * (2**repeats - 1), 2 * REST_S)
        is_back = may_retry and (rest_s == 0.0 or self.now + rest_s < ticket.start_by)
        assert self.scheduler.finished(lease, outcome, repeatable, self.now) is is_back
        assert lease.state == OVER
        self.leases.remove(lease)
        if lease.node.healthy:
            self.touch(lease.node)
        if is_back:
            assert (ticket.state, ticket.tried) == (WAITING, tried | {lease.node.node_id})
            self.waiting.append(ticket)
            self.waiting.sort(key=lambda each: each.sequence)
            if rest_s:
                self.notice_joins()
                self.resting[ticket] = self.now + rest_s
        else:
            assert ticket.state == ENDED
            self.left.append(ticket)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.scheduler.cancel(ticket)
        assert ticket.state == ENDED
        self.waiting.remove(ticket)
        self.resting.pop(ticket, None)
        self.left.append(ticket)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 4.9, 5.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def advance(self) -> None:
        self.scheduler.advance(self.now)
        self.resting = {ticket: until for ticket, until in self.resting.items() if until > self.now}

    @rule()
    def take_expired(self) -> None:
        expired = self.scheduler.take_expired(self.now)
        found_before = expired[: min(len(self.unclaimed), AT_ONCE)]
        assert len(found_before) == len(set(found_before) & set(self.unclaimed))
        late = [each for each in self.waiting if each.start_by <= self.now]
        in_line = [each for lane in (0, 1, 2) for each in late if each.lane == lane]
        assert expired == (found_before + in_line)[:AT_ONCE]
        for ticket in expired:
            assert ticket.state == ENDED
        self.waiting = [each for each in self.waiting if each not in expired]
        self.resting = {each: until for each, until in self.resting.items() if each not in expired}
        self.unclaimed = [each for each in self.unclaimed if each not in found_before]
        self.left += expired

    # What always holds

    @invariant()
    def each_node_has_as_many_in_flight_as_leases_and_never_more_than_slots(self) -> None:
        for each in {lease.node for lease in self.leases} | set(self.nodes):
            assert each.in_flight == self.in_flight(each) <= each.slots

    @invariant()
    def every_accepted_ticket_is_in_one_place(self) -> None:
        """In line, at a node, or gone, and gone only once."""
        running = [lease.ticket for lease in self.leases]
        places = self.waiting + running + self.unclaimed + self.left
        assert sorted(map(id, places)) == sorted(map(id, self.accepted))
        assert self.scheduler.queue.length == len(self.waiting)

    @invariant()
    def the_next_deadline_is_that_of_the_first_who_has_to_be_told(self) -> None:
        due = [each.start_by for each in self.unclaimed + self.waiting] + list(self.resting.values())
        if self.unclaimed:
            assert self.scheduler.next_deadline() <= self.now
        else:
            # A rest that was ended otherwise is looked at once more, in vain.
            assert self.scheduler.next_deadline() <= min(due, default=float("inf"))
            if not self.rest_s:
                assert self.scheduler.next_deadline() == min(due, default=float("inf"))

    def teardown(self) -> None:
        """When all is over, every accepted ticket has left exactly once."""
        for lease in list(self.leases):
            assert self.scheduler.finished(lease, answered(200), True, self.now) is False
            self.left.append(lease.ticket)
        while expired := self.scheduler.take_expired(self.now + WAIT_S):
            self.left += expired
        assert sorted(map(id, self.left)) == sorted(map(id, self.accepted))
        assert all(ticket.state == ENDED for ticket in self.accepted)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(max_examples=examples(200), stateful_step_count=50)
