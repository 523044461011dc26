"""The order of preference among free nodes."""

import sys
import tracemalloc

import pytest

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import LeastInFlight
from priolb.core.ticket import NO_NODES_TRIED
from support.selections import FRESH, best_id
from support.steps import lines_run
from support.tickets import node


def free_nodes(*loads: int, slots: int = 100) -> tuple[LeastInFlight, list[NodeState]]:
    """Return usable nodes with these numbers in flight; their ids are 0, 1, 2, ..."""
    selection = LeastInFlight()
    nodes = [node(node_id, slots) for node_id in range(len(loads))]
    for each, load in zip(nodes, loads, strict=True):
        each.in_flight = load
        set_usable(selection, each, True)
    return selection, nodes


def set_usable(selection: LeastInFlight, node: NodeState, usable: bool) -> None:
    node.usable = usable
    selection.update(node)


def loads(nodes: list[NodeState]) -> list[int]:
    return [each.in_flight for each in nodes]


def test_without_nodes_there_is_no_best() -> None:
    selection = LeastInFlight()
    assert selection.best(NO_NODES_TRIED) is None
    assert selection.length == 0


def test_the_node_with_the_fewest_in_flight_is_best() -> None:
    selection, nodes = free_nodes(3, 1, 2)
    assert best_id(selection) == 1
    assert selection.length == 3
    assert [each.is_free for each in nodes] == [True, True, True]


def test_tried_nodes_are_passed_over() -> None:
    selection, _ = free_nodes(0, 0, 1, 5)
    assert best_id(selection, 0) == 1
    assert best_id(selection, 0, 1) == 2
    assert best_id(selection, 0, 1, 2) == 3
    assert best_id(selection, 0, 1, 2, 3) is None
    assert best_id(selection, 99) == 0


def test_slots_are_taken_where_the_fewest_are_in_flight_until_none_is_left() -> None:
    """Among equals of the node that was untouched for longest."""
    selection, nodes = free_nodes(0, 1, 0, slots=2)
    taken = []
    while selection.length:
        taken.append(selection.reserve_best(FRESH).node_id)
    assert taken == [0, 2, 1, 0, 2]
    assert loads(nodes) == [2, 2, 2]
    assert [each.is_free for each in nodes] == [False, False, False]
    assert selection.best(NO_NODES_TRIED) is None


def test_idle_nodes_take_turns() -> None:
    selection, nodes = free_nodes(0, 0, 0)
    turns = []
    for _ in range(5):
        taken = selection.reserve_best(FRESH)
        turns.append(taken.node_id)
        selection.release(taken)
    assert turns == [0, 1, 2, 0, 1]
    assert loads(nodes) == [0, 0, 0]


def test_taking_a_slot_of_the_best_is_taking_the_best_slot() -> None:
    orders = []
    for is_short in (True, False):
        selection, _ = free_nodes(2, 0, 1, 0, slots=3)
        order = []
        while (best := selection.best(NO_NODES_TRIED)) is not None:
            if is_short:
                assert selection.reserve_best(FRESH) is best
            else:
                selection.reserve(best)
            order.append(best.node_id)
        orders.append(order)
    assert orders[0] == orders[1] == [1, 3, 2, 1, 3, 0, 2, 1, 3]


def test_a_full_node_is_out_of_sight_until_a_slot_is_given_back() -> None:
    selection, nodes = free_nodes(1, 5, slots=6)
    selection.reserve(nodes[1])
    assert (nodes[1].is_free, selection.length, best_id(selection, 0)) == (False, 1, None)
    selection.release(nodes[1])
    assert (nodes[1].is_free, selection.length, best_id(selection, 0)) == (True, 2, 1)


def test_a_node_that_may_not_be_used_is_out_of_sight_until_it_may() -> None:
    selection, nodes = free_nodes(0, 4)
    set_usable(selection, nodes[0], False)
    assert (best_id(selection), nodes[0].is_free, selection.length) == (1, False, 1)
    set_usable(selection, nodes[0], False)
    assert selection.length == 1
    set_usable(selection, nodes[0], True)
    assert (best_id(selection), nodes[0].is_free, selection.length) == (0, True, 2)
    set_usable(selection, nodes[0], True)
    assert selection.length == 2


