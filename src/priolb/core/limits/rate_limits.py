"""Limits on what one caller may ask for: how often, and how much at a time.

A limit is asked with `take` and says on which level the caller is by that. Within the limit, the request has
been counted; over it, nothing has happened. Levels are nanoseconds or requests, as it suits the limit.
"""

from __future__ import annotations

from typing import Final

from priolb.core.limits.arrival_times import ArrivalTimes

_NS_PER_S: Final = 1_000_000_000
# Callers at a time that one limit tells apart: with places for all of them, it takes 34 MB.
_CAPACITY: Final = 1 << 20
# When one of somebody's requests under way will end, nobody knows.
_BUSY_WAIT_NS: Final = _NS_PER_S


class Limit:
    """A limit that each key has for itself.

    Args:
        name: name of the policy.
        most: the highest level.

    `passed` and `refused` are how many requests were counted, and how many were over the limit.
    """

    __slots__ = ("most", "name", "passed", "refused")

    def __init__(self, name: str, most: int) -> None:
        self.name: str = name
        self.most: int = most
        self.passed: int = 0
        self.refused: int = 0

    def take(self, key: bytes, cost: int, now_ns: int) -> int:
        """Count a request of `key`, unless its level is then above `most`; return that level.

        Args:
            key: who asks.
            cost: what the request counts for, not negative.
            now_ns: monotonic nanoseconds, positive.
        """
        raise NotImplementedError

    def take_back(self, key: bytes, cost: int) -> None:
        """Undo a `take` of this turn, whose request is not served after all."""
        raise NotImplementedError

    def end(self, key: bytes) -> None:
        """Take note that a request that was counted is over."""
        raise NotImplementedError

    def before(self, level: int, cost: int) -> int:
        """Return the level from which a request of this cost has led to `level`, or would have."""
        raise NotImplementedError

    def left(self, level: int) -> int:
        """Return how much more somebody on this level, at most `most`, may ask for at once."""
        raise NotImplementedError

    def can_pass(self, cost: int) -> bool:
        """Return whether a request of this cost is ever within the limit."""
        raise NotImplementedError

    def wait_ns(self, level: int) -> int:
        """Return when a request that came to this level, above `most`, would be within the limit."""
        raise NotImplementedError

    def renewal_ns(self, level: int) -> int:
        """Return when somebody on this level may ask for one more than `left` says; 0 when nobody knows."""
        raise NotImplementedError

    def stands_ns(self, level: int, cost: int) -> int:
        """Return for how long a request is refused again that came to this level, above `most`.

        And for how long what the methods before say of that, in seconds rounded up, stays the same; 0 when
        nobody knows.
        """
        raise NotImplementedError


class RateLimit(Limit):
    """So many requests in so much time, with bursts: the generic cell rate algorithm in its virtual form.

    With T the time between requests at the rate and b the burst, each key has a theoretical arrival time
    TAT. A request of cost c that comes at t moves it on to max(t, TAT) + c T, if that is no more than b T
    ahead of t, and is refused otherwise. This is exactly a token bucket of b tokens that gets one more every
    T, with one number for each key. T is rounded up to whole nanoseconds, and the rest is whole numbers: the
    rate is never exceeded, not even by an error of rounding.

    Source: ITU-T I.371, "Traffic control and congestion control in B-ISDN", annex A, virtual scheduling.

    Args:
        name: name of the policy.
        units: requests in `per_s`, or what they cost.
        per_s: seconds.
        burst: most that may come at once.
        capacity: keys that it can tell apart.
    """

    __slots__ = ("_interval_ns", "_times", "window_s")

    def __init__(self, name: str, units: int, per_s: int, burst: int, capacity: int = _CAPACITY) -> None:
        self._interval_ns: int = -(-per_s * _NS_PER_S // units)
        self.window_s: int = -(-burst * per_s // units)
        """How long it takes for the whole burst to be there again, in seconds, rounded up."""
        super().__init__(name, burst * self._interval_ns)
        self._times: ArrivalTimes = ArrivalTimes(capacity)

    def take(self, key: bytes, cost: int, now_ns: int) -> int:
        interval_ns = self._interval_ns
        by_ns = interval_ns if cost == 1 else cost * interval_ns  # large numbers take long to multiply
        level = self._times.advance(key, by_ns, now_ns, self.most)
        if level > self.most:
            self.refused += 1
        else:
            self.passed += 1
        return level

    def take_back(self, key: bytes, cost: int) -> None:
        self._times.take_back(key, cost * self._interval_ns)
        self.passed -= 1

    def end(self, key: bytes) -> None:
        """Do nothing: what was asked for was asked for."""

    def before(self, level: int, cost: int) -> int:
        return level - cost * self._interval_ns

    def left(self, level: int) -> int:
        return (self.most - level) // self._interval_ns

    def can_pass(self, cost: int) -> bool:
        return cost == 1 or cost * self._interval_ns <= self.most  # a burst is at least 1

    def wait_ns(self, level: int) -> int:
        return level - self.most

    def renewal_ns(self, level: int) -> int:
        return self._interval_ns - (self.most - level) % self._interval_ns

    def stands_ns(self, level: int, cost: int) -> int:
        # Who is refused is as far from his limit as before: only time brings him closer.
        wait_ns, renewal_ns = self.wait_ns(level), self.renewal_ns(self.before(level, cost))
        return 1 + min((wait_ns - 1) % _NS_PER_S, (renewal_ns - 1) % _NS_PER_S)


class ConcurrencyLimit(Limit):
    """So many requests at a time, from their arrival to the end of their answers.

    There are as many keys as there are requests under way at most, and each of those has a connection.

    Args:
        name: name of the policy.
        most: requests at a time.
    """

    __slots__ = ("_counts",)

    def __init__(self, name: str, most: int) -> None:
        super().__init__(name, most)
        self._counts: dict[bytes, int] = {}

    def take(self, key: bytes, cost: int, now_ns: int) -> int:
        level = self._counts.get(key, 0) + 1
        if level > self.most:
            self.refused += 1
        else:
            self._counts[key] = level
            self.passed += 1
        return level

    def take_back(self, key: bytes, cost: int) -> None:
        self.end(key)
        self.passed -= 1

    def end(self, key: bytes) -> None:
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]

    def before(self, level: int, cost: int) -> int:
        return level - 1

    def left(self, level: int) -> int:
        return self.most - level

    def can_pass(self, cost: int) -> bool:
        return True

    def wait_ns(self, level: int) -> int:
        return _BUSY_WAIT_NS

    def renewal_ns(self, level: int) -> int:
        return 0

    def stands_ns(self, level: int, cost: int) -> int:
        return 0
