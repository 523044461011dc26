"""The two forms of the program, and where each is: compiled by `make bench`, and as the sources stand."""

from __future__ import annotations

from typing import Final

from benchmarks.child import ROOT

COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"

# PYTHONPATH of a process that is to run one of them. Without a compiled copy both find the sources.
FORMS: Final = {COMPILED: str(ROOT / "build" / "compiled"), INTERPRETED: str(ROOT / "src")}


def with_tests(path: str) -> str:
    """Return the PYTHONPATH of a process that also uses what the tests share."""
    return f"{ROOT / 'tests'}:{path}"
