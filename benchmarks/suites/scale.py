"""What a request costs over sockets as more clients wait, or more nodes serve, beside HAProxy.

The clients wait in line for a few slots of one node, each for its answer. The nodes are as many ports, among
which few clients are spread: with many of them each connection lies idle for long, and is cold when its turn
comes. priolb checks every node every five seconds, as it comes; HAProxy checks none. So each is started for
its turn and ended after it: one with a thousand nodes would check 200 a second on the core of the next one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from benchmarks.load import generator_name, run_load
from benchmarks.machine import this_machine
from benchmarks.payloads import SMALL_CALL
from benchmarks.peers import HAPROXY, PRIOLB, Task, is_installed, start_node, start_peers
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
    rounds, duration_s = (1, 1.0) if quick else (5, 4.0)
    raise_open_files_limit(2 * max(COUNTS[CLIENTS]) + 4_000)
    samples: Samples = defaultdict(list)
    with Workbench() as workbench:
        node_port = start_node(workbench, ports=max(COUNTS[NODES]))
        for _ in range(rounds):
            for what, count, task, clients in _tasks(node_port):
                for peer in filter(is_installed, PEERS):
                    samples[what, count, peer].append(_sample(peer, task, clients, duration_s))
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


def _tasks(node_port: int) -> Iterator[tuple[str, int, Task, int]]:
    """Return what there is more of, how many, what a balancer has to do then, and for how many clients."""
    for count in COUNTS[CLIENTS]:
        yield CLIENTS, count, Task(node_port, SLOTS), count
    for count in COUNTS[NODES]:
        yield NODES, count, Task(node_port, CLIENTS_OF_NODES, nodes=count), CLIENTS_OF_NODES


def _sample(peer_name: str, task: Task, clients: int, duration_s: float) -> Sample:
    """Measure a fresh balancer that is alone on its core."""
    with Workbench() as workbench:
        [peer] = start_peers(workbench, task, peer_name)
        body_file = workbench.directory / "body.json"
        body_file.write_bytes(SMALL_CALL)
        run_load(workbench, peer.port, min(clients, COUNTS[CLIENTS][0]), WARM_UP_S, body_file)
        return take_sample(workbench, peer, task.node_port, clients, duration_s, body_file)


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
