"""The queue: who is refused, who moves, who expires."""

from math import inf
from random import Random

import pytest

from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import NEW, RUNNING, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from support.steps import lines_run
from support.tickets import name_of, names, new_queue, ticket


def test_a_ticket_waits_after_push_and_runs_after_pop() -> None:
    queue = new_queue()
    low = ticket("l1")
    assert queue.push(low) is True
    assert (low.state, low.sequence, queue.length, queue.lengths()) == (WAITING, 1, 1, (0, 0, 1))
    assert queue.pop() is low
    assert (low.state, low.sequence, queue.length, queue.lengths()) == (RUNNING, 1, 0, (0, 0, 0))
    assert queue.pop() is None


def test_sequence_numbers_go_on_over_all_lanes_and_are_given_once() -> None:
    queue = new_queue()
    tickets = [ticket(name) for name in ("l1", "f1", "h1")]
    for each in tickets:
        assert queue.push(each) is True
    assert [each.sequence for each in tickets] == [1, 2, 3]
    assert queue.pop() is tickets[1]
    tickets[1].tried = frozenset({1})
    queue.put_back(tickets[1])
    assert tickets[1].sequence == 2


@pytest.mark.parametrize(
    ("limits", "lane", "accepted"), [((2, 0, 0), "f", 2), ((0, 3, 0), "h", 3), ((0, 0, 1), "l", 1)]
)
def test_a_full_lane_refuses_its_own_and_nobody_else(
    limits: tuple[int, int, int], lane: str, accepted: int
) -> None:
    queue = new_queue(limits=limits)
    assert [queue.push(ticket(f"{lane}{number}")) for number in range(4)] == [
        number < accepted for number in range(4)
    ]
    for other in set("fhl") - {lane}:
        assert queue.push(ticket(f"{other}0")) is True
    assert queue.length == accepted + 2


def test_a_refused_ticket_stays_new_and_costs_no_number() -> None:
    queue = new_queue(limits=(0, 0, 1))
    first, refused, later = ticket("l1"), ticket("l2"), ticket("h1")
    assert [queue.push(first), queue.push(refused), queue.push(later)] == [True, False, True]
    assert (refused.state, refused.sequence, refused.fifo) == (NEW, 0, None)
    assert later.sequence == 2


def test_a_retry_comes_back_into_a_full_lane() -> None:
    """The limit refuses at the door; whoever was let in keeps the place."""
    queue = new_queue(limits=(0, 0, 1))
    first, second = ticket("l1"), ticket("l2")
    assert queue.push(first) is True
    assert queue.pop() is first
    assert queue.push(second) is True
    first.tried = frozenset({1})
    queue.put_back(first)
    assert queue.lengths() == (0, 0, 2)
    assert queue.push(ticket("l3")) is False
    assert [queue.pop(), queue.pop()] == [first, second]


@pytest.mark.parametrize("lane", ["f", "h", "l"])
@pytest.mark.parametrize("fast_taken", [0, 1, 2])
def test_passing_by_is_push_and_pop(lane: str, fast_taken: int) -> None:
    """The same number, the same state, and the same order for everybody who comes later."""
    orders = []
    for is_passed_by in (False, True):
        queue = new_queue(2)
        for number in range(2 + fast_taken):
            assert queue.push(ticket(f"f{number}")) is True
        high = ticket("h0")
        assert queue.push(high) is True
        for _ in range(fast_taken):
            assert queue.pop() is not None
        queue.remove(high)
        assert [name_of(queue.pop()) for _ in range(2)] == [f"f{fast_taken}", f"f{fast_taken + 1}"]
        assert queue.length == 0
        passing = ticket(f"{lane}9")
        if is_passed_by:
            queue.pass_by(passing)
        else:
            assert queue.push(passing) is True
            assert queue.pop() is passing
        assert (passing.state, passing.sequence) == (RUNNING, 4 + fast_taken)
        for name in ("f1", "f2", "f3", "h1", "h2"):
            assert queue.push(ticket(name)) is True
        orders.append([name_of(queue.pop()) for _ in range(5)])
    assert orders[0] == orders[1]


