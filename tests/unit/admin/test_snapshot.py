"""Stacks and object counts of this very process."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from priolb.admin import snapshot
from priolb.admin.snapshot import heap, stacks


class Marker:
    """Something to count."""


async def innermost() -> None:
    await asyncio.get_running_loop().create_future()


async def outermost() -> None:
    await innermost()


def generated() -> Iterator[object]:
    yield from asyncio.get_running_loop().create_future()


class Awaitable:
    """Awaited through a generator."""

    def __await__(self) -> Iterator[object]:
        return generated()


async def through_a_generator() -> None:
    await Awaitable()  # type: ignore[misc] # an iterator is all that await needs


def names(text: str, title: str) -> list[str]:
    """Return the functions below a title."""
    [block] = [block for block in text.split("\n\n") if block.splitlines()[0] == title]
    return [line.split()[-1] for line in block.splitlines()[1:]]


def test_the_stack_of_a_task_is_its_chain_of_awaits() -> None:
    async def main() -> None:
        task = asyncio.create_task(outermost(), name="waiter")
        generator_task = asyncio.create_task(through_a_generator(), name="generator waiter")
        await asyncio.sleep(0)
        text = stacks()
        assert names(text, "task waiter")[:2] == ["outermost", "innermost"]
        assert names(text, "task generator waiter")[:2] == ["through_a_generator", "generated"]
        for each in (task, generator_task):
            each.cancel()
        await asyncio.gather(task, generator_task, return_exceptions=True)

    asyncio.run(main())


def test_the_stack_of_a_thread_ends_with_its_innermost_call() -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def wait_here() -> None:
        has_begun.set()
        may_end.wait()

    async def main() -> None:
        calls = names(stacks(), "thread waiting thread")
        assert "test_the_stack_of_a_thread_ends_with_its_innermost_call.<locals>.wait_here" in calls
        assert calls[-1].endswith("wait")
        assert names(stacks(), "thread MainThread")[-1] == "stacks"

    thread = threading.Thread(target=wait_here, name="waiting thread")
    thread.start()
    has_begun.wait()
    asyncio.run(main())
    may_end.set()
    thread.join()


def test_a_place_is_a_file_a_line_and_a_function() -> None:
    async def main() -> None:
        line = stacks().split("thread MainThread\n")[1].split("\n\n")[0].splitlines()[-2]
        place, function = line.split()
        assert function == "test_a_place_is_a_file_a_line_and_a_function.<locals>.main"
        code = main.__code__
        assert place == f"{code.co_filename}:{code.co_firstlineno + 1}"

    asyncio.run(main())


def test_only_the_innermost_calls_of_a_deep_stack_are_shown() -> None:
    def dive(levels: int) -> str:
        return dive(levels - 1) if levels else stacks()

    async def main() -> None:
        calls = names(dive(200), "thread MainThread")
        assert len(calls) == 64
        assert calls[-1] == "stacks"
        assert calls[0].endswith("dive")

    asyncio.run(main())


def test_of_too_many_tasks_some_are_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_MAX_TASKS", 2)

    async def main() -> None:
        asyncio.current_task().set_name("a")  # type: ignore[union-attr]
        tasks = [asyncio.create_task(innermost(), name=f"b{number}") for number in range(4)]
        await asyncio.sleep(0)
        text = stacks()
        assert [line for line in text.splitlines() if line.startswith("task ")] == ["task a", "task b0"]
        assert text.endswith("\n\nand 3 more tasks\n")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_the_heap_counts_objects_by_type_the_most_first() -> None:
    markers = [Marker() for _ in range(70_000)]
    lines = asyncio.run(heap()).splitlines()
    assert lines.count(f"     70000  {Marker.__module__}.Marker") == 1
    counts = [int(line.split()[0]) for line in lines[1:51]]
    assert len(counts) == 50
    assert counts == sorted(counts, reverse=True)
    assert len(markers) == 70_000


def test_the_heap_shows_the_three_generations_of_the_collector() -> None:
    lines = asyncio.run(heap()).splitlines()
    assert lines[-5].split()[1:] == ["objects", "frozen"]
    assert lines[-4] == "generation  since collection  threshold  collections  collected  uncollectable"
    assert [[len(line.split()), line.split()[0]] for line in lines[-3:]] == [[6, "0"], [6, "1"], [6, "2"]]


def test_counting_a_large_heap_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_MAX_OBJECTS", 3_000)
    monkeypatch.setattr(snapshot, "_OBJECTS_PER_TURN", 1_000)
    monkeypatch.setattr(snapshot, "_MAX_TYPES", 3_000)
    lines = asyncio.run(heap()).splitlines()
    assert lines[0].endswith(" objects, of which the first 3000 are counted")
    assert sum(int(line.split()[0]) for line in lines[1:-5]) == 3_000
