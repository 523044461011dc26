"""Orders by a number: least in flight for its weight, and round robin."""

import pytest

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import Ordered, RoundRobin, WeightedLeastInFlight
from priolb.core.ticket import NO_NODES_TRIED
from support.selections import FRESH
from support.steps import lines_run


def nodes_in(selection: Ordered, *weights: int, slots: int = 100) -> list[NodeState]:
    """Return usable nodes with these weights; their ids are 1, 2, 3, ..."""
    made = [NodeState(number, "", slots, True, weight) for number, weight in enumerate(weights, 1)]
    for each in made:
        each.usable = True
        selection.update(each)
    return made


def taken(selection: Ordered, count: int) -> list[int]:
    return [selection.reserve_best(FRESH).node_id for _ in range(count)]


@pytest.mark.parametrize("selection", [WeightedLeastInFlight(), RoundRobin()])
def test_without_nodes_there_is_no_best(selection: Ordered) -> None:
    assert (selection.best(NO_NODES_TRIED), selection.length, selection.observes) == (None, 0, False)


def test_a_node_with_three_times_the_weight_has_three_times_as_many_in_flight() -> None:
    selection = WeightedLeastInFlight()
    nodes = nodes_in(selection, 1, 3)
    assert taken(selection, 8) == [2, 2, 1, 2, 2, 2, 1, 2]
    assert [each.in_flight for each in nodes] == [2, 6]
    selection.release(nodes[0])
    selection.release(nodes[0])
    assert taken(selection, 1) == [1]


def test_with_equal_weights_the_longest_untouched_of_the_least_loaded_is_first() -> None:
    selection = WeightedLeastInFlight()
    nodes = nodes_in(selection, 2, 2, 2)
    assert taken(selection, 4) == [1, 2, 3, 1]
    selection.release(nodes[1])
    assert taken(selection, 2) == [2, 3]


def test_round_robin_takes_turns_whatever_is_in_flight() -> None:
    selection = RoundRobin()
    nodes = nodes_in(selection, 1, 1, 1)
    assert taken(selection, 4) == [1, 2, 3, 1]
    selection.release(nodes[0])
    selection.release(nodes[0])
    assert taken(selection, 4) == [2, 3, 1, 2]


def test_round_robin_gives_turns_by_weight() -> None:
    selection = RoundRobin()
    nodes_in(selection, 1, 3)
    order = taken(selection, 80)
    assert (order.count(1), order.count(2)) == (20, 60)
    assert max(len(run) for run in "".join(map(str, order)).split("1")) <= 4


def test_round_robin_does_not_make_up_for_time_away() -> None:
    selection = RoundRobin()
    nodes = nodes_in(selection, 1, 1)
    nodes[0].usable = False
    selection.update(nodes[0])
    assert taken(selection, 10) == [2] * 10
    nodes[0].usable = True
    selection.update(nodes[0])
    order = taken(selection, 6)
    assert order.count(1) in (3, 4)


@pytest.mark.parametrize("kind", [WeightedLeastInFlight, RoundRobin])
def test_tried_full_and_unusable_nodes_are_passed_over_and_come_back(kind: type[Ordered]) -> None:
    selection = kind()
    nodes = nodes_in(selection, 1, 1, 1, slots=2)
    assert selection.best(frozenset({1, 2})) is nodes[2]
    assert selection.best(frozenset({1, 2, 3})) is None
    assert selection.best(NO_NODES_TRIED) is nodes[0], "looking changes nothing"
    assert sorted(taken(selection, 6)) == [1, 1, 2, 2, 3, 3]
    assert (selection.length, selection.best(NO_NODES_TRIED)) == (0, None)
    nodes[2].usable = False
    selection.update(nodes[2])
    selection.release(nodes[2])
    selection.release(nodes[1])
    assert (selection.length, selection.best(NO_NODES_TRIED)) == (1, nodes[1])
    nodes[2].usable = True
    selection.update(nodes[2])
    assert (selection.length, selection.best(frozenset({2}))) == (2, nodes[2])


@pytest.mark.parametrize("kind", [WeightedLeastInFlight, RoundRobin])
def test_old_entries_do_not_pile_up(kind: type[Ordered]) -> None:
    selection = kind()
    nodes = nodes_in(selection, *[1] * 10)
    for number in range(5000):
        each = nodes[number % 10]
        selection.reserve(each)
        selection.release(each)
    assert len(selection._heap) <= 2 * 10 + 16


@pytest.mark.parametrize("kind", [WeightedLeastInFlight, RoundRobin])
def test_a_slot_costs_hardly_more_among_many_nodes_than_among_few(kind: type[Ordered]) -> None:
    """Counted in lines over many slots, as old entries are thrown out now and then."""
    costs = []
    for count in (10, 1000):
        selection = kind()
        nodes_in(selection, *[1] * count)

        def take_and_give_back(selection: Ordered = selection) -> None:
            for _ in range(3000):
                selection.release(selection.reserve_best(FRESH))

        costs.append(lines_run(take_and_give_back))
    assert costs[1] < 1.5 * costs[0]
