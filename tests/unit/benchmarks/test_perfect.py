"""What the simulated scheduler makes of a few arrivals, worked out by hand."""

import pytest
from benchmarks.perfect import Due, Span, latencies_on_s, latencies_s


def test_nobody_comes() -> None:
    assert latencies_s([], slots=2, service_s=1.0) == []


def test_with_free_slots_nobody_waits() -> None:
    arrivals = [Due(0.0, 0), Due(0.5, 1), Due(1.0, 0)]
    assert latencies_s(arrivals, slots=2, service_s=1.0) == [[1.0, 1.0], [1.0]]


def test_the_best_lane_goes_first_and_nobody_is_interrupted() -> None:
    arrivals = [Due(0.0, 1), Due(0.0, 1), Due(0.5, 0), Due(0.75, 1), Due(0.75, 0)]
    high, low = latencies_s(arrivals, slots=1, service_s=1.0)
    assert high == [1.5, 2.25]  # served from 1 and from 2 on
    assert low == [1.0, 4.0, 4.25]  # the others of the low lane follow at 3 and at 4


def test_a_slot_that_is_given_back_just_then_is_free() -> None:
    assert latencies_s([Due(0.0, 0), Due(1.0, 0)], slots=1, service_s=1.0) == [[1.0, 1.0]]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_queue_that_grows_is_served_without_a_gap(slots: int) -> None:
    [latencies] = latencies_s([Due(0.0, 0)] * (4 * slots), slots, service_s=0.25)
    assert latencies == [0.25] * slots + [0.5] * slots + [0.75] * slots + [1.0] * slots


def test_on_given_slots_the_first_takes_the_next_that_comes_free() -> None:
    spans = [Span(2.0, 3.0), Span(0.0, 1.0), Span(1.0, 2.5), Span(1.0, 2.0)]
    assert latencies_on_s([0.5, 0.75, 1.5], spans) == [1.5, 1.75, 1.5]


def test_on_given_slots_who_comes_too_late_for_any_is_left_out() -> None:
    assert latencies_on_s([0.0, 0.5, 0.75], [Span(0.0, 1.0), Span(0.5, 2.0)]) == [1.0, 1.5]
    assert latencies_on_s([0.0], []) == []
