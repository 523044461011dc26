"""The timing wheel: nothing early, nothing forgotten, nothing told twice."""

from math import inf

import pytest

from priolb.core.timers import AT_ONCE, NO_SLOT, TICK_S, Lapsing, TimingWheel


def watched(wheel: TimingWheel, lapses_at: float) -> Lapsing:
    item = Lapsing()
    item.lapses_at = lapses_at
    wheel.watch(item)
    return item


def test_an_item_lapses_within_one_tick_after_its_time_and_once() -> None:
    wheel = TimingWheel()
    item = watched(wheel, 10.0)
    assert wheel.next_at() == 10.0 + TICK_S
    assert wheel.lapsed(9.0) == []
    assert wheel.lapsed(10.0) == []
    assert wheel.lapsed(10.0 + TICK_S) == [item]
    assert wheel.lapsed(11.0) == []
    assert wheel.next_at() == inf


def test_items_lapse_in_the_order_of_their_time() -> None:
    wheel = TimingWheel()
    late, early, middle = (watched(wheel, at) for at in (3.0, 1.0, 2.0))
    assert wheel.lapsed(2.5) == [early, middle]
    assert wheel.lapsed(99.0) == [late]


def test_what_lapses_at_one_moment_comes_in_parts_and_can_be_put_off_until_its_turn() -> None:
    wheel = TimingWheel()
    items = [watched(wheel, 1.0) for _ in range(AT_ONCE + 2)]
    first = wheel.lapsed(2.0)
    assert len(set(first)) == AT_ONCE
    forgotten, put_off = [item for item in items if item not in first]
    wheel.forget(forgotten)
    put_off.lapses_at = 3.0
    assert wheel.next_at() <= 2.0
    assert wheel.lapsed(2.0) == []
    assert wheel.next_at() == 3.0 + TICK_S
    assert wheel.lapsed(4.0) == [put_off]
    assert wheel.next_at() == inf


def test_a_lapse_that_was_put_off_is_looked_at_again_at_its_new_time() -> None:
    """Nobody told the wheel: it reads the number when the slot comes round."""
    wheel = TimingWheel()
    item = watched(wheel, 1.0)
    item.lapses_at = 5.0
    assert wheel.next_at() == 1.0 + TICK_S
    assert wheel.lapsed(2.0) == []
    assert wheel.next_at() == 5.0 + TICK_S
    assert wheel.lapsed(5.5) == [item]


def test_watching_what_is_watched_already_changes_nothing() -> None:
    wheel = TimingWheel()
    item = watched(wheel, 1.0)
    item.lapses_at = 2.0
    wheel.watch(item)
    wheel.watch(item)
    assert item.watched_at == 1.0
    assert wheel.lapsed(3.0) == [item]


def test_a_lapse_that_comes_earlier_is_moved_forward() -> None:
    wheel = TimingWheel()
    item = watched(wheel, 9.0)
    item.lapses_at = 1.0
    wheel.watch(item)
    assert wheel.next_at() == item.watched_at + TICK_S == 1.0 + TICK_S
    assert wheel.lapsed(1.5) == [item]
    assert wheel.lapsed(10.0) == []


def test_what_never_lapses_is_not_watched() -> None:
    wheel = TimingWheel()
    item = watched(wheel, inf)
    assert (item.wheel_slot, item.watched_at, wheel.next_at()) == (NO_SLOT, inf, inf)


def test_a_lapse_put_off_for_ever_falls_out_when_its_slot_comes_round() -> None:
    wheel = TimingWheel()
    item = watched(wheel, 1.0)
    item.lapses_at = inf
    assert wheel.lapsed(2.0) == []
    assert (item.wheel_slot, item.watched_at, wheel.next_at()) == (NO_SLOT, inf, inf)


def test_a_forgotten_item_does_not_lapse() -> None:
    wheel = TimingWheel()
    gone, stays = watched(wheel, 1.0), watched(wheel, 1.0)
    wheel.forget(gone)
    assert (gone.lapses_at, gone.wheel_slot, gone.watched_at) == (inf, NO_SLOT, inf)
    assert wheel.lapsed(2.0) == [stays]
    wheel.forget(stays)
    wheel.forget(gone)
    assert wheel.lapsed(3.0) == []


def test_an_item_that_lapsed_can_be_watched_again() -> None:
    wheel = TimingWheel()
    item = watched(wheel, 1.0)
    assert wheel.lapsed(2.0) == [item]
    assert (item.wheel_slot, item.watched_at) == (NO_SLOT, inf)
    item.lapses_at = 3.0
    wheel.watch(item)
    assert wheel.lapsed(4.0) == [item]


@pytest.mark.parametrize("lapses_at", [0.0, TICK_S, 1.0, 1.0 - 1e-9, 12345.678, 1e9 + 0.1])
def test_no_rounding_makes_an_item_lapse_early_or_a_tick_late(lapses_at: float) -> None:
    wheel = TimingWheel()
    item = watched(wheel, lapses_at)
    assert lapses_at < item.watched_at + TICK_S <= lapses_at + TICK_S
    assert wheel.lapsed(item.watched_at + TICK_S) == [item]


def test_what_an_item_does_is_left_to_its_class() -> None:
    with pytest.raises(NotImplementedError):
        Lapsing().on_lapse(1.0)
