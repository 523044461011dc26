"""Lines of requests on their way to the writer, to which they go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from priolb.telemetry.writer import LogWriter

HELD_S: Final = 0.05
HELD_LINES: Final = 256


def _at_once(_delay_s: float, callback: Callable[[], object]) -> None:
    callback()


class LineBuffer:
    """Holds lines for 50 ms, or until there are more than 256: the writer is called once for all.

    Args:
        writer: where they go.

    `call_later` calls a function after some seconds; as long as there is no loop, lines go at once.
    """

    __slots__ = ("_held_max", "_lines", "_writer", "call_later")

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._lines: list[bytes] = []
        # Lines that may be held before something is to be done: none while no timer runs.
        self._held_max: int = 0
        self.call_later: Callable[[float, Callable[[], object]], object] = _at_once

    def add(self, line: bytes) -> None:
        """Take a line, ended by its newline. Only for the thread of the loop."""
        lines = self._lines
        lines.append(line)
        if len(lines) > self._held_max:
            self._begin_or_end()

    def hand_over(self) -> None:
        """Give the writer what is held; also for other threads, whose lines are to follow these."""
        if self._lines:
            self._writer.take_from(self._lines)

    def _begin_or_end(self) -> None:
        if self._held_max:
            self.hand_over()
        else:
            self._held_max = HELD_LINES
            self.call_later(HELD_S, self._on_time)

    def _on_time(self) -> None:
        self._held_max = 0
        self.hand_over()
