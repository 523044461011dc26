"""What a request costs in instructions of Python, counted and not timed, and the figure that was accepted.

    PYTHONPATH=tests .venv/bin/python -m support.instructions   # accept what it costs now

Which instructions a line compiles to differs from one release of Python to the next; newer ones need fewer.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import priolb
from priolb.cli.main import version_line
from support.lean_path import LeanPath

ACCEPTED = Path(__file__).parents[1] / "accepted_cost.json"
# By kind of request: whether its heads are like those before, and how many others wait; see `LeanPath`.
KINDS = {"same heads": (True, 0), "own heads": (False, 0), "in line": (True, 3)}

_OURS = str(Path(priolb.__file__).parent)
_WARM_UP = 20


def form() -> str:
    """Return whether the path of a request is compiled or interpreted here."""
    return "compiled" if "(compiled," in version_line() else "interpreted"


def per_request(kind: str) -> int:
    """Return how many instructions of our own code one request takes, from its first byte to its log lines.

    Args:
        kind: one of `KINDS`.
    """
    repeats, waiting = KINDS[kind]
    return per_request_on(LeanPath(repeats, waiting=waiting))


def per_request_on(lean_path: LeanPath) -> int:
    """Return the same of a request on this path."""
    return of_requests_on(lean_path, 1)[0]


def of_requests_on(lean_path: LeanPath, requests: int) -> list[int]:
    """Return the same of each of so many requests on this path."""
    with lean_path as path:
        for _ in range(_WARM_UP):
            path.exchange()
        _count(path.exchange)  # a code object shows its instructions from its second traced call on
        return [_count(path.exchange) for _ in range(requests)]


def accepted() -> dict[str, dict[str, int]]:
    """Return what has been accepted: instructions by form and kind of request."""
    figures: dict[str, dict[str, int]] = json.loads(ACCEPTED.read_text())["instructions per request"]
    return figures


def accept() -> None:
    """Accept what a request costs now, in the form that runs."""
    figures = accepted() if ACCEPTED.exists() else {}
    figures[form()] = {kind: per_request(kind) for kind in KINDS}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    saved = {"Python": python, "instructions per request": dict(sorted(figures.items()))}
    ACCEPTED.write_text(json.dumps(saved, indent=2) + "\n")
    sys.stdout.write(f"{form()}: {figures[form()]}\n")


def _count(call: Callable[[], object]) -> int:
    instructions = 0

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        nonlocal instructions
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return instructions


if __name__ == "__main__":
    accept()
