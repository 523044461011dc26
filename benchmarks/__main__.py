"""Run benchmarks: all, or the named ones.

python -m benchmarks                 # all; writes benchmarks/results/, tables and charts
python -m benchmarks proxy priority  # these two
python -m benchmarks -quick          # all in a few minutes, to see that they work; writes nothing
python -m benchmarks render          # tables and charts in the docs again, from the saved results
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

from benchmarks.charts import save_charts
from benchmarks.child import BenchmarkError
from benchmarks.results import Result
from benchmarks.suites import (
    attest,
    decisions,
    failures,
    fairness,
    growth,
    in_memory,
    latency,
    limits,
    memory,
    overload,
    priority,
    proxy,
    queue,
    refusals,
    scale,
    slots,
    slow_clients,
    stalls,
    start,
    stragglers,
)
from benchmarks.tables import render, update_document

SUITES: Final[dict[str, Callable[[bool], Result]]] = {
    "queue": queue.run,
    "in_memory": in_memory.run,
    "proxy": proxy.run,
    "latency": latency.run,
    "priority": priority.run,
    "fairness": fairness.run,
    "overload": overload.run,
    "refusals": refusals.run,
    "growth": growth.run,
    "scale": scale.run,
    "memory": memory.run,
    "failures": failures.run,
    "stragglers": stragglers.run,
    "slots": slots.run,
    "decisions": decisions.run,
    "limits": limits.run,
    "slow_clients": slow_clients.run,
    "stalls": stalls.run,
    "start": start.run,
    "attest": attest.run,
}
RENDER: Final = "render"


def _end_on_signal(_number: int, _frame: FrameType | None) -> None:
    """Leave through every `finally`, so that our children end with us."""
    sys.exit(1)


def main() -> int:
    """Run the program and return its exit status: 1 when a benchmark could not be carried out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure priolb beside HAProxy and nginx."
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"{', '.join([*SUITES, RENDER])}; default all"
    )
    parser.add_argument("-quick", "--quick", action="store_true", help="short runs that save nothing")
    options = parser.parse_args()
    unknown = set(options.names) - {*SUITES, RENDER}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _end_on_signal)
    try:
        try:
            for name in options.names or SUITES:
                if name in SUITES:
                    _run_suite(name, options.quick)
        finally:
            if not options.quick:  # also of those before one that failed, whose results are saved
                update_document()
                save_charts()
    except BenchmarkError as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


def _run_suite(name: str, quick: bool) -> None:
    result = SUITES[name](quick)
    print(f"\n## {name}\n\n{render(result)}", flush=True)
    if not quick:
        print(f"saved to {result.save()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
