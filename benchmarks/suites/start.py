"""How long it takes from the start of the process to the first answer of a node.

The balancer is asked again and again, each time on a new connection, from the moment it is started. The node
is up.
"""

from __future__ import annotations

import socket
import subprocess
import time
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError, free_port
from benchmarks.cpu import on_cores
from benchmarks.machine import this_machine
from benchmarks.payloads import SMALL_CALL, http_request
from benchmarks.peers import HAPROXY, PRIOLB, PRIOLB_INTERPRETED, Task, command_of, is_installed, start_node
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench

REQUEST: Final = http_request(SMALL_CALL, "Connection: close")
TIMEOUT_S: Final = 15.0
PAUSE_S: Final = 0.002

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("start_ms", "ms to the first answer"),
    Column("start_ms_min", "lowest"),
    Column("start_ms_max", "highest"),
)


def run(quick: bool) -> Result:
    """Start each installed balancer again and again.

    Args:
        quick: three starts each.

    Raises:
        BenchmarkError: one did not serve.
    """
    rounds = 3 if quick else 15
    peers = list(filter(is_installed, (PRIOLB, PRIOLB_INTERPRETED, HAPROXY)))
    samples: dict[str, list[float]] = {peer: [] for peer in peers}
    with Workbench() as workbench:
        task = Task(start_node(workbench), slots=256)
        for peer in peers:
            _start_ms(workbench, task, peer)  # so that files are in memory, and modules compiled to bytes
        for _ in range(rounds):
            for peer in peers:
                samples[peer].append(_start_ms(workbench, task, peer))
    return Result(
        name="start",
        machine=this_machine(),
        method={"starts": rounds},
        columns=COLUMNS,
        rows=[_row(peer, own) for peer, own in samples.items()],
        targets=[
            Target("ms from start to first answer", limit=400, measured=median(samples[PRIOLB]), digits=0)
        ],
    )


def _start_ms(workbench: Workbench, task: Task, peer: str) -> float:
    port = free_port()
    command, environment = command_of(workbench, task, peer, port)
    with (workbench.directory / "start.log").open("wb") as log, on_cores(workbench.cores.measured):
        started_at_s = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        while not _is_answered(port):
            if process.poll() is not None or time.monotonic() > started_at_s + TIMEOUT_S:
                raise BenchmarkError(f"{peer} did not start")
            time.sleep(PAUSE_S)
        return (time.monotonic() - started_at_s) * 1e3
    finally:
        process.terminate()
        process.wait()


def _is_answered(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(REQUEST)
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def _row(peer: str, own: list[float]) -> dict[str, Cell]:
    return {
        "peer": peer,
        "start_ms": median(own),
        "start_ms_min": min(own),
        "start_ms_max": max(own),
    }