def test_what_is_given_back_to_a_node_that_may_not_be_used_is_counted_all_the_same() -> None:
    selection, nodes = free_nodes(2)
    set_usable(selection, nodes[0], False)
    selection.release(nodes[0])
    assert (loads(nodes), nodes[0].is_free, selection.length) == ([1], False, 0)
    set_usable(selection, nodes[0], True)
    assert (best_id(selection), selection.reserve_best(FRESH).in_flight) == (0, 2)


def test_the_best_is_found_again_after_the_load_rose_and_fell() -> None:
    selection, nodes = free_nodes(0, 0)
    for _ in range(6):
        selection.reserve_best(FRESH)
    assert loads(nodes) == [3, 3]
    for _ in range(3):
        selection.release(nodes[1])
    assert (best_id(selection), best_id(selection, 1)) == (1, 0)
    assert selection.reserve_best(FRESH) is nodes[1]


@pytest.mark.parametrize("tried", [frozenset(), frozenset({0})])
def test_a_slot_costs_the_same_among_many_nodes_as_among_few(tried: frozenset[int]) -> None:
    costs = []
    for count in (4, 1000):
        selection, _ = free_nodes(*([0] * count))

        def take_and_give_back(selection: LeastInFlight = selection) -> None:
            best = selection.best(tried)
            assert best is not None
            selection.reserve(best)
            selection.release(best)
            selection.release(selection.reserve_best(FRESH))

        take_and_give_back()
        costs.append(lines_run(take_and_give_back))
    assert costs[0] == costs[1]
    assert costs[0] > 0


def test_a_slot_costs_the_same_under_much_load_as_under_little() -> None:
    costs = []
    for load in (1, 3000):
        selection, nodes = free_nodes(0, 0, slots=4000)
        for _ in range(2 * load):
            best = selection.best(NO_NODES_TRIED)
            assert best is not None
            selection.reserve(best)

        def take_and_give_back(selection: LeastInFlight = selection, last: NodeState = nodes[1]) -> None:
            selection.release(last)
            best = selection.best(NO_NODES_TRIED)
            assert best is last
            selection.reserve(best)

        take_and_give_back()
        costs.append(lines_run(take_and_give_back))
    assert costs[0] == costs[1]


def test_a_slot_costs_the_same_however_far_apart_the_loads_are() -> None:
    """One node has thousands in flight; the other one has one slot, which fills and empties."""
    costs = []
    for load in (10, 5000):
        selection, (big, small) = free_nodes(load, 0, slots=9000)
        small.slots = 1
        selection.update(small)

        def fill_and_empty(selection: LeastInFlight = selection, small: NodeState = small) -> None:
            assert best_id(selection, 1) == 0
            assert selection.reserve_best(FRESH).node_id == 1
            assert best_id(selection) == 0
            taken = selection.reserve_best(FRESH)
            assert taken.node_id == 0
            selection.release(taken)
            selection.release(small)
            assert best_id(selection) == 1

        fill_and_empty()
        costs.append(lines_run(fill_and_empty))
        assert (big.in_flight, small.in_flight) == (load, 0)
    assert costs[0] == costs[1]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_node_out_of_sight_keeps_no_other_one_in_memory(is_full: bool) -> None:
    """It may be so for days, in which others come and go."""
    selection, nodes = free_nodes(0, 0, slots=1)
    other = nodes[1]
    in_sight = sys.getrefcount(other)
    if is_full:
        assert selection.reserve_best(FRESH) is nodes[0]
    else:
        set_usable(selection, nodes[0], False)
    set_usable(selection, other, False)
    assert sys.getrefcount(other) == in_sight - 3, "two neighbours in a ring, and the list of usable nodes"


def test_slots_cost_hardly_any_memory() -> None:
    """For each a ring begins somewhere, for a node of 10,000 as well, of which a change is one step."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = free_nodes(0, slots=10_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept[0].length == 1
    assert after - before < 1_500_000
