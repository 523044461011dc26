"""What processes use, as the kernel counts it: CPU time, memory, files; and which core belongs to whom."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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


# The lowest niceness.
_FIRST: Final = -20


def put_first(pid: int) -> bool:
    """Let a process have its core before all others; False where the system does not allow that.

    Not as a real-time one: from such Linux takes the core for 50 ms of each second that they would fill.
    """
    try:
        for thread in (PROC / str(pid) / "task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), _FIRST)
    except PermissionError:
        return False
    return True


def process_tree(root_pid: int) -> list[int]:
    """Return a process and all its descendants (nginx works in a child of the one we start)."""
    pids = [root_pid]
    for pid in pids:
        for thread in (PROC / str(pid) / "task").iterdir():
            pids.extend(int(child) for child in (thread / "children").read_text().split())
    return pids


@dataclass(frozen=True)
class CpuTime:
    """CPU time of a process so far.

    Args:
        used_ns: nanoseconds it ran, user and system.
        waited_ns: nanoseconds it could have run, but something else had the core.
    """

    used_ns: int
    waited_ns: int

    def __sub__(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.used_ns - earlier.used_ns, self.waited_ns - earlier.waited_ns)


def cpu_time(root_pid: int) -> CpuTime:
    """Return the CPU time of all threads of a process and its descendants.

    From schedstat, which counts nanoseconds; utime and stime of /proc/PID/stat count in ticks of 10 ms.
    The kernel's work for a packet on loopback runs in the sender's turn and is part of it.
    """
    used_ns = waited_ns = 0
    for pid in process_tree(root_pid):
        for thread in (PROC / str(pid) / "task").iterdir():
            used, waited, _turns = (thread / "schedstat").read_text().split()
            used_ns += int(used)
            waited_ns += int(waited)
    return CpuTime(used_ns, waited_ns)


def rss_bytes(root_pid: int) -> int:
    """Return the resident memory of a process and its descendants."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    resident_pages = 0
    for pid in process_tree(root_pid):
        resident_pages += int((PROC / str(pid) / "statm").read_text().split()[1])
    return resident_pages * page_bytes


def open_files(root_pid: int) -> int:
    """Return how many file descriptors a process and its descendants have open, sockets included."""
    return sum(len(list((PROC / str(pid) / "fd").iterdir())) for pid in process_tree(root_pid))
