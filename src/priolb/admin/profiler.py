"""Where the time goes: a profile of the running event loop."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Awaitable, Callable

from priolb.errors import ClientError

_MAX_FUNCTIONS = 100


class Profiler:
    """Profiles the thread that calls it, once at a time.

    Args:
        sleep: waits for some seconds while everything else goes on.
    """

    __slots__ = ("_is_running", "_sleep")

    def __init__(self, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._sleep = sleep
        self._is_running = False

    async def run(self, seconds: int) -> str:
        """Return the functions that took most of the next seconds, those that they called included.

        Everything is slower meanwhile, the more so the more functions are called.

        Raises:
            ClientError: another profile is being taken (409).
        """
        if self._is_running:
            raise ClientError(409, "a profile is being taken already")
        profile = cProfile.Profile()
        try:
            profile.enable()
        except ValueError as error:  # since Python 3.12; before, the other profiler would get less
            raise ClientError(409, str(error)) from None
        self._is_running = True
        try:
            await self._sleep(seconds)
        finally:
            profile.disable()
            self._is_running = False
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats(pstats.SortKey.CUMULATIVE).print_stats(_MAX_FUNCTIONS)
        return text.getvalue()
