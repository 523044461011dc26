"""One balancer under one load: what a request costs it, and how many there were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cpu import cpu_time
from benchmarks.load import run_load
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


@dataclass(frozen=True)
class Sample:
    """One balancer under one load in one round."""

    cpu_us: float
    requests_per_s: float
    core_busy_percent: float
    core_missed_percent: float
    failed: int


def take_sample(
    workbench: Workbench,
    peer: Peer,
    clients: int,
    duration_s: float,
    body_file: Path,
    own_heads: bool = False,
) -> Sample:
    """Load a balancer for a while; the arguments are those of `run_load`.

    Raises:
        BenchmarkError: the balancer or the load generator failed.
    """
    before = cpu_time(peer.child.pid)
    count = run_load(workbench, peer.port, clients, duration_s, body_file, own_heads)
    cpu = cpu_time(peer.child.pid) - before
    peer.child.check_running()
    peer.child.forget_log()
    return Sample(
        cpu_us=cpu.used_ns / 1e3 / max(count.requests, 1),
        requests_per_s=count.requests / count.duration_s,
        core_busy_percent=cpu.used_ns / 1e7 / count.duration_s,
        core_missed_percent=cpu.waited_ns / 1e7 / count.duration_s,
        failed=count.failed,
    )


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
