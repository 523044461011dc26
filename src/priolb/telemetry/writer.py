"""Where log lines leave the process: in batches, by a thread of its own.

A write to a pipe whose reader is slow blocks, and a log must never hold up a request. So what is to be
written costs the caller an append under a lock; a daemon thread joins what has gathered and writes it:

    idle      no line: the thread sleeps without a time-out
    gathering a line came: it waits 50 ms for more, less when 256 KB are together
    writing   it hands the batch to the kernel piece by piece, blocked as long as the reader is

Each batch costs some switches between the threads, as both need the interpreter: at smaller batches they cost
more than all that is written (docs/decisions/0032-few-large-batches-of-lines.md).

What a reader cannot take is bounded: beyond 16 MB lines are dropped and counted, and where they
would have stood one line says how many are missing.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

FLUSH_INTERVAL_S: Final = 0.05
BATCH_BYTES: Final = 256 * 1024
BACKLOG_MAX_BYTES: Final = 16 * 1024 * 1024
# Once a line was dropped the next is taken when a batch has left, so that a slow reader gets one notice
# for a few hundred lost lines and not one for every second line.
_BACKLOG_RESUME_BYTES: Final = BACKLOG_MAX_BYTES - BATCH_BYTES

_NEWLINE: Final = 10


class LogWriter:
    """Writes lines to a file descriptor without ever blocking or raising into the caller.

    Args:
        fd: a descriptor open for writing; it stays open after `close`.
    """

    __slots__ = (
        "_broke_off",
        "_closed",
        "_dropped_lines",
        "_failed_lines",
        "_fd",
        "_flush_now",
        "_gathered",
        "_gathered_bytes",
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
        # Of the thread alone: lines that could not be written since the last notice, and whether the last of
        # what was written is a part of a line.
        self._failed_lines = 0
        self._broke_off = False
        self._lock = threading.Lock()
        self._something_to_do = threading.Condition(self._lock)
        # All that follows is guarded by the lock. What is gathered are texts of one line or more.
        self._gathered: deque[bytes] = deque()
        self._gathered_bytes = 0
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
        """Take a line, ended by its newline; it reaches the descriptor within about 50 ms."""
        with self._lock:
            self._gather(line)

    def take_from(self, lines: list[bytes]) -> None:
        """Take lines off a list, all that it has now; another thread may go on appending to it."""
        with self._lock:
            count = len(lines)
            if count:
                text = b"".join(lines[:count])
                del lines[:count]
                self._gather(text)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is left and end the thread; a reader that takes nothing is given up on.

        Args:
            timeout_s: longest wait; what is not written by then is lost.
        """
        with self._lock:
            self._closed = True
            self._something_to_do.notify()
        self._thread.join(timeout_s)

    def _gather(self, text: bytes) -> None:
        was_idle = not (self._gathered or self._notice_due)
        too_much = self._gathered_bytes + self._writing_bytes + len(text) > BACKLOG_MAX_BYTES
        if not (too_much or self._dropped_lines or self._closed) or self._make_room(text):
            self._gathered.append(text)
            self._gathered_bytes += len(text)
        is_much = self._gathered_bytes >= BATCH_BYTES and not self._flush_now
        if is_much:
            self._flush_now = True
        if is_much or was_idle:
            self._something_to_do.notify()

    def _make_room(self, text: bytes) -> bool:
        """Tell whether a text fits after all, with the notice about lost lines before it; else count them."""
        backlog_bytes = self._gathered_bytes + self._writing_bytes + len(text)
        if self._dropped_lines and backlog_bytes <= _BACKLOG_RESUME_BYTES and not self._closed:
            self._add_notice()
            return True
        lines = _line_count(text)
        self.lost_lines += lines
        if not self._closed:
            self._dropped_lines += lines
            self._notice_due = True
        return False

    def _add_notice(self) -> None:
        line = self._notice(self._dropped_lines)
        self._dropped_lines = 0
        self._notice_due = False
        self._gathered_bytes += len(line)
        self._gathered.append(line)

    def _run(self) -> None:
        while batch := self._next_batch():
            while batch:
                if not self._write_piece(_next_piece(batch)):
                    self._give_up(batch)
                    return

    def _next_batch(self) -> deque[bytes]:
        """Wait for lines and return them; none when the writer is closed and all are written."""
        with self._lock:
            while not self._gathered and not self._notice_due and not self._closed:
                self._something_to_do.wait()
            if not self._flush_now and not self._closed:
                self._something_to_do.wait(FLUSH_INTERVAL_S)
            self._flush_now = False
            if self._notice_due:
                self._add_notice()
            batch, self._gathered = self._gathered, deque()
            self._writing_bytes, self._gathered_bytes = self._gathered_bytes, 0
            return batch

    def _write_piece(self, piece: bytes) -> bool:
        """Write lines; returns False when there is nobody to write to any more."""
        text = self._before_next() + piece
        data = memoryview(text)
        reader_is_there = True
        try:
            while data:
                data = data[self._write_some(data) :]
        except BrokenPipeError:
            reader_is_there = False
        except OSError:
            # A full disk, say. The next piece is a new attempt, and says before it what is missing.
            pass
        lost_lines = _line_count(bytes(data[-len(piece) :]))
        if len(data) <= len(piece):
            self._failed_lines = 0  # that is said
        self._failed_lines += lost_lines
        if len(data) < len(text):
            self._broke_off = bool(data) and text[-len(data) - 1] != _NEWLINE
        with self._lock:
            self._writing_bytes -= len(piece)
            self.lost_lines += lost_lines
        return reader_is_there

    def _before_next(self) -> bytes:
        """Return what is to stand before the next piece: the end of a line that broke off, and a notice."""
        end = b"\n" if self._broke_off else b""
        return end + self._notice(self._failed_lines) if self._failed_lines else end

    def _give_up(self, unwritten: Iterable[bytes]) -> None:
        """Drop what is left, and from now on every line at once: the reader is gone for good."""
        with self._lock:
            self._closed = True
            self.lost_lines += sum(map(_line_count, (*unwritten, *self._gathered)))
            self._gathered.clear()

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


def _next_piece(batch: deque[bytes]) -> bytes:
    """Take what is written at a time from the front of a batch: so the backlog shrinks in steps."""
    piece: list[bytes] = []
    size = 0
    while batch and size < BATCH_BYTES:
        text = batch.popleft()
        piece.append(text)
        size += len(text)
    return b"".join(piece)


def _line_count(text: bytes) -> int:
    return text.count(b"\n")  # whatever comes from outside is escaped: it ends no line
