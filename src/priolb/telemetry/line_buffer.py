"""Lines of requests on their way to the writer, to which they go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from priolb.telemetry.writer import LogWriter

HELD_S: Final = 0.05
HELD_MAX: Final = 256


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
        # With one more line something is to be done: none is held, or as many as may be.
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
        self._held_max = 0
        if self._lines:
            self._writer.take_from(self._lines)

    def _begin_or_end(self) -> None:
        if len(self._lines) == 1:
            self._held_max = HELD_MAX
            self.call_later(HELD_S, self.hand_over)
        else:
            self.hand_over()
