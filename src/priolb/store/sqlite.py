"""The node list in a SQLite file: durable, embedded, and shared by the processes of one machine.

SQLite blocks its caller, so each store owns one thread, in which its connection is made, used and
closed; the event loop never waits for the disk. Each change is one statement and so a transaction
of its own. Other writers are waited for, but only as long as the call has left: a call that has
given up before it began cannot change the file later, because its time is looked at again in the
thread. One that had begun may, when a disk that hung goes on.

The file may be deleted or replaced while it is in use, and SQLite writes on into the old one, which
nobody will ever read. So each call looks first whether the path still leads to the file that is open.
A file that has come in its place is used from then on, as it would be after a restart; one that is
gone is not made anew, for that would be an empty list and the end of service.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, TypeVar

from priolb.errors import StoreError
from priolb.store.base import CALL_TIMEOUT_S, OPEN_TIMEOUT_S

T = TypeVar("T")

# AUTOINCREMENT: a position is never used again, so a node that was removed and added is the last.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS priolb_nodes (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    uri      TEXT NOT NULL UNIQUE CHECK (typeof(uri) = 'text')
)
"""
_SELECT = "SELECT uri FROM priolb_nodes ORDER BY position"
_INSERT = "INSERT INTO priolb_nodes (uri) VALUES (?) ON CONFLICT (uri) DO NOTHING"
_DELETE = "DELETE FROM priolb_nodes WHERE uri = ?"

_WAL_RETRY_S = 0.01
_NO_FILE = (-1, -1)
# How long what has begun may take: nothing but the disk is waited for then.
_DISK_S = 5.0


class _Thread:
    """Does one piece of work after the other; the end of the program does not wait for it."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="priolb-sqlite", daemon=True).start()

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Do a piece of work in its turn, unless its future is cancelled before."""
        result: Future[T] = Future()

        def work() -> None:
            if not result.set_running_or_notify_cancel():
                return
            try:
                result.set_result(job())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for the one who waits
                result.set_exception(error)

        self._work.put(work)
        return result

    def end(self) -> None:
        """End once all is done."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class SqliteStore:
    """A `Store` in a file.

    Args:
        path: the file, made when it is not there; its folder must exist.
        call_timeout_s: seconds that a call may wait for its turn and for other writers.
        open_timeout_s: the same for `open`.
    """

    shared: Final = True

    def __init__(
        self, path: str, *, call_timeout_s: float = CALL_TIMEOUT_S, open_timeout_s: float = OPEN_TIMEOUT_S
    ) -> None:
        # Absolute: a later change of the working directory must not change the file.
        self._path = str(Path(path).absolute())
        self._call_timeout_s = call_timeout_s
        self._open_timeout_s = open_timeout_s
        self._thread: _Thread | None = None
        # Touched in the thread only: the connection, and device and inode of its file, None before `open`.
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def open(self) -> None:
        if self._thread is not None:
            return
        self._thread = _Thread()
        deadline = time.monotonic() + self._open_timeout_s
        try:
            await self._run(lambda: self._connect(deadline), self._open_timeout_s)
        except BaseException:
            await self.close()
            raise

    async def nodes(self) -> list[str]:
        return await self._run(self._read, self._call_timeout_s)

    async def add(self, uri: str) -> bool:
        return await self._run(lambda: self._change(_INSERT, uri), self._call_timeout_s)

    async def remove(self, uri: str) -> bool:
        return await self._run(lambda: self._change(_DELETE, uri), self._call_timeout_s)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        # Calls that are already in line are done first; the thread ends by itself afterwards.
        disconnected = thread.submit(self._disconnect)
        thread.end()
        with contextlib.suppress(TimeoutError):  # the disk hangs, and is not waited for
            async with asyncio.timeout(_DISK_S):
                await asyncio.wrap_future(disconnected)

    def describe(self) -> str:
        return f"sqlite:///{self._path}"

    async def _run(self, job: Callable[[], T], timeout_s: float) -> T:
        """Run a job in the store's thread; it begins, and waits for other writers, within the time."""
        if self._thread is None:
            raise StoreError(f"store {self.describe()}: not open")
        deadline = time.monotonic() + timeout_s

        def timed() -> T:
            if self._file is not None:
                left_ms = int((deadline - time.monotonic()) * 1000)
                if left_ms <= 0:
                    raise StoreError(f"store {self.describe()}: no turn within {timeout_s:g} s")
                self._keep_to_the_path(deadline)
                self._execute(f"PRAGMA busy_timeout = {left_ms}")
            return job()

        try:
            async with asyncio.timeout(timeout_s + _DISK_S):
                return await asyncio.wrap_future(self._thread.submit(timed))
        except TimeoutError:
            what = "no answer of the disk; what was asked for may still be done"
            raise StoreError(f"store {self.describe()}: {what}") from None
        except (sqlite3.Error, UnicodeError) as error:
            raise StoreError(f"store {self.describe()}: {error}") from error

    def _connect(self, deadline: float) -> None:
        self._connection = sqlite3.connect(
            self._path, timeout=max(0.0, deadline - time.monotonic()), isolation_level=None
        )
        self._use_write_ahead_log(self._connection, deadline)
        # FULL: an answer of 200 to "add this node" has to hold after a power cut as well.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(_SCHEMA)
        self._read()
        self._file = self._file_now()

    def _read(self) -> list[str]:
        uris = [uri for (uri,) in self._execute(_SELECT)]
        if not all(isinstance(uri, str) for uri in uris):  # the table may be the work of another program
            raise StoreError(f"store {self.describe()}: table priolb_nodes holds what is no text")
        return uris

    def _keep_to_the_path(self, deadline: float) -> None:
        """Connect to the file that has come in place of the one in use, if one has."""
        if self._file_now() == self._file:
            return
        self._disconnect()
        self._file = _NO_FILE  # whatever comes of the next line, the next call looks again
        self._connect(deadline)

    def _file_now(self) -> tuple[int, int]:
        try:
            status = Path(self._path).stat()
        except OSError as error:
            what = "the file was deleted or moved while in use"
            raise StoreError(f"store {self.describe()}: {what} ({error.strerror})") from None
        return (status.st_dev, status.st_ino)

    @staticmethod
    def _use_write_ahead_log(connection: sqlite3.Connection, deadline: float) -> None:
        """Let readers and one writer work side by side, where the file system can do that.

        SQLite answers BUSY at once, without its own waiting, to a process that switches while
        another one does (two instances started together), hence the loop.
        """
        while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_WAL_RETRY_S)

    def _change(self, statement: str, uri: str) -> bool:
        is_changed = self._execute(statement, uri).rowcount == 1
        if self._file_now() != self._file:
            raise StoreError(
                f"store {self.describe()}: the file was replaced during the change, which is lost"
            )
        return is_changed

    def _execute(self, statement: str, *values: str) -> sqlite3.Cursor:
        if self._connection is None:  # `open` is still under way, or has failed in the meantime
            raise StoreError(f"store {self.describe()}: not open")
        return self._connection.execute(statement, values)

    def _disconnect(self) -> None:
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            connection.close()
