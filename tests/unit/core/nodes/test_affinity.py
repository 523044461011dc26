"""Affinity: one key, one node, as long as that is fair."""

import random
from collections import Counter
from math import ceil

import pytest

from priolb.core.nodes.affinity import PLACES_MAX, POINTS, Affinity
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import WeightedLeastInFlight
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.ticket import NO_NODES_TRIED, Ticket
from support.steps import lines_run


def keyed(key: bytes) -> Ticket:
    """Return a ticket with an affinity."""
    made = Ticket(0, 0.0, 5.0)
    made.affinity = key
    return made


def new_node(node_id: int, slots: int = 1000, weight: int = 1) -> NodeState:
    return NodeState(node_id, f"http://node-{node_id}", slots, healthy=True, weight=weight)


def ring(*nodes: NodeState, factor: float = 1.25) -> Affinity:
    made = Affinity(WeightedLeastInFlight(), factor)
    for each in nodes:
        each.usable = True
        made.update(each)
    return made


def owner(selection: Affinity, key: bytes, *tried: int) -> int:
    node = selection.best(frozenset(tried), keyed(key))
    assert node is not None
    return node.node_id


KEYS = [b"key %d" % number for number in range(1000)]


def owners(selection: Affinity) -> list[int]:
    return [owner(selection, key) for key in KEYS]


def test_a_key_always_goes_to_the_same_node() -> None:
    one, other = ring(*map(new_node, (1, 2, 3))), ring(*map(new_node, (3, 1, 2)))
    assert owners(one) == owners(one) == owners(other)


def test_keys_are_spread_over_all_nodes() -> None:
    counts = Counter(owners(ring(*map(new_node, range(1, 6)))))
    assert sorted(counts) == [1, 2, 3, 4, 5]
    assert min(counts.values()) > 100


def test_a_heavy_node_has_more_keys() -> None:
    counts = Counter(owners(ring(new_node(1, weight=3), new_node(2))))
    assert 600 < counts[1] < 900


def test_when_a_node_goes_only_its_own_keys_move() -> None:
    nodes = [new_node(node_id) for node_id in range(1, 6)]
    selection = ring(*nodes)
    before = owners(selection)
    nodes[0].usable = False
    selection.forget(nodes[0])
    after = owners(selection)
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {1}
    assert 1 not in after


@pytest.mark.parametrize("weight", [1, 4, 10])
def test_a_node_that_comes_takes_keys_and_moves_no_other_whatever_its_weight(weight: int) -> None:
    nodes = [new_node(node_id, weight=each) for node_id, each in enumerate((1, 1, 3, 10), 1)]
    selection = ring(*nodes)
    before = owners(selection)
    newcomer = new_node(5, weight=weight)
    newcomer.usable = True
    selection.update(newcomer)
    after = owners(selection)
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {5}
    newcomer.weight = 2 * weight
    selection.update(newcomer)
    heavier = owners(selection)
    assert {new for old, new in zip(after, heavier, strict=True) if old != new} == {5}
    newcomer.usable = False
    selection.update(newcomer)
    selection.forget(newcomer)
    assert owners(selection) == before


def settled(selection: Affinity) -> list[int]:
    """Return the places when all that is to be done in portions has been done, one for each request."""
    while selection._unsettled:
        assert owner(selection, b"x")
    return selection._ring


def test_a_node_of_a_high_weight_comes_and_goes_in_portions() -> None:
    selection = ring(new_node(1), new_node(2))
    before = list(settled(selection))
    heavy = new_node(3, weight=100)
    heavy.usable = True
    selection.update(heavy)
    assert len(selection._ring) == 2 * POINTS + 10 * POINTS
    assert len(settled(selection)) == 102 * POINTS
    assert owners(selection).count(3) > 900
    heavy.usable = False
    selection.update(heavy)
    selection.forget(heavy)
    assert len(selection._ring) == 92 * POINTS
    assert 3 not in owners(selection)
    assert settled(selection) == before
    assert heavy not in selection._weights and 3 not in selection._nodes


def test_the_ring_has_a_bound_and_is_the_same_however_it_has_come_about() -> None:
    nodes = [new_node(node_id, weight=100) for node_id in range(1, 31)]
    selection = ring(*nodes)
    assert len(settled(selection)) == 30 * 100 * POINTS // 2 <= PLACES_MAX
    for each in nodes[10:]:
        each.usable = False
        selection.update(each)
        selection.forget(each)
    assert len(settled(selection)) == 10 * 100 * POINTS
    assert selection._ring == settled(ring(*[new_node(node_id, weight=100) for node_id in range(1, 11)]))


def test_where_there_is_little_room_a_light_node_still_has_a_place() -> None:
    light = new_node(1)
    selection = ring(light, *[new_node(node_id, weight=10_000) for node_id in range(2, 10)])
    settled(selection)
    assert selection._placed[light] == 1


@pytest.mark.parametrize("fate", ["not usable", "tried", "full"])
def test_a_key_whose_node_cannot_serve_it_goes_to_the_next_on_the_ring(fate: str) -> None:
    nodes = [new_node(node_id, slots=1) for node_id in range(1, 6)]
    selection = ring(*nodes, factor=100.0)
    first = owner(selection, b"x")
    gone = nodes[first - 1]
    if fate == "tried":
        second = owner(selection, b"x", first)
    elif fate == "full":
        selection.reserve(gone)
        second = owner(selection, b"x")
        selection.release(gone)
    else:
        gone.usable = False
        selection.update(gone)
        second = owner(selection, b"x")
        gone.usable = True
        selection.update(gone)
    others = ring(*[each for each in map(new_node, range(1, 6)) if each.node_id != first])
    assert second == owner(others, b"x")
    assert owner(selection, b"x") == first


