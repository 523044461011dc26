"""For how long the event loop is held up at worst, as the program itself tells every 10 seconds."""

from __future__ import annotations

import http.client
import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.cpu import put_first
from benchmarks.crowd import Crowd
from benchmarks.load import run_load
from benchmarks.machine import this_machine
from benchmarks.mute_store import MuteStore
from benchmarks.payloads import HUGE_CALL, SMALL_CALL, http_request
from benchmarks.peers import PRIOLB, Peer, Task, start_node, start_peers
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.workbench import Workbench, raise_open_files_limit

CLIENTS: Final = 32
HUGE_CLIENTS: Final = 8
LEAVING: Final = 10_000
TINY_CHUNKS: Final = 100_000
TINY_BODIES: Final = 10
MOST_MS: Final = 5.0
STORE: Final = "nodes.db"
STORE_CALLS: Final = 3
REFUSED_CALLS: Final = 300
HOLD_S: Final = 600
ANSWERED: Final = 200
OUT_OF_ORDER: Final = 503
LINE_TIMEOUT_S: Final = 15.0
_STALL: Final = re.compile(r'"longestStallMs":([0-9.]+)')

COLUMNS: Final = (
    Column("load", "while"),
    Column("stall_ms", "longest stall ms", 1),
    Column("stall_ms_min", "lowest", 1),
    Column("stall_ms_max", "highest", 1),
)

Load = Callable[[Workbench, Peer], None]


def _nothing(_workbench: Workbench, _peer: Peer) -> None:
    """See what the machine alone does."""


def _small(workbench: Workbench, peer: Peer) -> None:
    _requests(workbench, peer, SMALL_CALL, CLIENTS)


def _huge(workbench: Workbench, peer: Peer) -> None:
    _requests(workbench, peer, HUGE_CALL, HUGE_CLIENTS)


def _requests(workbench: Workbench, peer: Peer, body: bytes, clients: int) -> None:
    body_file = workbench.directory / "body.json"
    body_file.write_bytes(body)
    run_load(workbench, peer.port, clients, 5.0, body_file)


def _tiny_chunks(_workbench: Workbench, peer: Peer) -> None:
    """Send bodies in chunks of one byte, tens of thousands of which are there to be read at once.

    Raises:
        BenchmarkError: one was not answered by the node.
    """
    body = b"1\r\n0\r\n" * TINY_CHUNKS + b"0\r\n\r\n"
    with closing(http.client.HTTPConnection("127.0.0.1", peer.port, timeout=30)) as client:
        for _ in range(TINY_BODIES):
            client.putrequest("POST", "/")
            client.putheader("Transfer-Encoding", "chunked")
            client.endheaders(body)
            answer = client.getresponse()
            answer.read()
            if answer.status != ANSWERED:
                raise BenchmarkError(f"a body in tiny chunks was answered with {answer.status}")


def _leave_at_once(_workbench: Workbench, peer: Peer) -> None:
    """Queue requests behind one that is never answered, and close all connections in one go."""
    with Crowd(peer) as crowd:
        crowd.join(LEAVING, http_request(SMALL_CALL))
        crowd.check_silent()


