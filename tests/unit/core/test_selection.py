"""The order of preference among free nodes."""

from support.steps import lines_run
from support.tickets import node

from priolb.core.node import NodeState
from priolb.core.selection import LeastInFlight
from priolb.core.ticket import NO_NODES_TRIED


def free_nodes(*loads: int) -> tuple[LeastInFlight, list[NodeState]]:
    """Return free nodes with these numbers in flight; their ids are 0, 1, 2, ..."""
    selection = LeastInFlight()
    nodes = [node(node_id, slots=100) for node_id in range(len(loads))]
    for each, load in zip(nodes, loads, strict=True):
        each.in_flight = load
        selection.update(each, free=True)
    return selection, nodes


def best_id(selection: LeastInFlight, *tried: int) -> int | None:
    best = selection.best(frozenset(tried))
    return None if best is None else best.node_id


def use(selection: LeastInFlight, each: NodeState, by: int) -> None:
    each.in_flight += by
    selection.update(each, free=True)


def test_without_free_nodes_there_is_no_best() -> None:
    selection = LeastInFlight()
    assert selection.best(NO_NODES_TRIED) is None
    assert selection.length == 0


def test_the_node_with_the_fewest_in_flight_is_best() -> None:
    selection, _ = free_nodes(3, 1, 2)
    assert best_id(selection) == 1
    assert selection.length == 3


def test_among_equals_the_longest_untouched_is_best() -> None:
    """So that idle nodes take turns."""
    selection, nodes = free_nodes(0, 0, 0)
    turns = []
    for _ in range(5):
        best = selection.best(NO_NODES_TRIED)
        assert best is not None
        turns.append(best.node_id)
        use(selection, best, +1)
        use(selection, best, -1)
    assert turns == [0, 1, 2, 0, 1]
    assert nodes[0].bucket == 0


def test_tried_nodes_are_passed_over() -> None:
    selection, _ = free_nodes(0, 0, 1, 5)
    assert best_id(selection, 0) == 1
    assert best_id(selection, 0, 1) == 2
    assert best_id(selection, 0, 1, 2) == 3
    assert best_id(selection, 0, 1, 2, 3) is None
    assert best_id(selection, 99) == 0


def test_a_node_that_is_not_free_is_out_of_sight_until_it_is() -> None:
    selection, nodes = free_nodes(0, 4)
    selection.update(nodes[0], free=False)
    assert (best_id(selection), nodes[0].bucket, selection.length) == (1, -1, 1)
    selection.update(nodes[0], free=False)
    assert selection.length == 1
    selection.update(nodes[0], free=True)
    assert (best_id(selection), nodes[0].bucket, selection.length) == (0, 0, 2)


def test_the_best_is_found_again_after_the_load_rose_and_fell() -> None:
    selection, nodes = free_nodes(0, 0)
    found = []
    for step in (+1, +1, +3, -5):
        for each in nodes:
            use(selection, each, step)
        best = selection.best(NO_NODES_TRIED)
        assert best is not None
        found.append((best.node_id, best.in_flight))
    use(selection, nodes[1], +1)
    assert found == [(0, 1), (0, 2), (0, 5), (0, 0)]
    assert best_id(selection) == 0
    assert best_id(selection, 0) == 1


def test_taking_and_freeing_cost_the_same_among_many_nodes_as_among_few() -> None:
    costs = []
    for count in (4, 1000):
        selection, nodes = free_nodes(*([0] * count))
        selection.best(NO_NODES_TRIED)

        def take_and_free(selection: LeastInFlight = selection, middle: NodeState = nodes[count // 2]) -> None:
            use(selection, middle, +1)
            selection.best(NO_NODES_TRIED)
            use(selection, middle, -1)
            selection.best(NO_NODES_TRIED)

        take_and_free()
        costs.append(lines_run(take_and_free))
    assert costs[0] == costs[1]
    assert costs[0] > 0
