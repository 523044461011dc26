"""The disciplines, against series worked out by hand."""

from math import inf

import pytest

from priolb.core.queueing.discipline import Aged, Discipline, FastHighLow, Strict, Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from support.tickets import name_of, names, new_queue, ticket


def filled(queue: PriorityQueue, lanes: str) -> PriorityQueue:
    """Push a ticket for each letter, named by letter and number: f1, f2, h1, ..."""
    counts = dict.fromkeys("fhl", 0)
    for lane in lanes:
        counts[lane] += 1
        assert queue.push(ticket(f"{lane}{counts[lane]}")) is True
    return queue


def drained(queue: PriorityQueue) -> str:
    """Pop everything and return the letters of the lanes in order of service."""
    popped: list[Ticket] = []
    while (each := queue.pop()) is not None:
        popped.append(each)
    return "".join(name[0] for name in names(popped))


@pytest.mark.parametrize(
    ("fast_per_high", "drain_fast_first", "pushed", "popped"),
    [
        pytest.param(1, False, "h" * 11 + "ffl", "fhfh" + "h" * 9 + "l", id="one-to-one"),
        pytest.param(2, False, "ffff" + "hh", "ffhffh", id="two-to-one, the default"),
        pytest.param(2, False, "hh" + "ffff", "ffhffh", id="arrival between lanes does not count"),
        pytest.param(2, False, "fffff" + "h" * 4, "ffhffhfhh", id="fast-track runs out"),
        pytest.param(3, False, "ffff" + "hh", "fffhfh", id="three-to-one"),
        pytest.param(0, False, "fff" + "hh" + "l", "hhfffl", id="zero lets high go first"),
        pytest.param(2, True, "h" * 3 + "f" * 5 + "l", "fffffhhhl", id="drain first"),
        pytest.param(0, True, "hh" + "ff" + "l", "ffhhl", id="drain first beats zero"),
        pytest.param(2, False, "l" * 3 + "h" + "f", "fhlll", id="low only after both"),
        pytest.param(2, False, "fff", "fff", id="fast-track alone"),
        pytest.param(2, False, "hhh", "hhh", id="high alone"),
        pytest.param(2, False, "", "", id="nothing"),
    ],
)
def test_lanes_are_served_in_the_ratio(
    fast_per_high: int, drain_fast_first: bool, pushed: str, popped: str
) -> None:
    assert drained(filled(new_queue(fast_per_high, drain_fast_first), pushed)) == popped


def test_the_count_starts_anew_when_fast_track_was_empty() -> None:
    """One fast-track ticket was taken, then none waited: two are due again, not one."""
    queue = filled(new_queue(2), "fhh")
    assert [name_of(queue.pop()), name_of(queue.pop())] == ["f1", "h1"]
    assert drained(filled(queue, "fff" + "h")) == "ffhfh"


def test_fast_track_tickets_taken_while_no_high_waits_do_not_count() -> None:
    queue = filled(new_queue(2), "fffff")
    assert [name_of(queue.pop()), name_of(queue.pop()), name_of(queue.pop())] == ["f1", "f2", "f3"]
    assert drained(filled(queue, "hf")) == "ffhf"


def test_the_count_goes_on_when_high_was_empty_in_between() -> None:
    """f1 was taken while h1 waited; h1 left, h2 came: one more fast-track ticket, then h2."""
    queue = new_queue(2)
    high = ticket("h1")
    for each in (ticket("f1"), ticket("f2"), ticket("f3"), high):
        assert queue.push(each) is True
    assert name_of(queue.pop()) == "f1"
    queue.remove(high)
    assert queue.push(ticket("h2")) is True
    assert drained(queue) == "fhf"


def test_a_low_ticket_served_shows_that_fast_track_was_empty() -> None:
    queue = filled(new_queue(2), "fhl")
    assert drained(queue) == "fhl"
    assert drained(filled(queue, "fffhh")) == "ffhfh"


def test_a_high_ticket_that_passed_by_starts_the_count_anew_and_a_fast_one_does_not() -> None:
    for lane, order in ((0, "fhff"), (1, "ffhf"), (2, "ffhf")):
        discipline = FastHighLow(2)
        queue = filled(new_queue(), "ffffhh")
        first = discipline.pick(queue.lanes, queue.occupied, lambda tried: True)
        assert first is not None
        queue.remove(first)
        discipline.passed(lane)
        served = ""
        while len(served) < 4:
            picked = discipline.pick(queue.lanes, queue.occupied, lambda tried: True)
            assert picked is not None
            queue.remove(picked)
            served += "fhl"[picked.lane]
        assert served == order


