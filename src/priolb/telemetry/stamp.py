"""The time of day as it stands in lines of the log."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from priolb.telemetry.forms import Form

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


class Stamps:
    """Renders the time once a millisecond.

    Another thread may see a text of the neighbouring millisecond, which is all that a lock on the path of
    every request would spare it.

    Args:
        form: how lines look.
        clock_ns: the time of day in nanoseconds since 1970.
    """

    __slots__ = ("_clock_ns", "_form", "_last", "_last_ms", "_last_until")

    def __init__(self, form: Form, clock_ns: Callable[[], int]) -> None:
        self._form = form
        self._clock_ns = clock_ns
        self._last_ms: int = -1
        self._last: bytes = b""
        self._last_until: float = -inf

    def at(self, now: float) -> bytes:
        """Return the time of what was just now, at `now` (monotonic seconds); read once a millisecond."""
        if now >= self._last_until:
            ns = self._clock_ns()
            self._last_until = now + (_NS_PER_MS - ns % _NS_PER_MS) / _NS_PER_S
            return self._rendered(ns // _NS_PER_MS)
        return self._last

    def now(self) -> bytes:
        """Return the time as it stands in a line."""
        return self._rendered(self._clock_ns() // _NS_PER_MS)

    def _rendered(self, ms: int) -> bytes:
        if ms != self._last_ms:
            self._last = self._form.stamp(ms).encode()
            self._last_ms = ms
        return self._last
