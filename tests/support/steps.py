"""Counts the lines that a call runs: the same number, however much there is, means O(1), without a clock."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(call: Callable[[], object]) -> int:
    """Return how many lines of Python run during `call`; those that are compiled do not count."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        nonlocal lines
        if event == "line":
            lines += 1
        return trace

    before = sys.gettrace()
    gc.disable()  # it would run the finalizers of others in between
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return lines
