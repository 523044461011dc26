"""Background tasks with an owner and a name, and calls that block."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner: kept alive while they run, reported when they fail, ended with the owner."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> Callable[[], object]:
        """Run `coroutine` as a task called `name`, and return what cancels it.

        An error that escapes the coroutine is logged.
        """
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task.cancel

    async def cancel(self) -> None:
        """Cancel every task and wait until all have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("task %s failed", task.get_name(), exc_info=task.exception())


async def in_thread(blocking: Callable[[], T], name: str) -> T:
    """Return what a blocking call returns, or raise what it raises, from a thread of its own.

    Unlike with `asyncio.to_thread`, the end of the program does not wait for it.

    Args:
        blocking: the call.
        name: of the thread.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = blocking()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for the one who waits
            settle = _setting_exception(ended, error)
        else:
            settle = _setting_result(ended, result)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await ended


def _setting_result(future: asyncio.Future[T], result: T) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_result(result)


def _setting_exception(future: asyncio.Future[T], error: Exception) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_exception(error)
