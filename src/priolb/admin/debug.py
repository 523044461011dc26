"""Pages for a look inside.

    /debug/testLogLevels           log one line of each level
    /debug/pprof/                  the list of the pages below
    /debug/pprof/stacks            where every thread and task stands
    /debug/pprof/heap              which types have most objects
    /debug/pprof/profile?seconds=N where the time goes

As in the original, but that behind /debug/pprof/ stands what Python offers instead of Go's pprof.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from priolb.admin.profiler import Profiler
from priolb.admin.snapshot import heap, stacks
from priolb.errors import ClientError
from priolb.http.messages import LocalResponse

NO_SUCH_PAGE: Final = "not found; ENABLE_PPROF=1 and ENABLE_ERROR_TEST_API=1 turn debug pages on"

_MAX_PROFILE_S: Final = 60
_DEFAULT_PROFILE_S: Final = 5
_SECONDS: Final = re.compile(rb"seconds=([1-9][0-9]?)")

_INDEX: Final = b"""\
/debug/pprof/stacks             where every thread and task stands
/debug/pprof/heap               which types have most objects
/debug/pprof/profile?seconds=N  where the time goes, over N seconds (1 to 60, default 5)
"""


class LeveledLog(Protocol):
    """A log with all its levels."""

    def debug(self, msg: str, /, **fields: object) -> None: ...
    def info(self, msg: str, /, **fields: object) -> None: ...
    def warning(self, msg: str, /, **fields: object) -> None: ...
    def error(self, msg: str, /, **fields: object) -> None: ...


class DebugPages:
    """The debug pages that are turned on.

    Args:
        log: where the log test writes.
        has_log_test: whether /debug/testLogLevels is on.
        has_pprof: whether the pages of /debug/pprof/ are on.
        sleep: waits for some seconds while everything else goes on.
    """

    __slots__ = ("_log", "_pages", "_profiler")

    def __init__(
        self,
        log: LeveledLog,
        has_log_test: bool,
        has_pprof: bool,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._log = log
        self._profiler = Profiler(sleep)
        self._pages: dict[bytes, Callable[[bytes], Awaitable[LocalResponse]]] = {}
        if has_log_test:
            self._pages[b"/debug/testLogLevels"] = self._test_log_levels
        if has_pprof:
            self._pages[b"/debug/pprof/"] = self._index
            self._pages[b"/debug/pprof/stacks"] = self._stacks
            self._pages[b"/debug/pprof/heap"] = self._heap
            self._pages[b"/debug/pprof/profile"] = self._profile

    async def answer(self, path: bytes, query: bytes) -> LocalResponse:
        """Return the page at `path`.

        Raises:
            ClientError: it is not there or not turned on (404), its query means nothing (400), or it can be
                had by only one at a time (409).
        """
        page = self._pages.get(path)
        if page is None:
            raise ClientError(404, NO_SUCH_PAGE)
        return await page(query)

    async def _test_log_levels(self, _query: bytes) -> LocalResponse:
        """Log one line of each level, to see where they end up.

        The original goes on to a level that panics. Here nothing is wrong, so the answer is 200.
        """
        self._log.debug("Test of log level debug")
        self._log.info("Test of log level info")
        self._log.warning("Test of log level warn")
        self._log.error("Test of log level error")
        return LocalResponse(200, b"ok\n")

    async def _index(self, _query: bytes) -> LocalResponse:
        return LocalResponse(200, _INDEX)

    async def _stacks(self, _query: bytes) -> LocalResponse:
        return _text(stacks())

    async def _heap(self, _query: bytes) -> LocalResponse:
        return _text(await heap())

    async def _profile(self, query: bytes) -> LocalResponse:
        return _text(await self._profiler.run(_seconds_of(query)))


def _seconds_of(query: bytes) -> int:
    if not query:
        return _DEFAULT_PROFILE_S
    found = _SECONDS.fullmatch(query)
    if found is None or int(found[1]) > _MAX_PROFILE_S:
        raise ClientError(400, f"seconds must be a whole number from 1 to {_MAX_PROFILE_S}, as in ?seconds=5")
    return int(found[1])


def _text(text: str) -> LocalResponse:
    return LocalResponse(200, text.encode(errors="backslashreplace"))
