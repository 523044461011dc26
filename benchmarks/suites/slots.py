"""Slots that a node finds by itself beside fixed numbers, on a node that becomes slower beyond 12 at once.

Serving takes 20 ms up to 12 at once, and beyond that longer by the square of the excess: with 24 at once four
times as long, so that half of the throughput is left. 64 clients each wait for their answer, so that as many
are at the node as it has slots.
"""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Final
from urllib.request import urlopen

from benchmarks.load import run_load
from benchmarks.machine import this_machine
from benchmarks.payloads import SMALL_CALL
from benchmarks.pools import PRIOLB, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

KNEE: Final = 12
SERVICE_S: Final = 0.02
CLIENTS: Final = 64
FIXED: Final = (4, 8, 10, 12, 14, 16, 24, 32)
AUTO: Final = "auto"
NODE_SLOTS: Final = 1000

COLUMNS: Final = (
    Column("slots", "slots"),
    Column("requests_per_s", "requests/s"),
    Column("of_best_percent", "of the best %"),
    Column("found", "found"),
)


def run(quick: bool) -> Result:
    """Measure priolb with fixed numbers of slots and with the number that it finds.

    Args:
        quick: fewer numbers, once each.

    Raises:
        BenchmarkError: the balancer or the load generator failed.
    """
    rounds, duration_s = (1, 2.0) if quick else (3, 6.0)
    fixed = (8, 12, 24) if quick else FIXED
    raise_open_files_limit(8192)
    rates: dict[str, list[float]] = {}
    found: list[int] = []
    for _ in range(rounds):
        for slots in [*map(str, fixed), AUTO]:
            rate, slots_found = _rate(slots, duration_s)
            rates.setdefault(slots, []).append(rate)
            if slots == AUTO:
                found.append(slots_found)
    best = max(fixed, key=lambda slots: median(rates[str(slots)]))
    best_rate = median(rates[str(best)])
    return Result(
        name="slots",
        machine=this_machine(),
        method={
            "clients": CLIENTS,
            "service ms": 1e3 * SERVICE_S,
            "slower beyond": KNEE,
            "rounds": rounds,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(slots, rates[slots], best_rate, found) for slots in rates],
        targets=[
            Target(
                "throughput of the slots found below that of the best fixed number, %",
                30.0,
                100.0 * (1.0 - median(rates[AUTO]) / best_rate),
                1,
            ),
            Target(
                "distance of the slots found from the best fixed number, %",
                30.0,
                100.0 * abs(median(found) - best) / best,
                1,
            ),
        ],
    )


def _rate(slots: str, duration_s: float) -> tuple[float, int]:
    """Return the answers per second, and the slots that the node had at the end."""
    with Workbench() as workbench:
        node = Node(NODE_SLOTS, SERVICE_S, knee=KNEE)
        node.start(workbench)
        body = workbench.directory / "call.json"
        body.write_bytes(SMALL_CALL)
        settings = {"ADAPTIVE_WORKERS": "1"} if slots == AUTO else {"NUM_NODE_WORKERS": slots}
        peer = start_pool_peer(workbench, Pool([node]), PRIOLB, has_own_slots=True, **settings)
        run_load(workbench, peer.port, CLIENTS, 3.0, body)  # until the slots are found, and all is warm
        load = run_load(workbench, peer.port, CLIENTS, duration_s, body)
        with urlopen(f"http://127.0.0.1:{peer.port}/nodes?detail=1", timeout=5) as answer:
            [detail] = json.loads(answer.read())
        time.sleep(0.1)
        return load.requests / load.duration_s, int(detail["slots"])


def _row(slots: str, rates: list[float], best_rate: float, found: list[int]) -> dict[str, Cell]:
    rate = median(rates)
    return {
        "slots": slots,
        "requests_per_s": rate,
        "of_best_percent": 100.0 * rate / best_rate,
        "found": ", ".join(map(str, found)) if slots == AUTO else "",
    }
