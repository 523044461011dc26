"""The median of recent values."""

from priolb.core.nodes.median import RecentMedian


def test_without_values_nothing_is_known() -> None:
    assert RecentMedian().value(0.0) == 0.0


def test_it_is_the_middle_one_and_of_two_the_lower() -> None:
    median = RecentMedian()
    medians = []
    for value in (3.0, 1.0, 2.0, 9.0):
        median.add(value, 0.0)
        medians.append(median.value(0.0))
    assert medians == [3.0, 1.0, 2.0, 2.0]


def test_the_last_64_count() -> None:
    median = RecentMedian()
    for _ in range(64):
        median.add(1.0, 0.0)
    for _ in range(32):
        median.add(2.0, 0.0)
    assert median.value(0.0) == 1.0
    median.add(2.0, 0.0)
    assert median.value(0.0) == 2.0


def test_equal_values_leave_one_by_one() -> None:
    median = RecentMedian()
    for value in [5.0, 5.0, 1.0] + [3.0] * 64:
        median.add(value, 0.0)
    assert (median.value(0.0), median._ordered) == (3.0, [3.0] * 64)


def test_what_is_older_than_10_seconds_is_not_known_any_more() -> None:
    median = RecentMedian()
    median.add(7.0, 100.0)
    assert (median.value(110.0), median.value(110.1)) == (7.0, 0.0)
    median.add(1.0, 110.2)
    assert median.value(110.2) == 1.0
