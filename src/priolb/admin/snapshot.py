"""What the process is doing and what it holds, as text for people.

Places and counts only, never a value: a value may be a client's request or a secret.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Final

_MAX_TASKS: Final = 1000
_MAX_FRAMES: Final = 64
_MAX_TYPES: Final = 100
_MAX_OBJECTS: Final = 2_000_000
# About 2 ms of counting, after which requests have their turn.
_OBJECTS_PER_TURN: Final = 20_000


def stacks() -> str:
    """Return where every thread and every task of the running loop stands, the innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - documented for this use
    blocks = [[f"thread {names.get(ident, ident)}", *_calls(frame)] for ident, frame in frames.items()]
    tasks = sorted(asyncio.all_tasks(), key=asyncio.Task.get_name)
    blocks += ([f"task {task.get_name()}", *_awaits(task.get_coro())] for task in tasks[:_MAX_TASKS])
    if len(tasks) > _MAX_TASKS:
        blocks.append([f"and {len(tasks) - _MAX_TASKS} more tasks"])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


async def heap() -> str:
    """Return which types have most objects, and what the garbage collector counts.

    Only containers are counted: the collector does not know of numbers, text and bytes.
    """
    objects = gc.get_objects()
    total = len(objects)
    counts: Counter[type] = Counter()
    for start in range(0, min(total, _MAX_OBJECTS), _OBJECTS_PER_TURN):
        counts.update(map(type, objects[start : start + _OBJECTS_PER_TURN]))
        await asyncio.sleep(0)
    del objects
    lines = [f"{total} objects"]
    if total > _MAX_OBJECTS:
        lines[0] += f", of which the first {_MAX_OBJECTS} are counted"
    lines += (
        f"{count:>10}  {kind.__module__}.{kind.__qualname__}"
        for kind, count in counts.most_common(_MAX_TYPES)
    )
    lines.append(f"{gc.get_freeze_count()} objects frozen")
    lines.append("generation  since collection  threshold  collections  collected  uncollectable")
    for generation, (count, threshold, stats) in enumerate(
        zip(gc.get_count(), gc.get_threshold(), gc.get_stats(), strict=True)
    ):
        lines.append(
            f"{generation:>10}  {count:>16}  {threshold:>9}  {stats['collections']:>11}  "
            f"{stats['collected']:>9}  {stats['uncollectable']:>13}"
        )
    return "\n".join(lines) + "\n"


def _calls(frame: FrameType) -> list[str]:
    """Return the innermost calls of a thread."""
    calls: list[str] = []
    caller: FrameType | None = frame
    while caller is not None and len(calls) < _MAX_FRAMES:
        calls.append(_place(caller))
        caller = caller.f_back
    return calls[::-1]


def _awaits(awaited: object) -> list[str]:
    """Return the chain of what a coroutine awaits, down to what is no Python code."""
    calls: list[str] = []
    while awaited is not None and len(calls) < _MAX_FRAMES:
        for prefix, link in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if isinstance(frame, FrameType):
                calls.append(_place(frame))
                awaited = getattr(awaited, f"{prefix}_{link}", None)
                break
        else:
            calls.append(f"  {type(awaited).__qualname__}")
            break
    return calls


def _place(frame: FrameType) -> str:
    return f"  {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