def _locked_store(workbench: Workbench, peer: Peer) -> None:
    """Ask for changes of the list of nodes while another program has locked the file that it is in."""
    with closing(sqlite3.connect(workbench.directory / STORE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _change_nodes(peer, STORE_CALLS)


def _silent_store(_workbench: Workbench, peer: Peer) -> None:
    _change_nodes(peer, STORE_CALLS)


def _refusing_store(_workbench: Workbench, peer: Peer) -> None:
    _change_nodes(peer, REFUSED_CALLS)


def _change_nodes(peer: Peer, times: int) -> None:
    """Ask for changes of the list of nodes, whose store is out of order.

    Raises:
        BenchmarkError: a change was answered with anything but that.
    """
    body = json.dumps({"uri": "http://127.0.0.1:1"})
    for _ in range(times):
        with closing(http.client.HTTPConnection("127.0.0.1", peer.port, timeout=30)) as admin:
            admin.request("DELETE", "/nodes", body, {"Content-Type": "application/json"})
            status = admin.getresponse().status
        if status != OUT_OF_ORDER:
            raise BenchmarkError(f"the store was out of order, and a change of the nodes got {status}")


@dataclass(frozen=True)
class Case:
    """What the balancer is put through.

    Args:
        load: does it.
        service_s: how long the node takes for each request.
        slots: how many it serves at once.
        outage: what happens to the store before; None when its list of nodes is in a file.
    """

    load: Load
    service_s: float = 0.0
    slots: int = 256
    outage: Callable[[MuteStore], None] | None = None


CASES: Final = {
    "nothing happens": Case(_nothing),
    "32 clients send 60 B": Case(_small),
    "8 clients get 16 MB answers": Case(_huge),
    "a client sends chunks of one byte": Case(_tiny_chunks),
    "10,000 who wait come, and leave at once": Case(_leave_at_once, HOLD_S, slots=1),
    "the store is locked": Case(_locked_store),
    "Redis does not answer": Case(_silent_store, outage=MuteStore.fall_silent),
    "Redis refuses connections": Case(_refusing_store, outage=MuteStore.end),
}


def run(quick: bool) -> Result:
    """Measure priolb under each load.

    Args:
        quick: one round instead of three.

    Raises:
        BenchmarkError: it failed, or did not tell of its stalls.
    """
    rounds = 1 if quick else 3
    raise_open_files_limit(LEAVING + 1_000)
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    is_first = True
    for _ in range(rounds):
        for name, case in CASES.items():
            stall_ms, was_first = _sample(case)
            samples[name].append(stall_ms)
            is_first = is_first and was_first
    return Result(
        name="stalls",
        machine=this_machine(),
        method={
            "rounds": rounds,
            "seconds of load": 5.0,
            "has its core before all else": "yes" if is_first else "no",
        },
        columns=COLUMNS,
        rows=[_row(name, own) for name, own in samples.items()],
        targets=[
            Target(f"longest stall in ms, {name}", MOST_MS, median(own), digits=1)
            for name, own in samples.items()
        ],
    )


def _sample(case: Case) -> tuple[float, bool]:
    """Return the longest stall in milliseconds, and whether nothing else could have the core meanwhile."""
    with Workbench() as workbench, MuteStore() as store:
        task = Task(
            start_node(workbench, case.slots, case.service_s),
            case.slots,
            queue_timeout_s=HOLD_S,
            try_timeout_s=HOLD_S,
            store=f"sqlite:///{workbench.directory / STORE}" if case.outage is None else store.uri,
        )
        [peer] = start_peers(workbench, task, PRIOLB)
        is_first = put_first(peer.child.pid)  # else a stall is mostly the wait for the core
        _stalls_ms(peer, 1)
        peer.child.forget_log()  # what starting took does not count
        if case.outage is not None:
            case.outage(store)
        case.load(workbench, peer)
        told = len(_stalls_ms(peer, 0))
        return max(_stalls_ms(peer, told + 1)), is_first


def _stalls_ms(peer: Peer, least: int) -> list[float]:
    """Wait until at least so many lines have told of stalls, and return what all of them say."""
    give_up_at = time.monotonic() + LINE_TIMEOUT_S
    while True:
        peer.child.check_running()
        found = _STALL.findall(peer.child.log.read_text(errors="replace"))
        if len(found) >= least:
            return [float(stall_ms) for stall_ms in found]
        if time.monotonic() > give_up_at:
            raise BenchmarkError(f"{peer.name} has not told of its stalls")
        time.sleep(0.05)


def _row(name: str, own: list[float]) -> dict[str, Cell]:
    return {"load": name, "stall_ms": median(own), "stall_ms_min": min(own), "stall_ms_max": max(own)}
