import sys

from priolb.core.limits.arrival_times import PLACES_PER_ROW, ArrivalTimes

NOW = 1_000


def keys(count: int) -> list[bytes]:
    return [b"key-%d" % number for number in range(count)]


def test_the_time_of_a_new_key_starts_now() -> None:
    times = ArrivalTimes(8)
    assert times.advance(b"a", 30, NOW, 100) == 30
    assert times.advance(b"a", 30, NOW, 100) == 60
    assert times.advance(b"b", 30, NOW, 100) == 30


def test_a_time_that_would_lie_too_far_ahead_stays_where_it_is() -> None:
    times = ArrivalTimes(8)
    assert times.advance(b"a", 100, NOW, 100) == 100
    assert times.advance(b"a", 1, NOW, 100) == 101
    assert times.advance(b"a", 2, NOW, 100) == 102
    assert times.advance(b"a", 1, NOW + 1, 100) == 100


def test_a_time_that_has_passed_starts_anew() -> None:
    times = ArrivalTimes(8)
    times.advance(b"a", 100, NOW, 100)
    assert times.advance(b"a", 10, NOW + 99, 100) == 11
    assert times.advance(b"a", 10, NOW + 5_000, 100) == 10


def test_nothing_is_kept_of_a_new_key_whose_time_would_lie_too_far_ahead() -> None:
    times = ArrivalTimes(8)
    assert times.advance(b"a", 101, NOW, 100) == 101
    assert [list(row) for row in times._rows if row is not None] == [[]]


def test_a_step_that_is_taken_back_never_was() -> None:
    times = ArrivalTimes(8)
    times.advance(b"a", 40, NOW, 100)
    times.advance(b"a", 50, NOW, 100)
    times.take_back(b"a", 50)
    assert times.advance(b"a", 0, NOW, 100) == 40


def test_a_row_does_not_grow_while_a_time_in_it_has_passed() -> None:
    times = ArrivalTimes(8)
    times.advance(b"a", 10, NOW, 100)
    times.advance(b"b", 50, NOW, 100)
    times.advance(b"c", 50, NOW + 10, 100)  # takes the place of `a`
    [row] = times._rows
    assert row is not None and list(row[1::2]) == [NOW + 60, NOW + 50]
    assert times.advance(b"b", 0, NOW + 10, 100) == 40


def test_in_a_full_row_a_new_key_goes_on_from_the_earliest_time() -> None:
    times = ArrivalTimes(8)
    first, *others = keys(PLACES_PER_ROW)
    times.advance(first, 20, NOW, 100)
    for key in others:
        times.advance(key, 50, NOW, 100)
    assert times.advance(b"new", 5, NOW, 100) == 25
    assert times.advance(b"new", 0, NOW, 100) == 25


def test_who_lost_his_place_in_a_full_row_is_not_better_off_by_it() -> None:
    times = ArrivalTimes(8)
    first, *others = keys(PLACES_PER_ROW)
    times.advance(first, 90, NOW, 100)
    for key in others:
        times.advance(key, 95, NOW, 100)
    assert times.advance(b"new", 10, NOW, 100) == 100
    assert times.advance(first, 1, NOW, 100) == 96
    [row] = times._rows
    assert row is not None and len(row) == 2 * PLACES_PER_ROW


def test_a_new_key_that_is_refused_in_a_full_row_takes_nobodys_place() -> None:
    times = ArrivalTimes(8)
    first, *others = keys(PLACES_PER_ROW)
    times.advance(first, 90, NOW, 100)
    for key in others:
        times.advance(key, 95, NOW, 100)
    assert times.advance(b"new", 11, NOW, 100) == 101
    assert times.advance(first, 0, NOW, 100) == 90


def test_rows_are_made_when_keys_come() -> None:
    times = ArrivalTimes(8 * 1000)
    assert times._rows == [None] * 1000
    times.advance(b"a", 1, NOW, 100)
    assert sum(row is not None for row in times._rows) == 1


def size_bytes(times: ArrivalTimes) -> int:
    return sys.getsizeof(times._rows) + sum(sys.getsizeof(row) for row in times._rows if row is not None)


def test_as_many_keys_as_were_planned_for_take_less_than_40_bytes_each_and_hardly_ever_share() -> None:
    """Strangers share when a row has more than 16 keys: in 1 of 270 rows, a few of them."""
    times = ArrivalTimes(80_000)
    shared = sum(times.advance(key, 10, NOW, 1_000) > 10 for key in keys(80_000))
    assert shared < 400
    assert size_bytes(times) < 40 * 80_000


def test_ten_times_as_many_keys_as_were_planned_for_take_no_more_than_60_bytes_for_each_of_those() -> None:
    times = ArrivalTimes(8_000)
    for key in keys(80_000):
        times.advance(key, 10, NOW, 1_000_000)
    assert max(len(row) for row in times._rows if row is not None) == 2 * PLACES_PER_ROW
    assert size_bytes(times) < 60 * 8_000
