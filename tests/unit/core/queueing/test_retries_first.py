"""Of each kind of lane, who is first among those that are back in line."""

import pytest

from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Strict
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import RUNNING, Ticket

# Sequence, deadline and tenant, and the nodes that it has tried; none for one that is new.
Waiting = tuple[int, float, bytes, frozenset[int]]

NEW: frozenset[int] = frozenset()
ONE, BOTH = frozenset({1}), frozenset({1, 2})
WAITING: list[Waiting] = [
    (1, 9.0, b"a", NEW),
    (2, 8.0, b"a", BOTH),
    (3, 5.0, b"b", BOTH),
    (4, 1.0, b"b", ONE),
    (5, 7.0, b"c", NEW),
]


def ticket_of(waiting: Waiting, lane: int = 0) -> Ticket:
    each = Ticket(lane, 0.0, waiting[1])
    each.sequence, _, each.tenant, each.tried = waiting
    return each


def fill(lane: Lane, waiting: list[Waiting]) -> None:
    for each in waiting:
        ticket = ticket_of(each)
        if each[3]:
            lane.put_back(ticket)
        else:
            lane.append(ticket)


def has_tried_both(tried: frozenset[int]) -> bool:
    return tried == BOTH


@pytest.mark.parametrize(
    ("lane", "first"),
    [
        (Lane("a", max_wait_s=10.0), 2),
        (CodelLane("a", 0, 0, 10.0), 2),
        (DeadlineLane("a", max_wait_s=10.0), 3),
        (FairLane("a", max_wait_s=10.0, seed=b"s"), 2),
    ],
)
def test_the_first_of_those_that_a_free_node_may_serve(lane: Lane, first: int) -> None:
    assert lane.first_retry(has_tried_both) is None
    fill(lane, WAITING)
    found = lane.first_retry(has_tried_both)
    assert found is not None
    assert found.sequence == first
    assert lane.first_retry(lambda _: False) is None
    lane.remove(found)
    again = lane.first_retry(has_tried_both)
    assert again is not None
    assert {found.sequence, again.sequence} == {2, 3}


def test_the_best_lane_that_has_one_is_first_and_uses_no_turn() -> None:
    queue = PriorityQueue([Lane("a"), Lane("b"), Lane("c")], Strict())
    new = ticket_of(WAITING[0])
    assert queue.push(new)
    retries = [ticket_of(WAITING[1], lane) for lane in (1, 2)]
    for each in retries:
        queue.put_back(each)
    assert queue.pop_retry(has_tried_both, among=0b001) is None
    assert queue.pop_retry(has_tried_both, among=0b101) is retries[1]
    assert queue.pop_retry(has_tried_both) is retries[0]
    assert (retries[0].state, queue.length, queue.occupied) == (RUNNING, 1, 0b001)
    assert queue.pop_retry(has_tried_both) is None
