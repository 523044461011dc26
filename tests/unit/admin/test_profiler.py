"""Profiles: of the whole loop, one at a time."""

import asyncio
import cProfile
import sys

import pytest

from priolb.admin.profiler import Profiler
from priolb.errors import ClientError


def called_by_another_task() -> None:
    """Something to find in a profile."""


async def never(seconds: float) -> None:
    await asyncio.get_running_loop().create_future()


def test_a_profile_shows_what_other_tasks_call_sorted_by_cumulative_time() -> None:
    async def main() -> None:
        is_profiling = asyncio.Event()
        has_called = asyncio.Event()

        async def until_called(seconds: float) -> None:
            is_profiling.set()
            await has_called.wait()

        async def other() -> None:
            await is_profiling.wait()
            for _ in range(7):
                called_by_another_task()
            has_called.set()

        task = asyncio.create_task(other())
        text = await Profiler(until_called).run(1)
        await task
        assert "Ordered by: cumulative time" in text
        [line] = [line for line in text.splitlines() if "called_by_another_task" in line]
        assert line.split()[0] == "7"

    asyncio.run(main())


def test_a_second_profile_at_the_same_time_is_409() -> None:
    async def main() -> None:
        profiler = Profiler(never)
        first = asyncio.create_task(profiler.run(1))
        await asyncio.sleep(0)
        with pytest.raises(ClientError) as refusal:
            await profiler.run(1)
        assert (refusal.value.status, str(refusal.value)) == (409, "a profile is being taken already")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(main())


def test_a_profile_that_is_given_up_ends_at_once_and_leaves_room_for_the_next() -> None:
    async def main() -> None:
        waits = [never]

        async def sleep(seconds: float) -> None:
            if waits:
                await waits.pop()(seconds)

        profiler = Profiler(sleep)
        first = asyncio.create_task(profiler.run(1))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        assert sys.getprofile() is None
        assert "function calls" in await profiler.run(1)

    asyncio.run(main())


def test_another_profiler_in_the_process_is_409(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 and newer refuse a second one; earlier ones do not."""

    def enable(self: object) -> None:
        raise ValueError("Another profiling tool is already active")

    monkeypatch.setattr(cProfile.Profile, "enable", enable)
    with pytest.raises(ClientError) as refusal:
        asyncio.run(Profiler(never).run(1))
    assert (refusal.value.status, str(refusal.value)) == (409, "Another profiling tool is already active")