def test_picking_takes_nothing_out() -> None:
    queue = filled(new_queue(), "fhl")
    assert name_of(FastHighLow(2).pick(queue.lanes, queue.occupied, lambda tried: True)) == "f1"
    assert queue.lengths() == (1, 1, 1)


def test_a_lane_of_which_no_node_may_serve_any_ticket_is_passed_over() -> None:
    """The fast-track retry has tried the only free node: high goes, and low when that is alone."""
    queue = filled(new_queue(2), "fhl")
    fast = queue.pop()
    assert fast is not None
    fast.tried = frozenset({1})
    queue.put_back(fast)

    def is_free(tried: frozenset[int]) -> bool:
        return 1 not in tried

    assert [name_of(queue.pop(is_free)), name_of(queue.pop(is_free)), queue.pop(is_free)] == [
        "h1",
        "l1",
        None,
    ]
    assert queue.lengths() == (1, 0, 0)
    assert name_of(queue.pop()) == "f1"


LETTERS = "abcd"


def queue_of(discipline: Discipline, count: int) -> PriorityQueue:
    return PriorityQueue([Lane(LETTERS[index]) for index in range(count)], discipline)


def push(queue: PriorityQueue, lanes: str, arrivals: list[float] | None = None) -> None:
    """Push a ticket for each letter; `arrivals` are the times, 0 for all by default."""
    for index, letter in enumerate(lanes):
        at = arrivals[index] if arrivals else 0.0
        assert queue.push(Ticket(LETTERS.index(letter), at, 1e9)) is True


def served(queue: PriorityQueue, most: int = 1000) -> str:
    letters = ""
    while len(letters) < most and (each := queue.pop()) is not None:
        letters += LETTERS[each.lane]
    return letters


@pytest.mark.parametrize(
    ("pushed", "popped"), [("ccbbaa", "aabbcc"), ("cabcab", "aabbcc"), ("c", "c"), ("", "")]
)
def test_strict_serves_a_lane_only_while_all_better_ones_are_empty(pushed: str, popped: str) -> None:
    queue = queue_of(Strict(), 3)
    push(queue, pushed)
    assert served(queue) == popped


def test_strict_lets_a_better_lane_overtake_at_any_time() -> None:
    queue = queue_of(Strict(), 2)
    push(queue, "bbb")
    assert served(queue, 1) == "b"
    push(queue, "a")
    assert served(queue) == "abb"


@pytest.mark.parametrize(
    ("weights", "pushed", "popped"),
    [
        pytest.param([3, 1], "a" * 7 + "b" * 3, "aaabaaabab", id="in the ratio, and what is left of b"),
        pytest.param(
            [3, 1], "b" * 2 + "a" * 4, "aaabab", id="the order of arrival between lanes does not count"
        ),
        pytest.param([2, 1, 1], "a" * 4 + "b" * 2 + "c" * 2, "aabcaabc", id="three lanes"),
        pytest.param([1, 3], "aab", "aba", id="a turn ends when nobody is left"),
        pytest.param([1, 3], "bbbbbb", "bbbbbb", id="a lane alone is served each time"),
        pytest.param([0, 2, 1], "c" * 2 + "b" * 3 + "a" * 2, "aabbcbc", id="strict goes before"),
        pytest.param(
            [2, 0, 1, 0], "abcd" * 2, "bbddaacc", id="strict lanes in their order, wherever they stand"
        ),
        pytest.param([1], "aa", "aa", id="one lane"),
    ],
)
def test_weighted_lanes_take_turns(weights: list[int], pushed: str, popped: str) -> None:
    queue = queue_of(Weighted(weights), len(weights))
    push(queue, pushed)
    assert served(queue) == popped