def test_a_ticket_is_removed_from_the_middle_of_the_line() -> None:
    queue = new_queue()
    tickets = [ticket(f"l{number}") for number in (1, 2, 3)]
    for each in tickets:
        assert queue.push(each) is True
    queue.remove(tickets[1])
    assert queue.length == 2
    assert [queue.pop(), queue.pop(), queue.pop()] == [tickets[0], tickets[2], None]


def test_none_is_popped_when_no_free_node_may_serve_who_waits() -> None:
    queue = new_queue()
    tried = ticket("l1")
    assert queue.push(tried) is True
    assert queue.pop() is tried
    tried.tried = frozenset({1})
    queue.put_back(tried)
    assert queue.pop(lambda nodes: nodes != {1}) is None
    assert (tried.state, queue.length) == (WAITING, 1)


def test_what_expired_comes_out_of_every_lane_oldest_first_and_only_once() -> None:
    """A ticket whose `start_by` is now has expired."""
    queue = new_queue()
    pushed = [("l1", 5.0), ("f1", 5.5), ("l2", 6.0), ("h1", 6.5), ("l3", 7.0), ("f2", 7.5)]
    for name, start_by in pushed:
        assert queue.push(ticket(name, start_by)) is True
    assert queue.take_expired(4.999, 10) == []
    assert queue.take_expired(6.5, 0) == []
    assert names(queue.take_expired(6.5, 3)) == ["f1", "h1", "l1"]
    assert names(queue.take_expired(6.5, 3)) == ["l2"]
    assert queue.take_expired(6.5, 10) == []
    assert queue.lengths() == (1, 0, 1)


def test_an_expired_retry_comes_out_in_its_old_place() -> None:
    queue = new_queue()
    tickets = [ticket(f"l{number}", 5.0 + number) for number in (1, 2, 3)]
    for each in tickets:
        assert queue.push(each) is True
    assert [queue.pop(), queue.pop()] == tickets[:2]
    for each, node_id in ((tickets[1], 8), (tickets[0], 9)):
        each.tried = frozenset({node_id})
        queue.put_back(each)
    assert names(queue.take_expired(7.0, 10)) == ["l1", "l2"]
    assert queue.pop() is tickets[2]


def test_the_next_deadline_is_that_of_the_first_to_expire_in_any_lane() -> None:
    queue = new_queue()
    assert queue.next_deadline() == inf
    for name, start_by in (("l1", 5.0), ("h1", 6.0), ("l2", 7.0)):
        assert queue.push(ticket(name, start_by)) is True
    assert queue.next_deadline() == 5.0
    assert names(queue.take_expired(5.0, 10)) == ["l1"]
    assert queue.next_deadline() == 6.0
    assert name_of(queue.pop()) == "h1"
    assert queue.next_deadline() == 7.0


def resting(until: float = 3.0, start_by: float = 9.0) -> tuple[PriorityQueue, list[Ticket]]:
    """Return a queue with three low tickets in line, of which the second rests until 3.0."""
    queue = new_queue()
    tickets = [ticket(f"l{number}", start_by + number) for number in (1, 2, 3)]
    for each in tickets:
        assert queue.push(each) is True
    assert [queue.pop(), queue.pop()] == tickets[:2]
    queue.put_back(tickets[0])
    tickets[1].tried = frozenset({7})
    queue.rest(tickets[1], until)
    return queue, tickets


def test_who_rests_is_passed_over_until_its_time_and_then_has_its_old_place() -> None:
    queue, tickets = resting(until=3.0)
    assert (queue.length, queue.lengths(), queue.next_wake()) == (3, (0, 0, 3), 3.0)
    assert queue.pop() is tickets[0]
    queue.wake(2.999)
    assert tickets[1].state == WAITING
    queue.wake(3.0)
    assert queue.next_wake() == inf
    assert [queue.pop(), queue.pop(), queue.pop()] == [tickets[1], tickets[2], None]


def test_while_all_who_wait_rest_nobody_is_popped() -> None:
    queue, tickets = resting()
    assert [queue.pop(), queue.pop(), queue.pop()] == [tickets[0], tickets[2], None]
    assert queue.length == 1
    queue.wake(inf)
    assert queue.pop() is tickets[1]


