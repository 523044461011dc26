"""What a balancer adds to the latency of a request, beside a direct connection to the node.

Each round sends the same arrivals to the node itself and to every balancer, one after the other. The rate is
the most that a generator which is exact to microseconds keeps up with on one core together with the node.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Final

from benchmarks.cpu import cpu_time
from benchmarks.machine import this_machine
from benchmarks.peers import (
    HAPROXY,
    PRIOLB,
    PRIOLB_INTERPRETED,
    Task,
    let_rest,
    start_node,
    start_peers,
    turn_of,
)
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench

DIRECT: Final = "no balancer"
REQUESTS_PER_S: Final = 5_000.0
GRACE_S: Final = 20.0

COLUMNS: Final = (
    Column("peer", "balancer"),
    Column("p50_us", "p50 us"),
    Column("p99_us", "p99 us"),
    Column("added_p50_us", "added p50 us"),
    Column("added_p99_us", "added p99 us"),
    Column("added_p50_us_min", "lowest added p50"),
    Column("added_p50_us_max", "highest"),
    Column("core_busy_percent", "core busy %"),
)

# Latencies p50 and p99 in microseconds, and how busy the balancer's core was.
Sample = tuple[float, float, float]


def run(quick: bool) -> Result:
    """Measure the node, priolb, and HAProxy where it is installed.

    Args:
        quick: one short round, to see that all works.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    rounds, duration_s = (1, 2.0) if quick else (15, 4.0)
    with Workbench() as workbench:
        node_port = start_node(workbench)
        peers = start_peers(workbench, Task(node_port, 256), PRIOLB, PRIOLB_INTERPRETED, HAPROXY)
        let_rest(peers)
        samples: dict[str, list[Sample]] = {DIRECT: [], **{peer.name: [] for peer in peers}}
        for seed in range(rounds):
            samples[DIRECT].append((*_latency_us(workbench, node_port, duration_s, seed), 0.0))
            for peer in peers:
                with turn_of(peer):
                    before = cpu_time(peer.child.pid)
                    p50_us, p99_us = _latency_us(workbench, peer.port, duration_s, seed)
                    busy_percent = (cpu_time(peer.child.pid) - before).used_ns / 1e7 / duration_s
                samples[peer.name].append((p50_us, p99_us, busy_percent))
                peer.child.check_running()
                peer.child.forget_log()
    rows = {peer: _row(peer, own, samples[DIRECT]) for peer, own in samples.items()}
    return Result(
        name="latency",
        machine=this_machine(),
        method={"requests/s": REQUESTS_PER_S, "rounds": rounds, "seconds per round": duration_s},
        columns=COLUMNS,
        rows=list(rows.values()),
        targets=_targets(rows),
    )


def _latency_us(workbench: Workbench, port: int, duration_s: float, seed: int) -> tuple[float, float]:
    printed = workbench.run_module(
        "benchmarks.paced_loop",
        *("--port", port, "--duration-s", duration_s, "--per-s", REQUESTS_PER_S, "--seed", seed),
        timeout_s=duration_s + GRACE_S,
    )
    latencies_us = sorted(json.loads(printed))
    return percentile(latencies_us, 50), percentile(latencies_us, 99)


def _row(peer: str, own: list[Sample], direct: list[Sample]) -> dict[str, Cell]:
    added_p50s_us = [p50_us - base[0] for (p50_us, _, _), base in zip(own, direct, strict=True)]
    added_p99s_us = [p99_us - base[1] for (_, p99_us, _), base in zip(own, direct, strict=True)]
    is_direct = peer == DIRECT
    return {
        "peer": peer,
        "p50_us": median(p50_us for p50_us, _, _ in own),
        "p99_us": median(p99_us for _, p99_us, _ in own),
        "added_p50_us": None if is_direct else median(added_p50s_us),
        "added_p99_us": None if is_direct else median(added_p99s_us),
        "added_p50_us_min": None if is_direct else min(added_p50s_us),
        "added_p50_us_max": None if is_direct else max(added_p50s_us),
        "core_busy_percent": None if is_direct else median(busy for _, _, busy in own),
    }


def _targets(rows: dict[str, dict[str, Cell]]) -> list[Target]:
    targets = []
    for key, words, more_us in (("added_p50_us", "p50", 30.0), ("added_p99_us", "p99", 200.0)):
        own = rows[PRIOLB][key]
        other = rows[HAPROXY][key] if HAPROXY in rows else None
        assert isinstance(own, float)
        limit = other + more_us if isinstance(other, float) else None
        sentence = f"added {words} in us, at most HAProxy's and {more_us:.0f}"
        targets.append(Target(sentence, limit=limit, measured=own, digits=0))
    return targets
