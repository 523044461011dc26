"""What proxying a request costs: CPU time per request and requests per second on one core.

Every balancer is there for the whole time, and they are loaded in turn, round after round, so that what else
the machine does falls on all alike; the figures are medians over the rounds. Those in wait are stopped.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Final

from benchmarks.load import generator_name
from benchmarks.machine import this_machine
from benchmarks.payloads import HUGE_BYTES, HUGE_CALL, LARGE_CALL, SMALL_CALL
from benchmarks.peers import (
    HAPROXY,
    NGINX,
    PRIOLB,
    PRIOLB_INTERPRETED,
    TCP_RELAY,
    Task,
    let_rest,
    start_node,
    start_peers,
    turn_of,
)
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.sample import LOAD_COLUMNS, Sample, cells, cpu_us, take_sample
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 256
PEERS: Final = (PRIOLB, PRIOLB_INTERPRETED, HAPROXY, NGINX, TCP_RELAY)
SMALL: Final = "60 B"
OWN_HEADS: Final = "60 B, own heads"
LARGE: Final = "64 KB"
HUGE: Final = "16 MB answers"
BODIES: Final = {SMALL: SMALL_CALL, OWN_HEADS: SMALL_CALL, LARGE: LARGE_CALL, HUGE: HUGE_CALL}
# How many clients each kind of request comes from.
CLIENTS: Final = {SMALL: (1, 32, 256), OWN_HEADS: (32,), LARGE: (1, 32, 256), HUGE: (8,)}

COLUMNS: Final = (
    Column("body", "bodies"),
    Column("clients", "clients"),
    Column("peer", "balancer"),
    Column("cpu_us", "CPU us per request", 1),
    Column("cpu_ratio", "HAProxy = 1", 2),
    *LOAD_COLUMNS,
)


def run(quick: bool) -> Result:
    """Measure every installed balancer.

    Args:
        quick: one short round, to see that all works.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    rounds, duration_s = (1, 1.0) if quick else (5, 2.0)
    raise_open_files_limit(4096)
    samples: dict[tuple[str, int, str], list[Sample]] = defaultdict(list)
    with Workbench() as workbench:
        node_port = start_node(workbench)
        peers = start_peers(workbench, Task(node_port, SLOTS), *PEERS)
        let_rest(peers)
        for body, content in BODIES.items():
            body_file = workbench.directory / "body.json"
            body_file.write_bytes(content)
            own_heads = body == OWN_HEADS
            for clients in CLIENTS[body]:
                load = (node_port, clients)
                for peer in peers:
                    with turn_of(peer):  # to warm up
                        take_sample(workbench, peer, *load, 1.0, body_file, own_heads)
                for _ in range(rounds):
                    for peer in peers:
                        with turn_of(peer):
                            sample = take_sample(workbench, peer, *load, duration_s, body_file, own_heads)
                        samples[body, clients, peer.name].append(sample)
    rows = [_row(*key, samples) for key in samples]
    return Result(
        name="proxy",
        machine=this_machine(),
        method={"load": generator_name(), "rounds": rounds, "seconds per round": duration_s},
        columns=COLUMNS,
        rows=rows,
        targets=_targets(samples),
    )


def _row(
    body: str, clients: int, peer: str, samples: dict[tuple[str, int, str], list[Sample]]
) -> dict[str, Cell]:
    return {
        "body": body,
        "clients": clients,
        "peer": peer,
        "cpu_ratio": _ratio_to_haproxy(body, clients, peer, samples),
        **cells(samples[body, clients, peer]),
    }


def _ratio_to_haproxy(
    body: str, clients: int, peer: str, samples: dict[tuple[str, int, str], list[Sample]]
) -> float | None:
    own, haproxy = samples.get((body, clients, peer)), samples.get((body, clients, HAPROXY))
    return cpu_us(own) / cpu_us(haproxy) if own and haproxy else None


def _targets(samples: dict[tuple[str, int, str], list[Sample]]) -> list[Target]:
    cpu_limits = (
        ("32 clients, 60 B bodies, access log on", SMALL, PRIOLB, 1.25),
        ("the same, interpreted", SMALL, PRIOLB_INTERPRETED, 1.8),
        ("32 clients, 64 KB request and answer", LARGE, PRIOLB, 1.3),
    )
    targets = [
        Target(
            f"CPU per request, {words}, in times of HAProxy's",
            limit=limit,
            measured=_ratio_to_haproxy(body, 32, peer, samples),
            digits=2,
        )
        for words, body, peer, limit in cpu_limits
    ]
    own, haproxy = samples.get((HUGE, 8, PRIOLB)), samples.get((HUGE, 8, HAPROXY))
    slower = _bytes_per_s(haproxy) / _bytes_per_s(own) if own and haproxy else None
    sentence = "throughput of HAProxy with 16 MB answers, in times of ours"
    targets.append(Target(sentence, limit=1.25, measured=slower, digits=2))
    return targets


def _bytes_per_s(samples: list[Sample]) -> float:
    return median(sample.requests_per_s for sample in samples) * HUGE_BYTES
