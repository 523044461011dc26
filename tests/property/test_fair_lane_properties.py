"""A fair lane: tenants that wait get the same work done, and nothing else is lost or reordered."""

from heapq import heappop, heappush
from random import Random

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.node import Lease
from priolb.core.queueing.fair_lane import HAND, QUEUES, FairLane, TenantQueue
from priolb.core.queueing.lanes import Fifo
from priolb.core.queueing.sharding import hand_of
from priolb.core.ticket import RUNNING, WAITING, Ticket
from support.examples import examples
from support.tickets import node

NODE = node(1, 100)
NODE_IDS = (1, 2)
TENANTS = [b"a", b"b", b"c", b"d", b"e"]
MAX_WAIT_S = 5.0

free_nodes = st.frozensets(st.sampled_from(NODE_IDS), min_size=1)


class FairLaneMachine(RuleBasedStateMachine):
    """Whoever is next, it is the oldest of its tenant that may be served, and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sequence = 0
        self.waiting: list[Ticket] = []
        self.resting: set[Ticket] = set()
        self.leases: list[Lease] = []
        self.lane: FairLane

    @initialize(queues=st.sampled_from([1, 3, 64]), seed=st.binary(max_size=4))
    def start(self, queues: int, seed: bytes) -> None:
        self.lane = FairLane("low", max_wait_s=MAX_WAIT_S, seed=seed, queues=queues, hand=min(queues, 3))

    def new_ticket(self, tenant: bytes, wait_s: float) -> Ticket:
        self.sequence += 1
        ticket = Ticket(0, self.now, self.now + wait_s)
        ticket.sequence = self.sequence
        ticket.tenant = tenant
        ticket.body_bytes = self.sequence
        return ticket

    @rule(
        tenants=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=6),
        wait_s=st.sampled_from([MAX_WAIT_S, MAX_WAIT_S, 1.0]),
    )
    def arrive(self, tenants: list[bytes], wait_s: float) -> None:
        for tenant in tenants:
            ticket = self.new_ticket(tenant, wait_s)
            self.lane.append(ticket)
            self.waiting.append(ticket)

    @precondition(lambda self: not self.waiting)
    @rule(tenant=st.sampled_from(TENANTS))
    def pass_by(self, tenant: bytes) -> None:
        ticket = self.new_ticket(tenant, MAX_WAIT_S)
        ticket.state = RUNNING
        self.begin(ticket)

    def begin(self, ticket: Ticket) -> None:
        lease = Lease(ticket, NODE, self.now)
        self.lane.begin(lease)
        self.leases.append(lease)

    @rule(free=free_nodes, count=st.integers(1, 8))
    def serve(self, free: frozenset[int], count: int) -> None:
        for _ in range(count):
            servable: dict[bytes, Ticket] = {}
            for ticket in sorted(self.waiting, key=lambda ticket: ticket.sequence):
                if free - ticket.tried and ticket not in self.resting:
                    servable.setdefault(ticket.tenant, ticket)
            found = self.lane.first(lambda tried: bool(free - tried))
            assert found is self.lane.first(lambda tried: bool(free - tried))
            if found is None:
                assert servable == {}
                break
            assert found is servable[found.tenant]
            self.lane.remove(found)
            self.waiting.remove(found)
            self.begin(found)

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(),
        took_s=st.floats(0.0, 10.0),
        fails_on=st.sampled_from([None, None, *NODE_IDS]),
        rests=st.booleans(),
    )
    def end(self, data: st.DataObject, took_s: float, fails_on: int | None, rests: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        ticket = lease.ticket
        self.leases.remove(lease)
        self.lane.end(lease, took_s)
        if fails_on is None:
            return
        ticket.tried = ticket.tried | {fails_on}
        if rests:
            self.lane.rest(ticket)
            self.resting.add(ticket)
        else:
            self.lane.put_back(ticket)
        self.waiting.append(ticket)

    @rule()
    def wake_all(self) -> None:
        for ticket in self.resting:
            self.lane.wake(ticket)
        self.resting.clear()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.lane.remove(ticket)
        self.waiting.remove(ticket)
        self.resting.discard(ticket)

    @rule(seconds=st.sampled_from([0.5, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def queue_of(self, ticket: Ticket) -> int:
        """Return the number of the one queue in which a ticket stands."""
        (found,) = [
            number
            for number, queue in enumerate(self.lane._queues)
            if queue.turn and any(fifo is ticket.fifo for fifo in fifos_of(queue))
        ]
        return found

    @invariant()
    def nobody_is_lost(self) -> None:
        assert self.lane.length == len(self.waiting)
        assert self.lane.held_bytes == sum(ticket.body_bytes for ticket in self.waiting)
        assert all(ticket.state == WAITING for ticket in self.waiting)

    @invariant()
    def the_oldest_and_the_first_to_expire_are_those_of_all(self) -> None:
        by_age = sorted(self.waiting, key=lambda ticket: ticket.sequence)
        by_deadline = sorted(self.waiting, key=lambda ticket: (ticket.start_by, ticket.sequence))
        assert self.lane.oldest() is (by_age[0] if by_age else None)
        assert self.lane.first_to_expire() is (by_deadline[0] if by_deadline else None)

    @invariant()
    def a_tenant_stands_in_one_queue(self) -> None:
        for tenant in TENANTS:
            assert len({self.queue_of(each) for each in self.waiting if each.tenant == tenant}) <= 1

    @invariant()
    def what_is_held_follows_from_what_waits_and_runs(self) -> None:
        lane = self.lane
        assert set(lane._tenants) == {ticket.tenant for ticket in self.waiting}
        assert set(lane._charges) == set(self.leases)
        assert lane._active == len({self.queue_of(ticket) for ticket in self.waiting})
        assert len(lane._line) <= 2 * len(TENANTS) + 16
        assert set(lane._retrying) == {queue for queue in lane._queues if queue.retries}

    @invariant()
    def no_queue_is_below_its_floor(self) -> None:
        assert all(queue.start >= queue.floor for queue in self.lane._queues if queue.turn)


def fifos_of(queue: TenantQueue) -> list[Fifo]:
    return [queue.fresh, queue.resting, *queue.retries.values()]


TestFairLane = FairLaneMachine.TestCase
TestFairLane.settings = settings(max_examples=examples(150), stateful_step_count=40)


@given(
    slots=st.integers(1, 8),
    costs=st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(1.0, 3.0)), min_size=2, max_size=5),
    always_wait=st.integers(1, 5),
    chance=st.randoms(use_true_random=False),
)
@settings(max_examples=examples(100))
def test_tenants_that_always_wait_get_the_same_work_done_and_no_other_gets_more(
    slots: int, costs: list[tuple[float, float]], always_wait: int, chance: Random
) -> None:
    """Apart by no more than what is at the nodes at once: (slots + 1) times both of their longest requests.

    That is the bound of SFQ(D) (Jin, Chase and Kaur, 2004), here with costs that nobody knows before. The
    first tenants always have two in line, the others send the next one when they have the answer to the last.
    """
    lane = FairLane("low")
    hands = [hand_of(b"%d" % tenant, b"", QUEUES, HAND) for tenant in range(len(costs))]
    assert len(set().union(*hands)) == HAND * len(costs)
    sequence = 0
    work_s = [0.0] * len(costs)
    longest_s = [lowest * spread for lowest, spread in costs]
    ends: list[tuple[float, int, Lease, int]] = []
    started = 0

    def push(tenant: int) -> None:
        nonlocal sequence
        sequence += 1
        ticket = Ticket(0, 0.0, 1e9)
        ticket.sequence = sequence
        ticket.tenant = b"%d" % tenant
        lane.append(ticket)

    def start(now: float) -> None:
        nonlocal started
        ticket = lane.first(lambda tried: True)
        assert ticket is not None
        lane.remove(ticket)
        lease = Lease(ticket, NODE, now)
        lane.begin(lease)
        tenant = int(ticket.tenant)
        if tenant < always_wait:
            push(tenant)
        lowest, spread = costs[tenant]
        started += 1
        heappush(ends, (now + lowest * chance.uniform(1.0, spread), started, lease, tenant))

    for tenant in range(len(costs)):
        push(tenant)
        if tenant < always_wait:
            push(tenant)
    for _ in range(slots):
        start(0.0)
    for _ in range(400):
        now, _, lease, tenant = heappop(ends)
        took_s = now - lease.started_at
        lane.end(lease, took_s)
        work_s[tenant] += took_s
        if tenant >= always_wait:
            push(tenant)
        start(now)
        for other in range(min(always_wait, len(costs))):
            for one in range(len(costs)):
                bound_s = (slots + 1) * (longest_s[one] + longest_s[other])
                assert work_s[one] - work_s[other] <= bound_s
