"""Balancers in front of several nodes, and nodes that can be made ill, killed and brought back."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.child import Child, free_port, python_module
from benchmarks.machine import program
from benchmarks.peers import HAPROXY, PROBE, Peer
from benchmarks.perfect import Span
from benchmarks.workbench import Workbench

PRIOLB: Final = "priolb"
PRIOLB_EWMA: Final = "priolb, peak-ewma"
POOL_PEERS: Final = (PRIOLB, PRIOLB_EWMA, HAPROXY)

# More than any suite opens: HAProxy leaves those above it unanswered. It sets two files aside for each.
_CONNECTIONS_MAX: Final = 9000


@dataclass
class Node:
    """A node that runs, and how it was started.

    Args:
        slots: requests served at once.
        service_s: seconds that serving takes.
        illness: what SIGUSR1 does to it; see `benchmarks.node`.
        knee: see `benchmarks.node`.
        spread: see `benchmarks.node`.
        has_spans: it tells when it served each request, instead of how many.
    """

    slots: int
    service_s: float
    illness: str = ""
    knee: int = 0
    spread: float = 0.0
    has_spans: bool = False
    port: int = field(default_factory=free_port)
    child: Child | None = None

    def start(self, workbench: Workbench) -> None:
        """Start it on the cores of the load, and wait until it answers."""
        self.begin(workbench).wait_until_answering(self.port, PROBE)

    def begin(self, workbench: Workbench) -> Child:
        """Start it."""
        options: list[object] = ["--port", self.port, "--slots", self.slots, "--service-s", self.service_s]
        options += ["--knee", self.knee, "--spread", self.spread, "--spans" if self.has_spans else "--counts"]
        if self.illness:
            options += ["--illness", self.illness]
        command = python_module("benchmarks.node", *options)
        self.child = workbench.start("node", command, workbench.cores.others)
        return self.child

    def fall_ill(self) -> None:
        """Do from now on what its illness says."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGKILL)

    def counts(self) -> list[tuple[float, int]]:
        """Return how many requests it had answered at which times of the monotonic clock."""
        assert self.child is not None
        lines = self.child.log.read_text().splitlines()
        return [(float(at), int(count)) for at, count, _ in (line.split() for line in lines)]

    def spans(self) -> list[Span]:
        """Return when it served each request, seconds of the monotonic clock, in the order of their ends."""
        assert self.child is not None
        whole_lines = self.child.log.read_text().rpartition("\n")[0]  # behind them one may just be written
        return [Span(*map(float, line.split())) for line in whole_lines.splitlines()]

    def begun(self) -> int:
        """Return how many requests it had begun with when it last told."""
        assert self.child is not None
        return int(self.child.log.read_text().split()[-1])


@dataclass(frozen=True)
class Pool:
    """What every balancer is asked to do.

    Args:
        nodes: behind it.
        queue_timeout_s: longest wait in the queue.
        try_timeout_s: longest wait for a node.
    """

    nodes: Sequence[Node]
    queue_timeout_s: int = 5
    try_timeout_s: int = 3


def start_pool_peer(
    workbench: Workbench,
    pool: Pool,
    name: str,
    has_own_slots: bool = False,
    policy: str = "",
    **settings: str,
) -> Peer:
    """Start a balancer on its own core and wait until it serves.

    Args:
        workbench: ends it.
        pool: what it has to do.
        name: one of `POOL_PEERS`.
        has_own_slots: the settings of priolb say how many slots its nodes get, and not the nodes.
        policy: configuration file of priolb, or what is added to the proxy of HAProxy.
        settings: further environment of priolb.
    """
    port = free_port()
    environment: dict[str, str] = {}
    if name == HAPROXY:
        command = _haproxy(workbench, pool, port, policy)
    else:
        command, environment = _priolb(pool, port, has_own_slots)
        if name == PRIOLB_EWMA:
            environment["NODE_SELECTION"] = "peak-ewma"
        if policy:
            file = workbench.directory / f"priolb-{port}.toml"
            file.write_text(policy)
            environment["CONFIG_FILE"] = str(file)
    child = workbench.start(name, command, workbench.cores.measured, **environment, **settings)
    child.wait_until_answering(port, PROBE)
    return Peer(name, port, child)


def _priolb(pool: Pool, port: int, has_own_slots: bool) -> tuple[list[str], dict[str, str]]:
    nodes = ",".join(
        f"http://127.0.0.1:{node.port}{'' if has_own_slots else f'?_workers={node.slots}'}"
        for node in pool.nodes
    )
    return python_module("priolb", "-http", f"127.0.0.1:{port}", "-nodes", nodes, "-log-prod"), {
        "REQUEST_TIMEOUT": str(pool.queue_timeout_s),
        "REQUEST_PROXY_TIMEOUT": str(pool.try_timeout_s),
    }


def _haproxy(workbench: Workbench, pool: Pool, port: int, policy: str) -> list[str]:
    lines = [
        "global",
        "  nbthread 1",
        f"  maxconn {_CONNECTIONS_MAX}",
        "defaults",
        "  mode http",
        f"  maxconn {_CONNECTIONS_MAX}",
        "  timeout connect 5s",
        "  timeout client 600s",
        f"  timeout queue {pool.queue_timeout_s}s",
        f"  timeout server {pool.try_timeout_s}s",
        "  option http-keep-alive",
        "  http-reuse always",
        "listen balancer",
        f"  bind 127.0.0.1:{port} backlog 4096",
        "  balance leastconn",
        "  retries 3",
        "  option redispatch 1",
        "  retry-on all-retryable-errors",
        *policy.splitlines(),
        *(
            f"  server node{number} 127.0.0.1:{node.port} maxconn {node.slots} check inter 1s"
            for number, node in enumerate(pool.nodes)
        ),
        "",
    ]
    file = workbench.directory / f"haproxy-{port}.cfg"
    file.write_text("\n".join(lines))
    # -db: one process in the foreground, which is the one that is measured.
    return [program("haproxy") or "haproxy", "-db", "-q", "-f", str(file)]
