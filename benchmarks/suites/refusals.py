"""What a refusal costs beside a request that is passed on, and what a storm of refused ones does to others.

The refused ones are over a rate limit of their address (429), or meet a full queue (503). HAProxy is measured
with the first. In the storm 8 clients send as fast as they are refused by a limit of their lane, and 80
urgent requests per second come at random (Poisson) moments beside them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
from benchmarks.cpu import cpu_time
from benchmarks.load import LoadCount, generator_name, run_load, run_streams
from benchmarks.machine import program, this_machine
from benchmarks.open_loop import high
from benchmarks.payloads import SMALL_CALL
from benchmarks.peers import HAPROXY, Peer
from benchmarks.pools import PRIOLB, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

CLIENTS: Final = 32
STORM_CLIENTS: Final = 8
HIGH_PER_S: Final = 80.0
SLOTS: Final = 8
SERVICE_S: Final = 0.02
IGNORED_S: Final = 1.0

# A limit that the first request of the low lane uses up for an hour.
OVER_LANE_LIMIT: Final = """
[[limit]]
name = "low"
by = "lane"
only = ["low-priority"]
rate = 1
per = 3600
"""

# One by the address of the client, for both balancers.
OVER_LIMIT: Final = """
[[limit]]
name = "address"
by = "network"
rate = 1
per = 3600
"""
HAPROXY_OVER_LIMIT: Final = """
  stick-table type ip size 100k expire 1h store http_req_rate(1h)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 5 }
