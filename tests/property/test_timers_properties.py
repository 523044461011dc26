"""The timing wheel against a look at every item."""

from math import floor, inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from priolb.core.timers import TICK_S, Lapsing, TimingWheel
from support.examples import examples

ITEMS = 5

seconds_ahead = st.one_of(
    st.sampled_from([0.0, TICK_S / 2, TICK_S, 3 * TICK_S, 1.0]), st.floats(0, 4, allow_nan=False)
)


def due_at(lapses_at: float) -> float:
    """When an item is late: at the first tick after its time."""
    return lapses_at if lapses_at == inf else (floor(lapses_at / TICK_S) + 1) * TICK_S


class WheelMachine(RuleBasedStateMachine):
    """Nothing lapses early, nothing later than the tick after its time, nothing twice."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.wheel = TimingWheel()
        self.items = [Lapsing() for _ in range(ITEMS)]

    @rule(number=st.integers(0, ITEMS - 1), ahead_s=seconds_ahead, is_told=st.booleans())
    def set_lapse(self, number: int, ahead_s: float, is_told: bool) -> None:
        """Only a lapse before the next look at the item has to be told to the wheel."""
        item = self.items[number]
        item.lapses_at = self.now + ahead_s
        if is_told or item.lapses_at < item.watched_at:
            self.wheel.watch(item)

    @rule(number=st.integers(0, ITEMS - 1))
    def put_off_for_ever(self, number: int) -> None:
        self.items[number].lapses_at = inf

    @rule(number=st.integers(0, ITEMS - 1))
    def forget(self, number: int) -> None:
        item = self.items[number]
        self.wheel.forget(item)
        assert (item.lapses_at, item.watched_at) == (inf, inf)

    @rule(seconds=seconds_ahead)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        has_lapsed = {id(item) for item in self.items if item.lapses_at <= self.now}
        has_to = {id(item) for item in self.items if due_at(item.lapses_at) <= self.now}
        lapsed = self.wheel.lapsed(self.now)
        told = {id(item) for item in lapsed}
        assert len(told) == len(lapsed)
        assert has_to <= told <= has_lapsed
        assert self.wheel.next_at() > self.now
        for item in lapsed:
            assert item.watched_at == inf
            item.lapses_at = inf

    @invariant()
    def the_wheel_is_looked_at_in_time_for_every_item(self) -> None:
        for item in self.items:
            assert self.wheel.next_at() <= item.watched_at + TICK_S
            assert item.watched_at + TICK_S <= due_at(item.lapses_at)


TestWheel = WheelMachine.TestCase
TestWheel.settings = settings(max_examples=examples(100), stateful_step_count=40)
