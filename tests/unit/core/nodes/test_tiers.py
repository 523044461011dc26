"""Which tier is in use, and which nodes are backups."""

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.tiers import PANIC, Tiers

NOW = 100.0


def in_tier(node_id: int, tier: int) -> NodeState:
    return NodeState(node_id, "", 1, healthy=True, tier=tier)


def test_the_lowest_tier_with_an_able_node_is_in_use_and_a_change_is_told() -> None:
    tiers, low, high = Tiers(panics=False), in_tier(1, 2), in_tier(2, 5)
    seen = []
    for change in (tiers.add, tiers.remove):
        for node in (high, low):
            change(node)
            seen.append((tiers.choose(), tiers.in_use, tiers.has_backups))
    assert seen == [(True, 5, False), (True, 2, True), (False, 2, False), (True, -1, False)]
    assert not tiers.choose()


def test_with_no_able_node_others_are_used_where_that_is_wanted() -> None:
    tiers, node = Tiers(panics=True), in_tier(1, 0)
    assert (tiers.choose(), tiers.in_use) == (True, PANIC)
    assert tiers.add(node)
    assert (tiers.choose(), tiers.in_use) == (True, 0)


def test_that_a_node_is_able_is_new_once() -> None:
    tiers, node = Tiers(panics=False), in_tier(1, 0)
    assert [tiers.add(node), tiers.add(node)] == [True, False]
    tiers.remove(node)
    tiers.remove(node)
    assert tiers.add(node)


def test_a_tier_that_is_all_on_probation_serves_when_no_other_can() -> None:
    tiers, probing, well = Tiers(panics=False), in_tier(1, 0), in_tier(2, 1)
    probing.breaker.half_open(NOW, 0)
    for node in (probing, well):
        tiers.add(node)
    assert (tiers.choose(), tiers.in_use) == (True, 1)
    assert (tiers.has_in_use(probing), tiers.has_in_use(well)) == (True, True), "one request decides about it"
    tiers.remove(well)
    assert (tiers.choose(), tiers.in_use, tiers.has_in_use(probing)) == (True, 0, True)


def test_a_node_is_used_when_it_is_able_and_of_that_tier() -> None:
    tiers, first, other, backup = Tiers(panics=False), in_tier(1, 0), in_tier(2, 0), in_tier(3, 1)
    for node in (first, backup):
        tiers.add(node)
    tiers.choose()
    assert [tiers.has_in_use(node) for node in (first, other, backup)] == [True, False, False]


def test_there_is_no_backup_in_a_single_tier() -> None:
    tiers = Tiers(panics=False)
    tiers.add(in_tier(1, 0))
    tiers.choose()
    assert tiers.backup_for(frozenset(), is_free=False) is None
