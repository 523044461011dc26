"""A lane: order of arrival, old places for retries, and what may be served now."""

import pytest

from priolb.core.queueing.lanes import BySequence, Fifo, Lane
from priolb.core.ticket import NO_NODES_TRIED, RUNNING, WAITING, Ticket
from support.steps import lines_run
from support.tickets import any_node, no_node, ticket


def numbered(*sequences: int) -> list[Ticket]:
    tickets = []
    for sequence in sequences:
        each = ticket(f"l{sequence}")
        each.sequence = sequence
        tickets.append(each)
    return tickets


def forwards(fifo: Fifo) -> list[int]:
    found, each = [], fifo.head
    while each is not None:
        found.append(each.sequence)
        each = each.next
    return found


def backwards(fifo: Fifo) -> list[int]:
    found, each = [], fifo.tail
    while each is not None:
        found.append(each.sequence)
        each = each.previous
    return found


def retry(lane: Lane, each: Ticket, *tried: int) -> None:
    each.tried = frozenset(tried)
    lane.put_back(each)


@pytest.mark.parametrize(
    ("removed", "left"),
    [(1, [2, 3]), (2, [1, 3]), (3, [1, 2])],
    ids=["the head", "one in the middle", "the tail"],
)
def test_a_ticket_leaves_a_fifo_from_anywhere(removed: int, left: list[int]) -> None:
    fifo = Fifo()
    tickets = numbered(1, 2, 3)
    for each in tickets:
        fifo.add(each)
    gone = tickets[removed - 1]
    fifo.remove(gone)
    assert forwards(fifo) == left
    assert backwards(fifo) == left[::-1]
    assert (gone.fifo, gone.previous, gone.next) == (None, None, None)


def test_a_fifo_is_empty_after_its_only_ticket() -> None:
    fifo = Fifo()
    (each,) = numbered(1)
    fifo.add(each)
    assert each.fifo is fifo
    fifo.remove(each)
    assert (fifo.head, fifo.tail) == (None, None)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 1, 3), (1, 3, 2), (3, 1, 2)])
def test_those_who_come_back_stand_in_the_order_of_their_sequence(order: tuple[int, ...]) -> None:
    fifo = BySequence()
    for each in numbered(*order):
        fifo.add(each)
        assert each.fifo is fifo
    found = []
    while (head := fifo.head) is not None:
        found.append(head.sequence)
        fifo.remove(head)
        assert head.fifo is None
    assert found == [1, 2, 3]


def test_one_who_came_back_leaves_from_anywhere() -> None:
    fifo = BySequence()
    tickets = numbered(1, 2, 3)
    for each in tickets:
        fifo.add(each)
    fifo.remove(tickets[1])
    assert fifo.head is tickets[0]
    fifo.remove(tickets[0])
    assert fifo.head is tickets[2]


def test_it_takes_no_more_to_come_back_before_many_than_before_few() -> None:
    costs = []
    for count in (10, 5000):
        lane = Lane("low")
        first, *others = numbered(*range(count))
        for each in others:
            retry(lane, each, 1)
        costs.append(lines_run(lambda lane=lane, first=first: retry(lane, first, 1)))  # type: ignore[misc]
        assert lane.first(any_node) is first
    assert costs[0] == costs[1]


def test_new_tickets_are_served_in_order_of_arrival() -> None:
    lane = Lane("low")
    served = []
    for each in numbered(1, 2, 3):
        lane.append(each)
    assert lane.length == 3
    while (first := lane.first(no_node)) is not None:
        assert first.state == WAITING
        lane.remove(first)
        assert first.state == RUNNING
        served.append(first.sequence)
    assert served == [1, 2, 3]
    assert lane.length == 0


def test_a_retry_has_its_old_place_before_all_that_came_later() -> None:
    lane = Lane("low")
    one, two, three = numbered(1, 2, 3)
    for each in (one, two, three):
        lane.append(each)
    lane.remove(two)
    retry(lane, two, 7)
    assert lane.length == 3
    assert lane.first(any_node) is one
    lane.remove(one)
    assert lane.first(any_node) is two
    lane.remove(two)
    assert lane.first(any_node) is three


