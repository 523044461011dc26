"""The log: lines with a level, a message and fields, and the library logs that join them."""

import logging
import time
import traceback
from collections.abc import Callable
from typing import Final

from priolb.telemetry.forms import Form, JsonForm, Level, ReadableForm
from priolb.telemetry.line_buffer import LineBuffer
from priolb.telemetry.stamp import Stamps
from priolb.telemetry.writer import LogWriter

__all__ = ["OPEN", "LibraryLogHandler", "LogWriter", "Logger", "forward_library_logs"]

# In place of a value in `Logger.parts`; no form lets it into a line.
OPEN: Final = "\0"


class Logger:
    """Renders lines at once and hands them to a writer.

    Args:
        writer: where lines go.
        json: lines are JSON objects, else text for people (coloured when the writer's end is a terminal).
        service: value of the field `service` on every line; empty for no such field.
        clock_ns: the time of day in nanoseconds since 1970.

    `requests` takes the lines of requests, which are many, and whole.
    """

    __slots__ = ("_base_fields", "_writer", "form", "requests", "stamps")

    def __init__(
        self, writer: LogWriter, json: bool, service: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._writer = writer
        self.requests = LineBuffer(writer)
        self.form: Form = JsonForm() if json else ReadableForm(colours=writer.is_tty)
        self._base_fields = [("service", self.form.text(service))] if service else []
        self.stamps = Stamps(self.form, clock_ns)
        writer.set_notice(self._dropped_notice)

    def debug(self, msg: str, /, **fields: object) -> None:
        """Log what only a developer of this program wants to know."""
        self.log(Level.DEBUG, msg, fields)

    def info(self, msg: str, /, **fields: object) -> None:
        """Log what is as it should be."""
        self.log(Level.INFO, msg, fields)

    def warning(self, msg: str, /, **fields: object) -> None:
        """Log what an operator should look at some time."""
        self.log(Level.WARNING, msg, fields)

    def error(self, msg: str, /, **fields: object) -> None:
        """Log what an operator should look at now."""
        self.log(Level.ERROR, msg, fields)

    def log(self, level: Level, msg: str, fields: dict[str, object]) -> None:
        """Log a line; fields that are neither text, number, switch nor None are shown as str() does."""
        line = self._render(level, msg, fields)
        self.requests.hand_over()
        self._writer.write(line)

    @property
    def lost_lines(self) -> int:
        """How many lines nobody will read; see `LogWriter`."""
        return self._writer.lost_lines

    def close(self) -> None:
        """Write what is left."""
        self.requests.hand_over()
        self._writer.close()

    def parts(self, level: Level, msg: str, fields: list[tuple[str, str]]) -> list[bytes]:
        """Return a line, newline included, in the parts between which its stamp and open values stand.

        Args:
            fields: names and values; a value is what `form.value` made, or OPEN.
        """
        line = f"{self.form.line(level, OPEN, msg, self._base_fields + fields)}\n"
        return line.encode().split(OPEN.encode())

    def _render(self, level: Level, msg: str, fields: dict[str, object]) -> bytes:
        value = self.form.value
        rendered = [(name, value(each)) for name, each in fields.items()]
        stamp = self.stamps.now().decode()
        return f"{self.form.line(level, stamp, msg, self._base_fields + rendered)}\n".encode()

    def _dropped_notice(self, lines: int) -> bytes:
        return self._render(Level.WARNING, "Log lines dropped: they could not be written", {"lines": lines})


class LibraryLogHandler(logging.Handler):
    """Turns records of the standard library's logging (asyncio, redis) into lines of our log.

    The name of the library's logger is the field `logger`; a traceback is one field, escaped, so that it
    stays on the line.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record."""
        fields: dict[str, object] = {"logger": record.name}
        try:
            msg = record.getMessage()
        except (TypeError, ValueError) as error:
            # Arguments that do not fit the format are the library's mistake; its words still count.
            msg = str(record.msg)
            fields["logError"] = str(error)
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        self._logger.log(_level_of(record.levelno), msg, fields)


def forward_library_logs(logger: Logger, level: int = logging.WARNING) -> None:
    """Send what libraries log to our log and nowhere else.

    Args:
        level: what is below this level of the standard library's logging is left out.
    """
    logging.basicConfig(level=level, handlers=[LibraryLogHandler(logger)], force=True)


def _level_of(number: int) -> Level:
    if number >= logging.ERROR:
        return Level.ERROR
    if number >= logging.WARNING:
        return Level.WARNING
    return Level.INFO if number >= logging.INFO else Level.DEBUG
