"""A closed-loop load generator, as a program, for machines without wrk.

    python -m benchmarks.closed_loop --port 8080 --clients 32 --duration-s 2 --body-file call.json

Each client sends its next request when the answer to the one before is complete. It costs more per request
than wrk, so the rates are lower; the balancer's CPU time per request is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.payloads import content_length, http_request


class Tally:
    """What all clients together have done."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.is_over = False


class Client(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self._request = request
        self._tally = tally
        self._answer_bytes_missing = 0
        self._is_failure = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: transports of uvloop are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._answer_bytes_missing == 0:
            # A head is far smaller than what one write of a balancer carries: it comes in one piece.
            head_end = data.index(b"\r\n\r\n")
            self._is_failure = not data.startswith(b"HTTP/1.1 200 ")
            self._answer_bytes_missing = head_end + 4 + content_length(data[: head_end + 4])
        self._answer_bytes_missing -= len(data)
        if self._answer_bytes_missing == 0:
            self._tally.requests += 1
            self._tally.failed += self._is_failure
            if not self._tally.is_over:
                self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.failed += not self._tally.is_over


async def load(port: int, clients: int, duration_s: float, request: bytes) -> dict[str, float]:
    """Keep `clients` requests under way for `duration_s` seconds and return the counts."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    started_at = time.monotonic()
    transports = []
    for _ in range(clients):
        transport, _client = await loop.create_connection(lambda: Client(request, tally), "127.0.0.1", port)
        transports.append(transport)
    await asyncio.sleep(started_at + duration_s - time.monotonic())
    tally.is_over = True
    took_s = time.monotonic() - started_at
    for transport in transports:
        transport.close()
    return {"requests": tally.requests, "failed": tally.failed, "duration_s": took_s}


def main() -> None:
    """Run the program; prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.closed_loop")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--duration-s", type=float, required=True)
    parser.add_argument("--body-file", type=Path, required=True)
    options = parser.parse_args()
    gc.disable()
    request = http_request(options.body_file.read_bytes())
    print(json.dumps(uvloop.run(load(options.port, options.clients, options.duration_s, request))))


if __name__ == "__main__":
    main()
