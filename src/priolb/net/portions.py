"""Work of which thousands may come at once, done in portions: so much in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from priolb.core.timers import AT_ONCE


class Portions:
    """Does up to `AT_ONCE` pieces of work in a turn of the loop, and puts what is more off to the next turns.

    Each piece is done once, in the order in which they came.

    Args:
        loop: whose turns they are.
    """

    __slots__ = ("_is_counting", "_left", "_loop", "_put_off")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left: int = AT_ONCE
        self._is_counting: bool = False
        self._put_off: deque[Callable[[], None]] = deque()

    def do(self, work: Callable[[], None]) -> bool:
        """Do a piece of work now, or put it off when this turn had its portion; return whether it is done."""
        if not self._is_counting:
            self._is_counting = True
            self._loop.call_soon(self._go_on)
        if self._left:
            self._left -= 1
            work()
            return True
        self._put_off.append(work)
        return False

    def finish(self) -> None:
        """Do at once whatever was put off."""
        while self._put_off:
            self._put_off.popleft()()

    def _go_on(self) -> None:
        """Do the portion of a new turn."""
        put_off = self._put_off
        due = min(AT_ONCE, len(put_off))
        self._left = AT_ONCE - due
        self._is_counting = due > 0
        if due:
            self._loop.call_soon(self._go_on)  # first, so that work which fails stops only its own portion
        for _ in range(due):
            put_off.popleft()()
