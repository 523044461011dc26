"""An open-loop load generator, as a program: requests leave when their time has come, answered or not.

    python -m benchmarks.open_loop --port 8080 --duration-s 10 --streams '[["low", 800, ""]]'

Arrivals of each stream are a Poisson process. Latency counts from the moment a request was due, so a stall of
the balancer, or of this program, cannot hide the requests that it held up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import uvloop

from benchmarks.payloads import SMALL_CALL, content_length, http_request

NO_ANSWER = "none"
LOST = "connection lost"


class Stream(NamedTuple):
    """Requests of one kind.

    Args:
        name: what they are called.
        per_s: how many come per second.
        line: the field that they have besides the usual ones, empty for none.
    """

    name: str
    per_s: float
    line: str = ""


def high(per_s: float) -> Stream:
    """Return so many requests of the high lane."""
    return Stream("high", per_s, "X-High-Priority: true")


def low(per_s: float) -> Stream:
    """Return so many requests of the low lane."""
    return Stream("low", per_s)


@dataclass
class StreamCount:
    """What became of the requests of one stream.

    Args:
        outcomes: how many by status.
        latencies_ms: of those with 200.
        due_s: when each of these was due, in seconds from the start, in the same order.
        started_at_s: the start, in seconds of the monotonic clock.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)
    started_at_s: float = 0.0


@dataclass(frozen=True)
class Arrival:
    """A request and when it is due, in seconds from the start."""

    due_s: float
    stream: str


def arrivals(streams: Sequence[Stream], duration_s: float, seed: int) -> list[Arrival]:
    """Return the requests of all streams in the order of their time."""
    schedule: list[Arrival] = []
    for name, per_s, _ in streams:
        # A generator for each: the times of one are the same whatever else comes.
        chance = random.Random(f"{seed} {name}")
        due_s = chance.expovariate(per_s) if per_s else duration_s
        while due_s < duration_s:
            schedule.append(Arrival(due_s, name))
            due_s += chance.expovariate(per_s)
    return sorted(schedule, key=lambda arrival: arrival.due_s)


class Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request under way."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._arrival: Arrival | None = None
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: transports of uvloop are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, arrival: Arrival, request: bytes) -> None:
        """Send the request of an arrival."""
        self._arrival = arrival
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head_end = self._answer.find(b"\r\n\r\n")
        if head_end < 0 or self._arrival is None:
            return
        head = self._answer[: head_end + 4]
        if len(self._answer) - len(head) < content_length(head):
            return
        arrival, self._arrival, self._answer = self._arrival, None, b""
        stays_open = b"connection: close" not in head.lower()
        self._generator.ended(arrival, head[9:12].decode(), self if stays_open else None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.forget(self)
        if self._arrival is not None:
            self._generator.ended(self._arrival, LOST, None)


class Generator:
    """Sends the arrivals and counts what becomes of them.

    Args:
        port: of the balancer on loopback.
        streams: the kinds of requests.
        schedule: the requests, in the order of their time.
        ignored_s: requests due before this are sent and not counted: queues fill first.
    """

    def __init__(
        self, port: int, streams: Sequence[Stream], schedule: list[Arrival], ignored_s: float
    ) -> None:
        self._port = port
        self._requests = {
            each.name: http_request(SMALL_CALL, *([each.line] if each.line else [])) for each in streams
        }
        self._schedule = schedule
        self._ignored_s = ignored_s
        self._loop = asyncio.get_running_loop()
        self._started_at = time.monotonic()  # the loop's own clock has whole milliseconds
        self._idle: list[Connection] = []
        self._pending = 0
        self._openings: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()
        self._is_all_sent = False
        self._is_over = False
        self.counts = {each.name: StreamCount(started_at_s=self._started_at) for each in streams}

    async def run(self, patience_s: float) -> None:
        """Send everything in time, then wait up to `patience_s` seconds for the last answers."""
        for arrival in self._schedule:
            wait_s = self._started_at + arrival.due_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._pending += 1
            if self._idle:
                self._idle.pop().send(arrival, self._requests[arrival.stream])
            else:
                opening = self._loop.create_task(self._open_and_send(arrival))
                self._openings.add(opening)
                opening.add_done_callback(self._openings.discard)
        self._is_all_sent = True
        if self._pending:
            self._loop.call_later(patience_s, self._done.set)
            await self._done.wait()
        self._is_over = True

    async def _open_and_send(self, arrival: Arrival) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self._port
            )
        except OSError:
            self.ended(arrival, LOST, None)
        else:
            connection.send(arrival, self._requests[arrival.stream])

    def ended(self, arrival: Arrival, outcome: str, connection: Connection | None) -> None:
        """Count a request; `connection` is free for the next one, None when it is closed."""
        if self._is_over:
            return
        self._pending -= 1
        if self._is_all_sent and self._pending == 0:
            self._done.set()
        if connection is not None:
            self._idle.append(connection)
        if arrival.due_s < self._ignored_s:
            return
        count = self.counts[arrival.stream]
        count.outcomes[outcome] += 1
        if outcome == "200":
            count.latencies_ms.append(1e3 * (time.monotonic() - self._started_at - arrival.due_s))
            count.due_s.append(round(arrival.due_s, 4))

    def forget(self, connection: Connection) -> None:
        """Use a connection that was closed no more."""
        if connection in self._idle:
            self._idle.remove(connection)

    def count_unanswered(self) -> None:
        """Count as such the requests that still wait for an answer."""
        sent = Counter(each.stream for each in self._schedule if each.due_s >= self._ignored_s)
        for name, count in self.counts.items():
            count.outcomes[NO_ANSWER] = sent[name] - count.outcomes.total()


async def load(
    port: int, streams: Sequence[Stream], schedule: list[Arrival], ignored_s: float, patience_s: float
) -> str:
    """Send the schedule and return the counts of all streams as JSON."""
    generator = Generator(port, streams, schedule, ignored_s)
    await generator.run(patience_s)
    generator.count_unanswered()
    return json.dumps({name: vars(count) for name, count in generator.counts.items()})


def main() -> None:
    """Run the program; prints one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open_loop")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--duration-s", type=float, required=True)
    parser.add_argument("--ignored-s", type=float, default=1.0)
    parser.add_argument("--patience-s", type=float, default=6.0)
    parser.add_argument("--streams", type=json.loads, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    streams = [Stream(*each) for each in options.streams]
    schedule = arrivals(streams, options.duration_s, options.seed)
    gc.disable()
    print(uvloop.run(load(options.port, streams, schedule, options.ignored_s, options.patience_s)))


if __name__ == "__main__":
    main()
