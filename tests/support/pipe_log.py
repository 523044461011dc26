"""A log whose lines a test can read."""

import os
from collections.abc import Callable

from priolb.telemetry.logs import Logger, LogWriter

# 2026-11-22T08:00:00.123456789Z
MORNING_NS = 1_795_334_400_123_456_789


class Log:
    """A logger that writes to a pipe, with a clock that stands still until it is set."""

    def __init__(self, json: bool, service: str) -> None:
        self.now_ns = MORNING_NS
        self._read_fd, self._write_fd = os.pipe()
        self.logger = Logger(LogWriter(self._write_fd), json, service, clock_ns=lambda: self.now_ns)

    def lines(self) -> list[str]:
        """End the log and return what it holds, line by line."""
        self.logger.close()
        os.close(self._write_fd)
        with os.fdopen(self._read_fd, "rb") as pipe:
            text = pipe.read().decode()
        assert text.endswith("\n") or not text
        # Not splitlines(), which would forgive what ends a line for others only.
        return text.split("\n")[:-1]


OpenLog = Callable[..., Log]
