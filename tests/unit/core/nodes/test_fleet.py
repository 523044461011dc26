"""The fleet: what follows from the facts about nodes, and what is told of it."""

from math import inf

import pytest

from priolb.core.nodes.adaptive import AdaptiveSlots
from priolb.core.nodes.affinity import Affinity
from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import WeightedLeastInFlight
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight, Selection
from priolb.core.nodes.status import NodeStatus
from priolb.core.ticket import NO_NODES_TRIED
from support.fleets import NOW, fleet_of, nodes, take, told, usable
from support.steps import lines_run


def kind_of(fleet: Fleet) -> type[Selection]:
    return type(fleet.free)


# Facts


def test_a_node_is_usable_when_nothing_speaks_against_it() -> None:
    one, two = nodes(2)
    two.healthy = False
    fleet = fleet_of(one, two)
    assert usable(fleet) == [1]
    assert (one.status, two.status) == (NodeStatus.UP, NodeStatus.UNCHECKED)
    assert (one.since, one.reason, fleet.joins) == (NOW, "added", 2)
    assert told(fleet) == [], "how a node comes is no change"


def test_each_fact_takes_a_node_out_and_only_all_together_bring_it_back() -> None:
    (only,) = nodes(1)
    fleet = fleet_of(only)
    fleet.cordon(only, NOW)
    fleet.set_healthy(only, False, "no answer", NOW)
    fleet.set_attested(only, False, "expired", NOW)
    assert usable(fleet) == []
    fleet.uncordon(only, NOW)
    assert usable(fleet) == []
    fleet.set_attested(only, True, "proven", NOW)
    assert usable(fleet) == []
    fleet.set_healthy(only, True, "passed", NOW)
    assert usable(fleet) == [1]
    assert told(fleet) == [
        "1: up -> cordoned, the operator wants it",
        "1: cordoned -> unattested, the operator wants it",
        "1: unattested -> down, proven",
        "1: down -> up, passed",
    ]


def test_a_change_is_told_once_with_its_time_and_reason() -> None:
    (only,) = nodes(1)
    fleet = fleet_of(only)
    fleet.take_changes()
    assert fleet.has_news is False
    fleet.set_healthy(only, False, "refused", NOW + 5)
    fleet.set_healthy(only, False, "refused again", NOW + 6)
    assert (fleet.has_news, only.since, only.reason) == (True, NOW + 5, "refused")
    assert told(fleet) == ["1: up -> down, refused"]
    assert (fleet.has_news, told(fleet)) == (False, [])


def test_why_a_node_is_unattested_is_the_last_reason_that_was_given() -> None:
    (only,) = nodes(1)
    fleet = fleet_of(only)
    fleet.set_attested(only, False, "expired", NOW + 5)
    fleet.set_attested(only, False, "another enclave", NOW + 6)
    assert (only.status, only.reason, only.since) == (NodeStatus.UNATTESTED, "another enclave", NOW + 5)
    fleet.cordon(only, NOW + 7)
    fleet.set_attested(only, False, "debug", NOW + 8)
    assert (only.status, only.reason) == (NodeStatus.CORDONED, "the operator wants it")
    assert told(fleet) == ["1: up -> unattested, expired", "1: unattested -> cordoned, the operator wants it"]


def test_a_node_that_takes_no_part_yet_may_be_unattested_already() -> None:
    (only,) = nodes(1)
    fleet = Fleet()
    fleet.set_attested(only, False, "new", NOW)
    assert (fleet.nodes, only.attested, told(fleet)) == ({}, False, [])
    fleet.add(only, NOW, passed=True)
    assert (usable(fleet), only.status) == ([], NodeStatus.UNATTESTED)
    fleet.set_attested(only, True, "proven", NOW)
    assert usable(fleet) == [1]
    fleet.remove(only, NOW)
    fleet.set_attested(only, False, "late", NOW)
    assert (usable(fleet), only.attested) == ([], False)


@pytest.mark.parametrize("late", [False, True])
def test_a_verdict_on_a_node_that_was_removed_does_not_bring_it_back_into_sight(late: bool) -> None:
    (only,) = nodes(1)
    affinity = Affinity(LeastInFlight())
    fleet = Fleet(affinity)
    fleet.add(only, NOW)
    fleet.remove(only, NOW)
    fleet.set_attested(only, late, "late", NOW)
    assert (affinity._weights, affinity.length, only.attested) == ({}, 0, late)


