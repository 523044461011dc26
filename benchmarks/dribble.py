"""Clients that dribble, as a program: each sends the head of a request a byte at a time, and never ends it.

    python -m benchmarks.dribble --port 8080 --clients 2000 --bytes-per-s 1 --duration-s 10

One that the balancer lets go is replaced at once, so that there are always as many. `ready` is printed when
all are connected; then come their bytes, spread evenly over time.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Final, cast

import uvloop

_HEAD: Final = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"x" * 4096
_TICK_S: Final = 0.01
_OPENING: Final = 100


class Dribbler(asyncio.Protocol):
    """One slow client."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: transports of uvloop are no subclass of asyncio.WriteTransport.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @property
    def is_gone(self) -> bool:
        return self._transport is None

    def send_byte(self) -> None:
        """Send the next byte of the head."""
        if self._transport is not None:
            self._transport.write(_HEAD[self._sent : self._sent + 1])
            self._sent = min(self._sent + 1, len(_HEAD) - 1)


async def dribble(port: int, clients: int, bytes_per_s: float, duration_s: float) -> None:
    """Connect, say so, and dribble for `duration_s` seconds."""
    loop = asyncio.get_running_loop()

    async def connect() -> Dribbler:
        _, dribbler = await loop.create_connection(Dribbler, "127.0.0.1", port)
        return dribbler

    slow: list[Dribbler] = []
    while len(slow) < clients:
        count = min(_OPENING, clients - len(slow))
        slow += await asyncio.gather(*(connect() for _ in range(count)))
    print("ready", flush=True)
    started_at = loop.time()
    sent = 0
    while (elapsed_s := loop.time() - started_at) < duration_s:
        while sent < elapsed_s * clients * bytes_per_s:
            index = sent % clients
            if slow[index].is_gone:
                slow[index] = await connect()
            slow[index].send_byte()
            sent += 1
        await asyncio.sleep(_TICK_S)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dribble")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--bytes-per-s", type=float, required=True)
    parser.add_argument("--duration-s", type=float, required=True)
    options = parser.parse_args()
    uvloop.run(dribble(options.port, options.clients, options.bytes_per_s, options.duration_s))


if __name__ == "__main__":
    main()
