"""Results as Markdown, and their place in the docs.

In the document a result's table stands between two comments, and only what is between them is written:

    <!-- benchmark: proxy -->
    <!-- end of benchmark: proxy -->
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.child import ROOT, BenchmarkError
from benchmarks.results import Cell, Result, load_results

DOCUMENT: Final = ROOT / "docs" / "performance.md"


def render(result: Result) -> str:
    """Return the tables of one result: the figures, then the targets, then where they were measured."""
    headings = [column.heading for column in result.columns]
    rows = [[_cell(row[column.key], column.digits) for column in result.columns] for row in result.rows]
    is_number = [not isinstance(result.rows[0][column.key], str) for column in result.columns]
    parts = [_table(headings, rows, is_number)]
    if result.targets:
        targets = [
            [
                target.sentence,
                _cell(target.limit, target.digits),
                _cell(target.measured, target.digits),
                target.verdict,
            ]
            for target in result.targets
        ]
        parts.append(_table(["target", "at most", "measured", ""], targets, [False, True, True, False]))
    method = ", ".join(f"{name} {value}" for name, value in result.method.items())
    parts.append(f"Measured {result.machine.sentence()}. Method: {method}.")
    return "\n\n".join(parts)


def insert(document: str, results: Iterable[Result]) -> str:
    """Return the document with the results between their comments.

    Raises:
        BenchmarkError: the document has no comments for one of them.
    """
    for result in results:
        begin, end = f"<!-- benchmark: {result.name} -->\n", f"<!-- end of benchmark: {result.name} -->"
        before, begin_found, rest = document.partition(begin)
        _, end_found, after = rest.partition(end)
        if not (begin_found and end_found):
            raise BenchmarkError(f"no place for the benchmark {result.name}: {begin.strip()} is missing")
        document = f"{before}{begin}\n{render(result)}\n\n{end}{after}"
    return document


def update_document(path: Path = DOCUMENT) -> None:
    """Write all saved results into the docs.

    Raises:
        BenchmarkError: the document has no place for one of them.
    """
    path.write_text(insert(path.read_text(), load_results()))


def _cell(value: Cell, digits: int) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,.{digits}f}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], is_number: Sequence[bool]) -> str:
    """Return a Markdown table, padded so that it reads in a terminal too."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths = [max(width, 3) for width in widths]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, is_number, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - 1) + ":" if number else "-" * width
        for width, number in zip(widths, is_number, strict=True)
    ]
    return "\n".join([line(headings), line(rule), *map(line, rows)])