@pytest.mark.parametrize("when", ["before it is added", "after it is removed"])
def test_a_node_that_takes_no_part_changes_no_order(when: str) -> None:
    """One that could not be added is never removed either: it would stand in the order for ever."""
    members, stranger = nodes(4), NodeState(9, "http://node-9", 8, True)
    order = Affinity(LeastInFlight())
    fleet = Fleet(order)
    for node in members:
        fleet.add(node, NOW)
    if when == "after it is removed":
        fleet.add(stranger, NOW)
        fleet.remove(stranger, NOW)
    before = dict(order._weights)
    fleet.set_workers(stranger, 4, AdaptiveSlots(4, 64, NOW), NOW)
    fleet.set_weight(stranger, 1, NOW)
    fleet.resize(stranger, NOW)
    assert order._weights == before == dict.fromkeys(members, 1)


def test_a_node_that_proves_itself_again_has_what_it_had() -> None:
    """Its health is another fact: there is no slow start, and no clean slate."""
    one, two = nodes(2)
    fleet = fleet_of(one, two, policy=HealthPolicy(slow_start_s=10.0))
    fleet.set_attested(one, False, "expired", NOW)
    assert (usable(fleet), one.healthy) == ([2], True)
    fleet.set_attested(one, True, "proven", NOW)
    assert (usable(fleet), one.slots, one.status) == ([1, 2], 8, NodeStatus.UP)


def test_even_in_a_panic_no_unattested_node_is_used() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two, policy=HealthPolicy(panics=True))
    fleet.set_attested(one, False, "expired", NOW)
    fleet.set_healthy(two, False, "refused", NOW)
    assert fleet.is_panicking
    assert (usable(fleet), one.status, two.status) == ([2], NodeStatus.UNATTESTED, NodeStatus.LAST_RESORT)