def test_no_node_gets_more_than_its_bound_however_popular_a_key() -> None:
    nodes = [new_node(node_id) for node_id in range(1, 11)]
    selection = ring(*nodes)
    for total in range(1, 501):
        taken = selection.reserve_best(keyed(b"the one that everybody wants"))
        assert taken.in_flight <= ceil(1.25 * total / 10)
    assert sum(each.in_flight for each in nodes) == 500
    favourite = owner(ring(*map(new_node, range(1, 11))), b"the one that everybody wants")
    assert nodes[favourite - 1].in_flight == 63
    for each in nodes:
        while each.in_flight:
            selection.release(each)
    assert owner(selection, b"the one that everybody wants") == favourite


@pytest.mark.parametrize("fate", ["not usable", "forgotten"])
def test_the_bound_is_a_share_among_those_who_can_serve(fate: str) -> None:
    """With half of the nodes away, or in a later tier, the others have twice the work and keep their keys."""
    nodes = [new_node(node_id) for node_id in range(1, 5)]
    selection = ring(*nodes)
    for gone in nodes[2:]:
        gone.usable = False
        selection.update(gone)
        if fate == "forgotten":
            selection.forget(gone)
    before = owners(selection)
    assert set(before) == {1, 2}
    for each in nodes[:2] * 10:
        selection.reserve(each)
    assert owners(selection) == before
    nodes[2].usable = True
    selection.update(nodes[2])
    assert set(owners(selection)) == {3}, "ten are more than a quarter above a third of twenty"


@pytest.mark.parametrize("fate", ["not usable", "forgotten"])
def test_what_is_in_flight_at_the_others_makes_no_room(fate: str) -> None:
    nodes = [new_node(node_id) for node_id in range(1, 4)]
    selection = ring(*nodes)
    for _ in range(100):
        selection.reserve(nodes[2])
    nodes[2].usable = False
    if fate == "not usable":
        selection.update(nodes[2])
    else:
        selection.forget(nodes[2])
    for _ in range(40):
        assert selection.reserve_best(keyed(b"x")) in nodes[:2]
    assert sorted(each.in_flight for each in nodes[:2]) == [15, 25]
    for _ in range(40):
        selection.release(nodes[2])
    assert sorted(each.in_flight for each in nodes) == [15, 25, 60]
    if fate == "not usable":
        nodes[2].usable = True
        selection.update(nodes[2])
        assert selection._in_flight == 100
        for each in nodes:
            while each.in_flight:
                selection.release(each)
    else:
        for each in nodes[:2]:
            while each.in_flight:
                selection.release(each)
    assert selection._in_flight == 0


def test_places_of_nodes_that_cannot_serve_are_passed_over() -> None:
    """Among them a backup of a hundred times the weight."""
    nodes = [new_node(1), new_node(2), new_node(3, weight=100)]
    selection = ring(*nodes[:2])
    expected = owners(selection)
    selection.update(nodes[2])
    assert owners(selection) == expected


def test_tickets_without_a_key_go_by_the_other_order() -> None:
    nodes = [new_node(node_id) for node_id in (1, 2, 3)]
    selection = ring(*nodes)
    assert [selection.reserve_best(keyed(b"")).node_id for _ in range(6)] == [1, 2, 3, 1, 2, 3]
    assert selection.best(NO_NODES_TRIED) is nodes[0]


def test_what_the_other_order_has_to_know_it_is_told() -> None:
    one, two = new_node(1), new_node(2)
    selection = Affinity(PeakEwma(random.Random(1)))
    for each in (one, two):
        each.usable = True
        selection.update(each)
    assert selection.observes is True
    selection.observe(one, 0.5, 1.0)
    selection.observe(two, 0.1, 1.0)
    assert selection.best(NO_NODES_TRIED) is two
    selection.renew(one)
    assert selection.best(NO_NODES_TRIED) is one


def test_a_key_that_finds_no_room_on_its_way_goes_anywhere() -> None:
    """A walk past too many places is given up, not the request."""
    nodes = [new_node(node_id, slots=1) for node_id in range(1, 101)]
    selection = ring(*nodes)
    for _ in range(100):
        selection.reserve_best(keyed(b"x"))
    assert [each.in_flight for each in nodes] == [1] * 100
    assert (selection.length, selection.best(NO_NODES_TRIED, keyed(b"x"))) == (0, None)


def test_a_choice_costs_the_same_among_many_nodes_as_among_few() -> None:
    costs = []
    for count in (10, 1000):
        selection = ring(*map(new_node, range(1, count + 1)))
        owner(selection, b"x")
        costs.append(lines_run(lambda selection=selection: owner(selection, b"x")))  # type: ignore[misc]
    assert costs[1] <= costs[0] + 5


def test_a_node_comes_changes_and_goes_at_the_same_cost_among_many_as_among_few() -> None:
    costs = []
    for count in (10, 1000):
        selection = ring(*map(new_node, range(1, count + 1)))
        owner(selection, b"x")
        newcomer = new_node(count + 1)
        newcomer.usable = True

        def come_and_go(selection: Affinity = selection, newcomer: NodeState = newcomer) -> None:
            selection.update(newcomer)
            owner(selection, b"x")
            newcomer.weight = 2
            selection.update(newcomer)
            owner(selection, b"x")
            newcomer.usable = False
            selection.forget(newcomer)
            owner(selection, b"x")

        costs.append(lines_run(come_and_go))
    assert costs[1] <= costs[0] + 20
