"""Charts of saved results, as SVG: bars beside each other, and curves over powers of ten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import Final

from benchmarks.child import ROOT
from benchmarks.results import Cell, Result, load_results

DIRECTORY: Final = ROOT / "docs" / "charts"

WIDTH: Final = 720
LEFT: Final = 190
RIGHT: Final = 70
ROW: Final = 20
GAP: Final = 14
TOP: Final = 56
PLOT_HEIGHT: Final = 240

COLOURS: Final = ("#1f6feb", "#79b8ff", "#8b949e", "#c9d1d9", "#e8a33d")
INK: Final = "#57606a"

# A line of a chart: its name, and its points.
Curve = tuple[str, Sequence[tuple[float, float]]]
# Bars that stand together: their name, and each bar's name with its length; None for what was not measured.
Group = tuple[str, Sequence[tuple[str, float | None]]]


def bars(title: str, unit: str, groups: Sequence[Group], digits: int) -> str:
    """Return a chart of horizontal bars, the same bars in the same colours in each group."""
    longest = max(value or 0.0 for _, own in groups for _, value in own)
    scale = (WIDTH - LEFT - RIGHT) / longest
    names = list(dict.fromkeys(name for _, own in groups for name, _ in own))
    parts: list[str] = []
    y = TOP
    for group, own in groups:
        middle = y + ROW * len(own) / 2 + 4
        parts.append(_text(LEFT - 10, middle, group, "end"))
        for name, value in own:
            length = (value or 0.0) * scale
            colour = COLOURS[names.index(name) % len(COLOURS)]
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 4}" fill="{colour}"/>'
            )
            shown = "-" if value is None else f"{value:,.{digits}f}"
            parts.append(_text(LEFT + length + 6, y + 12, shown, "start"))
            y += ROW
        y += GAP
    return _picture(title, unit, names, parts, y)


def curves(title: str, unit: str, axis: str, lines: Sequence[Curve]) -> str:
    """Return a chart of curves; their x are from 1 up, and drawn by their logarithm, their y from 0."""
    most_x = max(x for _, points in lines for x, _ in points)
    most_y = max(y for _, points in lines for _, y in points) * 1.15
    plot_width = WIDTH - LEFT / 2 - RIGHT
    bottom = TOP + PLOT_HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT / 2 + plot_width * log10(x) / log10(most_x), bottom - PLOT_HEIGHT * y / most_y

    right = LEFT / 2 + plot_width
    parts = [f'<path d="M{LEFT / 2} {TOP} V{bottom} H{right:.1f}" fill="none" stroke="{INK}"/>']
    power = 1
    while power <= most_x:
        parts.append(_text(place(power, 0)[0], bottom + 18, f"{power:,}", "middle"))
        power *= 10
    levels = range(0, int(most_y) + 1, max(1, int(most_y) // 5))
    parts += [_text(LEFT / 2 - 8, place(1, level)[1] + 4, str(level), "end") for level in levels]
    for (_, points), colour in zip(lines, COLOURS, strict=False):
        way = " L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in points)
        parts.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in points:
            at_x, at_y = place(x, y)
            parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="3" fill="{colour}"/>')
    parts.append(_text(right, bottom + 36, axis, "end"))
    return _picture(title, unit, [name for name, _ in lines], parts, bottom + 44)


def _picture(title: str, unit: str, names: Iterable[str], parts: Iterable[str], height: float) -> str:
    """Put a chart together: title, unit, and what its colours mean."""
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    look = f'font-family="sans-serif" font-size="12" fill="{INK}" role="img" aria-label="{escape(title)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {look}>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    x = 10.0
    for name, colour in zip(names, COLOURS, strict=False):
        lines.append(f'<rect x="{x:.0f}" y="29" width="12" height="12" fill="{colour}"/>')
        lines.append(_text(x + 17, 39, name, "start"))
        x += 34 + 6.6 * len(name)
    lines.append(_text(WIDTH - 10, 18, unit, "end"))
    return "\n".join([*lines, *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _cost(result: Result) -> str:
    names = ("priolb", "priolb interpreted", "HAProxy", "nginx")
    bodies = dict.fromkeys(str(row["body"]) for row in result.rows if row["clients"] == 32)
    found = {(row["body"], row["peer"]): row["cpu_ratio"] for row in result.rows if row["clients"] == 32}
    groups = [(body, [(name, _number(found.get((body, name)))) for name in names]) for body in bodies]
    return bars("CPU per request, 32 clients", "HAProxy = 1", groups, 2)


def _growth(result: Result) -> str:
    return _by_count(result, "A request as there is more, in memory", lambda row: str(row["what"]))


def _scale(result: Result) -> str:
    title = "A request as there is more, over sockets"
    return _by_count(result, title, lambda row: f"{row['peer']}, {row['what']}")


def _by_count(result: Result, title: str, name: Callable[[dict[str, Cell]], str]) -> str:
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in result.rows:
        count, cpu_us = _number(row["count"]), _number(row["cpu_us"])
        assert count is not None and cpu_us is not None
        lines.setdefault(name(row), []).append((count, cpu_us))
    return curves(title, "CPU us", "how many", list(lines.items()))


def _memory(result: Result) -> str:
    kinds = (("idle connection", "kb_per_idle"), ("queued request", "kb_per_request"))
    groups = [(kind, [(str(row["peer"]), _number(row[key])) for row in result.rows]) for kind, key in kinds]
    return bars("Memory for each client", "KB", groups, 2)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


CHARTS: Final[dict[str, Callable[[Result], str]]] = {
    "proxy": _cost,
    "growth": _growth,
    "scale": _scale,
    "memory": _memory,
}


def charts() -> dict[str, str]:
    """Return the charts of all saved results, by the name of the result."""
    return {result.name: CHARTS[result.name](result) for result in load_results() if result.name in CHARTS}


def save_charts(directory: Path = DIRECTORY) -> None:
    """Draw all saved results."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, drawn in charts().items():
        (directory / f"{name}.svg").write_text(drawn)
