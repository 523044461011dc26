"""A lane that sheds what has waited for too long, and serves the newest first while it is congested."""

from math import inf

from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.discipline import Strict
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NO_NODES_TRIED, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason


def new_lane() -> CodelLane:
    """Return a lane whose interval is a second, and whose target is 0.4 seconds."""
    return CodelLane("low", 0, 0, 20.0)


class Arrivals:
    """Tickets that come at given times; those of one second are served first in, first out."""

    def __init__(self, lane: CodelLane, *times: float) -> None:
        self.lane = lane
        self.tickets: list[Ticket] = []
        self.come(*times)

    def come(self, *times: float) -> None:
        for at in times:
            ticket = Ticket(2, at, at + 20.0)
            self.tickets.append(ticket)
            ticket.sequence = len(self.tickets)
            self.lane.append(ticket)

    def serve(self) -> float:
        """Serve the next one; return when it came."""
        ticket = self.lane.first(lambda _tried: True)
        assert ticket is not None
        self.lane.remove(ticket)
        return ticket.enqueued_at


def test_nobody_goes_before_a_new_one_while_the_lane_is_congested() -> None:
    lane = new_lane()
    Arrivals(lane, 0.0, 0.5)
    assert [lane.ahead_of(Ticket(2, at, at + 20.0)) for at in (0.9, 1.0)] == [2, 0]


def shed_from(lane: CodelLane, now: float) -> list[Ticket]:
    """Take out all that are to be shed."""
    shed: list[Ticket] = []
    while (ticket := lane.to_shed(now)) is not None:
        lane.remove(ticket)
        shed.append(ticket)
    return shed


def times(tickets: list[Ticket]) -> list[float]:
    return [ticket.enqueued_at for ticket in tickets]


def test_a_lane_that_was_empty_within_the_interval_serves_the_oldest_first() -> None:
    line = Arrivals(new_lane(), 0.0, 0.5, 0.9)
    assert [line.serve() for _ in range(3)] == [0.0, 0.5, 0.9]


def test_one_that_has_not_been_empty_for_an_interval_serves_the_newest_first() -> None:
    line = Arrivals(new_lane(), 0.0, 0.5, 1.0)
    assert [line.serve(), line.serve(), line.serve()] == [1.0, 0.5, 0.0]


def test_an_empty_moment_ends_that() -> None:
    line = Arrivals(new_lane(), 0.0, 1.0)
    line.serve()
    line.serve()
    line.come(1.1, 1.2)
    assert [line.serve(), line.serve()] == [1.1, 1.2]


def test_what_has_waited_for_the_target_is_shed_oldest_first_once_the_lane_is_congested() -> None:
    lane = new_lane()
    Arrivals(lane, 0.0, 0.3, 0.5, 0.7, 0.9)
    assert lane.next_shed_at() == 1.0
    assert shed_from(lane, 0.99) == []
    assert times(shed_from(lane, 1.0)) == [0.0, 0.3, 0.5]
    assert lane.next_shed_at() == 0.7 + 0.4
    assert times(shed_from(lane, 1.2)) == [0.7]


def test_the_newest_is_never_shed() -> None:
    lane = new_lane()
    line = Arrivals(lane, 0.0, 0.1)
    assert times(shed_from(lane, 10.0)) == [0.0]
    assert lane.next_shed_at() == inf
    assert shed_from(lane, 19.0) == []
    assert line.serve() == 0.1


def test_an_empty_lane_sheds_nothing() -> None:
    lane = new_lane()
    assert (lane.next_shed_at(), shed_from(lane, 5.0)) == (inf, [])


def test_those_who_are_shed_leave_the_queue_in_parts() -> None:
    queue = PriorityQueue([new_lane()], Strict())
    scheduler = Scheduler(queue, RetryPolicy(1))
    tickets = [Ticket(0, 0.0, 20.0) for _ in range(AT_ONCE + 2)]
    for ticket in tickets:
        queue.push(ticket)
    assert scheduler.take_refused(5.0) == [(ticket, Reason.SHED) for ticket in tickets[:AT_ONCE]]
    assert (queue.length, queue.occupied) == (2, 1)
    assert scheduler.take_refused(5.0) == [(tickets[AT_ONCE], Reason.SHED)]
    assert [ticket.state for ticket in tickets] == [ENDED] * (AT_ONCE + 1) + [WAITING]
    queue.remove(tickets[-1])
    assert (queue.length, queue.occupied) == (0, 0)


def test_those_whom_a_node_has_had_are_neither_shed_nor_overtaken() -> None:
    lane = new_lane()
    line = Arrivals(lane, 0.0, 0.1, 1.2)
    back = line.tickets[0]
    lane.remove(back)
    back.tried = frozenset({1})
    lane.put_back(back)
    assert times(shed_from(lane, 3.0)) == [0.1]
    assert back.state == WAITING
    assert lane.first(lambda tried: tried == NO_NODES_TRIED) is line.tickets[2], "no node for it now"
    assert [line.serve(), line.serve()] == [0.0, 1.2]


def test_one_that_comes_back_to_an_empty_lane_does_not_make_it_congested() -> None:
    lane = new_lane()
    line = Arrivals(lane, 0.0)
    lane.remove(line.tickets[0])
    lane.put_back(line.tickets[0])
    line.come(5.0, 5.9)
    assert [line.serve() for _ in range(3)] == [0.0, 5.0, 5.9]


def test_one_that_rests_does_not_make_it_congested() -> None:
    """It is in line for as long as its node has asked for, though slots are free."""
    lane = new_lane()
    line = Arrivals(lane, 0.0, 0.1)
    first = line.tickets[0]
    lane.remove(first)
    lane.rest(first)
    assert line.serve() == 0.1
    line.come(5.0, 5.9)
    assert lane.ahead_of(Ticket(2, 5.9, 25.9)) == 3
    assert shed_from(lane, 5.9) == []
    assert [line.serve(), line.serve()] == [5.0, 5.9]
    lane.wake(first)
    line.come(7.0, 7.9)
    assert [line.serve() for _ in range(3)] == [0.0, 7.0, 7.9]


def test_one_that_was_woken_rests_no_more() -> None:
    lane = new_lane()
    line = Arrivals(lane, 0.0)
    first = line.tickets[0]
    lane.remove(first)
    lane.rest(first)
    lane.wake(first)
    assert line.serve() == 0.0
    line.come(5.0, 5.1, 5.2)
    assert [line.serve(), line.serve()] == [5.0, 5.1]
    line.come(6.1)
    assert line.serve() == 6.1, "the lane has been congested since 5.0"


def test_nor_does_one_that_leaves_while_it_rests_hide_that_it_is() -> None:
    lane = new_lane()
    line = Arrivals(lane, 0.0, 0.1, 1.2)
    first = line.tickets[0]
    lane.remove(first)
    lane.rest(first)
    lane.remove(first)
    assert times(shed_from(lane, 1.3)) == [0.1]


def test_the_limit_is_that_of_any_lane() -> None:
    lane = CodelLane("low", 1, 100, 5.0)
    assert (lane.name, lane.limit_bytes, lane.max_wait_s, lane.has_room(100, b"")) == ("low", 100, 5.0, True)
    Arrivals(lane, 0.0)
    assert not lane.has_room(0, b"")
