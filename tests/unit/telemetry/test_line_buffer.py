"""Lines of requests: they go to the writer together, after a while or when they are many."""

from collections.abc import Callable
from typing import cast

from priolb.telemetry.line_buffer import LineBuffer
from priolb.telemetry.logs import Logger
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


class Timers:
    """Keeps what is to be called later."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], object]]] = []

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> None:
        self.due.append((delay_s, callback))

    def fire(self) -> None:
        (delay_s, callback), *self.due = self.due
        assert delay_s == 0.05
        callback()


def new_buffer() -> tuple[Writer, LineBuffer, Timers]:
    writer, timers = Writer(), Timers()
    buffer = LineBuffer(cast(LogWriter, writer))
    buffer.call_later = timers.call_later
    return writer, buffer, timers


def test_lines_go_together_50_ms_after_the_first_of_them() -> None:
    writer, buffer, timers = new_buffer()
    buffer.add(b"a")
    buffer.add(b"b")
    assert (len(timers.due), writer.texts) == (1, [])
    timers.fire()
    assert writer.texts == [b"ab"]
    buffer.add(b"c")
    timers.fire()
    assert writer.texts == [b"ab", b"c"]


def test_the_257th_takes_the_others_along_and_the_next_ones_are_counted_anew() -> None:
    writer, buffer, _timers = new_buffer()
    for _ in range(256):
        buffer.add(b"x")
    assert writer.texts == []
    buffer.add(b"y")
    assert writer.texts == [b"x" * 256 + b"y"]
    for _ in range(256):
        buffer.add(b"z")
    assert len(writer.texts) == 1
    buffer.add(b"z")
    assert writer.texts == [b"x" * 256 + b"y", b"z" * 257]


def test_there_is_one_timer_at_a_time_however_often_lines_are_handed_over() -> None:
    writer, buffer, timers = new_buffer()
    for _ in range(1_000):
        buffer.add(b"x")
    buffer.hand_over()
    buffer.add(b"y")
    assert (len(timers.due), len(writer.texts)) == (1, 4)
    timers.fire()
    assert (timers.due, writer.texts[4:]) == ([], [b"y"])
    buffer.add(b"z")
    timers.fire()
    assert writer.texts[5:] == [b"z"]


def test_without_a_loop_each_line_goes_at_once() -> None:
    writer = Writer()
    buffer = LineBuffer(cast(LogWriter, writer))
    buffer.add(b"a")
    buffer.add(b"b")
    assert writer.texts == [b"a", b"b"]


def test_another_line_of_the_log_stands_behind_those_of_requests() -> None:
    writer, timers = Writer(), Timers()
    log = Logger(cast(LogWriter, writer), json=False, service="", clock_ns=lambda: 0)
    log.requests.call_later = timers.call_later
    log.requests.add(b"first\n")
    log.info("second")
    log.requests.add(b"third\n")
    log.close()
    second = b"1970-01-01T00:00:00.000Z INFO  second\n"
    assert writer.texts == [b"first\n", second, b"third\n", b"closed"]
