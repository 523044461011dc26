"""What a request costs over sockets as more clients wait, or more nodes serve, beside HAProxy.

The clients wait in line for a few slots of one node, each for its answer. The nodes are as many ports, among
which few clients are spread: with many of them each connection lies idle for long, and is cold when its turn
comes. priolb checks every node every five seconds, as it comes; HAProxy checks none.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

from benchmarks.load import generator_name
from benchmarks.machine import this_machine
from benchmarks.payloads import SMALL_CALL
from benchmarks.peers import HAPROXY, PRIOLB, Task, start_node, start_peers
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.sample import LOAD_COLUMNS, Sample, cells, cpu_us, take_sample
from benchmarks.workbench import Workbench, raise_open_files_limit

CLIENTS: Final = "clients in line"
NODES: Final = "nodes"
COUNTS: Final = {CLIENTS: (64, 256, 1_000, 6_000), NODES: (1, 10, 100, 1_000)}
# Slots of the one node for which clients wait, and clients among the nodes.
SLOTS: Final = 8
CLIENTS_OF_NODES: Final = 32
PEERS: Final = (PRIOLB, HAPROXY)
WARM_UP_S: Final = 2.0
MOST_GROWTH: Final = 1.1

COLUMNS: Final = (
    Column("what", "more and more"),
    Column("count", "how many"),
    Column("peer", "balancer"),
    Column("cpu_us", "CPU us per request", 1),
    Column("growth", "fewest = 1", 2),
    *LOAD_COLUMNS,
)

# By what there is more of, how many, and the balancer.
Samples = dict[tuple[str, int, str], list[Sample]]


def run(quick: bool) -> Result:
    """Measure priolb, and HAProxy where it is installed.

    Args:
        quick: one short round, to see that all works.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    # So long that the connecting of thousands of clients, which counts as well, weighs little.
    rounds, duration_s = (1, 1.0) if quick else (3, 8.0)
    raise_open_files_limit(2 * max(COUNTS[CLIENTS]) + 4_000)
    samples: Samples = defaultdict(list)
    with Workbench() as workbench:
        _with_clients(workbench, rounds, duration_s, samples)
    with Workbench() as workbench:
        _with_nodes(workbench, rounds, duration_s, samples)
    return Result(
        name="scale",
        machine=this_machine(),
        method={
            "load": generator_name(),
            "rounds": rounds,
            "seconds per round": duration_s,
            "slots of the node for which clients wait": SLOTS,
            "clients among the nodes": CLIENTS_OF_NODES,
        },
        columns=COLUMNS,
        rows=[_row(*key, samples) for key in sorted(samples, key=_place)],
        targets=[
            Target(
                f"CPU per request with {counts[-1]:,} {what}, in times of that with {counts[0]:,}",
                limit=MOST_GROWTH,
                measured=_growth(what, counts[-1], PRIOLB, samples),
                digits=2,
            )
            for what, counts in COUNTS.items()
        ],
    )


def _with_clients(workbench: Workbench, rounds: int, duration_s: float, samples: Samples) -> None:
    peers = start_peers(workbench, Task(start_node(workbench), SLOTS), *PEERS)
    body_file = _body_file(workbench)
    for peer in peers:
        take_sample(workbench, peer, COUNTS[CLIENTS][0], WARM_UP_S, body_file)
    for _ in range(rounds):
        for count in COUNTS[CLIENTS]:
            for peer in peers:
                sample = take_sample(workbench, peer, count, duration_s, body_file)
                samples[CLIENTS, count, peer.name].append(sample)


def _with_nodes(workbench: Workbench, rounds: int, duration_s: float, samples: Samples) -> None:
    first_port = start_node(workbench, ports=max(COUNTS[NODES]))
    peers = {
        count: start_peers(workbench, Task(first_port, CLIENTS_OF_NODES, nodes=count), *PEERS)
        for count in COUNTS[NODES]
    }
    body_file = _body_file(workbench)
    for of_count in peers.values():
        for peer in of_count:
            take_sample(workbench, peer, CLIENTS_OF_NODES, WARM_UP_S, body_file)
    for _ in range(rounds):
        for count, of_count in peers.items():
            for peer in of_count:
                sample = take_sample(workbench, peer, CLIENTS_OF_NODES, duration_s, body_file)
                samples[NODES, count, peer.name].append(sample)


def _body_file(workbench: Workbench) -> Path:
    body_file = workbench.directory / "body.json"
    body_file.write_bytes(SMALL_CALL)
    return body_file


def _place(key: tuple[str, int, str]) -> tuple[int, int, int]:
    what, count, peer = key
    return list(COUNTS).index(what), PEERS.index(peer), count


def _row(what: str, count: int, peer: str, samples: Samples) -> dict[str, Cell]:
    return {
        "what": what,
        "count": count,
        "peer": peer,
        "growth": _growth(what, count, peer, samples),
        **cells(samples[what, count, peer]),
    }


def _growth(what: str, count: int, peer: str, samples: Samples) -> float:
    return cpu_us(samples[what, count, peer]) / cpu_us(samples[what, COUNTS[what][0], peer])
