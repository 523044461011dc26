"""Background tasks: kept alive, reported when they fail, ended with their owner."""

import asyncio
import gc
import logging
import queue
import threading

import pytest

from priolb.tasks import Tasks, in_thread


def test_a_task_runs_although_nobody_else_holds_it() -> None:
    async def main() -> None:
        tasks, ended = Tasks(), asyncio.Event()

        async def work() -> None:
            await asyncio.sleep(0)
            gc.collect()
            ended.set()

        tasks.spawn(work(), "work")
        await ended.wait()

    asyncio.run(main())


def test_a_task_has_the_name_it_was_given() -> None:
    async def main() -> None:
        tasks = Tasks()
        names: list[str] = []

        async def work() -> None:
            task = asyncio.current_task()
            assert task is not None
            names.append(task.get_name())

        tasks.spawn(work(), "health check http://foo")
        await asyncio.sleep(0)
        assert names == ["health check http://foo"]

    asyncio.run(main())


def test_an_error_that_escapes_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        tasks = Tasks()

        async def fail() -> None:
            raise ZeroDivisionError("oops")

        tasks.spawn(fail(), "sync")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await tasks.cancel()

    asyncio.run(main())
    [record] = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "priolb.tasks",
        logging.ERROR,
        "task sync failed",
    )
    assert record.exc_info is not None and isinstance(record.exc_info[1], ZeroDivisionError)


def test_a_task_that_is_cancelled_by_what_spawn_returned_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        tasks, ended = Tasks(), asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        cancel = tasks.spawn(work(), "work")
        await asyncio.sleep(0)
        cancel()
        await ended.wait()
        cancel()

    asyncio.run(main())
    assert caplog.records == []


def test_cancel_ends_every_task_and_waits_for_its_end() -> None:
    async def main() -> None:
        tasks = Tasks()
        ended: list[int] = []

        async def work(number: int) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(number)

        for number in range(3):
            tasks.spawn(work(number), f"work {number}")
        await asyncio.sleep(0)
        await tasks.cancel()
        assert sorted(ended) == [0, 1, 2]
        await tasks.cancel()

    asyncio.run(main())


# Calls that block


def test_a_blocking_call_runs_in_a_thread_of_its_own_and_its_end_is_the_callers() -> None:
    async def main() -> None:
        def look() -> tuple[str, bool]:
            return threading.current_thread().name, threading.current_thread().daemon

        assert await in_thread(look, "a look") == ("a look", True)

        def fail() -> None:
            raise OSError("gone")

        with pytest.raises(OSError, match=r"^gone$"):
            await in_thread(fail, "a failure")

    asyncio.run(main())


@pytest.mark.parametrize("fails", [False, True])
def test_who_waits_no_longer_is_not_told(fails: bool) -> None:
    async def main() -> None:
        threads: queue.Queue[threading.Thread] = queue.Queue()
        go_on, errors = threading.Event(), list[object]()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))

        def block() -> None:
            threads.put(threading.current_thread())
            go_on.wait(10)
            if fails:
                raise OSError("late")

        waiting = asyncio.ensure_future(in_thread(block, "late"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        go_on.set()
        await asyncio.to_thread(threads.get(timeout=10).join)
        await asyncio.sleep(0)
        assert (waiting.cancelled(), errors) == (True, [])

    asyncio.run(main())


def test_the_end_of_the_loop_waits_for_no_thread(capfd: pytest.CaptureFixture[str]) -> None:
    threads: queue.Queue[threading.Thread] = queue.Queue()
    go_on = threading.Event()

    def block() -> None:
        threads.put(threading.current_thread())
        go_on.wait(10)

    async def main() -> None:
        waiting = asyncio.ensure_future(in_thread(block, "hangs"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(main())
    thread = threads.get(timeout=10)
    assert thread.is_alive()
    go_on.set()
    thread.join(10)
    assert capfd.readouterr() == ("", "")