def test_a_retry_that_no_free_node_may_serve_is_passed_over_and_keeps_its_place() -> None:
    lane = Lane("low")
    one, two = numbered(1, 2)
    retry(lane, one, 7)
    lane.append(two)
    assert lane.first(no_node) is two
    assert lane.oldest() is one
    assert lane.first(any_node) is one


def test_a_lane_of_nothing_but_retries_that_cannot_be_served_offers_none() -> None:
    lane = Lane("low")
    (one,) = numbered(1)
    retry(lane, one, 7)
    assert lane.first(no_node) is None
    assert lane.oldest() is one


def test_the_node_question_is_asked_once_for_each_set_of_tried_nodes_that_could_be_next() -> None:
    """Nobody behind a head is asked about, nor who came later than the best so far."""
    lane = Lane("low")
    tickets = numbered(1, 2, 3, 4, 5)
    retry(lane, tickets[0], 7)
    retry(lane, tickets[1], 7)
    retry(lane, tickets[2], 7, 8)
    lane.append(tickets[3])
    retry(lane, tickets[4], 9)
    asked: list[frozenset[int]] = []

    def is_free(tried: frozenset[int]) -> bool:
        asked.append(tried)
        return tried == {7, 8}

    assert lane.first(is_free) is tickets[2]
    assert asked == [frozenset({7}), frozenset({7, 8})]


def test_the_oldest_of_several_sets_of_tried_nodes_goes_first() -> None:
    lane = Lane("low")
    one, two, three = numbered(1, 2, 3)
    retry(lane, three, 7)
    retry(lane, one, 8)
    retry(lane, two, 7)
    served = []
    while (first := lane.first(any_node)) is not None:
        lane.remove(first)
        served.append(first.sequence)
    assert served == [1, 2, 3]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 1, 3)])
def test_the_oldest_is_the_first_of_all_whatever_was_tried(order: tuple[int, ...]) -> None:
    lane = Lane("low")
    for each in numbered(*order):
        retry(lane, each, each.sequence)
    oldest = lane.oldest()
    assert oldest is not None
    assert oldest.sequence == 1


def test_what_is_kept_for_retries_goes_with_the_last_of_them() -> None:
    lane = Lane("low")
    one, two = numbered(1, 2)
    retry(lane, one, 7)
    retry(lane, two, 7)
    assert list(lane.retries) == [frozenset({7})]
    lane.remove(one)
    assert list(lane.retries) == [frozenset({7})]
    lane.remove(two)
    assert lane.retries == {}


def test_the_fifo_of_new_tickets_stays_when_it_is_empty() -> None:
    lane = Lane("low")
    (one,) = numbered(1)
    fresh = lane.fresh
    lane.append(one)
    assert one.tried is NO_NODES_TRIED
    lane.remove(one)
    assert lane.fresh is fresh
    assert lane.oldest() is None


def test_a_ticket_in_no_line_cannot_be_removed() -> None:
    with pytest.raises(AssertionError):
        Lane("low").remove(*numbered(1))


