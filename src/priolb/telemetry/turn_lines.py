"""Lines of one turn of the event loop, which go to the writer together."""

from __future__ import annotations

from collections.abc import Callable

from priolb.telemetry.writer import LogWriter


def _at_once(callback: Callable[[], object]) -> None:
    callback()


class TurnLines:
    """Gathers lines until the end of the turn: the writer's lock is taken once for all of them.

    Args:
        writer: where they go.

    `call_soon` is what calls a function at the end of the turn; as long as there is no loop, lines go at once.
    """

    __slots__ = ("_lines", "_writer", "call_soon")

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self._lines: list[bytes] = []
        self.call_soon: Callable[[Callable[[], object]], object] = _at_once

    def add(self, line: bytes) -> None:
        """Take a line, ended by its newline. Only for the thread of the loop."""
        lines = self._lines
        lines.append(line)
        if len(lines) == 1:
            self.call_soon(self.hand_over)

    def hand_over(self) -> None:
        """Give the writer what has come so far; also for other threads, whose lines are to follow these."""
        if self._lines:
            self._writer.take_from(self._lines)
