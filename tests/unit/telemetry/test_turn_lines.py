"""Lines of a turn: they go together at its end, or before any other line."""

from collections.abc import Callable
from typing import cast

from priolb.telemetry.logs import Logger
from priolb.telemetry.turn_lines import TurnLines
from priolb.telemetry.writer import LogWriter


class Writer:
    """Keeps what it is given, each time apart."""

    is_tty = False

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    def set_notice(self, notice: Callable[[int], bytes]) -> None:
        """No line is ever lost."""

    def write(self, line: bytes) -> None:
        self.texts.append(line)

    def take_from(self, lines: list[bytes]) -> None:
        self.texts.append(b"".join(lines))
        lines.clear()

    def close(self) -> None:
        self.texts.append(b"closed")


def new_lines() -> tuple[Writer, TurnLines, list[Callable[[], object]]]:
    writer = Writer()
    lines = TurnLines(cast(LogWriter, writer))
    due: list[Callable[[], object]] = []
    lines.call_soon = due.append
    return writer, lines, due


def test_lines_of_a_turn_go_together_at_its_end() -> None:
    writer, lines, due = new_lines()
    lines.add(b"a")
    lines.add(b"b")
    assert (len(due), writer.texts) == (1, [])
    due.pop()()
    assert writer.texts == [b"ab"]
    lines.add(b"c")
    due.pop()()
    assert writer.texts == [b"ab", b"c"]


def test_without_a_loop_each_line_goes_at_once() -> None:
    writer = Writer()
    lines = TurnLines(cast(LogWriter, writer))
    lines.add(b"a")
    lines.add(b"b")
    assert writer.texts == [b"a", b"b"]


def test_what_was_handed_over_before_the_end_of_the_turn_does_not_go_again() -> None:
    writer, lines, due = new_lines()
    lines.add(b"a")
    lines.hand_over()
    due.pop()()
    assert writer.texts == [b"a"]


def test_another_line_of_the_log_stands_behind_those_of_the_turn() -> None:
    writer = Writer()
    log = Logger(cast(LogWriter, writer), json=False, service="", clock_ns=lambda: 0)
    due: list[Callable[[], object]] = []
    log.turn.call_soon = due.append
    log.turn.add(b"first\n")
    log.info("second")
    log.turn.add(b"third\n")
    log.close()
    second = b"1970-01-01T00:00:00.000Z INFO  second\n"
    assert writer.texts == [b"first\n", second, b"third\n", b"closed"]
