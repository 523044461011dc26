"""The time of day is rendered once a millisecond."""

from priolb.telemetry.forms import JsonForm
from priolb.telemetry.stamp import Stamps


def test_a_stamp_is_rendered_anew_with_each_millisecond() -> None:
    times_ns = iter([1_500_000_000, 1_500_999_999, 1_501_000_000, 1_500_999_999])
    stamps = Stamps(JsonForm(), lambda: next(times_ns))
    first, same, later, earlier = stamps.now(), stamps.now(), stamps.now(), stamps.now()
    assert (first, later, earlier) == (b"1.500", b"1.501", b"1.500")
    assert same is first


def test_the_time_of_an_event_is_read_from_the_clock_once_a_millisecond() -> None:
    times_ns = iter([1_500_250_000, 1_501_000_000])
    stamps = Stamps(JsonForm(), lambda: next(times_ns))
    first, same = stamps.at(10.0), stamps.at(10.00074)
    assert (first, stamps.at(10.00075)) == (b"1.500", b"1.501")
    assert same is first


def test_the_time_of_an_event_is_never_older_than_one_that_was_told() -> None:
    times_ns = iter([1_500_000_000, 1_500_800_000, 1_501_200_000])
    stamps = Stamps(JsonForm(), lambda: next(times_ns))
    assert [stamps.at(10.0), stamps.now(), stamps.now(), stamps.at(10.0005)] == [
        b"1.500", b"1.500", b"1.501", b"1.501",
    ]  # fmt: skip
