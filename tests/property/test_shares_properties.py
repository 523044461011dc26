"""The scheduler with lanes of all kinds, disciplines, shares of slots and deadlines of single requests.

The sentences of `core.overload.shares` and of the invariants of `core.scheduler` are the assertions; shares
are counted from the leases each time.
"""

from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.outcome import Outcome
from priolb.core.overload.shares import Shares
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Aged, Discipline, Strict, Weighted
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.hedge import Hedging
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, Ticket
from support.examples import examples
from support.tickets import answered, client_left, node, timed_out, unreachable

LANES = 3
MAX_NODES = 4
MAX_WAIT_S = 5.0

outcomes = st.sampled_from(
    [answered(200), answered(200), answered(500), unreachable(), timed_out(), client_left()]
)
disciplines = st.sampled_from(["strict", "weighted", "aged"])


def discipline_of(kind: str) -> Discipline:
    return {"strict": Strict(), "weighted": Weighted([0, 3, 1]), "aged": Aged(1.0)}[kind]


def lane_of(kind: str) -> Lane:
    if kind == "fair":
        return FairLane(kind, max_wait_s=MAX_WAIT_S, queues=8, hand=2)
    if kind == "deadline":
        return DeadlineLane(kind, max_wait_s=MAX_WAIT_S)
    return Lane(kind, max_wait_s=MAX_WAIT_S)


