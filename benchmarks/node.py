"""The node behind the balancers, as a program: as cheap as Python allows, for it is not what we measure.

    python -m benchmarks.node --port 9000 --slots 8 --service-s 0.02

Answers every POST with 200: a small call with a small result, a large one with a large one, and one that asks
for it with a huge one. With a service
time, `slots` requests are served at once and the others wait here, first come first served: a balancer
that sends more than `slots` at once gains nothing by it. Health checks are answered at once.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from collections import deque
from typing import cast

import uvloop

from benchmarks.payloads import (
    HUGE_METHOD,
    HUGE_RESULT,
    LARGE_BYTES,
    LARGE_RESULT,
    PROBE_METHOD,
    SMALL_RESULT,
    content_length,
    http_answer,
)

SMALL_ANSWER = http_answer(SMALL_RESULT)
LARGE_ANSWER = http_answer(LARGE_RESULT)
HUGE_ANSWER = http_answer(HUGE_RESULT)


class Service:
    """The slots of the node and the requests that wait for one.

    Args:
        slots: requests served at once.
        service_s: seconds that serving takes; 0 for an answer at once, whatever the slots.
    """

    def __init__(self, slots: int, service_s: float) -> None:
        self.service_s = service_s
        self._free_slots = slots
        self._waiting: deque[Connection] = deque()

    def begin(self, connection: Connection) -> None:
        """Serve a request now, or when its turn comes."""
        if self._free_slots == 0:
            self._waiting.append(connection)
            return
        self._free_slots -= 1
        asyncio.get_running_loop().call_later(self.service_s, self._end, connection)

    def _end(self, connection: Connection) -> None:
        self._free_slots += 1
        if self._waiting:
            self.begin(self._waiting.popleft())
        connection.answer()


class Connection(asyncio.Protocol):
    """One connection of a balancer: one request at a time, counted and not parsed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._head = b""
        self._body_bytes_missing = 0
        self._answer = SMALL_ANSWER
        self._is_probe = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: transports of uvloop are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._body_bytes_missing:
            self._body_bytes_missing -= len(data)
            self._is_probe = self._is_probe or PROBE_METHOD.encode() in data
        else:
            head = self._head + data
            head_end = head.find(b"\r\n\r\n")
            if head_end < 0:
                self._head = head
                return
            self._head = b""
            body_bytes = content_length(head)
            self._answer = LARGE_ANSWER if body_bytes >= LARGE_BYTES else SMALL_ANSWER
            if HUGE_METHOD.encode() in head:
                self._answer = HUGE_ANSWER
            self._is_probe = PROBE_METHOD.encode() in head
            self._body_bytes_missing = body_bytes - (len(head) - head_end - 4)
        if self._body_bytes_missing == 0:
            if self._service.service_s and not self._is_probe:
                self._service.begin(self)
            else:
                self.answer()

    def answer(self) -> None:
        """Send the whole answer, unless the balancer has gone."""
        if not self._transport.is_closing():
            self._transport.write(self._answer)


async def serve(port: int, service: Service) -> None:
    """Serve on loopback for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--service-s", type=float, default=0.0)
    options = parser.parse_args()
    # Nothing here makes cycles, and a collection would show up as somebody's p99.
    gc.disable()
    uvloop.run(serve(options.port, Service(options.slots, options.service_s)))


if __name__ == "__main__":
    main()