def many_resting(count: int) -> PriorityQueue:
    """Return a queue of which so many rest, each until its own time, in no order."""
    queue = new_queue()
    for number in range(count):
        queue.push(ticket("hl"[number % 2] + str(number)))
    tickets = [queue.pop() for _ in range(count)]
    for each in Random(1).sample(tickets, count):
        assert each is not None
        each.tried = frozenset({7})
        queue.rest(each, 3.0 + each.sequence * 7919 % 1000)
    return queue


def test_when_all_are_woken_the_oldest_of_the_best_lane_are_first_and_so_many_at_once() -> None:
    queue = many_resting(3 * AT_ONCE)
    queue.wake(inf)
    served = []
    while (each := queue.pop()) is not None:
        served.append((each.lane, each.sequence))
    assert served == [(1, sequence) for sequence in range(1, 2 * AT_ONCE, 2)]
    assert queue.next_wake() == -inf
    for now in (0.0, 0.0):
        queue.wake(now)
    assert (queue.next_wake(), queue.length) == (inf, 2 * AT_ONCE)
    assert [pop_one(queue)[0] for _ in range(2 * AT_ONCE)] == [1] * (AT_ONCE // 2) + [2] * (3 * AT_ONCE // 2)


def pop_one(queue: PriorityQueue) -> tuple[int, int]:
    each = queue.pop()
    assert each is not None
    return each.lane, each.sequence


def test_who_comes_to_rest_while_others_are_woken_before_their_time_has_its_own_rest() -> None:
    queue = many_resting(AT_ONCE + 1)
    queue.wake(inf)
    again = queue.pop()
    assert again is not None
    queue.rest(again, 9.0)
    queue.wake(8.0)
    assert (queue.next_wake(), again.fifo is queue.lanes[again.lane].resting) == (9.0, True)


def test_rests_that_end_at_one_time_end_in_portions() -> None:
    queue = many_resting(2 * AT_ONCE)
    queue.wake(1003.0)
    assert queue.next_wake() <= 1003.0
    queue.wake(1003.0)
    assert queue.next_wake() == inf


def test_to_wake_takes_no_more_with_many_than_with_few() -> None:
    """But for those of whom a list is made when all are woken: one step for each."""
    counts, at_first, then = (1000, 5000), [], []
    for count in counts:
        queue = many_resting(count)
        at_first.append(lines_run(lambda queue=queue: queue.wake(inf)))  # type: ignore[misc]
        then.append(lines_run(lambda queue=queue: queue.wake(0.0)))  # type: ignore[misc]
    assert at_first[1] - at_first[0] <= counts[1] - counts[0]
    assert then[0] == then[1]


def test_who_rests_can_be_removed_and_is_not_woken_then() -> None:
    queue, tickets = resting()
    queue.remove(tickets[1])
    assert (queue.length, tickets[1].fifo) == (2, None)
    queue.wake(inf)
    assert [queue.pop(), queue.pop(), queue.pop()] == [tickets[0], tickets[2], None]


def test_nothing_is_kept_of_those_who_leave_while_they_rest() -> None:
    """Their bodies were, until the node wanted to be asked again: for an hour, perhaps."""
    queue, (_, stays, _) = resting(until=30.0)
    for number in range(100):
        leaves = ticket(f"h{number}")
        queue.push(leaves)
        queue.remove(leaves)
        queue.rest(leaves, 3600.0 - number)
        queue.drop(leaves)
        assert list(queue._resting.values()) == [stays]
        assert len(queue._wakes) <= 2 * 1 + 16
    assert queue.next_wake() == 30.0
    queue.wake(3600.0)
    assert (queue.next_wake(), queue._resting) == (inf, {})
    assert stays.fifo is queue.lanes[2].retries[frozenset({7})]


def test_who_rests_expires_at_its_time() -> None:
    queue, _ = resting(until=30.0)
    assert queue.next_deadline() == 10.0
    assert names(queue.take_expired(11.0, 10)) == ["l1", "l2"]
    assert queue.next_deadline() == 12.0


def test_who_has_rested_waits_with_those_who_have_tried_the_same_nodes() -> None:
    queue, tickets = resting()
    queue.wake(inf)
    assert queue.pop(lambda tried: 7 not in tried) is tickets[0]
    assert queue.pop(lambda tried: 7 not in tried) is tickets[2]
    assert queue.pop(lambda tried: 7 not in tried) is None
