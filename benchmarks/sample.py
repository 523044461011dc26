"""One balancer under one load: what a request costs it, and how many there were.

What counts begins when all clients have connected, and ends before the first of them leaves: to connect
thousands and to let them go costs as much as thousands of requests, which a short round would show. The
node tells how many it has answered.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.cpu import CpuTime, cpu_time, on_cores, open_files
from benchmarks.load import run_load
from benchmarks.node import answered
from benchmarks.peers import Peer
from benchmarks.results import Cell, Column
from benchmarks.workbench import Workbench

LOAD_COLUMNS: Final = (
    Column("cpu_us_min", "lowest", 1),
    Column("cpu_us_max", "highest", 1),
    Column("requests_per_s", "requests/s"),
    Column("core_busy_percent", "core busy %"),
    Column("core_missed_percent", "core missed %"),
    Column("failed", "failed"),
)
"""What stands in a table behind the CPU time of a request and its ratio to another."""


# How long the load is on before what counts begins, and after it has ended; wrk knows only whole seconds.
_LEAD_S: Final = 0.5
_TAIL_S: Final = 0.5
# So many clients more have a second more to connect. Of those for whom the kernel has no place at once, some
# try again after a second, and some after three.
_CLIENTS_PER_S: Final = 2_000


@dataclass(frozen=True)
class _Reading:
    """What had been used and done at a moment, seconds of the monotonic clock."""

    at_s: float
    cpu: CpuTime
    answered: int


@dataclass(frozen=True)
class Sample:
    """One balancer under one load in one round; `failed` counts from the first client to the last."""

    cpu_us: float
    requests_per_s: float
    core_busy_percent: float
    core_missed_percent: float
    failed: int


def take_sample(
    workbench: Workbench,
    peer: Peer,
    node_port: int,
    clients: int,
    duration_s: float,
    body_file: Path,
    own_heads: bool = False,
) -> Sample:
    """Load a balancer, and measure while all clients are connected.

    Args:
        workbench: where the generator runs.
        peer: the balancer.
        node_port: the first port of the node behind it, which nobody else uses meanwhile.
        clients: connections with one request under way each.
        duration_s: how long is measured, whole seconds; the load is on for longer.
        body_file: holds the body of each request.
        own_heads: each request has an id of its own; wrk alone can do that.

    Raises:
        BenchmarkError: the balancer or the load generator failed, or not all clients were there.
    """
    lead_s = _LEAD_S + clients // _CLIENTS_PER_S
    load_s = lead_s + duration_s + _TAIL_S
    # We look on from the cores of the load: the one that is measured is for the balancer alone.
    with ThreadPoolExecutor(1) as aside, on_cores(workbench.cores.others):
        started_at_s = time.monotonic()
        load = aside.submit(run_load, workbench, peer.port, clients, load_s, body_file, own_heads)
        time.sleep(lead_s)
        accepted = open_files(peer.child.pid)
        first = _read(peer, node_port)
        time.sleep(max(0.0, started_at_s + lead_s + duration_s - time.monotonic()))
        last = _read(peer, node_port)
        is_whole = not load.done()
        count = load.result()
    peer.child.check_running()
    if accepted < clients:
        raise BenchmarkError(f"{peer.name} had accepted only about {accepted} of {clients} in {lead_s} s")
    if not is_whole:
        raise BenchmarkError(f"the load on {peer.name} ended before what counts")
    peer.child.forget_log()
    cpu, took_s = last.cpu - first.cpu, last.at_s - first.at_s
    requests = last.answered - first.answered
    return Sample(
        cpu_us=cpu.used_ns / 1e3 / max(requests, 1),
        requests_per_s=requests / took_s,
        core_busy_percent=cpu.used_ns / 1e7 / took_s,
        core_missed_percent=cpu.waited_ns / 1e7 / took_s,
        failed=count.failed,
    )


def _read(peer: Peer, node_port: int) -> _Reading:
    # The count first: the node answers when its turn comes, and the rest takes no time.
    count = answered(node_port)
    return _Reading(time.monotonic(), cpu_time(peer.child.pid), count)


def cpu_us(samples: list[Sample]) -> float:
    """Return the CPU time of a request over all rounds, microseconds."""
    return median(sample.cpu_us for sample in samples)


def cells(samples: list[Sample]) -> dict[str, Cell]:
    """Return what a row says of these samples: `cpu_us`, and `LOAD_COLUMNS`."""
    return {
        "cpu_us": cpu_us(samples),
        "cpu_us_min": min(sample.cpu_us for sample in samples),
        "cpu_us_max": max(sample.cpu_us for sample in samples),
        "requests_per_s": median(sample.requests_per_s for sample in samples),
        "core_busy_percent": median(sample.core_busy_percent for sample in samples),
        "core_missed_percent": median(sample.core_missed_percent for sample in samples),
        "failed": sum(sample.failed for sample in samples),
    }
