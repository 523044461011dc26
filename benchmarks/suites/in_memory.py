"""What the program itself costs per request in both forms: everything but uvloop and the kernel."""

from __future__ import annotations

import json
from statistics import median
from typing import Final

from benchmarks.child import python_module
from benchmarks.forms import FORMS, with_tests
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result
from benchmarks.workbench import Workbench

KINDS: Final = ("same heads", "own heads")
TIMEOUT_S: Final = 120.0

COLUMNS: Final = (
    Column("form", "form"),
    Column("heads", "heads"),
    Column("cpu_us", "CPU us per request", 1),
    Column("cpu_us_min", "lowest", 1),
    Column("cpu_us_max", "highest", 1),
)


def run(quick: bool) -> Result:
    """Measure both forms in turn.

    Args:
        quick: one round, to see that all works.

    Raises:
        BenchmarkError: a form did not run.
    """
    rounds = 1 if quick else 5
    samples: dict[tuple[str, str], list[float]] = {(form, kind): [] for form in FORMS for kind in KINDS}
    with Workbench() as workbench:
        for _ in range(rounds):
            for form, path in FORMS.items():
                command = python_module("benchmarks.in_memory")
                printed = workbench.run(command, TIMEOUT_S, PYTHONPATH=with_tests(path))
                for kind, cpu_us in json.loads(printed).items():
                    samples[form, kind].append(cpu_us)
    return Result(
        name="in_memory",
        machine=this_machine(),
        method={"rounds": rounds},
        columns=COLUMNS,
        rows=[_row(*key, own) for key, own in samples.items()],
        targets=[],
    )


def _row(form: str, heads: str, own: list[float]) -> dict[str, Cell]:
    return {
        "form": form,
        "heads": heads,
        "cpu_us": median(own),
        "cpu_us_min": min(own),
        "cpu_us_max": max(own),
    }
