"""The free nodes by their number in flight against a look at every node."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import LeastInFlight
from support.examples import examples
from support.tickets import node, ticket

NODES = 4
MOST_SLOTS = 3

numbers = st.integers(0, NODES - 1)


class SelectionMachine(RuleBasedStateMachine):
    """The best is the one with the fewest in flight, and of these the one that was untouched for longest."""

    def __init__(self) -> None:
        super().__init__()
        self.selection = LeastInFlight()
        self.nodes = [node(number, MOST_SLOTS) for number in range(NODES)]
        # Those in sight, the one that came or moved last behind all others.
        self.in_sight: list[NodeState] = []

    def touch(self, node: NodeState) -> None:
        self.in_sight = [each for each in self.in_sight if each is not node]
        if node.usable and node.in_flight < node.slots:
            self.in_sight.append(node)

    def best(self, tried: frozenset[int] = frozenset()) -> NodeState | None:
        others = [each for each in self.in_sight if each.node_id not in tried]
        return min(others, key=lambda each: each.in_flight, default=None)

    @rule(number=numbers, usable=st.booleans(), slots=st.integers(1, MOST_SLOTS))
    def change(self, number: int, usable: bool, slots: int) -> None:
        changed = self.nodes[number]
        changed.usable, changed.slots = usable, slots
        self.selection.update(changed)
        self.touch(changed)

    @precondition(lambda self: self.in_sight)
    @rule()
    def reserve_best(self) -> None:
        best = self.best()
        assert self.selection.reserve_best(ticket("l1")) is best
        assert best is not None
        self.touch(best)

    @rule(number=numbers)
    def reserve(self, number: int) -> None:
        chosen = self.nodes[number]
        if chosen.in_flight < MOST_SLOTS:
            self.selection.reserve(chosen)
            self.touch(chosen)

    @rule(number=numbers)
    def release(self, number: int) -> None:
        chosen = self.nodes[number]
        if chosen.in_flight:
            in_flight = chosen.in_flight
            self.selection.release(chosen)
            assert chosen.in_flight == in_flight - 1
            self.touch(chosen)

    @rule(tried=st.frozensets(numbers))
    def look(self, tried: frozenset[int]) -> None:
        assert self.selection.best(tried) is self.best(tried)

    @invariant()
    def those_in_sight_are_free(self) -> None:
        assert self.selection.length == len(self.in_sight)
        assert [each.is_free for each in self.nodes] == [each in self.in_sight for each in self.nodes]


TestSelection = SelectionMachine.TestCase
TestSelection.settings = settings(max_examples=examples(200), stateful_step_count=40)
