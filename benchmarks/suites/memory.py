"""What clients cost in memory: growth of the process with idle connections, and with requests in the queue.

First come clients that connect and send nothing, then others whose requests wait, as the node's one slot is
taken by a request that is never answered. Memory of the kernel (socket buffers) is not part of the figure: it
belongs to no process and is alike for all balancers.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.cpu import rss_bytes
from benchmarks.crowd import Crowd
from benchmarks.machine import this_machine
from benchmarks.payloads import PROBE_CALL, SMALL_CALL, http_request
from benchmarks.peers import HAPROXY, PRIOLB, Task, is_installed, start_node, start_peers
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

# HAProxy sets two files aside for each connection, and would not start for more where 20,000 are allowed.
IDLE: Final = {PRIOLB: 10_000, HAPROXY: 3_000}
QUEUED: Final = 5_000
WARM_UP_REQUESTS: Final = 2_000
WARM_UP_CLIENTS: Final = 20
HOLD_S: Final = 600

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("rss_before_mb", "memory before MB", 1),
    Column("idle", "idle clients"),
    Column("rss_idle_mb", "with them MB", 1),
    Column("rss_queued_mb", "and 5,000 queued MB", 1),
    Column("kb_per_idle", "KB per idle connection", 2),
    Column("kb_per_request", "KB per queued request", 2),
    Column("kb_per_request_min", "lowest", 2),
    Column("kb_per_request_max", "highest", 2),
)

# Resident bytes of a balancer: before, with all who idle, and with all whose requests wait as well.
Sample = tuple[int, int, int]


def run(quick: bool) -> Result:
    """Measure priolb, and HAProxy where it is installed.

    Args:
        quick: one round instead of three.

    Raises:
        BenchmarkError: a balancer failed, or did not hold what it was sent.
    """
    rounds = 1 if quick else 3
    raise_open_files_limit(max(IDLE.values()) + QUEUED + 1000)
    peers = list(filter(is_installed, (PRIOLB, HAPROXY)))
    samples: dict[str, list[Sample]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            samples[peer].append(_sample(peer))
    rows = {peer: _row(peer, samples[peer]) for peer in peers}
    own = rows[PRIOLB]
    targets = [
        Target(words, limit=limit, measured=_number(own[key]), digits=2)
        for words, key, limit in (
            ("KB per queued request", "kb_per_request", 5.0),
            ("KB per idle client connection", "kb_per_idle", 3.0),
        )
    ]
    return Result(
        name="memory",
        machine=this_machine(),
        method={"body bytes": len(SMALL_CALL), "queued": QUEUED, "rounds": rounds},
        columns=COLUMNS,
        rows=list(rows.values()),
        targets=targets,
    )


def _sample(peer_name: str) -> Sample:
    """Measure a fresh balancer."""
    with Workbench() as workbench:
        node_port = start_node(workbench, slots=1, service_s=HOLD_S)
        task = Task(node_port, slots=1, queue_timeout_s=HOLD_S, try_timeout_s=HOLD_S)
        [peer] = start_peers(workbench, task, peer_name)
        _warm_up(peer.port)
        with Crowd(peer) as crowd:
            crowd.join(1, http_request(SMALL_CALL))
            before_bytes = rss_bytes(peer.child.pid)
            crowd.join(IDLE[peer_name])
            idle_bytes = rss_bytes(peer.child.pid)
            crowd.join(QUEUED, http_request(SMALL_CALL))
            queued_bytes = rss_bytes(peer.child.pid)
            crowd.check_silent()
    return before_bytes, idle_bytes, queued_bytes


def _warm_up(port: int) -> None:
    """Let the balancer serve some requests, so that what it loads and allocates once is not counted."""
    request = http_request(PROBE_CALL)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            for _ in range(WARM_UP_CLIENTS)
        ]
        for _ in range(WARM_UP_REQUESTS // WARM_UP_CLIENTS):
            for client in clients:
                client.sendall(request)
            for client in clients:
                answer = client.recv(4096)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise BenchmarkError(f"warm-up was answered with {answer[:300]!r}")


def _row(peer: str, samples: list[Sample]) -> dict[str, Cell]:
    kb_each = [(queued - idle) / 1024 / QUEUED for _, idle, queued in samples]
    return {
        "peer": peer,
        "rss_before_mb": median(before / 2**20 for before, _, _ in samples),
        "idle": IDLE[peer],
        "rss_idle_mb": median(idle / 2**20 for _, idle, _ in samples),
        "rss_queued_mb": median(queued / 2**20 for _, _, queued in samples),
        "kb_per_idle": median((idle - before) / 1024 / IDLE[peer] for before, idle, _ in samples),
        "kb_per_request": median(kb_each),
        "kb_per_request_min": min(kb_each),
        "kb_per_request_max": max(kb_each),
    }


def _number(cell: Cell) -> float:
    assert isinstance(cell, float)
    return cell