def test_a_removed_node_is_forgotten_and_ends_what_it_has_in_flight() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    assert take(fleet, 3) == [1, 2, 1]
    fleet.remove(one, NOW)
    fleet.remove(one, NOW)
    assert (usable(fleet), one.in_flight, told(fleet)) == ([2], 2, [])
    assert take(fleet, 1) == [2]
    fleet.free.release(one)
    fleet.free.release(one)
    assert (one.in_flight, two.in_flight, fleet.free.length) == (0, 2, 1)
    fleet.remove(two, NOW)
    assert (fleet.candidates, fleet.free.length, two.in_flight) == ({}, 0, 2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_nobody_looks_at_a_removed_node_again(when: str) -> None:
    """Whatever it has in flight: a rest, a slow start and a drain may be over hours later."""
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    take(fleet, 2)
    if when == "before":
        fleet.eject(one, "bad", NOW)
        fleet.drain(one, 3600.0, NOW)
        fleet.drain(two, 7200.0, NOW)
        assert fleet.next_due() < inf
    fleet.remove(one, NOW)
    if when == "after":
        one.breaker.open(NOW, 2.0, 60.0)
        fleet.rest(one, "bad", NOW)
    assert fleet.next_due() == (NOW + 7200 if when == "before" else inf)
    fleet.add(one, NOW)
    assert fleet.next_due() == NOW + 2, "its rest is not over"


# The operator


def test_a_drained_node_gets_nothing_and_is_cut_off_after_its_time() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    take(fleet, 2)
    fleet.drain(one, 30.0, NOW)
    assert (one.status, usable(fleet), fleet.next_due()) == (NodeStatus.DRAINING, [2], NOW + 30)
    fleet.advance(NOW + 29.9)
    assert fleet.take_overdue() == []
    fleet.advance(NOW + 30)
    assert (fleet.take_overdue(), fleet.take_overdue(), fleet.next_due()) == ([one], [], inf)


def test_a_node_that_is_drained_in_time_is_not_cut_off() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    take(fleet, 1)
    fleet.drain(one, 30.0, NOW)
    fleet.free.release(one)
    fleet.resize(one, NOW + 1)
    assert told(fleet) == [
        "1: up -> draining, the operator wants it",
        "1: draining -> drained, has nothing in flight any more",
    ]
    fleet.advance(NOW + 31)
    assert fleet.take_overdue() == []


def test_an_idle_node_is_drained_at_once_and_works_again_when_it_is_told_to() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    fleet.drain(one, 30.0, NOW)
    assert (one.status, usable(fleet)) == (NodeStatus.DRAINED, [2])
    fleet.uncordon(one, NOW + 1)
    assert (one.status, usable(fleet)) == (NodeStatus.UP, [1, 2])
    take(fleet, 2)
    fleet.advance(NOW + 40)
    assert fleet.take_overdue() == [], "the old drain is over"


def test_a_cordon_after_a_drain_lets_what_is_in_flight_go_on() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    take(fleet, 1)
    fleet.drain(one, 30.0, NOW)
    fleet.cordon(one, NOW + 1)
    fleet.advance(NOW + 40)
    assert (one.status, fleet.take_overdue(), usable(fleet)) == (NodeStatus.CORDONED, [], [2])


def test_a_node_that_may_work_again_and_cannot_says_why() -> None:
    sick, new = nodes(2)
    new.healthy = False
    fleet = fleet_of(sick, new)
    for each in (sick, new):
        fleet.cordon(each, NOW)
    sick.record.note("it was answered with status 503", NOW + 1.0)
    fleet.set_healthy(sick, False, "it was answered with status 503", NOW + 1.0)
    fleet.take_changes()
    for each in (sick, new):
        fleet.uncordon(each, NOW + 2.0)
    assert told(fleet) == [
        "1: cordoned -> down, it was answered with status 503",
        "2: cordoned -> unchecked, the operator wants it",
    ]


def test_workers_change_at_once_and_what_is_above_them_ends_in_its_own_time() -> None:
    (only,) = nodes(1, slots=4)
    fleet = fleet_of(only)
    take(fleet, 4)
    fleet.set_workers(only, 2, None, NOW)
    assert (only.slots, fleet.free.length) == (2, 0)
    fleet.free.release(only)
    fleet.free.release(only)
    assert fleet.free.length == 0
    fleet.free.release(only)
    assert (only.in_flight, fleet.free.length) == (1, 1)
    fleet.set_workers(only, 20, None, NOW)
    assert take(fleet, 19) == [1] * 19
    assert fleet.free.length == 0


def test_slots_that_a_node_finds_by_itself_are_its_slots() -> None:
    (only,) = nodes(1)
    fleet = fleet_of(only)
    fleet.set_workers(only, 64, AdaptiveSlots(4, 64, NOW), NOW)
    assert (only.slots, only.workers, only.watched) == (4, 64, True)
    fleet.set_workers(only, 8, None, NOW)
    assert (only.slots, only.adaptive) == (8, None)


def test_weights_change_the_order_as_soon_as_one_is_not_one() -> None:
    one, two = nodes(2, slots=100)
    fleet = fleet_of(one, two)
    assert type(fleet.free) is LeastInFlight
    take(fleet, 2)
    fleet.set_weight(two, 3, NOW)
    assert kind_of(fleet) is WeightedLeastInFlight
    assert fleet.free.length == 2
    take(fleet, 98)
    assert (one.in_flight, two.in_flight) == (25, 75)
    heavy = NodeState(3, "", 100, True, weight=2)
    fleet = fleet_of(*nodes(1, slots=100), heavy)
    take(fleet, 30)
    assert heavy.in_flight == 20


# Tiers


def test_a_backup_tier_works_only_while_no_node_of_the_tier_before_can() -> None:
    first, second = nodes(2)
    backup = NodeState(3, "", 8, True, tier=1)
    last = NodeState(4, "", 8, True, tier=7)
    fleet = fleet_of(last, backup, first, second)
    assert usable(fleet) == [1, 2]
    fleet.set_healthy(first, False, "x", NOW)
    assert usable(fleet) == [2]
    fleet.cordon(second, NOW)
    assert usable(fleet) == [3]
    fleet.remove(backup, NOW)
    assert usable(fleet) == [4]
    fleet.set_healthy(first, True, "x", NOW)
    assert usable(fleet) == [1]
    assert fleet.free.best(NO_NODES_TRIED) is first
    assert last.status is NodeStatus.UP, "it is well, and waits"


def test_backups_are_the_able_nodes_of_later_tiers_in_their_order() -> None:
    first = NodeState(1, "", 8, True)
    second, third, ill = (NodeState(number, "", 1, number < 4, tier=number - 1) for number in (2, 3, 4))
    fleet = fleet_of(first, third, second, ill)

    def backup(*tried: int, is_free: bool = True) -> int | None:
        node = fleet.tiers.backup_for(frozenset(tried), is_free)
        return None if node is None else node.node_id

    assert [backup(1), backup(1, 2), backup(1, 2, 3)] == [2, 3, None]
    fleet.free.reserve(second)
    assert [backup(1), backup(1, is_free=False)] == [3, 2]
    fleet.remove(third, NOW)
    assert backup(1) is None
    assert (second.is_free, fleet.free.length) == (False, 1)


def test_a_node_on_probation_takes_no_work_from_the_backups() -> None:
    """Its tier came back into use with one slot, and everybody waited for the request that decided."""
    first, backup = NodeState(1, "", 8, True), NodeState(2, "", 8, True, tier=1)
    fleet = Fleet(policy=HealthPolicy(eject_after=5, rest_s=2.0, ejected_max_percent=100))
    for each in (first, backup):
        fleet.add(each, NOW)
    assert fleet.eject(first, "failed", NOW)
    assert usable(fleet) == [2]
    fleet.advance(NOW + 2.0)
    assert (first.breaker.state, usable(fleet), first.slots) == (HALF_OPEN, [1, 2], 1)
    assert not fleet.is_every_one_in(frozenset([2]))
    fleet.free.reserve(first)
    assert fleet.is_every_one_in(frozenset([2])), (
        "who has failed on the other need not wait for what it decides"
    )
    fleet.free.release(first)
    fleet.restore(first, "answered", NOW + 3.0)
    assert usable(fleet) == [1]
    fleet.set_healthy(backup, False, "gone", NOW + 4.0)
    assert fleet.eject(first, "failed", NOW + 5.0)
    fleet.advance(NOW + 9.0)
    assert (first.breaker.state, usable(fleet)) == (HALF_OPEN, [1])


def test_a_backup_on_probation_that_nobody_asks_keeps_no_other_node_in() -> None:
    first, second, backup = *nodes(2), NodeState(3, "", 8, True, tier=1)
    policy = HealthPolicy(eject_after=5, rest_s=2.0, ejected_max_percent=50)
    fleet = fleet_of(first, second, backup, policy=policy)
    assert fleet.eject(backup, "failed", NOW)
    assert not fleet.eject(first, "failed", NOW), "two of three would be more than half"
    fleet.advance(NOW + 2.0)
    assert backup.breaker.state == HALF_OPEN
    assert fleet.eject(first, "failed", NOW + 2.0)
    assert usable(fleet) == [2]
    fleet.set_healthy(second, False, "gone", NOW + 3.0)
    # Now it is asked, and two of the two that are fit are too many again: who was to be back first, is.
    assert (usable(fleet), backup.breaker.state, first.breaker.state) == ([3], CLOSED, OPEN)


def test_backups_of_a_tier_share_the_work_by_their_weights() -> None:
    """The first one got all of it before."""
    first = NodeState(1, "", 8, True)
    backups = [
        NodeState(number, "", 8, True, weight=weight, tier=1) for number, weight in ((2, 1), (3, 2), (4, 1))
    ]
    fleet = fleet_of(first, *backups)
    for _ in range(8):
        node = fleet.tiers.backup_for(frozenset([1]), is_free=True)
        assert node is not None
        fleet.free.reserve(node)
    assert [node.in_flight for node in backups] == [2, 4, 2]


# Panic


def test_when_no_node_is_fit_all_are_used_if_the_policy_panics() -> None:
    one, two, cordoned, unattested = nodes(4)
    fleet = fleet_of(one, two, cordoned, unattested, policy=HealthPolicy(panics=True))
    fleet.cordon(cordoned, NOW)
    fleet.set_attested(unattested, False, "x", NOW)
    fleet.set_healthy(one, False, "refused", NOW)
    assert (usable(fleet), fleet.is_panicking) == ([2], False)
    fleet.take_changes()
    fleet.set_healthy(two, False, "refused", NOW)
    assert (usable(fleet), fleet.is_panicking) == ([1, 2], True)
    assert told(fleet) == ["2: up -> last-resort, refused", "1: down -> last-resort, no node is fit"]
    fleet.set_healthy(two, True, "passed", NOW)
    assert (usable(fleet), fleet.is_panicking) == ([2], False)
    assert told(fleet) == [
        "2: last-resort -> up, passed",
        "1: last-resort -> down, another node is fit again",
    ]


def test_when_no_node_is_fit_none_is_used_otherwise() -> None:
    (only,) = nodes(1)
    fleet = fleet_of(only)
    fleet.set_healthy(only, False, "refused", NOW)
    assert (usable(fleet), fleet.free.length) == ([], 0)


# Cost


def test_a_change_of_one_node_costs_the_same_among_many_as_among_few() -> None:
    costs = []
    for count in (10, 1000):
        members = nodes(count)
        fleet = fleet_of(*members, policy=HealthPolicy(slow_start_s=1.0))

        def change(fleet: Fleet = fleet, node: NodeState = members[3]) -> None:
            fleet.set_healthy(node, False, "x", NOW)
            fleet.set_healthy(node, True, "x", NOW)
            fleet.eject(node, "x", NOW)
            fleet.cordon(node, NOW)
            fleet.uncordon(node, NOW)
            fleet.restore(node, "x", NOW)

        change()
        costs.append(lines_run(change))
    assert costs[0] == costs[1]
