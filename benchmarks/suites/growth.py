"""Whether a request costs more when there is more: nodes, others in line, lanes, callers with limits.

In memory, without a socket. Growth is seen within each round, in which few and many take turns; the figures
are medians over the rounds.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Final

from benchmarks.child import python_module
from benchmarks.forms import COMPILED, FORMS, with_tests
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench

COUNTS: Final = {
    "nodes": (1, 10, 100, 1_000),
    "requests in line": (1, 10, 100, 1_000, 10_000, 100_000),
    "lanes, strict": (1, 3, 20),
    "lanes, weighted": (1, 3, 20),
    "callers under a limit": (1_000, 10_000, 100_000, 1_000_000),
}
TIMEOUT_S: Final = 300.0
MOST_GROWTH: Final = 1.1

COLUMNS: Final = (
    Column("what", "more and more"),
    Column("count", "how many"),
    Column("cpu_us", "CPU us per request", 1),
    Column("growth", "fewest = 1", 2),
    Column("cpu_us_min", "lowest", 1),
    Column("cpu_us_max", "highest", 1),
)


def run(quick: bool) -> Result:
    """Measure the compiled form.

    Args:
        quick: one round, to see that all works.

    Raises:
        BenchmarkError: it did not run.
    """
    rounds = 1 if quick else 5
    samples: dict[tuple[str, int], list[float]] = {
        (what, count): [] for what, counts in COUNTS.items() for count in counts
    }
    with Workbench() as workbench:
        command = python_module("benchmarks.growth")
        for _ in range(rounds):
            printed = workbench.run(command, TIMEOUT_S, PYTHONPATH=with_tests(FORMS[COMPILED]))
            for what, figures in json.loads(printed).items():
                for count, cpu_us in zip(COUNTS[what], figures, strict=True):
                    samples[what, count].append(cpu_us)
    rows = [_row(what, count, own, samples[what, COUNTS[what][0]]) for (what, count), own in samples.items()]
    return Result(
        name="growth",
        machine=this_machine(),
        method={"rounds": rounds},
        columns=COLUMNS,
        rows=rows,
        targets=[
            Target(
                f"CPU per request with {counts[-1]:,} {what}, in times of that with {counts[0]:,}",
                limit=MOST_GROWTH,
                measured=_growth(samples[what, counts[-1]], samples[what, counts[0]]),
                digits=2,
            )
            for what, counts in COUNTS.items()
        ],
    )


def _row(what: str, count: int, own: list[float], fewest: list[float]) -> dict[str, Cell]:
    return {
        "what": what,
        "count": count,
        "cpu_us": median(own),
        "growth": _growth(own, fewest),
        "cpu_us_min": min(own),
        "cpu_us_max": max(own),
    }


def _growth(own: list[float], fewest: list[float]) -> float:
    return median([mine / least for mine, least in zip(own, fewest, strict=True)])
