"""A load generator that sends at random moments, to the microsecond, as a program.

    python -m benchmarks.paced_loop --port 8080 --duration-s 3 --per-s 5000 --seed 1

Arrivals are a Poisson process from a seed. Latency counts from the moment a request was due. Event loops wait
in whole milliseconds, so this one asks the kernel itself; it keeps up with thousands of requests a second.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import select
import socket
import time
from typing import Final

from benchmarks.payloads import SMALL_CALL, SMALL_RESULT, http_request

REQUEST: Final = http_request(SMALL_CALL)
CONNECTIONS: Final = 64
IGNORED_S: Final = 0.3
PATIENCE_S: Final = 2.0
READ_BYTES: Final = 65536


def latencies_us(port: int, per_s: float, duration_s: float, seed: int) -> list[float]:
    """Send requests for `duration_s` seconds and return the latencies of all but the first, in microseconds.

    Raises:
        RuntimeError: an answer was no success, or did not come.
    """
    chance = random.Random(seed)
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    idle = list(connections)
    due_of: dict[socket.socket, float] = {}
    latencies: list[float] = []
    now = started_at = time.perf_counter()
    due_at = started_at + IGNORED_S
    ends_at = started_at + duration_s
    while due_at < ends_at or due_of:
        if now > ends_at + PATIENCE_S:
            raise RuntimeError(f"{len(due_of)} requests were not answered")
        while due_at <= now and due_at < ends_at and idle:
            connection = idle.pop()
            connection.sendall(REQUEST)
            due_of[connection] = due_at
            due_at += chance.expovariate(per_s)
        wait_s = max(0.0, due_at - time.perf_counter()) if due_at < ends_at and idle else PATIENCE_S
        ready, _, _ = select.select(list(due_of), [], [], wait_s)
        now = time.perf_counter()
        for connection in ready:
            # So small an answer comes in one piece.
            answer = connection.recv(READ_BYTES)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(SMALL_RESULT):
                raise RuntimeError(f"answered with {answer[:200]!r}")
            was_due_at = due_of.pop(connection)
            if was_due_at > started_at + 2 * IGNORED_S:
                latencies.append((now - was_due_at) * 1e6)
            idle.append(connection)
    for connection in connections:
        connection.close()
    return latencies


def main() -> None:
    """Run the program; prints the latencies as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paced_loop")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--duration-s", type=float, required=True)
    parser.add_argument("--per-s", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    gc.disable()
    print(json.dumps(latencies_us(options.port, options.per_s, options.duration_s, options.seed)))


if __name__ == "__main__":
    main()
