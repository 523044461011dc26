"""A judge of some nodes, and tries that end on them."""

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.judge import Judge
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import Selection
from priolb.core.outcome import Outcome
from priolb.core.ticket import Ticket
from support.tickets import answered, ticket

NOW = 100.0
POLICY = HealthPolicy(fall=3, rise=2, eject_after=5, rest_s=2.0, rest_max_s=60.0)


class Bench:
    """A judge with nodes 1, 2, 3, ...; tries take 20 ms."""

    def __init__(
        self, count: int = 2, policy: HealthPolicy = POLICY, slots: int = 8, order: Selection | None = None
    ) -> None:
        self.now = NOW
        self.fleet = Fleet(order, policy)
        self.judge = Judge(self.fleet)
        self.nodes = [NodeState(number, "", slots, True) for number in range(1, count + 1)]
        self.sequence = 0
        for node in self.nodes:
            self.fleet.add(node, self.now)

    def new_ticket(self, *tried: int) -> Ticket:
        self.sequence += 1
        new = ticket("l1")
        new.sequence = self.sequence
        new.tried = new.suspects = frozenset(tried)
        return new

    def lease(self, number: int, *tried: int) -> Lease:
        node = self.nodes[number - 1]
        self.fleet.free.reserve(node)
        return Lease(self.new_ticket(*tried), node, self.now)

    def end(self, lease: Lease, outcome: Outcome, is_back: bool = False) -> None:
        self.now += 0.02
        self.judge.ended(lease, outcome, is_back, self.now)

    def try_on(self, number: int, outcome: Outcome, *tried: int, is_back: bool = False) -> None:
        self.end(self.lease(number, *tried), outcome, is_back)

    def fail_then_answer(self, failing: int, good: int, outcome: Outcome | None = None) -> None:
        """A request fails on one node and is answered by another."""
        lease = self.lease(failing)
        self.end(lease, outcome or answered(500), is_back=True)
        lease.ticket.tried = frozenset({failing})
        if (outcome or answered(500)).at_fault:
            lease.ticket.suspects = frozenset({failing})
        self.fleet.free.reserve(self.nodes[good - 1])
        self.end(Lease(lease.ticket, self.nodes[good - 1], self.now), answered(200))

    def status(self) -> list[str]:
        return [node.status.value for node in self.nodes]


def ejected() -> Bench:
    bench = Bench()
    for _ in range(5):
        bench.fail_then_answer(1, 2)
    bench.now = bench.nodes[0].breaker.until
    bench.fleet.advance(bench.now)
    assert bench.status() == ["probing", "up"]
    return bench
