"""The heap of deadlines: who is first, whoever comes and goes."""

import pytest

from priolb.core.queueing.deadlines import Deadlines
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import Ticket


def due(sequence: int, start_by: float) -> Ticket:
    ticket = Ticket(0, 0.0, start_by)
    ticket.sequence = sequence
    return ticket


def taken_from(deadlines: Deadlines) -> list[int]:
    """Take all tickets out, the first one each time, and return their numbers."""
    found = []
    while (first := deadlines.first()) is not None:
        deadlines.remove(first)
        found.append(first.sequence)
    return found


def test_the_earliest_is_first_and_of_equals_the_oldest() -> None:
    deadlines = Deadlines()
    for sequence, start_by in ((3, 9.0), (2, 7.0), (1, 9.0), (4, 7.0)):
        deadlines.add(due(sequence, start_by))
    assert len(deadlines) == 4
    assert taken_from(deadlines) == [2, 4, 1, 3]
    assert len(deadlines) == 0


@pytest.mark.parametrize("leaving", range(9))
def test_whoever_leaves_the_others_stay_in_order(leaving: int) -> None:
    deadlines = Deadlines()
    # A last one that rises into the place of one that has left, and one that sinks from it.
    tickets = [due(number, start_by) for number, start_by in enumerate((1, 10, 2, 11, 12, 3, 4, 13, 14.0))]
    for ticket in tickets:
        deadlines.add(ticket)
    deadlines.remove(tickets[leaving])
    assert taken_from(deadlines) == [each for each in (0, 2, 5, 6, 1, 3, 4, 7, 8) if each != leaving]


def test_who_has_left_may_come_back_with_another_deadline() -> None:
    deadlines, one, other = Deadlines(), due(1, 5.0), due(2, 6.0)
    deadlines.add(one)
    deadlines.add(other)
    deadlines.remove(one)
    one.start_by = 7.0
    deadlines.add(one)
    assert taken_from(deadlines) == [2, 1]


@pytest.mark.parametrize("lane", [Lane("a", max_wait_s=100.0), FairLane("a", max_wait_s=100.0)])
def test_nothing_is_kept_of_those_who_have_left_a_lane(lane: Lane) -> None:
    """Twice as many tickets as waited were kept, with the bodies of their requests."""
    stays = due(0, 99.0)
    lane.append(stays)
    for number in range(1, 100):
        each = due(number, 50.0)
        lane.append(each)
        assert lane.first_to_expire() is each
        lane.remove(each)
        assert lane.first_to_expire() is stays
    held = lane._deadlines if isinstance(lane, FairLane) else lane._early
    assert held is not None
    assert len(held) == 1
