"""For how long the event loop is held up at worst, as the program itself tells every 10 seconds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.crowd import Crowd
from benchmarks.load import run_load
from benchmarks.machine import this_machine
from benchmarks.payloads import HUGE_CALL, SMALL_CALL, http_request
from benchmarks.peers import PRIOLB, Peer, Task, start_node, start_peers
from benchmarks.results import Cell, Column, Result
from benchmarks.workbench import Workbench, raise_open_files_limit

CLIENTS: Final = 32
HUGE_CLIENTS: Final = 8
LEAVING: Final = 5_000
HOLD_S: Final = 600
LINE_TIMEOUT_S: Final = 15.0
_STALL: Final = re.compile(r'"longestStallMs":([0-9.]+)')

COLUMNS: Final = (
    Column("load", "while"),
    Column("stall_ms", "longest stall ms", 1),
    Column("stall_ms_min", "lowest", 1),
    Column("stall_ms_max", "highest", 1),
)

Load = Callable[[Workbench, Peer], None]


def _nothing(_workbench: Workbench, _peer: Peer) -> None:
    """See what the machine alone does."""


def _small(workbench: Workbench, peer: Peer) -> None:
    _requests(workbench, peer, SMALL_CALL, CLIENTS)


def _huge(workbench: Workbench, peer: Peer) -> None:
    _requests(workbench, peer, HUGE_CALL, HUGE_CLIENTS)


def _requests(workbench: Workbench, peer: Peer, body: bytes, clients: int) -> None:
    body_file = workbench.directory / "body.json"
    body_file.write_bytes(body)
    run_load(workbench, peer.port, clients, 5.0, body_file)


def _leave_at_once(_workbench: Workbench, peer: Peer) -> None:
    """Queue requests behind one that is never answered, and close all connections in one go."""
    with Crowd(peer) as crowd:
        crowd.join(LEAVING, http_request(SMALL_CALL))
        crowd.check_silent()


# What is done, how long the node takes for each request, and how many it serves at once.
LOADS: Final[dict[str, tuple[Load, float, int]]] = {
    "nothing happens": (_nothing, 0.0, 256),
    "32 clients send 60 B": (_small, 0.0, 256),
    "8 clients get 16 MB answers": (_huge, 0.0, 256),
    "5,000 who wait come, and leave at once": (_leave_at_once, HOLD_S, 1),
}


def run(quick: bool) -> Result:
    """Measure priolb under each load.

    Args:
        quick: one round instead of three.

    Raises:
        BenchmarkError: it failed, or did not tell of its stalls.
    """
    rounds = 1 if quick else 3
    raise_open_files_limit(2 * LEAVING)
    samples: dict[str, list[float]] = {name: [] for name in LOADS}
    for _ in range(rounds):
        for name, load in LOADS.items():
            samples[name].append(_sample(*load))
    return Result(
        name="stalls",
        machine=this_machine(),
        method={"rounds": rounds, "seconds of load": 5.0},
        columns=COLUMNS,
        rows=[_row(name, own) for name, own in samples.items()],
        targets=[],
    )


def _sample(load: Load, service_s: float, slots: int) -> float:
    with Workbench() as workbench:
        task = Task(
            start_node(workbench, slots, service_s), slots, queue_timeout_s=HOLD_S, try_timeout_s=HOLD_S
        )
        [peer] = start_peers(workbench, task, PRIOLB)
        _next_stall_ms(peer)  # what starting took does not count
        load(workbench, peer)
        return _next_stall_ms(peer)


def _next_stall_ms(peer: Peer) -> float:
    """Wait for the next line that tells of stalls, and return what it says."""
    peer.child.forget_log()
    give_up_at = time.monotonic() + LINE_TIMEOUT_S
    while True:
        peer.child.check_running()
        found = _STALL.search(peer.child.log.read_text(errors="replace"))
        if found:
            stall_ms = json.loads(found[1])
            assert isinstance(stall_ms, float)
            return stall_ms
        if time.monotonic() > give_up_at:
            raise BenchmarkError(f"{peer.name} has not told of its stalls")
        time.sleep(0.05)


def _row(name: str, own: list[float]) -> dict[str, Cell]:
    return {"load": name, "stall_ms": median(own), "stall_ms_min": min(own), "stall_ms_max": max(own)}
