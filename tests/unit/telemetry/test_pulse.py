"""Stalls of the event loop are measured as lateness, with a clock that a test sets."""

import asyncio
import time
from collections.abc import Callable

import pytest

from priolb.telemetry.pulse import BEAT_S, STALL_BOUNDS_S, Pulse


def beaten(*took_s: float) -> Pulse:
    """Return a pulse whose timers took so long, and that was stopped after the last one."""
    loop = asyncio.new_event_loop()
    now_s = 0.0
    timers: list[Callable[[], object]] = []

    def call_later(seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        assert seconds == BEAT_S
        timers.append(callback)
        return asyncio.TimerHandle(now_s + seconds, callback, (), loop)

    pulse = Pulse(lambda: now_s)
    pulse.start(call_later)
    for seconds in took_s:
        now_s += seconds
        timers.pop()()
        assert len(timers) == 1
    loop.close()
    return pulse


def longest_after(*took_s: float) -> float:
    """Return what a pulse says whose sleeps took so long."""
    pulse = beaten(*took_s)
    longest_s = pulse.take_longest_s()
    assert pulse.take_longest_s() == 0.0
    return longest_s


def test_the_longest_stall_is_told_once() -> None:
    assert longest_after(BEAT_S, BEAT_S + 0.25, BEAT_S + 0.125) == pytest.approx(0.25)


def test_a_loop_that_is_never_late_has_no_stall() -> None:
    assert longest_after(BEAT_S, BEAT_S) == pytest.approx(0.0)
    assert longest_after(BEAT_S / 2) == 0.0


def test_every_beat_is_counted_by_how_late_it_was_and_told_to_all_who_look() -> None:
    """A bucket has what is not above its bound; the last one has the rest."""
    pulse = beaten(0.5, BEAT_S / 2, BEAT_S, BEAT_S + 0.75, BEAT_S + 1.25)
    pulse.take_longest_s()
    assert STALL_BOUNDS_S == (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
    assert pulse.stalls == [2, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert pulse.stalled_s == pytest.approx(0.49 + 0.75 + 1.25)


def test_a_beat_that_is_as_late_as_a_bound_is_in_its_bucket() -> None:
    assert STALL_BOUNDS_S[-1] == (BEAT_S + 1.0) - BEAT_S, "no rounding in the way"
    assert beaten(BEAT_S + 1.0).stalls == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_a_loop_that_is_really_held_up_is_noticed_until_the_pulse_stops() -> None:
    async def hold_up() -> list[float]:
        pulse = Pulse()
        pulse.stop()
        pulse.start(asyncio.get_running_loop().call_later)
        stalls_s = []
        for _ in range(2):
            time.sleep(5 * BEAT_S)  # noqa: ASYNC251 - this is what shall be noticed
            await asyncio.sleep(BEAT_S)
            stalls_s.append(pulse.take_longest_s())
            pulse.stop()
        return stalls_s

    first_s, second_s = asyncio.run(hold_up())
    assert first_s >= 4 * BEAT_S
    assert second_s == 0.0