"""

PASSED_ON: Final = "passed on"
LIMITED: Final = "429, over a limit"
FULL: Final = "503, queue full"
HAPROXY_PASSED_ON: Final = "HAProxy, passed on"
HAPROXY_LIMITED: Final = "HAProxy, 429, over a limit"
# The requests of whose cost each is a share.
WHOLE: Final = {
    PASSED_ON: PASSED_ON,
    LIMITED: PASSED_ON,
    FULL: PASSED_ON,
    HAPROXY_PASSED_ON: HAPROXY_PASSED_ON,
    HAPROXY_LIMITED: HAPROXY_PASSED_ON,
}
REFUSED: Final = frozenset({LIMITED, FULL, HAPROXY_LIMITED})
CALM: Final = "urgent ones alone"
STORM: Final = "beside a storm of refused ones"

COLUMNS: Final = (
    Column("what", "requests"),
    Column("cpu_us", "CPU us per request", 1),
    Column("share_percent", "of one passed on %", 1),
    Column("per_s", "requests/s"),
    Column("p50_ms", "urgent p50 ms", 1),
    Column("p99_ms", "urgent p99 ms", 1),
    Column("p99_ms_min", "lowest p99", 1),
    Column("p99_ms_max", "highest p99", 1),
    Column("outcomes", "all answers to urgent ones"),
)


_POLICIES: Final = {
    PASSED_ON: "",
    LIMITED: OVER_LIMIT,
    HAPROXY_PASSED_ON: "",
    HAPROXY_LIMITED: HAPROXY_OVER_LIMIT,
}


@dataclass(frozen=True)
class Cost:
    """Requests of one kind in one round: CPU of each, and how many there were in a second."""

    cpu_us: float
    per_s: float


@dataclass(frozen=True)
class Calm:
    """What the urgent requests saw in one round: sorted latencies, outcomes, and refusals/s beside them."""

    latencies_ms: Sequence[float]
    outcomes: Counter[str]
    refused_per_s: float


def run(quick: bool) -> Result:
    """Measure priolb.

    Args:
        quick: one short round.

    Raises:
        BenchmarkError: the balancer or a load generator failed.
    """
    count, duration_s = (1, 2.0) if quick else (5, 4.0)
    raise_open_files_limit(4096)
    kinds = [kind for kind in WHOLE if HAPROXY not in kind or program("haproxy")]
    costs: dict[str, list[Cost]] = {}
    seen: dict[str, list[Calm]] = {}
    for seed in range(1, count + 1):
        for kind in kinds:
            costs.setdefault(kind, []).append(_cost(kind, duration_s))
        for kind, storm in ((CALM, False), (STORM, True)):
            seen.setdefault(kind, []).append(_calm(storm, duration_s + IGNORED_S, seed))
    return Result(
        name="refusals",
        machine=this_machine(),
        method={
            "load": generator_name(),
            "clients": CLIENTS,
            "clients of the storm": STORM_CLIENTS,
            "urgent requests/s": HIGH_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[
            *(_cost_row(kind, costs) for kind in kinds),
            *(_calm_row(kind, done) for kind, done in seen.items()),
        ],
        targets=[
            *(
                Target(
                    f"CPU of a refusal ({kind}), % of that of a request passed on",
                    40.0,
                    _share_percent(kind, costs),
                    1,
                )
                for kind in (LIMITED, FULL)
            ),
            Target(
                "p99 of urgent requests in a storm, in times of that without it",
                1.1,
                _p99_ms(seen[STORM]) / _p99_ms(seen[CALM]),
                2,
            ),
            Target("urgent requests that were not answered with 200", 0.0, _unanswered(seen), 0),
        ],
    )


def _cost(kind: str, duration_s: float) -> Cost:
    with Workbench() as workbench:
        if kind == FULL:
            node = Node(1, 60.0)  # one is served, one waits, and no other may
            peer = _start(workbench, node, NUM_NODE_WORKERS="1", ITEMS_LOWPRIO_MAX="1")
        else:
            node = Node(CLIENTS, 0.0)
            peer = _start(workbench, node, _POLICIES[kind], HAPROXY if HAPROXY in kind else PRIOLB)
        body = _body(workbench)
        run_load(workbench, peer.port, CLIENTS, 1.0, body)  # until all is warm
        before = cpu_time(peer.child.pid)
        load = run_load(workbench, peer.port, CLIENTS, duration_s, body)
        cpu = cpu_time(peer.child.pid) - before
        peer.child.check_running()
    expected = load.requests if kind in REFUSED else 0
    if load.failed != expected:
        raise BenchmarkError(f"{kind}: of {load.requests} requests {load.failed} were refused")
    return Cost(cpu.used_ns / 1e3 / max(load.requests, 1), load.requests / load.duration_s)


def _calm(has_storm: bool, duration_s: float, seed: int) -> Calm:
    loads: list[LoadCount] = []
    with Workbench() as workbench:
        peer = _start(workbench, Node(SLOTS, SERVICE_S), OVER_LANE_LIMIT)
        body = _body(workbench)

        def storm() -> None:
            loads.append(run_load(workbench, peer.port, STORM_CLIENTS, duration_s, body))

        storming = threading.Thread(target=storm)
        if has_storm:
            storming.start()
        try:
            streams = [high(HIGH_PER_S)]
            count = run_streams(workbench, peer.port, streams, duration_s, seed, IGNORED_S)["high"]
        finally:
            if has_storm:
                storming.join()
        peer.child.check_running()
    if any(each.failed != each.requests for each in loads):
        raise BenchmarkError("not all requests of the storm were refused")
    refused_per_s = sum(each.requests / each.duration_s for each in loads)
    return Calm(sorted(count.latencies_ms), count.outcomes, refused_per_s)


def _start(workbench: Workbench, node: Node, policy: str = "", name: str = PRIOLB, **settings: str) -> Peer:
    node.start(workbench)
    return start_pool_peer(workbench, Pool([node]), name, has_own_slots=False, policy=policy, **settings)


def _body(workbench: Workbench) -> Path:
    file = workbench.directory / "call.json"
    file.write_bytes(SMALL_CALL)
    return file


def _cpu_us(costs: Sequence[Cost]) -> float:
    return median(each.cpu_us for each in costs)


def _p99_ms(seen: Sequence[Calm]) -> float:
    return median(percentile(each.latencies_ms, 99) for each in seen)


def _outcomes(seen: Sequence[Calm]) -> Counter[str]:
    return sum((each.outcomes for each in seen), Counter[str]())


def _unanswered(seen: Mapping[str, Sequence[Calm]]) -> int:
    outcomes = sum(map(_outcomes, seen.values()), Counter[str]())
    return outcomes.total() - outcomes["200"]


def _share_percent(kind: str, costs: Mapping[str, Sequence[Cost]]) -> float:
    return 100.0 * _cpu_us(costs[kind]) / _cpu_us(costs[WHOLE[kind]])


def _cost_row(kind: str, costs: Mapping[str, Sequence[Cost]]) -> dict[str, Cell]:
    return {
        "what": kind,
        "cpu_us": _cpu_us(costs[kind]),
        "share_percent": _share_percent(kind, costs),
        "per_s": median(each.per_s for each in costs[kind]),
        "p50_ms": None,
        "p99_ms": None,
        "p99_ms_min": None,
        "p99_ms_max": None,
        "outcomes": None,
    }


def _calm_row(kind: str, seen: Sequence[Calm]) -> dict[str, Cell]:
    p99s_ms = [percentile(each.latencies_ms, 99) for each in seen]
    refused_per_s = median(each.refused_per_s for each in seen)
    return {
        "what": kind,
        "cpu_us": None,
        "share_percent": None,
        "per_s": refused_per_s or None,
        "p50_ms": median(percentile(each.latencies_ms, 50) for each in seen),
        "p99_ms": median(p99s_ms),
        "p99_ms_min": min(p99s_ms),
        "p99_ms_max": max(p99s_ms),
        "outcomes": ", ".join(f"{status}: {number}" for status, number in sorted(_outcomes(seen).items())),
    }
