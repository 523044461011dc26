"""Nodes of a fleet that are ejected, rest, and start slowly when they are back."""

import random
from math import inf

import pytest

from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.status import NodeStatus
from priolb.core.ticket import NO_NODES_TRIED
from support.fleets import NOW, fleet_of, nodes, take, told, usable

# Ejection


@pytest.mark.parametrize(
    ("count", "percent", "ejected"), [(1, 50, 0), (2, 50, 1), (3, 50, 1), (4, 50, 2), (4, 0, 0), (4, 100, 4)]
)
def test_no_more_than_a_share_of_the_nodes_is_ejected(count: int, percent: int, ejected: int) -> None:
    members = nodes(count)
    fleet = fleet_of(*members, policy=HealthPolicy(ejected_max_percent=percent))
    assert [fleet.eject(node, "x", NOW) for node in members] == [number < ejected for number in range(count)]
    assert usable(fleet) == list(range(ejected + 1, count + 1))


def test_nodes_that_are_out_for_other_reasons_do_not_count() -> None:
    members = nodes(4)
    fleet = fleet_of(*members)
    fleet.set_healthy(members[0], False, "x", NOW)
    fleet.cordon(members[1], NOW)
    assert [fleet.eject(node, "x", NOW) for node in members] == [False, False, True, False]


def test_an_ejected_node_rests_and_then_gets_one_request() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two, policy=HealthPolicy(rest_s=2.0))
    assert fleet.eject(one, "failed", NOW) is True
    assert (usable(fleet), fleet.next_due()) == ([2], NOW + 2)
    fleet.advance(NOW + 1.999)
    assert usable(fleet) == [2]
    joins = fleet.joins
    fleet.advance(NOW + 2)
    assert (usable(fleet), one.slots, one.watched, fleet.joins) == ([1, 2], 1, True, joins + 2)
    assert take(fleet, 3) == [2, 1, 2]
    fleet.restore(one, "answered", NOW + 3)
    assert take(fleet, 3) == [1, 2, 1]
    assert told(fleet) == [
        "1: up -> ejected, failed",
        "1: ejected -> probing, has rested; one request decides",
        "1: probing -> up, answered",
    ]


def test_what_a_node_was_like_before_its_rest_does_not_keep_the_one_request_from_it() -> None:
    one, two = nodes(2)
    fleet = Fleet(PeakEwma(random.Random(1)))
    for each in (one, two):
        fleet.add(each, NOW)
    fleet.free.observe(one, 3.0, NOW)
    fleet.free.observe(two, 0.02, NOW)
    fleet.eject(one, "failed", NOW)
    fleet.advance(NOW + 2)
    assert fleet.free.best(NO_NODES_TRIED) is one
    fleet.set_healthy(one, False, "refused", NOW + 2)
    fleet.free.observe(one, 3.0, NOW + 2)
    fleet.set_healthy(one, True, "passed", NOW + 2)
    assert fleet.free.best(NO_NODES_TRIED) is one


def test_what_it_had_in_flight_before_it_rested_does_not_take_the_one_slot() -> None:
    one, two = nodes(2, slots=2)
    fleet = fleet_of(one, two)
    assert take(fleet, 2) == [1, 2]
    fleet.eject(one, "failed", NOW)
    fleet.advance(NOW + 2)
    assert (one.slots, one.breaker.older) == (2, 1)
    assert sorted(take(fleet, 2)) == [1, 2]
    assert fleet.free.length == 0


def test_when_others_go_the_first_to_end_its_rest_is_let_back_in() -> None:
    members = nodes(4)
    fleet = fleet_of(*members)
    assert fleet.eject(members[0], "failed", NOW) is True
    assert fleet.eject(members[1], "failed", NOW + 1) is True
    assert fleet.eject(members[2], "failed", NOW + 1) is False
    fleet.take_changes()
    fleet.set_healthy(members[3], False, "refused", NOW + 1)
    assert usable(fleet) == [1, 3]
    fleet.cordon(members[2], NOW + 1)
    assert usable(fleet) == [1], "one of the two may still rest"
    fleet.remove(members[0], NOW + 1)
    assert usable(fleet) == [2]
    assert [node.breaker.state for node in members[:2]] == [CLOSED, CLOSED]
    assert told(fleet) == [
        "4: up -> down, refused",
        "1: ejected -> up, needed: too few others are left",
        "3: up -> cordoned, the operator wants it",
        "2: ejected -> up, needed: too few others are left",
    ]


def test_a_node_that_was_down_comes_back_with_a_clean_slate() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    fleet.eject(one, "failed", NOW)
    fleet.set_healthy(one, False, "refused", NOW)
    assert (one.status, one.breaker.state) == (NodeStatus.DOWN, OPEN)
    fleet.set_healthy(one, True, "passed", NOW + 1)
    assert (one.status, one.breaker.state) == (NodeStatus.UP, CLOSED)


