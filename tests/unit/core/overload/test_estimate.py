"""How long a request will have to wait."""

from math import exp

import pytest

from priolb.core.overload.estimate import Bounds, WaitEstimate, bounded_wait_s


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
    for _ in range(3):
        estimate.observe(0, 10.0, 0.0)
    assert estimate.wait_s([0, 2], range(1), 6, 0.0) == 25 / 3
    assert estimate.wait_s([0, 2], range(1), 6, 10.0) == pytest.approx(25 / (6 - 3 * exp(-1)))


def test_one_stream_of_hours_has_kept_one_slot_busy_and_at_most_doubles_the_mean() -> None:
    estimate = estimate_of(0.5, 0.5)
    estimate.observe(0, 3600.0, 0.0)
    assert estimate.service_s(0) == pytest.approx(1.95 * 0.5)
    assert estimate.wait_s([0, 4], range(1), 3, 0.0) == pytest.approx((4 * 0.5 + 0.5 * 1.95 * 0.5) / 2)


def test_a_twentieth_of_the_slots_is_always_there() -> None:
    estimate = WaitEstimate(2)
    for _ in range(2):
        estimate.observe(0, 10.0, 0.0)
    assert estimate.wait_s([1, 0], range(1), 2, 0.0) == 15 / 0.1


# With bounds of the slots that lanes have

ANY = 1 << 30


@pytest.mark.parametrize(
    ("lane", "work_s", "reserved", "most", "common", "wait_s"),
    [
        pytest.param(1, [4, 2], [0, 0], [ANY, ANY], 4, 1.5, id="no bounds"),
        pytest.param(1, [0, 3], [0, 0], [ANY, 1], 4, 3.0, id="it may have one"),
        pytest.param(1, [0, 4], [2, 0], [ANY, ANY], 2, 2.0, id="two are kept for another"),
        pytest.param(1, [4, 2], [2, 0], [ANY, ANY], 2, 2.0, id="the other has work for those"),
        pytest.param(1, [100, 4], [0, 2], [ANY, ANY], 2, 2.0, id="two are its own"),
        pytest.param(1, [100, 3], [0, 0], [1, ANY], 4, 1.0, id="the other may have one"),
        pytest.param(1, [12, 2], [0, 0], [ANY, 1], 4, 5.0, id="after the other it may have one"),
        pytest.param(1, [6, 4], [0, 0], [2, 1], 2, 7.0, id="the other has all that there are"),
        pytest.param(1, [4, 6], [3, 0], [4, ANY], 1, 7.0, id="what is kept stays kept when its lane is done"),
        pytest.param(1, [0, 3], [0, 4], [ANY, 1], 1, 3.0, id="more are kept for it than it may have"),
        pytest.param(0, [0, 0], [0, 0], [ANY, ANY], 4, 0.0, id="nothing is known"),
    ],
)
def test_bounds_of_lanes_make_waits_longer_or_shorter(
    lane: int, work_s: list[float], reserved: list[int], most: list[int], common: float, wait_s: float
) -> None:
    assert bounded_wait_s(lane, work_s, reserved, most, common) == wait_s


def bounds(
    reserved: list[int],
    most: list[int] | None = None,
    in_flight: list[int] | None = None,
    has_free: bool = False,
) -> Bounds:
    lanes = len(reserved)
    return Bounds(reserved, most or [ANY] * lanes, in_flight or [0] * lanes, has_free)


@pytest.mark.parametrize("reserved", [2, 1, 0])
def test_what_better_lanes_do_in_their_own_slots_keeps_nobody_waiting(reserved: int) -> None:
    """For ten seconds the better lane has had two slots of four: they are not there, kept for it or not."""
    estimate = WaitEstimate(2)
    for _ in range(2):
        estimate.observe(0, 10.0, 0.0)
    assert estimate.wait_within_s(1, [0, 1], range(1), 4, bounds([reserved, 0]), 0.0) == 15.0 / 2


def test_slots_of_its_own_are_there_for_a_lane() -> None:
    estimate = estimate_of(1.0, 1.0)
    assert estimate.wait_within_s(0, [3, 0], range(0), 4, bounds([2, 0]), 0.0) == 3.5 / 4
    assert estimate.wait_within_s(1, [9, 3], range(1), 4, bounds([0, 2]), 0.0) == 3.5 / 2


def test_of_what_is_kept_for_nobody_a_twentieth_of_all_slots_is_always_there() -> None:
    estimate = WaitEstimate(2)
    for _ in range(30):
        estimate.observe(0, 10.0, 0.0)
    assert estimate.wait_within_s(1, [0, 0], range(1), 20, bounds([10, 0]), 0.0) == 5.0 / 1.0


def test_a_lane_that_has_all_it_may_have_waits_for_one_of_its_own() -> None:
    estimate = estimate_of(60.0, 0.05)
    at_most = bounds([0, 0], [ANY, 2], [0, 2], has_free=True)
    assert estimate.wait_within_s(1, [0, 0], range(1), 8, at_most, 0.0) == 0.5 * 0.05 / 2


def test_with_a_free_slot_that_is_kept_for_nobody_better_lanes_are_not_that_busy() -> None:
    estimate = WaitEstimate(2)
    for _ in range(16):
        estimate.observe(0, 10.0, 0.0)
    estimate.observe(1, 1.0, 0.0)
    for has_free, wait_s in ((True, 4.5 / 2), (False, 4.5 / 0.4)):
        at_most = bounds([0, 0], [ANY, 2], [2, 2], has_free)
        assert estimate.wait_within_s(1, [0, 4], range(1), 8, at_most, 0.0) == pytest.approx(wait_s)


def test_one_slot_is_open_to_all_however_many_are_kept() -> None:
    estimate = estimate_of(1.0, 1.0)
    assert estimate.wait_within_s(1, [0, 2], range(1), 4, bounds([9, 0]), 0.0) == 2.5


def test_where_all_slots_are_kept_the_work_of_all_lanes_is_ahead() -> None:
    estimate = estimate_of(1.0, 1.0)
    assert estimate.wait_within_s(0, [0, 5], range(0), 2, bounds([2, 0]), 0.0) == 2.75


@pytest.mark.parametrize(
    ("slots", "reserved", "ahead", "lane"),
    [(2, [4, 2, 0], [10, 10, 0], 1), (4, [3, 3, 0], [10, 10, 0], 1), (4, [4, 4, 4], [16, 20, 0], 2)],
)
def test_slots_that_are_kept_and_not_there_make_no_wait_shorter(
    slots: int, reserved: list[int], ahead: list[int], lane: int
) -> None:
    wait_s = estimate_of(1.0, 1.0, 1.0).wait_within_s(lane, ahead, range(0), slots, bounds(reserved), 0.0)
    assert wait_s == (sum(ahead) + 0.5) / slots


def test_without_a_slot_nothing_is_known_of_bounds_either() -> None:
    assert estimate_of(1.0).wait_within_s(0, [5], range(0), 0, bounds([1]), 0.0) == 0.0
