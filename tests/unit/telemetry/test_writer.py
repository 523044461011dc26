"""The writer of lines: batches, bounds, and readers that are slow or gone.

The other end is a socket that keeps packets apart, where a test has to tell one write from two.
"""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from types import SimpleNamespace

import pytest

from priolb.telemetry import writer as writer_module
from priolb.telemetry.writer import BACKLOG_MAX_BYTES, LogWriter

MIB = 1024 * 1024
NEVER_S = 3600.0


@pytest.fixture
def packets() -> Iterator[tuple[int, socket.socket]]:
    """Return a descriptor to write to and a socket that receives each write as one packet."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(30)
    with ours, theirs:
        yield ours.fileno(), theirs


@pytest.fixture
def pipe() -> Iterator[tuple[int, FileIO]]:
    """Return a descriptor to write to and what reads from it."""
    read_fd, write_fd = os.pipe()
    with FileIO(read_fd) as reader, FileIO(write_fd, "w") as end:
        yield end.fileno(), reader


def read_exactly(reader: FileIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += reader.read(min(size - len(data), MIB))
    return data


def spin_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_lines_of_a_moment_leave_in_one_write(
    packets: tuple[int, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_INTERVAL_S", NEVER_S)
    fd, reader = packets
    writer = LogWriter(fd)
    for line in (b"one\n", b"two\n", b"three\n"):
        writer.write(line)
    writer.close()
    assert reader.recv(1000) == b"one\ntwo\nthree\n"


def test_a_single_line_leaves_without_another_one(packets: tuple[int, socket.socket]) -> None:
    fd, reader = packets
    writer = LogWriter(fd)
    writer.write(b"one\n")
    assert reader.recv(1000) == b"one\n"
    writer.write(b"two\n")
    assert reader.recv(1000) == b"two\n"
    writer.close()


def test_256_kb_leave_at_once(pipe: tuple[int, FileIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_INTERVAL_S", NEVER_S)
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    for _ in range(255):
        writer.write(b"x" * 1023 + b"\n")
    os.set_blocking(reader.fileno(), False)
    assert reader.read(1) is None
    os.set_blocking(reader.fileno(), True)
    writer.write(b"y" * 1023 + b"\n")
    assert read_exactly(reader, 262_144) == (b"x" * 1023 + b"\n") * 255 + b"y" * 1023 + b"\n"
    writer.close()


def test_one_line_of_256_kb_leaves_at_once(pipe: tuple[int, FileIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_INTERVAL_S", NEVER_S)
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    writer.write(b"x" * 262_144)
    assert read_exactly(reader, 262_144) == b"x" * 262_144
    writer.close()


def test_lines_that_are_taken_together_stay_in_order(packets: tuple[int, socket.socket]) -> None:
    fd, reader = packets
    writer = LogWriter(fd)
    writer.write(b"one\n")
    lines = [b"two\n", b"three\n"]
    writer.take_from(lines)
    assert lines == []
    writer.take_from(lines)
    writer.write(b"four\n")
    writer.close()
    assert reader.recv(1000) == b"one\ntwo\nthree\nfour\n"


def test_lines_that_are_taken_together_are_dropped_together_and_all_counted(
    pipe: tuple[int, FileIO],
) -> None:
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    writer.write(b"x" * (BACKLOG_MAX_BYTES - 1) + b"\n")
    writer.take_from([b"one\n", b"two\n", b"three\n"])
    assert writer.lost_lines == 3
    assert len(read_exactly(reader, BACKLOG_MAX_BYTES)) == BACKLOG_MAX_BYTES
    assert read_exactly(reader, 20) == b"3 log lines dropped\n"
    writer.close()


def test_idle_thread_sleeps_without_a_time_out(
    packets: tuple[int, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait of the thread: for a first line, 50 ms for more, for a first line."""
    waits: list[float | None] = []

    class RecordingCondition(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    conditions = SimpleNamespace(Lock=threading.Lock, Thread=threading.Thread, Condition=RecordingCondition)
    monkeypatch.setattr(writer_module, "threading", conditions)
    fd, reader = packets
    writer = LogWriter(fd)
    spin_until(lambda: len(waits) == 1)
    writer.write(b"one\n")
    reader.recv(1000)
    spin_until(lambda: len(waits) == 3)
    writer.close()
    assert waits == [None, 0.05, None]


def test_lines_beyond_16_mb_are_dropped_counted_and_told_of(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    line = b"x" * (MIB - 1) + b"\n"
    for _ in range(20):
        writer.write(line)
    assert writer.lost_lines == 4
    assert read_exactly(reader, BACKLOG_MAX_BYTES) == line * 16
    assert read_exactly(reader, 20) == b"4 log lines dropped\n"
    spin_until(lambda: writer._writing_bytes == 0)  # the reader may know before the writer does
    writer.write(b"later\n")
    writer.close()
    assert reader.read(1000) == b"later\n"
    assert writer.lost_lines == 4


def test_notice_stands_where_the_dropped_lines_would_have_stood(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    writer.set_notice(lambda lines: b"%d lost\n" % lines)
    line = b"x" * (MIB - 1) + b"\n"
    for _ in range(17):
        writer.write(line)
    assert writer.lost_lines == 1
    # The reader takes one line and a bit; the place of that line is what the next one finds.
    assert read_exactly(reader, MIB + 1) == line + b"x"

    def is_taken() -> bool:
        lost_before = writer.lost_lines
        writer.write(b"after\n")
        return writer.lost_lines == lost_before

    spin_until(is_taken)
    end = b"%d lost\nafter\n" % writer.lost_lines
    assert read_exactly(reader, 15 * MIB - 1 + len(end)) == line[1:] + line * 14 + end
    writer.close()


def test_closed_pipe_ends_writing_without_an_error(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    reader.close()
    writer = LogWriter(write_fd)
    writer.write(b"one\n")
    writer.write(b"two\n")
    spin_until(lambda: writer.lost_lines == 2)
    for _ in range(100):
        writer.write(b"x" * MIB + b"\n")
    assert writer.lost_lines == 102
    writer.close()


def test_closed_pipe_counts_also_what_waited_behind_the_failed_write(
    pipe: tuple[int, FileIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FLUSH_INTERVAL_S", NEVER_S)
    write_fd, reader = pipe
    reader.close()
    writer = LogWriter(write_fd)
    for _ in range(5):
        writer.write(b"x" * 131_072 + b"\n")
    writer.close()
    assert writer.lost_lines == 5


class Disk:
    """Stands for `os`, and for a disk that is full until it is told otherwise.

    `room` is how many bytes still fit where it is full.
    """

    def __init__(self) -> None:
        self.is_full = True
        self.room = 0
        self.written: list[bytes] = []

    def write(self, _fd: int, data: memoryview) -> int:
        if self.is_full:
            data = data[: self.room]
            self.room -= len(data)
            if not data:
                raise OSError(errno.ENOSPC, "No space left on device")
        self.written.append(bytes(data))
        return len(data)

    def isatty(self, _fd: int) -> bool:
        return False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return the disk to which writers write now, whatever their descriptor."""
    disk = Disk()
    monkeypatch.setattr(writer_module, "os", disk)
    return disk


def test_full_disk_loses_lines_until_there_is_room_again(disk: Disk) -> None:
    writer = LogWriter(-1)
    writer.write(b"one\n")
    spin_until(lambda: writer.lost_lines == 1)
    disk.is_full = False
    writer.write(b"two\n")
    writer.close()
    assert b"".join(disk.written) == b"1 log lines dropped\ntwo\n"
    assert writer.lost_lines == 1


def test_the_log_goes_on_by_itself_when_there_is_room_again(disk: Disk) -> None:
    writer = LogWriter(-1)
    writer.write(b"one\n")
    spin_until(lambda: writer.lost_lines == 1)
    disk.is_full = False
    writer.write(b"two\n")
    spin_until(lambda: bool(disk.written))
    assert b"".join(disk.written) == b"1 log lines dropped\ntwo\n"
    writer.close()


@pytest.mark.parametrize(
    ("room", "lost", "written"),
    [
        (0, 3, b"3 log lines dropped\nlater\n"),
        (1, 3, b"o\n3 log lines dropped\nlater\n"),
        (3, 3, b"one\n3 log lines dropped\nlater\n"),
        (4, 2, b"one\n2 log lines dropped\nlater\n"),
        (6, 2, b"one\ntw\n2 log lines dropped\nlater\n"),
        (8, 1, b"one\ntwo\n1 log lines dropped\nlater\n"),
    ],
)
def test_a_line_that_breaks_off_is_ended_and_only_what_is_missing_is_counted(
    disk: Disk, room: int, lost: int, written: bytes
) -> None:
    disk.room = room
    writer = LogWriter(-1)
    writer.take_from([b"one\n", b"two\n", b"three\n"])
    spin_until(lambda: writer.lost_lines > 0)
    disk.is_full = False
    writer.write(b"later\n")
    writer.close()
    assert b"".join(disk.written) == written
    assert writer.lost_lines == lost


def test_a_notice_that_cannot_be_written_is_made_up_for(disk: Disk) -> None:
    disk.room = 2
    writer = LogWriter(-1)
    writer.write(b"one\n")
    spin_until(lambda: writer.lost_lines == 1)
    writer.write(b"two\n")  # nothing of it fits, nor of the notice
    spin_until(lambda: writer.lost_lines == 2)
    disk.room = 1
    writer.write(b"three\n")  # the end of the line alone
    spin_until(lambda: writer.lost_lines == 3)
    disk.room = 3
    writer.write(b"four\n")  # a part of the notice
    spin_until(lambda: writer.lost_lines == 4)
    disk.is_full = False
    writer.write(b"five\n")
    writer.close()
    assert b"".join(disk.written) == b"on\n3 l\n4 log lines dropped\nfive\n"
    assert writer.lost_lines == 4


@pytest.mark.usefixtures("disk")
def test_close_on_a_full_disk_returns() -> None:
    writer = LogWriter(-1)
    writer.write(b"one\n")
    writer.close()
    assert writer.lost_lines == 1
    assert not writer._thread.is_alive()


def test_non_blocking_descriptor_gets_everything(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    os.set_blocking(write_fd, False)
    writer = LogWriter(write_fd)
    writer.write(b"x" * MIB)
    assert read_exactly(reader, MIB) == b"x" * MIB
    writer.close()


def test_close_gives_up_on_a_reader_that_takes_nothing(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    writer.write(b"x" * MIB)
    writer.close(timeout_s=0.01)
    assert writer._thread.is_alive()
    assert read_exactly(reader, MIB) == b"x" * MIB
    writer.close()
    assert not writer._thread.is_alive()


def test_line_after_close_is_counted_as_lost(packets: tuple[int, socket.socket]) -> None:
    fd, reader = packets
    writer = LogWriter(fd)
    writer.write(b"one\n")
    writer.close()
    writer.write(b"two\n")
    writer.close()
    assert reader.recv(1000) == b"one\n"
    assert writer.lost_lines == 1


def test_lines_of_many_threads_stay_whole(pipe: tuple[int, FileIO]) -> None:
    write_fd, reader = pipe
    writer = LogWriter(write_fd)
    lines = [b"%d " % number * 50 + b"\n" for number in range(4)]

    def write_many(line: bytes) -> None:
        for _ in range(100):
            writer.write(line)

    threads = [threading.Thread(target=write_many, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    data = read_exactly(reader, sum(map(len, lines)) * 100)
    for thread in threads:
        thread.join()
    writer.close()
    assert sorted(data.splitlines(keepends=True)) == sorted(lines * 100)


def test_terminal_is_told_from_a_pipe(pipe: tuple[int, FileIO]) -> None:
    controller, terminal = os.openpty()
    writers = [LogWriter(terminal), LogWriter(pipe[0])]
    assert [writer.is_tty for writer in writers] == [True, False]
    for writer in writers:
        writer.close()
    os.close(controller)
    os.close(terminal)
