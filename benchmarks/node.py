"""The node behind the balancers, as a program: as cheap as Python allows, for it is not what we measure.

    python -m benchmarks.node --port 9000 --slots 8 --service-s 0.02

Answers every POST with 200: a small call with a small result, a large one with a large one, and one that
asks for it with a huge one. With `--ports N` it listens on N ports, the given one and those that follow, as
if it were as many nodes. With a service time, `slots` requests are served at once and the others wait
here, first come first served: a balancer that sends more than `slots` at once gains nothing by it. A request
whose connection is closed is not served on. Health checks are answered at once.

With `--spread 0.5` a request takes anything between half of that time and one and a half.
With `--knee N` serving takes longer when more than N are served, by the square of how many more. With
`--illness`, SIGUSR1 makes the node ill: `failing` answers nine of ten requests with status 500, at once;
`hanging` never says anything again; `straggling` takes 400 ms for one request of fifty. With `--counts` it
prints, four times a second, the time of the monotonic clock and how many requests it has answered and begun;
with `--spans` when each of those began and ended that it has served since then, in the order of their ends.
Whoever connects to its abstract socket is told how many it has answered: see `answered`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, cast

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
FAILURE: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"

FAILING, HANGING, STRAGGLING = "failing", "hanging", "straggling"
_FAILED_SHARE: Final = 0.9
_STRAGGLING_SHARE: Final = 0.02
_STRAGGLING_S: Final = 0.4
_COUNTS_S: Final = 0.25
_COUNTER_TIMEOUT_S: Final = 5.0

Report = Callable[["Service"], Coroutine[None, None, None]]


class Service:
    """The slots of the node and the requests that wait for one.

    Args:
        slots: requests served at once.
        service_s: seconds that serving takes; 0 for an answer at once, whatever the slots.
        knee: requests served at once beyond which serving takes longer, 0 for never.
        spread: by how much of that time serving takes longer or shorter at most.
    """

    def __init__(self, slots: int, service_s: float, knee: int = 0, spread: float = 0.0) -> None:
        self.service_s = service_s
        self._spread = spread
        self.illness = ""
        self.answered = 0
        self.begun = 0
        self.spans: list[tuple[float, float]] | None = None  # nobody asks for them
        self._slots = slots
        self._free_slots = slots
        self._knee = knee
        self._waiting: deque[Connection] = deque()
        self._chance = random.Random(1)

    def fails(self) -> bool:
        """Return whether the next request fails at once."""
        return self.illness == FAILING and self._chance.random() < _FAILED_SHARE

    def begin(self, connection: Connection) -> None:
        """Serve a request now, or when its turn comes."""
        if self._free_slots == 0:
            self._waiting.append(connection)
            return
        self._free_slots -= 1
        self.begun += 1
        connection.begun_at = time.monotonic()
        service_s = self.service_s
        if self.illness == STRAGGLING and self._chance.random() < _STRAGGLING_SHARE:
            service_s = _STRAGGLING_S
        if self._spread:
            service_s *= 1.0 + self._spread * (2.0 * self._chance.random() - 1.0)
        if self._knee:
            service_s *= max(1.0, (self._slots - self._free_slots) / self._knee) ** 2
        connection.served = asyncio.get_running_loop().call_later(service_s, self._end, connection)

    def leave(self, connection: Connection) -> None:
        """Serve the request of a connection that is closed no more."""
        if connection.served is not None:
            connection.served.cancel()
            self._free_slot(connection)
        elif connection in self._waiting:
            self._waiting.remove(connection)

    def _end(self, connection: Connection) -> None:
        if self.spans is not None:
            self.spans.append((connection.begun_at, time.monotonic()))
        self._free_slot(connection)
        connection.answer()

    def _free_slot(self, connection: Connection) -> None:
        connection.served = None
        self._free_slots += 1
        if self._waiting:
            self.begin(self._waiting.popleft())


class Connection(asyncio.Protocol):
    """One connection of a balancer: one request at a time, counted and not parsed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._head = b""
        self._body_bytes_missing = 0
        self._answer = SMALL_ANSWER
        self._is_probe = False
        self.begun_at = 0.0
        self.served: asyncio.TimerHandle | None = None

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
            if self._service.fails() and not self._is_probe:
                self._transport.write(FAILURE)
            elif self._service.service_s and not self._is_probe:
                self._service.begin(self)
            else:
                self.answer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.leave(self)

    def answer(self) -> None:
        """Send the whole answer, unless the balancer has gone."""
        if not self._transport.is_closing() and self._service.illness != HANGING:
            self._service.answered += not self._is_probe
            self._transport.write(self._answer)


class Counter(asyncio.Protocol):
    """Tells how many requests have been answered: apart from them, so that no request costs more for it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        transport.write(b"%d" % self._service.answered)
        transport.close()


def answered(port: int) -> int:
    """Return how many requests the node on `port`, its first one, has answered; health checks are none."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_COUNTER_TIMEOUT_S)
        asking.connect(_counter(port))
        told = b""
        while part := asking.recv(64):
            told += part
        return int(told)


def _counter(port: int) -> str:
    """Return the name of the abstract socket: it is in no directory, and ends with the process."""
    return f"\0priolb-benchmarks-node-{port}"


async def print_counts(service: Service) -> None:
    """Print the time and the numbers of requests for ever."""
    while True:
        print(f"{time.monotonic():.3f} {service.answered} {service.begun}", flush=True)
        await asyncio.sleep(_COUNTS_S)


async def print_spans(service: Service) -> None:
    """Print when requests began and ended, for ever."""
    while True:
        spans, service.spans = service.spans or [], []
        print("".join(f"{begun_at:.6f} {ended_at:.6f}\n" for begun_at, ended_at in spans), end="", flush=True)
        await asyncio.sleep(_COUNTS_S)


async def serve(ports: Sequence[int], service: Service, illness: str, report: Report | None) -> None:
    """Serve on these ports of loopback for ever."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, setattr, service, "illness", illness)
    reporting = loop.create_task(report(service)) if report else None
    await loop.create_unix_server(lambda: Counter(service), _counter(ports[0]))
    # The first one last: whoever is answered there finds all others.
    servers = [
        await loop.create_server(lambda: Connection(service), "127.0.0.1", port, backlog=4096)
        for port in reversed(ports)
    ]
    try:
        await servers[-1].serve_forever()
    finally:
        if reporting is not None:
            reporting.cancel()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--service-s", type=float, default=0.0)
    parser.add_argument("--knee", type=int, default=0)
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--illness", choices=(FAILING, HANGING, STRAGGLING), default="")
    reports = parser.add_mutually_exclusive_group()
    reports.add_argument("--counts", dest="report", action="store_const", const=print_counts)
    reports.add_argument("--spans", dest="report", action="store_const", const=print_spans)
    options = parser.parse_args()
    # Nothing here makes cycles, and a collection would show up as somebody's p99.
    gc.disable()
    service = Service(options.slots, options.service_s, options.knee, options.spread)
    ports = range(options.port, options.port + options.ports)
    uvloop.run(serve(ports, service, options.illness, options.report))


if __name__ == "__main__":
    main()
