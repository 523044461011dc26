"""Load on one balancer: clients that wait for each answer (wrk, or our own), or arrivals at random."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import BenchmarkError, python_module
from benchmarks.machine import program
from benchmarks.open_loop import NO_ANSWER, Stream, StreamCount
from benchmarks.workbench import Workbench

GRACE_S = 20.0


@dataclass(frozen=True)
class LoadCount:
    """What a run of a load generator came to.

    Args:
        requests: answers received.
        failed: of those, answers with a status of 400 or more, and connections lost.
        duration_s: seconds from the first request to the last answer.
    """

    requests: int
    failed: int
    duration_s: float


def generator_name() -> str:
    """Return which load generator is used here."""
    return "wrk" if program("wrk") else "benchmarks.closed_loop"


def run_load(
    workbench: Workbench,
    port: int,
    clients: int,
    duration_s: float,
    body_file: Path,
    own_heads: bool = False,
) -> LoadCount:
    """Send the body for `duration_s` seconds over `clients` keep-alive connections.

    Args:
        workbench: where the generator runs.
        port: of the balancer on loopback.
        clients: connections with one request under way each.
        duration_s: how long, seconds.
        body_file: holds the body of each request.
        own_heads: each request has an id of its own; wrk alone can do that.

    Raises:
        BenchmarkError: the generator failed.
    """
    wrk = program("wrk")
    if wrk:
        script = Path(__file__).with_name("wrk_post.lua")
        command = [wrk, "-t1", f"-c{clients}", f"-d{duration_s:.0f}s", "--timeout", "10s"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}/"]
    else:
        command = python_module("benchmarks.closed_loop", "--port", port, "--clients", clients)
        command += ["--duration-s", str(duration_s), "--body-file", str(body_file)]
    printed = workbench.run(
        command, duration_s + GRACE_S, BODY_FILE=str(body_file), OWN_HEADS="1" if own_heads else "0"
    )
    count: dict[str, float] = json.loads(printed.splitlines()[-1])
    return LoadCount(int(count["requests"]), int(count["failed"]), count["duration_s"])


def run_streams(
    workbench: Workbench,
    port: int,
    streams: Sequence[Stream],
    duration_s: float,
    seed: int,
    ignored_s: float = 1.0,
) -> dict[str, StreamCount]:
    """Send requests for `duration_s` seconds at random moments and return what became of them, by stream.

    Args:
        workbench: where the generator runs.
        port: of the balancer on loopback.
        streams: the kinds of requests.
        duration_s: how long, seconds.
        seed: of the moments.
        ignored_s: requests due before this are sent and not counted: queues fill first.

    Raises:
        BenchmarkError: the generator failed.
    """
    printed = workbench.run_module(
        "benchmarks.open_loop",
        *("--port", port, "--duration-s", duration_s, "--seed", seed, "--ignored-s", ignored_s),
        *("--streams", json.dumps(streams)),
        timeout_s=duration_s + GRACE_S,
    )
    return {
        name: StreamCount(
            Counter(count["outcomes"]), count["latencies_ms"], count["due_s"], count["started_at_s"]
        )
        for name, count in json.loads(printed).items()
    }


def check_none_ignored(name: str, counts: Mapping[str, StreamCount]) -> None:
    """Check that each request was answered, be it with a refusal.

    For balancers whose requests wait for less time than the generator has patience: one that leaves some
    without any answer has not even accepted them, and its figures say nothing.

    Args:
        name: of the balancer.
        counts: what became of its requests, by stream.

    Raises:
        BenchmarkError: some got no answer.
    """
    ignored = sum(count.outcomes[NO_ANSWER] for count in counts.values())
    if ignored:
        raise BenchmarkError(f"{name} left {ignored} requests without any answer")
