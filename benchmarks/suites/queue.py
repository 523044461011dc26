"""What the queue itself costs: the original's benchmark, one push and one pop for each task, in both forms.

In the program whoever calls the queue is compiled with it, so the loop that calls it here is as well.
It takes a C compiler.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.child import ROOT, BenchmarkError
from benchmarks.forms import COMPILED, INTERPRETED
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench

CASES: Final = ((10_000, 1), (10_000, 5), (100_000, 5))
TIMEOUT_S: Final = 300.0

COLUMNS: Final = (
    Column("form", "form"),
    Column("tasks", "tasks"),
    Column("readers", "readers"),
    Column("ns_per_task", "ns per task"),
    Column("ns_per_task_min", "lowest"),
    Column("ns_per_task_max", "highest"),
)

_BUILD: Final = """
from glob import glob
from mypyc.build import mypycify
from setuptools import setup
modules = sorted(glob("priolb/core/**/*.py", recursive=True))
modules = [path for path in modules if not path.endswith("__init__.py")]
setup(packages=[], ext_modules=mypycify(["--strict", *modules, "queue_loop.py"], group_name="queue"))
"""


def run(quick: bool) -> Result:
    """Measure the three cases of the original in both forms.

    Args:
        quick: fewer rounds.

    Raises:
        BenchmarkError: a form could not be built, or did not run.
    """
    rounds = 3 if quick else 21
    samples: dict[str, list[list[float]]] = {}
    cases = [list(case) for case in CASES]
    code = f"import queue_loop; print(queue_loop.samples_ns({cases}, {rounds}))"
    with Workbench() as workbench:
        for form in (COMPILED, INTERPRETED):
            directory = workbench.directory / form
            _copy(directory)
            if form == COMPILED:
                _compile(directory)
            printed = workbench.run([sys.executable, "-c", code], TIMEOUT_S, PYTHONPATH=str(directory))
            samples[form] = json.loads(printed)
    return Result(
        name="queue",
        machine=this_machine(),
        method={"rounds": rounds, "lane": "low"},
        columns=COLUMNS,
        rows=[
            _row(form, *case, own)
            for form, of_cases in samples.items()
            for case, own in zip(CASES, of_cases, strict=True)
        ],
        targets=[
            Target(f"ns per task, {tasks:,} tasks, {readers} reader(s), compiled", 60, median(own), 0)
            for (tasks, readers), own in zip(CASES, samples[COMPILED], strict=True)
        ],
    )


def _copy(directory: Path) -> None:
    shutil.copytree(ROOT / "src" / "priolb", directory / "priolb")
    shutil.copy(ROOT / "benchmarks" / "queue_loop.py", directory)


def _compile(directory: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, "--quiet", "build_ext", "--inplace"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if built.returncode:
        raise BenchmarkError(f"the queue could not be compiled: {built.stdout[-500:]}{built.stderr[-500:]}")
    if not list(directory.glob("priolb/core/queueing/queue.*.so")):
        raise BenchmarkError("the queue was not among the modules that were compiled")


def _row(form: str, tasks: int, readers: int, samples: list[float]) -> dict[str, Cell]:
    return {
        "form": form,
        "tasks": tasks,
        "readers": readers,
        "ns_per_task": median(samples),
        "ns_per_task_min": min(samples),
        "ns_per_task_max": max(samples),
    }