def test_cancelling_costs_the_same_in_a_long_line_as_in_a_short_one() -> None:
    costs = []
    for length in (3, 3000):
        lane = Lane("low")
        tickets = numbered(*range(length))
        for each in tickets:
            lane.append(each)
        middle = tickets[length // 2]
        costs.append(lines_run(lambda lane=lane, middle=middle: lane.remove(middle)))  # type: ignore[misc]
        assert lane.length == length - 1
    assert costs[0] == costs[1]
    assert costs[0] > 0


def due(sequence: int, start_by: float, body_bytes: int = 0) -> Ticket:
    (each,) = numbered(sequence)
    each.start_by = start_by
    each.body_bytes = body_bytes
    return each


def expiring(lane: Lane) -> list[int]:
    """Take everything out in the order in which it expires."""
    found = []
    while (first := lane.first_to_expire()) is not None:
        found.append(first.sequence)
        lane.remove(first)
    return found


def test_a_limit_of_bytes_refuses_what_would_exceed_it_and_nothing_else() -> None:
    lane = Lane("low", limit_bytes=100)
    assert (lane.has_room(100, b""), lane.has_room(101, b"")) == (True, False)
    one, two = due(1, 5.0, 60), due(2, 5.0, 40)
    assert lane.has_room(one.body_bytes, one.tenant)
    lane.append(one)
    assert (lane.has_room(40, b""), lane.has_room(41, b"")) == (True, False)
    assert lane.has_room(two.body_bytes, two.tenant)
    lane.append(two)
    assert (lane.held_bytes, lane.has_room(0, b""), lane.has_room(1, b"")) == (100, True, False)
    lane.remove(one)
    assert (lane.held_bytes, lane.has_room(60, b""), lane.has_room(61, b"")) == (40, True, False)


def test_both_limits_hold() -> None:
    lane = Lane("low", limit=1, limit_bytes=100)
    lane.append(due(1, 5.0, 60))
    assert (lane.has_room(0, b""), lane.has_room(40, b"")) == (False, False)


def test_retries_and_those_who_rest_are_counted_in_bytes_and_not_refused() -> None:
    lane = Lane("low", limit_bytes=100)
    one, two = due(1, 5.0, 70), due(2, 5.0, 70)
    one.tried = two.tried = frozenset({7})
    lane.put_back(one)
    lane.rest(two)
    assert lane.held_bytes == 140
    lane.wake(two)
    assert (lane.length, lane.held_bytes) == (2, 140)
    lane.remove(two)
    lane.remove(one)
    assert (lane.length, lane.held_bytes) == (0, 0)


def test_without_a_limit_of_bytes_any_body_has_room() -> None:
    assert Lane("low").has_room(1 << 60, b"") is True


def arrived(sequence: int, enqueued_at: float, wait_s: float = 5.0) -> Ticket:
    each = Ticket(2, enqueued_at, enqueued_at + wait_s)
    each.sequence = sequence
    return each


def test_a_ticket_with_a_deadline_of_its_own_expires_before_older_ones() -> None:
    lane = Lane("low", max_wait_s=5.0)
    for number, wait_s in enumerate((5.0, 5.0, 1.5, 5.0, 0.3, 4.5)):
        lane.append(arrived(number, 0.1 * number, wait_s))
    assert expiring(lane) == [4, 2, 0, 5, 1, 3]


def test_it_is_served_in_the_order_of_arrival_all_the_same() -> None:
    lane = Lane("low", max_wait_s=5.0)
    for each in (arrived(1, 0.1), arrived(2, 0.2, 1.0), arrived(3, 0.3)):
        lane.append(each)
    served = []
    while (first := lane.first(any_node)) is not None:
        lane.remove(first)
        served.append(first.sequence)
    assert served == [1, 2, 3]


def test_as_long_as_all_may_wait_equally_long_nobody_is_looked_for_apart() -> None:
    lane = Lane("low", max_wait_s=5.0)
    one, two, three = (arrived(1, 0.1), arrived(2, 0.1), arrived(3, 0.7))
    for each in (one, two, three):
        lane.append(each)
    lane.remove(one)
    one.tried = frozenset({7})
    lane.put_back(one)
    assert lane._early is None
    assert expiring(lane) == [1, 2, 3]


def test_of_those_that_expire_together_the_oldest_is_first() -> None:
    lane = Lane("low")
    for each in (due(1, 7.0), due(2, 12.0), due(3, 7.0), due(4, 7.0)):
        lane.append(each)
    assert expiring(lane) == [1, 3, 4, 2]


def test_who_was_never_in_line_before_expires_after_who_came_later_with_an_earlier_deadline() -> None:
    lane = Lane("low", max_wait_s=5.0)
    passed_by, early = arrived(1, 0.0), arrived(2, 0.5, 1.0)
    lane.append(early)
    retry(lane, passed_by, 7)
    assert expiring(lane) == [2, 1]


@pytest.mark.parametrize("rests", [False, True])
def test_who_comes_back_still_has_the_deadline_of_its_own(rests: bool) -> None:
    """Even when it was looked for meanwhile, and not found in line."""
    lane = Lane("low")
    early = due(2, 7.0)
    for each in (due(1, 10.0), early):
        lane.append(each)
    lane.remove(early)
    first = lane.first_to_expire()
    assert first is not None
    assert first.sequence == 1
    early.tried = frozenset({7})
    if rests:
        lane.rest(early)
    else:
        lane.put_back(early)
    assert expiring(lane) == [2, 1]


def test_a_ticket_that_no_longer_waits_is_not_woken() -> None:
    lane = Lane("low")
    (one,) = numbered(1)
    lane.rest(one)
    lane.remove(one)
    lane.wake(one)
    assert (lane.length, lane.first(any_node)) == (0, None)
