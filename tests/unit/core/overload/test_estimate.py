"""How long a request will have to wait."""

from math import exp

import pytest

from priolb.core.overload.estimate import WaitEstimate


def estimate_of(*service_s: float) -> WaitEstimate:
    """Return an estimate that has seen one try of each lane, so long ago that no lane is busy."""
    estimate = WaitEstimate(len(service_s))
    for lane, each in enumerate(service_s):
        estimate.observe(lane, each, -1000.0)
    return estimate


def test_before_anything_is_known_nobody_waits() -> None:
    assert WaitEstimate(3).wait_s([9, 9, 9], range(2), 1, 0.0) == 0.0


def test_with_nobody_ahead_the_next_slot_is_half_a_service_away() -> None:
    assert estimate_of(1.0, 1.0).wait_s([0, 0], range(1), 4, 0.0) == 0.5 / 4


def test_without_a_slot_nothing_is_known() -> None:
    assert estimate_of(1.0).wait_s([5], range(0), 0, 0.0) == 0.0


def test_the_work_ahead_is_shared_out_over_the_slots() -> None:
    assert estimate_of(0.5, 2.0).wait_s([4, 3], range(0), 4, 0.0) == (4 * 0.5 + 3 * 2.0 + 0.2875) / 4


def test_a_lane_of_which_nothing_is_known_is_taken_for_the_others() -> None:
    estimate = WaitEstimate(2)
    estimate.observe(0, 2.0, -1000.0)
    assert estimate.service_s(1) == 2.0
    assert estimate.wait_s([0, 4], range(0), 2, 0.0) == 4.5


def test_service_times_are_averaged() -> None:
    estimate = estimate_of(1.0)
    estimate.observe(0, 3.0, 0.0)
    assert estimate.service_s(0) == pytest.approx(1.1)


def test_slots_that_better_lanes_keep_busy_are_not_there() -> None:
    """For ten seconds the better lane has had two slots of four."""
    estimate = WaitEstimate(2)
    for turn in range(200):
        estimate.observe(0, 1.0, turn * 0.5)
    now = 199 * 0.5
    # The sum of what fades, in steps of half a second, instead of its integral.
    busy = 0.1 / (1.0 - exp(-0.05))
    assert estimate.wait_s([0, 6], range(1), 4, now) == pytest.approx(6.5 / (4 - busy), rel=1e-4)
    assert estimate.wait_s([0, 6], range(0), 4, now) == 6.5 / 4


def test_what_better_lanes_kept_busy_is_forgotten_in_time() -> None:
    estimate = WaitEstimate(2)
    estimate.observe(0, 30.0, 0.0)
    assert estimate.wait_s([0, 2], range(1), 6, 0.0) == 75 / 3
    assert estimate.wait_s([0, 2], range(1), 6, 10.0) == pytest.approx(75 / (6 - 3 * exp(-1)))


def test_a_twentieth_of_the_slots_is_always_there() -> None:
    estimate = WaitEstimate(2)
    estimate.observe(0, 1000.0, 0.0)
    assert estimate.wait_s([1, 0], range(1), 2, 0.0) == 1500 / 0.1
