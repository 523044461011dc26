"""Where log lines leave the process: in batches, by a thread of its own.

A write to a pipe whose reader is slow blocks, and a log must never hold up a request. So a line costs
the caller an append under a lock; a daemon thread joins what has gathered and writes it:

    idle      no line: the thread sleeps without a time-out
    gathering a line came: it waits 100 ms for more, less when 64 KB are together
    writing   it hands the batch to the kernel piece by piece, blocked as long as the reader is

What a reader cannot take is bounded: beyond 16 MB lines are dropped and counted, and where they
would have stood one line says how many are missing.
"""

import os
import select
import threading
from collections.abc import Callable
from typing import Final

FLUSH_INTERVAL_S: Final = 0.1
BATCH_BYTES: Final = 64 * 1024
BACKLOG_MAX_BYTES: Final = 16 * 1024 * 1024
# Once a line was dropped the next is taken when a batch has left, so that a slow reader gets one notice
# for a few hundred lost lines and not one for every second line.
_BACKLOG_RESUME_BYTES: Final = BACKLOG_MAX_BYTES - BATCH_BYTES
# Lines joined and written at a time: few enough for the backlog to shrink in steps, enough for few switches
# of threads, each of which can wait 5 ms for a busy interpreter.
_LINES_PER_WRITE: Final = 1024

_NOT_CAREFREE: Final = -1


class LogWriter:
    """Writes lines to a file descriptor without ever blocking or raising into the caller.

    Args:
        fd: a descriptor open for writing; it stays open after `close`.
    """

    __slots__ = (
        "_carefree_bytes",
        "_closed",
        "_dropped_lines",
        "_fd",
        "_flush_now",
        "_gathered_bytes",
        "_lines",
        "_lock",
        "_notice",
        "_notice_due",
        "_something_to_do",
        "_thread",
        "_writing_bytes",
        "is_tty",
        "lost_lines",
    )

    def __init__(self, fd: int) -> None:
        self.is_tty = os.isatty(fd)
        self.lost_lines = 0
        """Lines that nobody will read: dropped, failed, or written after `close` or to a closed pipe."""
        self._fd = fd
        self._notice: Callable[[int], bytes] = _plain_notice
        self._lock = threading.Lock()
        self._something_to_do = threading.Condition(self._lock)
        # All that follows is guarded by the lock.
        self._lines: list[bytes] = []
        self._gathered_bytes = 0
        # As long as no more than this is gathered, a line needs nothing but to be appended.
        self._carefree_bytes = _NOT_CAREFREE
        self._writing_bytes = 0
        self._dropped_lines = 0
        self._notice_due = False
        self._flush_now = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def set_notice(self, notice: Callable[[int], bytes]) -> None:
        """Set how the line about dropped lines is rendered; it is given their number."""
        self._notice = notice

    def write(self, line: bytes) -> None:
        """Take a line, ended by its newline; it reaches the descriptor within about 100 ms."""
        with self._lock:
            gathered_bytes = self._gathered_bytes + len(line)
            if gathered_bytes <= self._carefree_bytes:
                self._gathered_bytes = gathered_bytes
                self._lines.append(line)
            else:
                self._write_with_care(line)

    def _write_with_care(self, line: bytes) -> None:
        gathered_bytes = self._gathered_bytes + len(line)
        too_much = gathered_bytes + self._writing_bytes > BACKLOG_MAX_BYTES
        if too_much or self._dropped_lines or self._closed:
            if not self._make_room(len(line)):
                self._carefree_bytes = _NOT_CAREFREE
                return
            gathered_bytes = self._gathered_bytes + len(line)
        self._gathered_bytes = gathered_bytes
        self._lines.append(line)
        if gathered_bytes >= BATCH_BYTES and not self._flush_now:
            self._flush_now = True
            self._something_to_do.notify()
        elif len(self._lines) == 1:
            self._something_to_do.notify()
        self._carefree_bytes = BACKLOG_MAX_BYTES - self._writing_bytes if self._flush_now else BATCH_BYTES - 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is left and end the thread; a reader that takes nothing is given up on.

        Args:
            timeout_s: longest wait; what is not written by then is lost.
        """
        with self._lock:
            self._closed = True
            self._carefree_bytes = _NOT_CAREFREE
            self._something_to_do.notify()
        self._thread.join(timeout_s)

    def _make_room(self, line_bytes: int) -> bool:
        """Tell whether a line fits after all, with the notice about lost ones before it; else count it."""
        backlog_bytes = self._gathered_bytes + self._writing_bytes + line_bytes
        if self._dropped_lines and backlog_bytes <= _BACKLOG_RESUME_BYTES and not self._closed:
            self._add_notice()
            return True
        self.lost_lines += 1
        if not self._closed:
            self._dropped_lines += 1
            self._notice_due = True
        return False

    def _add_notice(self) -> None:
        line = self._notice(self._dropped_lines)
        self._dropped_lines = 0
        self._notice_due = False
        self._gathered_bytes += len(line)
        self._lines.append(line)

    def _run(self) -> None:
        while lines := self._next_lines():
            while lines:
                piece = lines[:_LINES_PER_WRITE]
                del lines[:_LINES_PER_WRITE]
                if not self._write_piece(piece):
                    self._give_up(len(lines))
                    return

    def _next_lines(self) -> list[bytes]:
        """Wait for lines and return them; none when the writer is closed and all are written."""
        with self._lock:
            while not self._lines and not self._notice_due and not self._closed:
                self._something_to_do.wait()
            if not self._flush_now and not self._closed:
                self._something_to_do.wait(FLUSH_INTERVAL_S)
            self._flush_now = False
            if self._notice_due:
                self._add_notice()
            lines, self._lines = self._lines, []
            self._carefree_bytes = _NOT_CAREFREE
            self._writing_bytes, self._gathered_bytes = self._gathered_bytes, 0
            return lines

    def _write_piece(self, lines: list[bytes]) -> bool:
        """Write lines; returns False when there is nobody to write to any more."""
        data = memoryview(b"".join(lines))
        size = len(data)
        lost_lines = 0
        reader_is_there = True
        try:
            while data:
                data = data[self._write_some(data) :]
        except BrokenPipeError:
            reader_is_there = False
            lost_lines = len(lines)
        except OSError:
            # A full disk, say. The next batch is a new attempt, and says before it what is missing.
            lost_lines = len(lines)
        with self._lock:
            self._writing_bytes -= size
            self.lost_lines += lost_lines
            self._dropped_lines += lost_lines
            if lost_lines:
                self._carefree_bytes = _NOT_CAREFREE
        return reader_is_there

    def _give_up(self, unwritten_lines: int) -> None:
        """Drop what is left, and from now on every line at once: the reader is gone for good."""
        with self._lock:
            self._closed = True
            self._carefree_bytes = _NOT_CAREFREE
            self.lost_lines += unwritten_lines + len(self._lines)
            self._lines.clear()

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            # Whoever shares the descriptor has made it non-blocking.
            writable = select.poll()
            writable.register(self._fd, select.POLLOUT)
            writable.poll()
            return 0


def _plain_notice(lines: int) -> bytes:
    return b"%d log lines dropped\n" % lines
