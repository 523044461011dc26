"""The limits against a token bucket in fractions, which keeps everything and forgets nothing."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from priolb.core.limits.arrival_times import ArrivalTimes
from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit

S = 1_000_000_000
NOW = 10 * S

# Rates whose interval is a whole number of nanoseconds: then the limit is the bucket, to the nanosecond.
EXACT_RATES = st.tuples(st.sampled_from([1, 2, 4, 5, 8, 10, 25, 50, 1000]), st.integers(1, 90))
STEPS = st.lists(
    st.tuples(
        st.one_of(st.just(0), st.integers(0, 3 * S), st.integers(0, 50).map(lambda tenths: tenths * S // 10)),
        st.sampled_from([b"a", b"b", b"c"]),
        st.integers(0, 6),
    ),
    max_size=60,
)


class TokenBucket:
    """A bucket that is full at first and gets tokens all the time."""

    def __init__(self, tokens_per_ns: Fraction, size: int) -> None:
        self._tokens_per_ns = tokens_per_ns
        self._size = Fraction(size)
        self.tokens = Fraction(size)
        self._at = 0

    def fill(self, now_ns: int) -> None:
        self.tokens = min(self._size, self.tokens + (now_ns - self._at) * self._tokens_per_ns)
        self._at = now_ns

    def take(self, count: int, now_ns: int) -> bool:
        self.fill(now_ns)
        if count > self.tokens:
            return False
        self.tokens -= count
        return True


@given(EXACT_RATES, st.integers(1, 20), STEPS)
def test_a_rate_limit_is_a_token_bucket(
    rate: tuple[int, int], burst: int, steps: list[tuple[int, bytes, int]]
) -> None:
    units, per_s = rate
    limit = RateLimit("api", units, per_s, burst)
    buckets = {key: TokenBucket(Fraction(units, per_s * S), burst) for key in (b"a", b"b", b"c")}
    now_ns = NOW
    for pause_ns, key, cost in steps:
        now_ns += pause_ns
        bucket = buckets[key]
        level = limit.take(key, cost, now_ns)
        passes = bucket.take(cost, now_ns)
        assert (level <= limit.most) is passes
        after = level if passes else limit.before(level, cost)
        assert limit.left(after) == int(bucket.tokens)
        missing = 1 + int(bucket.tokens) - bucket.tokens
        assert limit.renewal_ns(after) == missing / Fraction(units, per_s * S)
        if not passes:
            assert limit.wait_ns(level) == (cost - bucket.tokens) / Fraction(units, per_s * S)


@given(st.integers(1, 1000), st.integers(1, 3600), st.integers(1, 20), STEPS)
def test_at_any_rate_nobody_gets_more_than_a_token_bucket_gives(
    units: int, per_s: int, burst: int, steps: list[tuple[int, bytes, int]]
) -> None:
    limit = RateLimit("api", units, per_s, burst)
    buckets = {key: TokenBucket(Fraction(units, per_s * S), burst) for key in (b"a", b"b", b"c")}
    now_ns = NOW
    for pause_ns, key, cost in steps:
        now_ns += pause_ns
        if limit.take(key, cost, now_ns) <= limit.most:
            assert buckets[key].take(cost, now_ns)


@given(
    st.sampled_from([16, 32, 48]),
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 90), st.integers(0, 12), st.booleans()), max_size=300
    ),
)
def test_nobody_is_better_off_when_memory_is_short(
    capacity: int, steps: list[tuple[int, int, int, bool]]
) -> None:
    """90 keys in few rows of 32: whatever passes would have passed with a time kept for each key for ever."""
    times = ArrivalTimes(capacity)
    exact: dict[int, int] = {}
    most_ns, now_ns = 60, NOW
    for pause_ns, number, by_ns, is_taken_back in steps:
        now_ns += pause_ns
        ahead_ns = times.advance(b"key-%d" % number, by_ns, now_ns, most_ns)
        exact_ns = max(exact.get(number, 0), now_ns) + by_ns
        assert ahead_ns >= exact_ns - now_ns
        if ahead_ns > most_ns:
            continue
        if is_taken_back:
            times.take_back(b"key-%d" % number, by_ns)
        else:
            exact[number] = exact_ns


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(0, 12)), max_size=300))
def test_with_room_for_all_each_key_has_its_own_time(steps: list[tuple[int, int, int]]) -> None:
    """31 keys, of which any may be in the one row that there is at first, or in one of three later on."""
    times = ArrivalTimes(48)
    exact: dict[int, int] = {}
    now_ns = NOW
    for pause_ns, number, by_ns in steps:
        now_ns += pause_ns
        exact_ns = max(exact.get(number, 0), now_ns) + by_ns
        assert times.advance(b"key-%d" % number, by_ns, now_ns, 60) == exact_ns - now_ns
        if exact_ns - now_ns <= 60:
            exact[number] = exact_ns


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.booleans()), max_size=80))
def test_no_more_requests_at_a_time_than_allowed(most: int, steps: list[tuple[bytes, bool]]) -> None:
    limit = ConcurrencyLimit("slots", most)
    running: Counter[bytes] = Counter()
    for key, begins in steps:
        if begins:
            passes = limit.take(key, 1, NOW) <= most
            assert passes is (running[key] < most)
            running[key] += passes
        elif running[key]:
            limit.end(key)
            running[key] -= 1
    assert limit._counts == {key: count for key, count in running.items() if count}
