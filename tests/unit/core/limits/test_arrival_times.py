import os
from pathlib import Path

import pytest

from priolb.core.limits.arrival_times import PLACES_PER_ROW, ArrivalTimes

NOW = 1_000
ROW_BYTES = 16 * PLACES_PER_ROW


def keys(count: int) -> list[bytes]:
    return [b"key-%d" % number for number in range(count)]


def fill_a_row(
    times: ArrivalTimes, first_ns: int, others_ns: int, first: bytes = b"first"
) -> tuple[bytes, list[bytes]]:
    """Advance as many keys as a row has places for; return the first one of them, and the others."""
    others = keys(PLACES_PER_ROW - 1)
    times.advance(first, first_ns, NOW, 100)
    for key in others:
        times.advance(key, others_ns, NOW, 100)
    return first, others


def test_the_time_of_a_new_key_starts_now() -> None:
    times = ArrivalTimes(16)
    assert times.advance(b"a", 30, NOW, 100) == 30
    assert times.advance(b"a", 30, NOW, 100) == 60
    assert times.advance(b"b", 30, NOW, 100) == 30


def test_a_time_that_would_lie_too_far_ahead_stays_where_it_is() -> None:
    times = ArrivalTimes(16)
    assert times.advance(b"a", 100, NOW, 100) == 100
    assert times.advance(b"a", 1, NOW, 100) == 101
    assert times.advance(b"a", 2, NOW, 100) == 102
    assert times.advance(b"a", 1, NOW + 1, 100) == 100


def test_a_time_that_has_passed_starts_anew() -> None:
    times = ArrivalTimes(16)
    times.advance(b"a", 100, NOW, 100)
    assert times.advance(b"a", 10, NOW + 99, 100) == 11
    assert times.advance(b"a", 10, NOW + 5_000, 100) == 10


def test_nothing_is_kept_of_a_new_key_whose_time_would_lie_too_far_ahead() -> None:
    times = ArrivalTimes(16)
    assert times.advance(b"a", 101, NOW, 100) == 101
    assert times.advance(b"a", 0, NOW, 100) == 0


def test_a_step_that_is_taken_back_never_was() -> None:
    times = ArrivalTimes(16)
    times.advance(b"a", 40, NOW, 100)
    times.advance(b"a", 50, NOW, 100)
    times.take_back(b"a", 50)
    assert times.advance(b"a", 0, NOW, 100) == 40


def test_in_a_full_row_a_new_key_takes_the_place_of_one_whose_time_has_passed() -> None:
    times = ArrivalTimes(16)
    _, others = fill_a_row(times, 10, 50)
    assert times.advance(b"new", 30, NOW + 10, 100) == 30
    assert [times.advance(key, 0, NOW + 10, 100) for key in others] == [40] * len(others)
    assert times.advance(b"new", 0, NOW + 10, 100) == 30


def test_in_a_full_row_a_new_key_goes_on_from_the_earliest_time() -> None:
    times = ArrivalTimes(16)
    fill_a_row(times, 20, 50)
    assert times.advance(b"new", 5, NOW, 100) == 25
    assert times.advance(b"new", 0, NOW, 100) == 25


def test_who_lost_his_place_in_a_full_row_is_not_better_off_by_it() -> None:
    times = ArrivalTimes(16)
    first, _ = fill_a_row(times, 90, 95)
    assert times.advance(b"new", 10, NOW, 100) == 100
    assert times.advance(first, 1, NOW, 100) == 96


@pytest.mark.parametrize("row", [0, 1])
def test_who_lost_his_place_is_not_better_off_when_there_is_another_row(row: int) -> None:
    times = ArrivalTimes(32)
    times._most_rows = 1
    first = next(key for key in keys(1000)[PLACES_PER_ROW:] if hash(key) & 1 == row)
    _, others = fill_a_row(times, 90, 95, first)
    assert times.advance(b"new", 10, NOW, 100) == 100
    times._most_rows = 2
    assert times.advance(b"newer", 1, NOW, 100) == 96
    assert times.used_bytes == 2 * ROW_BYTES
    assert times.advance(first, 1, NOW, 100) == 96
    assert [times.advance(key, 0, NOW, 100) for key in others] == [95] * len(others)


def test_a_new_key_that_is_refused_in_a_full_row_takes_nobodys_place() -> None:
    times = ArrivalTimes(16)
    first, _ = fill_a_row(times, 90, 95)
    assert times.advance(b"new", 11, NOW, 100) == 101
    assert times.advance(first, 0, NOW, 100) == 90


def test_there_are_as_many_rows_as_the_keys_take() -> None:
    times = ArrivalTimes(16 * 1000)
    assert times.used_bytes == ROW_BYTES
    for key in keys(602):
        times.advance(key, 10, NOW, 100)
    assert times.used_bytes == 101 * ROW_BYTES
    assert [times.advance(key, 0, NOW, 100) for key in keys(602)] == [10] * 602


def test_keys_whose_times_have_passed_make_room_for_others_before_there_are_more_rows() -> None:
    times = ArrivalTimes(16 * 1000)
    for at in range(20):
        for key in keys(200):
            times.advance(b"%d-%b" % (at, key), 10, NOW + 11 * at, 100)
    assert times.used_bytes < 150 * ROW_BYTES  # 200 keys take 34, 4,000 would take 667


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_room_for_keys_that_have_not_come_takes_no_memory() -> None:
    """Two megabytes at most, a large page: on some systems the first write takes one."""
    before = resident_bytes()
    tables = [ArrivalTimes(1 << 20) for _ in range(20)]
    for times in tables:
        times.advance(b"a", 1, NOW, 100)
    assert resident_bytes() - before < 20 * (2 << 20) + (4 << 20)


def test_as_many_keys_as_were_planned_for_take_32_bytes_each_and_hardly_ever_share() -> None:
    """Strangers share when a row has more than 32 keys: in 1 of 7,600 rows, a few of them."""
    times = ArrivalTimes(16 * 4096)
    shared = sum(times.advance(key, 10, NOW, 1_000) > 10 for key in keys(16 * 4096))
    assert shared < 100
    assert times.used_bytes == 4096 * ROW_BYTES == 32 * 16 * 4096


def test_ten_times_as_many_keys_as_were_planned_for_take_no_more_room() -> None:
    times = ArrivalTimes(16 * 500)
    for key in keys(80_000):
        times.advance(key, 10, NOW, 1_000_000)
    assert times.used_bytes == 500 * ROW_BYTES
