"""The rule of the original, against series worked out by hand."""

import pytest

from priolb.core.discipline import FastHighLow
from priolb.core.queue import PriorityQueue
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
        lanes = filled(new_queue(), "ffffhh").lanes
        first = discipline.pick(lanes, lambda tried: True)
        assert first is not None
        lanes[0].remove(first)
        discipline.passed(lane)
        served = ""
        while len(served) < 4:
            picked = discipline.pick(lanes, lambda tried: True)
            assert picked is not None
            lanes[picked.lane].remove(picked)
            served += "fhl"[picked.lane]
        assert served == order


def test_picking_takes_nothing_out() -> None:
    lanes = filled(new_queue(), "fhl").lanes
    assert name_of(FastHighLow(2).pick(lanes, lambda tried: True)) == "f1"
    assert [lane.length for lane in lanes] == [1, 1, 1]


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
