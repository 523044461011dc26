"""What the process does on signals: it stops, it ends at once, or it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final, Protocol

# One stop may come as several signals: `timeout` passes on to its child what that child has got already, as a
# member of the same process group, and Ctrl-C reaches both `npm` and what it runs.
TOGETHER_S: Final = 1.0

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Log(Protocol):
    """Where it is told what nobody may have wanted."""

    def warning(self, msg: str, /, **fields: object) -> None: ...


class StopSignals:
    """What SIGINT, SIGTERM and SIGHUP bring about.

    Handlers of Python rather than of the event loop: those of the loop are gone when it is closed, and the
    second signal of a stop would kill a process that is about to end in order.

    Args:
        on_stop: is called once, at the first SIGINT or SIGTERM.
        end: is called with an exit status when one comes later than a second after the first.
        log: is told of a SIGHUP.
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_end", "_log", "_on_stop", "_together_until")

    def __init__(
        self,
        on_stop: Callable[[], object],
        end: Callable[[int], object],
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._on_stop = on_stop
        self._end = end
        self._log = log
        self._clock = clock
        self._together_until: float | None = None

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Heed signals from now on, in turns of `loop`; only in the main thread."""

        def heed(number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the end has come already
                loop.call_soon_threadsafe(self.heed, number)

        for number in _NUMBERS:
            signal.signal(number, heed)

    def heed(self, number: int) -> None:
        """Do what a signal asks for."""
        if number == signal.SIGHUP:
            self._log.warning("SIGHUP ignored: a change of settings takes a restart")
            return
        now = self._clock()
        if self._together_until is None:
            self._together_until = now + TOGETHER_S
            self._on_stop()
        elif now > self._together_until:
            self._end(128 + number)


def ignore_signals() -> None:
    """Let no signal change the exit status any more, though Python takes its own handlers away at its end."""
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)