def test_ten_to_one_is_exact_over_a_hundred_thousand_tickets_while_both_wait() -> None:
    """At every moment, too: after 11 n tickets 10 n are of the first lane, and n of the second."""
    queue = queue_of(Weighted([10, 1]), 2)
    push(queue, "ab" * 3)
    counts = [0, 0]
    for number in range(1, 100_001):
        each = queue.pop()
        assert each is not None
        counts[each.lane] += 1
        push(queue, LETTERS[each.lane])  # so that there are always three of each
        if number % 11 == 0:
            assert counts == [10 * number // 11, number // 11]
    assert counts == [90_910, 9_090]


def test_what_is_left_of_a_turn_is_not_saved_and_not_lost_to_others() -> None:
    """Lane a has three left when it runs empty: b is served at once, and a begins a turn of its own later."""
    queue = queue_of(Weighted([5, 2]), 2)
    push(queue, "aabbb")
    assert served(queue, 3) == "aab"
    push(queue, "a" * 6)
    assert served(queue) == "baaaaaba"


def test_a_strict_lane_in_between_takes_no_part_of_a_turn() -> None:
    queue = queue_of(Weighted([0, 2, 1]), 3)
    push(queue, "bbbcc")
    assert served(queue, 1) == "b"
    push(queue, "aa")
    assert served(queue) == "aabcbc"


def test_a_strict_lane_of_which_nobody_can_be_served_lets_others_go() -> None:
    queue = queue_of(Weighted([0, 1]), 2)
    push(queue, "ab")
    first = queue.pop()
    assert first is not None
    first.tried = frozenset({1})
    queue.put_back(first)
    second = queue.pop(lambda tried: not tried)
    assert second is not None
    assert second.lane == 1


def test_a_weighted_lane_of_which_nobody_can_be_served_gives_its_turn_away() -> None:
    queue = queue_of(Weighted([2, 1]), 2)
    push(queue, "abb")
    first = queue.pop()
    assert first is not None
    first.tried = frozenset({1})
    queue.put_back(first)
    assert queue.pop(lambda tried: not tried) is not None
    assert queue.lengths() == (1, 1)
    queue.remove(queue.lanes[1].fresh.head)  # type: ignore[arg-type]
    assert queue.pop(lambda tried: not tried) is None
    assert served(queue) == "a"


def test_a_ticket_that_has_expired_uses_no_turn() -> None:
    for weights, pushed, popped in (
        ([2, 1], "aaabb", "aab"),
        ([1, 2], "bbaaa", "abb"),
        ([0, 1], "aab", "ab"),
    ):
        queue = queue_of(Weighted(weights), 2)
        push(queue, pushed)
        late = queue.pop()
        assert late is not None
        assert late.lane == 0
        queue.not_served(late)
        assert served(queue, len(popped)) == popped


@pytest.mark.parametrize(
    ("pushed", "served_before", "late", "popped"),
    [
        ("fffhh", 2, "h1", "hf"),
        ("fffhh", 0, "f1", "ffhh"),
        ("ffffhh", 1, "f2", "fhfh"),
        ("ffh", 1, "f2", "h"),
        ("hhff", 2, "h1", "h"),
    ],
)
def test_a_ticket_of_the_original_lanes_that_has_expired_uses_no_turn(
    pushed: str, served_before: int, late: str, popped: str
) -> None:
    """With the default, two of fast-track and then one of high priority."""
    queue = filled(new_queue(2), pushed)
    for _ in range(served_before):
        queue.pop()
    expired = queue.pop()
    assert expired is not None
    assert name_of(expired) == late
    queue.not_served(expired)
    assert drained(queue) == popped


def test_a_pick_in_vain_changes_no_turn() -> None:
    queue = queue_of(Weighted([3, 1]), 2)
    push(queue, "a" * 5 + "b" * 2)
    assert served(queue, 1) == "a"
    lanes, queue.lanes = queue.lanes, [Lane("a"), Lane("b")]
    assert queue.pop() is None
    queue.lanes = lanes
    assert served(queue) == "aabaab"


@pytest.mark.parametrize("passing", [0, 1, 2])
@pytest.mark.parametrize("before", range(5))
def test_with_weights_too_passing_by_is_push_and_pop(passing: int, before: int) -> None:
    orders = []
    for is_passed_by in (False, True):
        queue = queue_of(Weighted([0, 2, 1]), 3)
        push(queue, "bcbcb"[:before])
        assert len(served(queue)) == before
        if is_passed_by:
            queue.pass_by(Ticket(passing, 0.0, 1e9))
        else:
            push(queue, LETTERS[passing])
            assert served(queue) == LETTERS[passing]
        push(queue, "bbbbbcccc")
        orders.append(served(queue))
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("pushed", "arrivals", "popped"),
    [
        pytest.param("ba", [0.0, 0.9], "ab", id="within the step the better lane overtakes"),
        pytest.param("ba", [0.0, 1.0], "ab", id="after just the step too"),
        pytest.param("ba", [0.0, 1.1], "ba", id="but not later"),
        pytest.param("ca", [0.0, 2.0], "ac", id="two lanes worse, two steps"),
        pytest.param("ca", [0.0, 2.1], "ca", id="and no more"),
        pytest.param("cba", [0.0, 0.5, 3.0], "bca", id="each against each"),
        pytest.param("aab", [0.0, 5.0, 0.0], "aba", id="a lane keeps its order"),
    ],
)
def test_aged_is_strict_for_a_step(pushed: str, arrivals: list[float], popped: str) -> None:
    queue = queue_of(Aged(1.0), 3)
    push(queue, pushed, arrivals)
    assert served(queue) == popped


