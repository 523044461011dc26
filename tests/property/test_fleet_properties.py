"""Fleet and judge against a model that looks at the facts of every node each time.

The sentences of the invariants in `priolb.core.nodes.fleet` are the assertions.
"""

import random
from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.adaptive import AdaptiveSlots
from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.judge import Judge
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.nodes.ordered import RoundRobin, WeightedLeastInFlight
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight, Selection
from priolb.core.nodes.status import NodeChange, NodeStatus
from priolb.core.outcome import Outcome
from priolb.core.ticket import NO_NODES_TRIED, Ticket
from support.examples import examples
from support.tickets import answered, client_left, timed_out, unreachable

MAX_NODES = 5
outcomes = st.sampled_from(
    [answered(200), answered(200), answered(404), answered(500), timed_out(), unreachable(), client_left()]
)


def selections() -> dict[str, Selection]:
    return {
        "least in flight": LeastInFlight(),
        "weighted": WeightedLeastInFlight(),
        "round robin": RoundRobin(),
        "peak ewma": PeakEwma(random.Random(1)),
    }


class FleetMachine(RuleBasedStateMachine):
    """Nodes come and go, are checked, cordoned, drained and judged, while leases are taken and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.made = 0
        self.sequence = 0
        self.leases: list[Lease] = []
        self.told: dict[NodeState, NodeStatus] = {}
        self.fleet: Fleet
        self.judge: Judge

    @initialize(
        kind=st.sampled_from(sorted(selections())),
        percent=st.sampled_from([0, 50, 50, 100]),
        eject_after=st.integers(0, 2),
        slow_start_s=st.sampled_from([0.0, 3.0]),
        panics=st.booleans(),
        rise=st.integers(1, 2),
        fall=st.integers(1, 2),
        slots=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    )
    def start(
        self,
        kind: str,
        percent: int,
        eject_after: int,
        slow_start_s: float,
        panics: bool,
        rise: int,
        fall: int,
        slots: list[int],
    ) -> None:
        policy = HealthPolicy(
            rise=rise,
            fall=fall,
            eject_after=eject_after,
            rest_s=1.0,
            rest_max_s=4.0,
            ejected_max_percent=percent,
            slow_start_s=slow_start_s,
            panics=panics,
        )
        self.fleet = Fleet(selections()[kind], policy)
        self.judge = Judge(self.fleet)
        for each in slots:
            self.add(each, healthy=True, tier=0, weight=1)

    def nodes(self) -> list[NodeState]:
        return list(self.fleet.nodes.values())

    def any_node(self, data: st.DataObject) -> NodeState:
        node: NodeState = data.draw(st.sampled_from(self.nodes()))
        return node

    # What happens

    @precondition(lambda self: len(self.fleet.nodes) < MAX_NODES)
    @rule(
        slots=st.integers(1, 4),
        healthy=st.booleans(),
        tier=st.sampled_from([0, 0, 1]),
        weight=st.sampled_from([1, 1, 3]),
    )
    def add(self, slots: int, healthy: bool, tier: int, weight: int) -> None:
        self.made += 1
        node = NodeState(self.made, f"http://node-{self.made}", slots, healthy, weight, tier)
        self.fleet.add(node, self.now)
        self.told[node] = node.status

    @precondition(lambda self: self.fleet.nodes)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        node = self.any_node(data)
        self.fleet.remove(node, self.now)
        assert not node.usable

    @precondition(lambda self: self.fleet.nodes)
    @rule(data=st.data(), passed=st.booleans(), is_late=st.booleans())
    def check(self, data: st.DataObject, passed: bool, is_late: bool) -> None:
        self.judge.checked(self.any_node(data), None if passed else "late", is_late and not passed, self.now)

    @precondition(lambda self: self.fleet.nodes)
    @rule(data=st.data(), wish=st.sampled_from(["cordon", "drain", "uncordon", "attested", "unattested"]))
    def operate(self, data: st.DataObject, wish: str) -> None:
        node = self.any_node(data)
        if wish == "cordon":
            self.fleet.cordon(node, self.now)
        elif wish == "drain":
            self.fleet.drain(node, 2.0, self.now)
        elif wish == "uncordon":
            self.fleet.uncordon(node, self.now)
        else:
            self.fleet.set_attested(node, wish == "attested", "evidence", self.now)

    @precondition(lambda self: self.fleet.nodes)
    @rule(data=st.data(), workers=st.integers(1, 4), is_auto=st.booleans(), weight=st.integers(1, 3))
    def resize(self, data: st.DataObject, workers: int, is_auto: bool, weight: int) -> None:
        node = self.any_node(data)
        adaptive = AdaptiveSlots(2, workers, self.now) if is_auto else None
        self.fleet.set_workers(node, workers, adaptive, self.now)
        self.fleet.set_weight(node, weight, self.now)

    @precondition(lambda self: self.fleet.free.length)
    @rule(count=st.integers(1, 6))
    def take(self, count: int) -> None:
        for _ in range(count):
            free = [node for node in self.nodes() if node.is_free]
            best = self.fleet.free.best(NO_NODES_TRIED)
            assert (best is None) is (not free)
            if best is None:
                return
            assert best in free
            self.sequence += 1
            ticket = Ticket(0, self.now, inf)
            ticket.sequence = self.sequence
            self.fleet.free.reserve(best)
            self.leases.append(Lease(ticket, best, self.now))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=outcomes, is_back=st.booleans())
    def end(self, data: st.DataObject, outcome: Outcome, is_back: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        self.leases.remove(lease)
        if lease.ticket.sequence % 2 and self.fleet.nodes:
            lease.ticket.tried = lease.ticket.suspects = frozenset({self.any_node(data).node_id})
        self.judge.ended(lease, outcome, is_back and outcome.failed, self.now)

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.fleet.advance(self.now)
        assert self.fleet.next_due() > self.now

    # What always holds

    @invariant()
    def usable_follows_from_the_facts(self) -> None:
        fit = [node for node in self.nodes() if node.healthy and node.enabled and node.attested]
        able = [node for node in fit if node.breaker.state != OPEN]
        lowest = min((node.tier for node in able), default=None)
        expected = [node for node in able if node.tier == lowest]
        if not able and self.fleet.policy.panics:
            expected = [node for node in self.nodes() if node.enabled and node.attested]
        assert sorted(self.fleet.candidates) == sorted(node.node_id for node in expected)
        assert [node for node in self.nodes() if node.usable] == [
            node for node in self.nodes() if node in expected
        ]

    @invariant()
    def no_more_are_ejected_than_may_be_and_somebody_is_left(self) -> None:
        fit = [node for node in self.nodes() if node.healthy and node.enabled and node.attested]
        ejected = [node for node in fit if node.breaker.state != CLOSED]
        percent = self.fleet.policy.ejected_max_percent
        assert len(ejected) <= len(fit) * percent // 100
        if fit and percent < 100:
            assert any(node.breaker.state != OPEN for node in fit)

    @invariant()
    def free_is_usable_with_a_slot_left(self) -> None:
        free = [node for node in self.nodes() if node.usable and node.in_flight < node.slots]
        assert [node for node in self.nodes() if node.is_free] == free
        assert self.fleet.free.length == len(free)

    @invariant()
    def leases_are_counted(self) -> None:
        for node in {lease.node for lease in self.leases} | set(self.nodes()):
            assert node.in_flight == sum(lease.node is node for lease in self.leases)

    @invariant()
    def of_a_half_open_node_one_request_decides(self) -> None:
        for node in self.nodes():
            if node.breaker.state == HALF_OPEN:
                new = [
                    lease
                    for lease in self.leases
                    if lease.node is node and lease.started_at >= node.breaker.started_at
                ]
                assert node.slots == node.breaker.older + 1
                assert len(new) <= 1

    @invariant()
    def slots_are_never_more_than_workers_and_never_none(self) -> None:
        for node in self.nodes():
            if node.breaker.state != HALF_OPEN:
                assert 1 <= node.slots <= node.workers

    @invariant()
    def every_change_is_told_once_and_follows_from_the_one_before(self) -> None:
        changes: list[NodeChange] = self.fleet.take_changes()
        for change in changes:
            assert self.told[change.node] is change.before is not change.status
            assert change.reason
            self.told[change.node] = change.status
        for node in self.nodes():
            assert self.told[node] is node.status

    @invariant()
    def what_is_due_is_known(self) -> None:
        for node in self.nodes():
            if node.breaker.state == OPEN:
                assert self.fleet.next_due() <= node.breaker.until
            if node.warm_from != inf:
                assert self.fleet.next_due() <= node.warm_from + self.fleet.policy.slow_start_s + 0.001


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings(max_examples=examples(200), stateful_step_count=50)
