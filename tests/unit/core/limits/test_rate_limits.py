import pytest

from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit

S = 1_000_000_000
NOW = 50 * S


def test_a_burst_passes_at_once_and_then_one_for_each_interval() -> None:
    limit = RateLimit("api", units=10, per_s=1, burst=3)
    passed = [limit.take(b"a", 1, NOW) <= limit.most for _ in range(5)]
    assert passed == [True, True, True, False, False]
    assert limit.take(b"a", 1, NOW + S // 10 - 1) > limit.most
    assert limit.take(b"a", 1, NOW + S // 10) == limit.most
    assert limit.take(b"a", 1, NOW + S // 10) > limit.most


def test_each_key_has_the_limit_for_itself() -> None:
    limit = RateLimit("api", units=1, per_s=1, burst=1)
    assert [limit.take(key, 1, NOW) for key in (b"a", b"b", b"a")] == [S, S, 2 * S]


def test_a_request_of_higher_cost_counts_as_so_many() -> None:
    limit = RateLimit("api", units=10, per_s=1, burst=10)
    assert limit.left(limit.take(b"a", 7, NOW)) == 3
    level = limit.take(b"a", 4, NOW)
    assert level > limit.most
    assert (limit.wait_ns(level), limit.left(limit.before(level, 4))) == (S // 10, 3)
    assert limit.left(limit.take(b"a", 3, NOW)) == 0


def test_what_costs_nothing_always_passes_and_counts_for_nothing() -> None:
    limit = RateLimit("api", units=1, per_s=1, burst=1)
    levels = [limit.take(b"a", cost, NOW) for cost in (0, 1, 0)]
    assert levels == [0, S, S] and limit.most == S


def test_what_costs_more_than_the_burst_can_never_pass() -> None:
    limit = RateLimit("api", units=1, per_s=1, burst=5)
    assert (limit.can_pass(5), limit.can_pass(6)) == (True, False)
    assert limit.take(b"a", 6, NOW) > limit.most


def test_the_interval_is_rounded_so_that_the_rate_is_not_exceeded() -> None:
    limit = RateLimit("api", units=3, per_s=1, burst=3)
    for _ in range(3):
        assert limit.take(b"a", 1, NOW) <= limit.most
    assert limit.wait_ns(limit.take(b"a", 1, NOW)) == 333_333_334


@pytest.mark.parametrize(
    ("units", "per_s", "burst", "window_s"),
    [(10, 1, 10, 1), (10, 1, 25, 3), (1, 60, 1, 60), (300, 1, 300, 1), (3, 10, 6, 20), (7, 1, 7, 1)],
)
def test_the_window_is_the_time_in_which_the_whole_burst_is_there_again(
    units: int, per_s: int, burst: int, window_s: int
) -> None:
    assert RateLimit("api", units, per_s, burst).window_s == window_s


def test_renewal_is_when_one_more_may_come() -> None:
    limit = RateLimit("api", units=10, per_s=1, burst=3)
    level = limit.take(b"a", 1, NOW)
    assert (limit.left(level), limit.renewal_ns(level)) == (2, S // 10)
    level = limit.take(b"a", 0, NOW + S // 40)
    assert (limit.left(level), limit.renewal_ns(level)) == (2, S // 10 - S // 40)
    limit.take(b"a", 2, NOW + S // 40)
    level = limit.take(b"a", 0, NOW + S // 40)
    assert (limit.left(level), limit.renewal_ns(level)) == (0, S // 10 - S // 40)


def test_a_request_that_is_taken_back_never_was() -> None:
    limit = RateLimit("api", units=1, per_s=1, burst=3)
    limit.take(b"a", 1, NOW)
    limit.take(b"a", 2, NOW)
    limit.take_back(b"a", 2)
    assert limit.left(limit.take(b"a", 0, NOW)) == 2


def test_the_end_of_a_request_gives_nothing_of_a_rate_back() -> None:
    limit = RateLimit("api", units=1, per_s=1, burst=1)
    limit.take(b"a", 1, NOW)
    limit.end(b"a")
    assert limit.take(b"a", 1, NOW) > limit.most


def test_so_many_requests_at_a_time_for_each_key() -> None:
    limit = ConcurrencyLimit("slots", 2)
    assert [limit.take(b"a", 9, NOW) for _ in range(3)] == [1, 2, 3]
    assert limit.take(b"b", 1, NOW) == 1
    limit.end(b"a")
    assert limit.take(b"a", 1, NOW) == 2
    assert (limit.left(1), limit.left(2), limit.before(3, 1), limit.can_pass(9)) == (1, 0, 2, True)
    assert (limit.wait_ns(3), limit.renewal_ns(2)) == (S, 0)


def test_nothing_is_kept_of_keys_without_a_request_under_way() -> None:
    limit = ConcurrencyLimit("slots", 2)
    limit.take(b"a", 1, NOW)
    limit.take(b"a", 1, NOW)
    limit.take_back(b"a", 1)
    limit.end(b"a")
    assert limit._counts == {}


def test_it_is_counted_what_passes_and_what_does_not() -> None:
    rate, slots = RateLimit("api", 1, 1, burst=2), ConcurrencyLimit("slots", 2)
    for limit in (rate, slots):
        for _ in range(5):
            limit.take(b"a", 1, NOW)
        assert (limit.passed, limit.refused) == (2, 3)
        limit.take_back(b"a", 1)
        assert (limit.passed, limit.refused) == (1, 3)


@pytest.mark.parametrize(
    ("at_ns", "wait_ns", "stands_ns"),
    [(0, 60 * S, S), (1, 60 * S - 1, S - 1), (S // 4, 60 * S - S // 4, 3 * S // 4), (60 * S - 1, 1, 1)],
)
def test_who_is_refused_is_told_the_same_up_to_the_next_second_of_his_wait(
    at_ns: int, wait_ns: int, stands_ns: int
) -> None:
    limit = RateLimit("api", units=1, per_s=60, burst=2)
    for _ in range(2):
        limit.take(b"a", 1, NOW)
    level = limit.take(b"a", 1, NOW + at_ns)
    assert (limit.wait_ns(level), limit.stands_ns(level, 1)) == (wait_ns, stands_ns)


def test_who_is_refused_for_its_cost_is_told_the_same_up_to_the_next_second_of_what_is_left() -> None:
    limit = RateLimit("api", units=10, per_s=1, burst=10)
    limit.take(b"a", 9, NOW)
    level = limit.take(b"a", 9, NOW + S // 20)
    assert (limit.wait_ns(level), limit.left(limit.before(level, 9))) == (7 * S // 10 + S // 20, 1)
    assert limit.stands_ns(level, 9) == limit.renewal_ns(limit.before(level, 9)) == S // 20


def test_when_a_request_at_a_time_ends_nobody_knows() -> None:
    limit = ConcurrencyLimit("slots", 1)
    limit.take(b"a", 1, NOW)
    assert limit.stands_ns(limit.take(b"a", 1, NOW), 1) == 0