class SharesMachine(RuleBasedStateMachine):
    """Tickets come, leave, fail and expire; nodes come, change and go; each lane keeps to its share."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.made = 0
        self.nodes: list[NodeState] = []
        self.leases: list[Lease] = []
        self.waiting: list[Ticket] = []
        self.accepted: list[Ticket] = []
        self.left: list[Ticket] = []
        self.unclaimed: list[Ticket] = []
        self.scheduler: Scheduler

    @initialize(
        kinds=st.lists(st.sampled_from(["arrival", "deadline", "fair"]), min_size=LANES, max_size=LANES),
        discipline=disciplines,
        reserved=st.lists(st.integers(0, 3), min_size=LANES, max_size=LANES),
        most_percent=st.lists(st.sampled_from([100, 100, 50, 10]), min_size=LANES, max_size=LANES),
        slots=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    )
    def start(
        self,
        kinds: list[str],
        discipline: str,
        reserved: list[int],
        most_percent: list[int],
        slots: list[int],
    ) -> None:
        lanes = [lane_of(kind) for kind in kinds]
        fleet = Fleet()
        self.reserved, self.most_percent = reserved, most_percent
        self.shares = Shares(lanes, fleet, reserved, most_percent)
        hedging = Hedging(frozenset({0, 1}), 100.0, 0.0)
        for _ in range(64):  # from then on it knows what takes long
            hedging.answered(0, 0.1)
            hedging.answered(1, 0.1)
        self.scheduler = Scheduler(
            PriorityQueue(lanes, discipline_of(discipline)),
            RetryPolicy(3),
            fleet,
            hedging=hedging,
            shares=self.shares,
        )
        for each in slots:
            self.add_node(each, True)

    # The model

    def usable(self) -> list[NodeState]:
        return [each for each in self.nodes if each.healthy]

    def in_flight(self, each: NodeState) -> int:
        return sum(lease.node is each for lease in self.leases)

    def free_slots(self) -> int:
        return sum(max(0, each.slots - self.in_flight(each)) for each in self.usable())

    def tries(self) -> list[int]:
        """Return how many tries each lane has at nodes that are in use."""
        leases = [lease for lease in self.leases if lease.node in self.usable()]
        return [sum(lease.ticket.lane == lane for lease in leases) for lane in range(LANES)]

    def may_start(self, lane: int) -> bool:
        has = self.tries()
        slots = sum(each.slots for each in self.usable())
        free = self.free_slots()
        most = [
            inf if percent == 100 else float(max(1, slots * percent // 100)) for percent in self.most_percent
        ]
        if free == 0 or has[lane] >= most[lane]:
            return False
        kept = [min(reserved, limit) for reserved, limit in zip(self.reserved, most, strict=True)]
        unused = sum(max(0, kept[each] - has[each]) for each in range(LANES))
        common = sum(max(0, has[each] - kept[each]) for each in range(LANES))
        return has[lane] < kept[lane] or free > unused or common == 0

    def has_node_for(self, ticket: Ticket) -> bool:
        free = [each for each in self.usable() if self.in_flight(each) < each.slots]
        if all(each.node_id in ticket.tried for each in self.usable()):
            return bool(free)
        return any(each.node_id not in ticket.tried for each in free)

    def has_somebody_for_free(self) -> bool:
        return any(self.may_start(each.lane) and self.has_node_for(each) for each in self.waiting)

    def leased(self, lease: Lease, might: bool) -> None:
        assert might
        assert lease.ticket.start_by > self.now
        self.leases.append(lease)
        assert self.in_flight(lease.node) <= lease.node.slots

    # Nodes

    @precondition(lambda self: len(self.nodes) < MAX_NODES)
    @rule(slots=st.integers(1, 3), is_healthy=st.booleans())
    def add_node(self, slots: int, is_healthy: bool) -> None:
        self.made += 1
        new = node(self.made, slots, is_healthy)
        self.scheduler.fleet.add(new, self.now)
        self.nodes.append(new)

    @precondition(lambda self: self.nodes)
    @rule(
        data=st.data(), change=st.sampled_from(["remove", "heal", "fail", "resize"]), slots=st.integers(1, 4)
    )
    def change_node(self, data: st.DataObject, change: str, slots: int) -> None:
        changed = data.draw(st.sampled_from(self.nodes))
        fleet = self.scheduler.fleet
        if change == "remove":
            fleet.remove(changed, self.now)
            self.nodes.remove(changed)
        elif change == "resize":
            fleet.set_workers(changed, slots, None, self.now)
        else:
            fleet.set_healthy(changed, change == "heal", "", self.now)

    # Tickets

    @rule(
        lanes=st.lists(st.integers(0, LANES - 1), min_size=1, max_size=5),
        tenant=st.sampled_from([b"a", b"b", b"c"]),
        wait_s=st.sampled_from([MAX_WAIT_S, MAX_WAIT_S, 1.0]),
    )
    def arrive(self, lanes: list[int], tenant: bytes, wait_s: float) -> None:
        for lane in lanes:
            ticket = Ticket(lane, self.now, self.now + wait_s)
            ticket.tenant = tenant
            might = self.may_start(lane)
            is_for_others = self.has_somebody_for_free()
            lease = self.scheduler.start_at_once(ticket, self.now)
            if lease is not None:
                self.accepted.append(ticket)
                assert not is_for_others
                self.leased(lease, might)
                continue
            assert self.waiting or not might
            if self.scheduler.submit(ticket) is None:
                self.accepted.append(ticket)
                self.waiting.append(ticket)
            else:
                assert not self.nodes

    def dispatch_one(self) -> bool:
        might = [self.may_start(lane) for lane in range(LANES)]
        lease = self.scheduler.next_dispatch(self.now)
        for ticket in [each for each in self.waiting if each.state == ENDED]:
            assert ticket.start_by <= self.now
            self.waiting.remove(ticket)
            self.unclaimed.append(ticket)
        if lease is None:
            return False
        assert self.has_node_for(lease.ticket)
        self.waiting.remove(lease.ticket)
        self.leased(lease, might[lease.ticket.lane])
        return True

    @rule(at_most=st.sampled_from([1, 100, 100]))
    def dispatch(self, at_most: int) -> None:
        """Work conservation: after None nobody waits whose lane may start, and for whom a node is free."""
        for _ in range(at_most):
            if not self.dispatch_one():
                for ticket in self.waiting:
                    assert not (self.may_start(ticket.lane) and self.has_node_for(ticket))
                break

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=outcomes)
    def finish(self, data: st.DataObject, outcome: Outcome) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        ticket = lease.ticket
        self.leases.remove(lease)
        if any(other.ticket is ticket for other in self.leases):
            self.scheduler.end_aside(lease, outcome, self.now)
        elif self.scheduler.finished(lease, outcome, True, self.now):
            self.waiting.append(ticket)
        else:
            self.left.append(ticket)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def hedge(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        might = self.may_start(lease.ticket.lane) and not self.has_somebody_for_free()
        second = self.scheduler.hedge(lease, self.now)
        if second is not None:
            self.leases.append(second)
            assert might
            assert self.in_flight(second.node) <= second.node.slots

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.scheduler.cancel(ticket)
        self.waiting.remove(ticket)
        self.left.append(ticket)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        """All who have expired are told at once, as the timer does."""
        self.now += seconds
        self.scheduler.advance(self.now)
        late = {each for each in self.waiting if each.start_by <= self.now} | set(self.unclaimed)
        told: list[Ticket] = []
        while more := self.scheduler.take_expired(self.now):
            told += more
        assert set(told) == late
        assert len(told) == len(late)
        self.waiting = [each for each in self.waiting if each not in late]
        self.unclaimed = []
        self.left += told
        assert self.scheduler.next_deadline() <= min((each.start_by for each in self.waiting), default=inf)

    # What always holds

    @invariant()
    def shares_are_as_counted(self) -> None:
        assert self.shares.bounds().in_flight == self.tries()
        for lane in range(LANES):
            assert self.shares.may_start(lane) is self.may_start(lane)

    @invariant()
    def each_node_has_as_many_in_flight_as_leases(self) -> None:
        for each in {lease.node for lease in self.leases} | set(self.nodes):
            assert each.in_flight == self.in_flight(each)

    @invariant()
    def every_accepted_ticket_is_in_one_place(self) -> None:
        running = {id(lease.ticket) for lease in self.leases}
        places = [id(each) for each in self.waiting + self.unclaimed + self.left] + list(running)
        assert sorted(places) == sorted(map(id, self.accepted))
        assert self.scheduler.queue.length == len(self.waiting)


TestShares = SharesMachine.TestCase
TestShares.settings = settings(max_examples=examples(200), stateful_step_count=50)
