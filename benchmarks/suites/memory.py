"""What a waiting request costs in memory: growth of the process with 5,000 of them in the queue.

The node's one slot is taken by a request that is never answered. Memory of the kernel (socket buffers) is
not part of the figure: it belongs to no process and is alike for all balancers.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.cpu import cpu_time, open_files, rss_bytes
from benchmarks.machine import this_machine
from benchmarks.payloads import PROBE_CALL, SMALL_CALL, http_request
from benchmarks.peers import HAPROXY, PRIOLB, Peer, Task, is_installed, start_node, start_peers
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

QUEUED: Final = 5_000
WARM_UP_REQUESTS: Final = 2_000
WARM_UP_CLIENTS: Final = 20
HOLD_S: Final = 600
SETTLE_TIMEOUT_S: Final = 30.0

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("queued", "requests queued"),
    Column("rss_before_mb", "memory before MB", 1),
    Column("rss_queued_mb", "with the queue MB", 1),
    Column("kb_per_request", "KB per queued request", 2),
    Column("kb_per_request_min", "lowest", 2),
    Column("kb_per_request_max", "highest", 2),
)


def run(quick: bool) -> Result:
    """Measure priolb, and HAProxy where it is installed.

    Args:
        quick: one round instead of three.

    Raises:
        BenchmarkError: a balancer failed, or did not queue what it was sent.
    """
    rounds = 1 if quick else 3
    raise_open_files_limit(2 * QUEUED)
    peers = list(filter(is_installed, (PRIOLB, HAPROXY)))
    samples: dict[str, list[tuple[int, int]]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            samples[peer].append(_sample(peer))
    rows = [_row(peer, samples[peer]) for peer in peers]
    [own] = [row["kb_per_request"] for row in rows if row["peer"] == PRIOLB]
    assert isinstance(own, float)
    return Result(
        name="memory",
        machine=this_machine(),
        method={"body bytes": len(SMALL_CALL), "connections": QUEUED, "rounds": rounds},
        columns=COLUMNS,
        rows=rows,
        targets=[Target("KB per queued request", limit=8.0, measured=own, digits=2)],
    )


def _sample(peer_name: str) -> tuple[int, int]:
    """Return the resident bytes of a fresh balancer before the queue fills, and with it full."""
    with Workbench() as workbench, ExitStack() as clients:
        node_port = start_node(workbench, slots=1, service_s=HOLD_S)
        task = Task(node_port, slots=1, queue_timeout_s=HOLD_S, try_timeout_s=HOLD_S)
        [peer] = start_peers(workbench, task, peer_name)
        _warm_up(peer.port)
        clients.enter_context(_waiting_client(peer.port))
        _wait_until_settled(peer)
        before_bytes = rss_bytes(peer.child.pid)
        waiting = [clients.enter_context(_waiting_client(peer.port)) for _ in range(QUEUED)]
        _wait_until_settled(peer)
        queued_bytes = rss_bytes(peer.child.pid)
        _check_all_wait(peer, waiting)
        peer.child.check_running()
    return before_bytes, queued_bytes


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


def _waiting_client(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(http_request(SMALL_CALL))
    return client


def _wait_until_settled(peer: Peer) -> None:
    """Wait until the balancer has read all it was sent: it has used next to no CPU for half a second."""
    give_up_at = time.monotonic() + SETTLE_TIMEOUT_S
    used_ns, before_ns = cpu_time(peer.child.pid).used_ns, 0
    while used_ns - before_ns > 5_000_000:
        if time.monotonic() > give_up_at:
            raise BenchmarkError(f"{peer.name} is still busy after {SETTLE_TIMEOUT_S:.0f} s")
        time.sleep(0.5)
        used_ns, before_ns = cpu_time(peer.child.pid).used_ns, used_ns


def _check_all_wait(peer: Peer, waiting: list[socket.socket]) -> None:
    """Every request has to be in the balancer's queue: connection accepted, nothing answered or closed."""
    accepted = open_files(peer.child.pid)
    if accepted < len(waiting):
        raise BenchmarkError(f"{peer.name} accepted only about {accepted} of {len(waiting)} connections")
    poll = select.poll()
    for client in waiting:
        poll.register(client, select.POLLIN)
    ready = poll.poll(0)
    if ready:
        raise BenchmarkError(f"{peer.name} did not hold {len(ready)} of {len(waiting)} requests")


def _row(peer: str, samples: list[tuple[int, int]]) -> dict[str, Cell]:
    kb_each = [(queued - before) / 1024 / QUEUED for before, queued in samples]
    return {
        "peer": peer,
        "queued": QUEUED,
        "rss_before_mb": median(before / 2**20 for before, _ in samples),
        "rss_queued_mb": median(queued / 2**20 for _, queued in samples),
        "kb_per_request": median(kb_each),
        "kb_per_request_min": min(kb_each),
        "kb_per_request_max": max(kb_each),
    }
