"""A result: its rows, its targets and its JSON file, which alone makes the table in the docs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmarks.child import ROOT
from benchmarks.machine import Machine

DIRECTORY: Final = ROOT / "benchmarks" / "results"

Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column of the table: a key of the rows, its heading with the unit, and decimals for numbers."""

    key: str
    heading: str
    digits: int = 0


@dataclass(frozen=True)
class Target:
    """What we want to reach: a figure that is to be at most `limit`; None where it was not measured."""

    sentence: str
    limit: float | None
    measured: float | None
    digits: int

    @property
    def verdict(self) -> str:
        if self.limit is None or self.measured is None:
            return "not measured"
        return "met" if self.measured <= self.limit else "not met"


@dataclass(frozen=True)
class Result:
    """One benchmark's outcome.

    Args:
        name: of the benchmark and of its file.
        machine: where and with which versions.
        method: the parameters of the run, by name with their unit.
        columns: which keys of the rows the table shows, and how. Rows may hold more.
        rows: the figures.
        targets: checked against the figures, never altering them.
    """

    name: str
    machine: Machine
    method: dict[str, Cell]
    columns: Sequence[Column]
    rows: Sequence[dict[str, Cell]]
    targets: Sequence[Target]

    def save(self, directory: Path = DIRECTORY) -> Path:
        """Write the result to its file and return the file's path."""
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{self.name}.json"
        file.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")
        return file


def load_results(directory: Path = DIRECTORY) -> list[Result]:
    """Return all saved results, by name."""
    return [_from_json(json.loads(file.read_text())) for file in sorted(directory.glob("*.json"))]


def _from_json(saved: dict[str, Any]) -> Result:
    return Result(
        name=saved["name"],
        machine=Machine(**saved["machine"]),
        method=saved["method"],
        columns=[Column(**column) for column in saved["columns"]],
        rows=saved["rows"],
        targets=[Target(**target) for target in saved["targets"]],
    )