def test_a_rest_that_became_longer_ends_later() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    fleet.eject(one, "failed", NOW)
    fleet.advance(NOW + 2)
    one.breaker.reopen(NOW + 2, 60.0, ticket=5)
    fleet.rest(one, "failed", NOW + 2)
    assert one.breaker.proven(5, 60.0) is True
    fleet.rest(one, "failed", NOW + 2.5)
    fleet.advance(NOW + 4)
    assert (one.breaker.state, fleet.next_due()) == (OPEN, NOW + 6)
    fleet.advance(NOW + 6)
    assert one.breaker.state == HALF_OPEN


# Slow start


def warming(slots: int = 4, slow_start_s: float = 8.0) -> tuple[Fleet, NodeState, NodeState]:
    """Return a fleet of which the first node has just come back."""
    one, two = nodes(2, slots)
    fleet = fleet_of(one, two, policy=HealthPolicy(slow_start_s=slow_start_s))
    fleet.set_healthy(one, False, "refused", NOW)
    fleet.set_healthy(one, True, "passed", NOW)
    return fleet, one, two


def test_a_node_that_is_back_gets_its_slots_one_after_the_other() -> None:
    fleet, one, _ = warming(slots=4, slow_start_s=8.0)
    assert (one.status, one.slots) == (NodeStatus.WARMING, 1)
    seen = []
    while (due := fleet.next_due()) != inf:
        fleet.advance(due)
        seen.append((due - NOW, one.slots))
    assert seen == [(2.0, 1), (4.0, 2), (6.0, 3), (8.0, 4)]
    assert told(fleet) == [
        "1: up -> down, refused",
        "1: down -> warming, passed",
        "1: warming -> up, has all of its slots again",
    ]


def test_a_node_with_many_slots_gets_them_in_32_steps() -> None:
    fleet, one, _ = warming(slots=1000, slow_start_s=3.2)
    seen = []
    while (due := fleet.next_due()) != inf:
        fleet.advance(due)
        seen.append(one.slots)
    assert len(seen) == 32
    assert seen == sorted(seen)
    assert (seen[0], seen[15], seen[-1]) == (31, 500, 1000)


def test_a_node_that_is_let_back_after_its_rest_starts_slowly_too() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two, policy=HealthPolicy(slow_start_s=8.0))
    fleet.eject(one, "failed", NOW)
    fleet.advance(NOW + 2)
    fleet.restore(one, "answered", NOW + 3)
    assert (one.status, one.slots) == (NodeStatus.WARMING, 1)


def test_a_node_that_comes_for_the_first_time_does_not_start_slowly() -> None:
    one, two = nodes(2)
    one.healthy = False
    fleet = fleet_of(one, two, policy=HealthPolicy(slow_start_s=8.0))
    fleet.set_healthy(one, True, "passed", NOW)
    assert (one.status, one.slots) == (NodeStatus.UP, 8)


def test_a_node_that_is_back_as_the_only_one_starts_at_once() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two, policy=HealthPolicy(slow_start_s=8.0))
    fleet.set_healthy(one, False, "x", NOW)
    fleet.set_healthy(two, False, "x", NOW)
    fleet.take_changes()
    fleet.set_healthy(one, True, "passed", NOW)
    assert (one.status, one.slots) == (NodeStatus.UP, 8)
    assert told(fleet) == ["1: down -> up, passed"]
    fleet.set_healthy(two, True, "passed", NOW)
    assert (two.status, two.slots) == (NodeStatus.WARMING, 1)


def test_a_slow_start_ends_when_the_node_is_the_last_one() -> None:
    fleet, one, two = warming()
    fleet.set_healthy(two, False, "refused", NOW + 1)
    assert (one.status, one.slots, fleet.next_due()) == (NodeStatus.UP, 4, NOW + 2)
    assert one.reason == "the only one left"


def test_a_node_that_falls_ill_again_is_not_warming() -> None:
    fleet, one, _ = warming()
    fleet.set_healthy(one, False, "refused", NOW + 1)
    assert (one.status, one.warm_from) == (NodeStatus.DOWN, inf)
    fleet.set_healthy(one, True, "passed", NOW + 2)
    fleet.eject(one, "failed", NOW + 3)
    assert (one.status, one.warm_from) == (NodeStatus.EJECTED, inf)


def test_slots_come_back_to_a_node_whose_rest_ends_with_one_request() -> None:
    one, two = nodes(2)
    fleet = fleet_of(one, two)
    fleet.withhold(one, 3.0, NOW)
    fleet.eject(one, "failed", NOW)
    fleet.advance(NOW + 2)
    assert (one.breaker.state, one.slots, one.withheld, fleet.next_due()) == (HALF_OPEN, 1, 1, NOW + 3)
    fleet.advance(NOW + 3)
    assert (one.breaker.state, one.slots, one.withheld, fleet.next_due()) == (HALF_OPEN, 1, 0, inf)
    fleet.restore(one, "answered", NOW + 4)
    assert one.slots == 8
