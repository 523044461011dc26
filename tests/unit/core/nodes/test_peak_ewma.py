"""Two nodes at random, and the one that will answer sooner."""

from math import exp

import pytest

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.ticket import NO_NODES_TRIED
from support.selections import best_id
from support.steps import lines_run


class Drawn:
    """Chance that gives these numbers in turn, over and over."""

    def __init__(self, *numbers: float) -> None:
        self._numbers = numbers
        self._count = 0

    def random(self) -> float:
        self._count += 1
        return self._numbers[(self._count - 1) % len(self._numbers)]


def free_nodes(
    *costs_s: float, draws: tuple[float, ...] = (0.0,), slots: int = 100
) -> tuple[PeakEwma, list[NodeState]]:
    """Return usable nodes that have answered once, in these times, at second 0; their ids are 0, 1, 2, ..."""
    selection = PeakEwma(Drawn(*draws))
    nodes = [NodeState(node_id, "", slots, True) for node_id in range(len(costs_s))]
    for each, cost_s in zip(nodes, costs_s, strict=True):
        each.usable = True
        selection.update(each)
        if cost_s:
            selection.observe(each, cost_s, 0.0)
    return selection, nodes


def test_without_nodes_there_is_no_best() -> None:
    selection = PeakEwma(Drawn(0.5))
    assert (selection.best(NO_NODES_TRIED), selection.length, selection.observes) == (None, 0, True)


def test_a_single_node_is_best() -> None:
    assert best_id(free_nodes(0.5)[0]) == 0


@pytest.mark.parametrize(
    ("draws", "best"), [((0.0, 0.3), 0), ((0.3, 0.0), 0), ((0.3, 0.6), 1), ((0.6, 0.9), 3), ((0.9, 0.9), 0)]
)
def test_of_the_two_that_are_drawn_the_faster_is_best(draws: tuple[float, ...], best: int) -> None:
    """Of four: 0.0 is the first, 0.9 the last; drawn twice, the one behind it counts."""
    selection, _ = free_nodes(0.1, 0.2, 0.4, 0.3, draws=draws)
    assert best_id(selection) == best


def test_the_load_is_the_cost_times_the_requests_for_its_weight() -> None:
    selection, nodes = free_nodes(0.1, 0.25)
    for in_flight, best in ((0, 0), (1, 0), (2, 1)):
        nodes[0].in_flight = in_flight
        assert best_id(selection) == best
    nodes[0].weight = 3
    assert best_id(selection) == 0


def test_a_peak_counts_at_once_and_fades_over_ten_seconds() -> None:
    selection, (only,) = free_nodes(0.1)
    selection.observe(only, 0.5, 1.0)
    assert (only.order, only.order_at) == (0.5, 1.0)
    selection.observe(only, 0.1, 6.0)
    weight = exp(-0.5)
    assert only.order == pytest.approx(weight * 0.5 + (1 - weight) * 0.1)


def test_a_node_that_was_slow_once_is_asked_again_when_others_have_answered_for_a_while() -> None:
    selection, nodes = free_nodes(0.4, 0.02)
    assert best_id(selection) == 1
    for second in range(1, 40):
        selection.observe(nodes[1], 0.02, float(second))
    assert best_id(selection) == 0


def test_a_node_without_history_is_asked_first_and_once() -> None:
    selection, nodes = free_nodes(0.1, 0.0)
    assert best_id(selection) == 1
    selection.reserve(nodes[1])
    assert best_id(selection) == 0
    selection.observe(nodes[1], 0.01, 1.0)
    assert best_id(selection) == 1


def test_a_node_that_is_renewed_has_no_history() -> None:
    selection, nodes = free_nodes(3.0, 0.02)
    assert best_id(selection) == 1
    selection.renew(nodes[0])
    assert best_id(selection) == 0


def test_tried_nodes_are_passed_over_wherever_the_draw_falls() -> None:
    for draw in (0.0, 0.3, 0.6, 0.9):
        selection, _ = free_nodes(0.1, 0.2, 0.3, 0.4, draws=(draw,))
        assert best_id(selection, 0, 1, 2) == 3
        assert best_id(selection, 1, 3) == 0
        assert best_id(selection, 0, 1, 2, 3) is None


def test_full_and_unusable_nodes_are_out_of_sight_until_they_are_not() -> None:
    selection, nodes = free_nodes(0.1, 0.2, 0.3, slots=1)
    selection.reserve(nodes[0])
    assert (nodes[0].is_free, selection.length, best_id(selection)) == (False, 2, 1)
    nodes[1].usable = False
    selection.update(nodes[1])
    assert (selection.length, best_id(selection)) == (1, 2)
    selection.release(nodes[0])
    assert (selection.length, best_id(selection)) == (2, 0)
    selection.reserve(nodes[2])
    selection.release(nodes[2])
    assert (nodes[2].in_flight, nodes[2].is_free, selection.length) == (0, True, 2)


def test_each_of_two_drawn_nodes_may_win_and_none_is_drawn_twice() -> None:
    selection, nodes = free_nodes(0.1, 0.1, draws=(0.0, 0.0, 0.9, 0.9))
    assert [best_id(selection), best_id(selection)] == [0, 1]
    nodes[0].order = 0.2
    assert [best_id(selection), best_id(selection)] == [1, 1]


@pytest.mark.parametrize("tried", [frozenset(), frozenset({0})])
def test_a_slot_costs_the_same_among_many_nodes_as_among_few(tried: frozenset[int]) -> None:
    costs = []
    for count in (4, 1000):
        selection, _ = free_nodes(*([0.1] * count), draws=(0.3, 0.7))

        def take_and_give_back(selection: PeakEwma = selection) -> None:
            best = selection.best(tried)
            assert best is not None
            selection.reserve(best)
            selection.release(best)

        take_and_give_back()
        costs.append(lines_run(take_and_give_back))
    assert costs[0] == costs[1]
