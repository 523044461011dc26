"""A lane in the order of deadlines."""

import pytest

from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.ticket import RUNNING, WAITING, Ticket
from support.tickets import any_node, no_node


def due(sequence: int, start_by: float, *tried: int) -> Ticket:
    each = Ticket(0, 0.0, start_by)
    each.sequence = sequence
    each.tried = frozenset(tried)
    return each


def test_how_many_go_before_a_new_one_if_deadlines_are_spread_evenly() -> None:
    lane = DeadlineLane("low", max_wait_s=10.0)
    assert lane.ahead_of(due(9, 5.0)) == 0
    for sequence, start_by in enumerate((2.0, 4.0, 8.0, 10.0), start=1):
        lane.append(due(sequence, start_by))
    assert [lane.ahead_of(due(9, start_by)) for start_by in (1.0, 2.0, 6.0, 9.9, 10.0)] == [0, 0, 2, 3, 4]


def served(lane: DeadlineLane) -> list[int]:
    found = []
    while (first := lane.first(any_node)) is not None:
        assert first.state == WAITING
        lane.remove(first)
        assert (first.state, first.fifo) == (RUNNING, None)
        found.append(first.sequence)
    return found


def test_the_least_time_left_goes_first_and_of_equals_the_oldest() -> None:
    lane = DeadlineLane("low")
    for each in (due(1, 9.0), due(2, 7.0), due(3, 9.0), due(4, 8.0), due(5, 7.0)):
        lane.append(each)
    assert lane.length == 5
    assert served(lane) == [2, 5, 4, 1, 3]
    assert (lane.length, lane.held_bytes) == (0, 0)


def test_a_retry_has_the_place_of_its_deadline() -> None:
    lane = DeadlineLane("low")
    early, late = due(1, 7.0), due(3, 9.0)
    for each in (early, due(2, 8.0), late):
        lane.append(each)
    lane.remove(late)
    lane.remove(early)
    for each in (late, early):
        each.tried = frozenset({5})
        lane.put_back(each)
    assert served(lane) == [1, 2, 3]
    assert lane.retries == {}


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_of_several_sets_of_tried_nodes_the_earliest_is_next(first: int, second: int) -> None:
    lane = DeadlineLane("low")
    tickets = {1: due(1, 7.0, 5), 2: due(2, 7.0, 6)}
    lane.put_back(tickets[first])
    lane.put_back(tickets[second])
    assert lane.first(any_node) is tickets[1]


def test_a_retry_that_no_free_node_may_serve_is_passed_over() -> None:
    lane = DeadlineLane("low")
    early, late = due(1, 7.0, 5), due(2, 9.0)
    lane.put_back(early)
    lane.append(late)
    assert lane.first(no_node) is late
    assert lane.first(any_node) is early
    assert lane.first_to_expire() is early
    lane.remove(late)
    assert lane.first(no_node) is None


def test_who_rests_is_not_served_expires_at_its_time_and_wakes_in_its_place() -> None:
    lane = DeadlineLane("low")
    early, late = due(1, 7.0, 5), due(2, 9.0)
    lane.append(late)
    lane.rest(early)
    assert lane.length == 2
    assert lane.first(any_node) is late
    assert lane.first_to_expire() is early
    lane.wake(early)
    assert lane.first(any_node) is early


def test_an_empty_lane_offers_none() -> None:
    lane = DeadlineLane("low")
    assert (lane.first(any_node), lane.first_to_expire()) == (None, None)


def test_nobody_is_looked_for_apart_and_bytes_and_limits_count_as_elsewhere() -> None:
    lane = DeadlineLane("low", limit=2, limit_bytes=100)
    for each in (due(1, 9.0), due(2, 7.0)):
        each.body_bytes = 30
        assert lane.has_room(each.body_bytes, each.tenant)
        lane.append(each)
    assert lane._early is None
    assert (lane.held_bytes, lane.has_room(0, b"")) == (60, False)
