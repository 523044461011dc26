"""CPU time and memory of processes as the kernel counts them, and which core belongs to whom."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Cores:
    """One core for what is measured, the others for the load and the nodes."""

    measured: frozenset[int]
    others: frozenset[int]


def split_cores() -> Cores:
    """Give the first core of this process to what is measured; on a single core all share it."""
    first, *rest = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(rest or [first]))


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Stay on these cores for a while; a process started meanwhile stays on them for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def process_tree(root_pid: int) -> list[int]:
    """Return a process and all its descendants (nginx works in a child of the one we start)."""
    pids = [root_pid]
    for pid in pids:
        for thread in (PROC / str(pid) / "task").iterdir():
            pids.extend(int(child) for child in (thread / "children").read_text().split())
    return pids


def cpu_ns(root_pid: int) -> int:
    """Return the CPU time, user and system, used so far by all threads of a process and its descendants.

    From schedstat, which counts nanoseconds; utime and stime of /proc/PID/stat count in ticks of 10 ms.
    The kernel's work for a packet on loopback runs in the sender's turn and is part of it.
    """
    total_ns = 0
    for pid in process_tree(root_pid):
        for thread in (PROC / str(pid) / "task").iterdir():
            total_ns += int((thread / "schedstat").read_text().split()[0])
    return total_ns


def rss_bytes(root_pid: int) -> int:
    """Return the resident memory of a process and its descendants."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    resident_pages = 0
    for pid in process_tree(root_pid):
        resident_pages += int((PROC / str(pid) / "statm").read_text().split()[1])
    return resident_pages * page_bytes
