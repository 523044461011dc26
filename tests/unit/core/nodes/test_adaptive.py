"""Slots that a node finds by itself."""

import pytest

from priolb.core.nodes.adaptive import AdaptiveSlots

BASE_S = 0.02


class Loaded:
    """A node that always has as many requests as it has slots, and a latency that depends on their number."""

    def __init__(self, slots: int = 8, cap: int = 64, knee: int = 12, power: float = 1.0) -> None:
        self.now = 1000.0
        self.adaptive = AdaptiveSlots(slots, cap, self.now)
        self.knee, self.power = knee, power
        self.base_s = BASE_S
        self.seen: list[int] = []

    def latency_s(self, in_flight: int) -> float:
        return float(self.base_s * max(1.0, in_flight / self.knee) ** self.power)

    def batch(self) -> None:
        """Let one request in each slot be answered."""
        slots = self.adaptive.slots
        started_at, latency_s = self.now, self.latency_s(slots)
        self.now += latency_s
        for _ in range(slots):
            self.adaptive.record(latency_s, started_at, slots, self.now)
        self.seen.append(self.adaptive.slots)

    def run(self, seconds: float) -> list[int]:
        """Return the slots after each batch of the time."""
        self.seen, until = [], self.now + seconds
        while self.now < until:
            self.batch()
        return self.seen


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("start", "patience_s"), [(1, 2.0), (4, 2.0), (12, 2.0), (40, 190.0)])
def test_it_finds_the_load_beyond_which_a_node_becomes_slower(
    start: int, patience_s: float, power: float
) -> None:
    """Within 30 % of the best fixed number, which is 12 here, and then for good.

    When it starts beyond it, its first baseline is wrong: it takes some of the minutes in which it learns.
    """
    node = Loaded(start, power=power)
    node.run(patience_s)
    node.run(300.0)
    within = [slots for slots in node.seen if 9 <= slots <= 15]
    assert len(within) > 0.99 * len(node.seen)
    assert min(node.seen) >= 5, "half of it, once a minute"


def test_it_starts_with_what_it_was_given_and_never_exceeds_its_cap() -> None:
    node = Loaded(8, cap=10, knee=1000)
    assert node.adaptive.slots == 8
    assert max(node.run(5.0)) == 10
    assert AdaptiveSlots(20, 10, 0.0).slots == 10


def test_it_does_not_grow_while_slots_stay_unused() -> None:
    adaptive, now = AdaptiveSlots(8, 64, 0.0), 1.0
    for _ in range(100):
        assert adaptive.record(BASE_S, now, in_flight=7, now=now + BASE_S) is False
        now += 0.01
    assert adaptive.slots == 8


def test_a_window_is_two_tries_for_each_slot_and_sixteen_at_least() -> None:
    for slots, tries in ((1, 16), (8, 16), (9, 18), (20, 40)):
        adaptive = AdaptiveSlots(slots, 64, 0.0)
        changed = [adaptive.record(BASE_S, 1.0, slots, 2.0) for _ in range(tries)]
        assert changed == [False] * (tries - 1) + [True]
        assert adaptive.slots == slots + 1


def test_one_slower_window_takes_a_tenth_and_one_slot_at_least() -> None:
    for slots, fewer in ((40, 36), (8, 7), (2, 1)):
        adaptive = AdaptiveSlots(slots, slots, 0.0)
        for latency_s in (BASE_S, 1.26 * BASE_S):
            for _ in range(max(16, 2 * slots)):
                adaptive.record(latency_s, 1.0, slots, 2.0)
        assert adaptive.slots == fewer


def test_tries_that_began_under_another_number_of_slots_are_left_out() -> None:
    adaptive = AdaptiveSlots(8, 64, 0.0)
    for _ in range(16):
        adaptive.record(BASE_S, 1.0, 8, 2.0)
    assert adaptive.slots == 9
    for _ in range(100):
        assert adaptive.record(10.0, 1.9, 8, 3.0) is False
    assert adaptive.slots == 9


def test_it_never_goes_below_one_and_comes_back_when_the_node_is_well() -> None:
    node = Loaded(8)
    node.run(1.0)
    node.base_s = 100 * BASE_S
    assert min(node.run(120.0)) == 1
    node.base_s = BASE_S
    node.run(62.0)
    assert node.run(2.0)[-1] >= 10


def test_a_node_that_is_slower_for_good_is_not_mistaken_for_an_overloaded_one() -> None:
    """It is twice as slow whatever its load: after a minute at most its slots grow again."""
    node = Loaded(8)
    node.run(5.0)
    node.base_s = 2 * BASE_S
    node.run(70.0)
    assert node.run(2.0)[-1] >= 10


def test_the_baseline_does_not_creep_upwards_under_lasting_load() -> None:
    node = Loaded(8)
    node.run(600.0)
    assert max(node.run(60.0)) <= 16