def test_aged_passes_over_whom_no_free_node_may_serve() -> None:
    queue = queue_of(Aged(1.0), 2)
    push(queue, "ab")
    first = queue.pop()
    assert first is not None
    first.tried = frozenset({1})
    queue.put_back(first)
    second = queue.pop(lambda tried: not tried)
    assert second is not None
    assert second.lane == 1
    assert queue.pop(lambda tried: not tried) is None


def test_strict_and_aged_remember_nothing_of_who_passed_by() -> None:
    for discipline in (Strict(), Aged(1.0)):
        queue = queue_of(discipline, 2)
        queue.pass_by(Ticket(1, 0.0, 1e9))
        push(queue, "ba")
        assert served(queue) == "ab"


# Who goes before a new ticket


def waiting(discipline: Discipline, *lengths: int) -> PriorityQueue:
    """Return a queue in which so many tickets of each lane wait."""
    queue = PriorityQueue([Lane(str(lane)) for lane in range(len(lengths))], discipline)
    for lane, length in enumerate(lengths):
        for _ in range(length):
            assert queue.push(Ticket(lane, 0.0, inf))
    return queue


def test_before_a_new_ticket_go_those_of_better_lanes_and_of_its_own() -> None:
    queue = waiting(Strict(), 3, 4, 5)
    assert [queue.ahead_of(Ticket(lane, 0.0, inf)) for lane in range(3)] == [[3, 0, 0], [3, 4, 0], [3, 4, 5]]
    assert [list(queue.overtaking(Ticket(lane, 0.0, inf))) for lane in range(3)] == [[], [0], [0, 1]]


def test_under_weights_others_have_as_many_turns_as_it_waits_for() -> None:
    """Of the third lane, 5 wait and 2 go in a turn: in the third turn it is the new one's."""
    queue = waiting(Weighted([0, 10, 2, 1]), 9, 99, 5, 9)
    assert queue.ahead_of(Ticket(2, 0.0, inf)) == [9, 30, 5, 3]
    assert list(queue.overtaking(Ticket(2, 0.0, inf))) == [0]
    assert (queue.ahead_of(Ticket(0, 0.0, inf)), list(queue.overtaking(Ticket(0, 0.0, inf)))) == (
        [9, 0, 0, 0],
        [],
    )


@pytest.mark.parametrize(
    ("fast_per_high", "drains", "ahead", "overtaking"),
    [
        (2, False, [[7, 4, 0], [7, 9, 0], [7, 9, 5]], [[], [], [0, 1]]),
        (0, False, [[7, 9, 0], [0, 9, 0], [7, 9, 5]], [[1], [], [0, 1]]),
        (2, True, [[7, 0, 0], [7, 9, 0], [7, 9, 5]], [[], [0], [0, 1]]),
    ],
)
def test_in_the_ratio_of_the_original_high_goes_between_fast(
    fast_per_high: int, drains: bool, ahead: list[list[int]], overtaking: list[list[int]]
) -> None:
    queue = waiting(FastHighLow(fast_per_high, drains), 7, 9, 5)
    assert [queue.ahead_of(Ticket(lane, 0.0, inf)) for lane in range(3)] == ahead
    assert [list(queue.overtaking(Ticket(lane, 0.0, inf))) for lane in range(3)] == overtaking


def test_with_age_those_of_worse_lanes_go_before_that_have_waited_for_as_long_as_that() -> None:
    queue = PriorityQueue([Lane("a"), Lane("b"), Lane("c")], Aged(2.0))
    for at in range(10):  # from 0 to 9
        assert queue.push(Ticket(2, float(at), inf))
        assert queue.push(Ticket(0, float(at), inf))
    expected = queue.ahead_of(Ticket(0, 10.0, inf))
    assert expected == [10, 0, 6]
    new = Ticket(0, 10.0, inf)
    assert queue.push(new)
    before = 0
    while (each := queue.pop()) is not new:
        assert each is not None
        before += 1
    assert before == sum(expected)
    assert queue.lengths() == (0, 0, 4)
    assert queue.ahead_of(Ticket(1, 10.5, inf)) == [0, 0, 3]
    assert queue.ahead_of(Ticket(0, 7.5, inf)) == [0, 0, 0]


@pytest.mark.parametrize(("patience_s", "lanes"), [(1.9, [0, 1]), (2.0, [0, 1]), (2.1, [0]), (4.1, [])])
def test_with_age_those_overtake_for_ever_who_are_better_by_all_the_time_that_it_has(
    patience_s: float, lanes: list[int]
) -> None:
    queue = PriorityQueue([Lane("a"), Lane("b"), Lane("c")], Aged(2.0))
    assert list(queue.overtaking(Ticket(2, 50.0, 50.0 + patience_s))) == lanes
