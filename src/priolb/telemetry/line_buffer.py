"""Lines of requests on their way to the writer, to which they go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from priolb.telemetry.writer import LogWriter

HELD_S: Final = 0.05
HELD_BYTES: Final = 64 * 1024


def _at_once(_delay_s: float, callback: Callable[[], object]) -> None:
    callback()


class LineBuffer:
    """Holds lines for 50 ms, or until they have more than 64 KB: the writer is called once for all.

    Args:
        writer: where they go.

    `call_later` calls a function after some seconds; as long as there is no loop, lines go at once.
    """

    __slots__ = ("_lines", "_room", "_writer", "call_later")

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._lines: list[bytes] = []
        # Bytes that may still come until all is handed over; less than none when nothing is held.
        self._room: int = -1
        self.call_later: Callable[[float, Callable[[], object]], object] = _at_once

    def add(self, line: bytes) -> None:
        """Take a line, ended by its newline. Only for the thread of the loop."""
        self._lines.append(line)
        self._room -= len(line)
        if self._room < 0:
            self._begin_or_end()

    def hand_over(self) -> None:
        """Give the writer what is held; also for other threads, whose lines are to follow these."""
        self._room = -1
        if self._lines:
            self._writer.take_from(self._lines)

    def _begin_or_end(self) -> None:
        if len(self._lines) == 1:
            self._room = HELD_BYTES - len(self._lines[0])
            self.call_later(HELD_S, self.hand_over)
        else:
            self.hand_over()
