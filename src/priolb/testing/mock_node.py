"""A node for development and tests: answers JSON-RPC calls, as slowly and as badly as wanted."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import uvloop

from priolb.http.messages import LocalRequest, LocalResponse
from priolb.net.front.sockets import listen as listen_on
from priolb.testing.connection import Connection
from priolb.testing.rpc import Calls

_MAX_RECEIVED: Final = 1000
_BACKLOG: Final = 4096


class Address(Protocol):
    """Where to listen."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class MockNode:
    """A node that answers whatever it is asked.

    A POST, to any path, is answered as JSON-RPC, anything else with its own method and target as text; the
    field `Test` comes back in the answer. Health checks (`net_version`) are part of nothing that follows:
    they never wait, never fail and are not in flight.

    Args:
        latency_s: time that serving a request takes, seconds.
        error_rate: share of requests, 0 to 1, answered with status 500.
        concurrency: requests served at a time, 0 for no limit; the others wait, first come first served.
        seed: which requests fail is the same for the same seed.
    """

    def __init__(
        self, latency_s: float = 0.0, error_rate: float = 0.0, concurrency: int = 0, seed: int = 0
    ) -> None:
        self.requests: int = 0
        """Requests received, health checks included."""
        self.in_flight: int = 0
        """Requests received and neither answered nor given up by their client, whether served or waiting."""
        self.max_in_flight: int = 0
        self.received: deque[LocalRequest] = deque(maxlen=_MAX_RECEIVED)
        """The last requests, health checks included."""
        self.handler: Callable[[LocalRequest], LocalResponse] | None = None
        """Answers requests instead, health checks included, unless `error_rate` makes them fail."""
        self._latency_s = latency_s
        self._error_rate = error_rate
        self._concurrency = concurrency
        self._random = random.Random(seed)  # noqa: S311 - chance that repeats, not a secret
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        # A request waits or is served; a connection has one at most. Both are in order of arrival.
        self._waiting: dict[Connection, tuple[LocalRequest, Calls]] = {}
        self._serving: dict[Connection, asyncio.TimerHandle] = {}

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: name or address; empty for all interfaces.
            port: TCP port; 0 lets the system choose.

        Raises:
            ConfigError: it cannot listen there.
        """
        loop = asyncio.get_running_loop()
        sockets = listen_on(host, port)
        bound_port: int = sockets[0].getsockname()[1]
        for each in sockets:
            self._servers.append(
                await loop.create_server(lambda: Connection(self), sock=each, backlog=_BACKLOG)
            )
        return bound_port

    async def stop(self) -> None:
        """Drop every connection and listen no more; it can be started again."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            self.gone(connection)
            connection.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    # What connections tell it

    def connected(self, connection: Connection) -> None:
        self._connections.add(connection)

    def gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        timer = self._serving.pop(connection, None)
        if timer is not None:
            timer.cancel()
            self.in_flight -= 1
            self._serve_next()
        elif self._waiting.pop(connection, None) is not None:
            self.in_flight -= 1

    def take(self, connection: Connection, request: LocalRequest) -> None:
        self.requests += 1
        self.received.append(request)
        calls = Calls(request.body)
        if calls.is_health_check:
            connection.answer(self._answer(request, calls))
            return
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if self._concurrency and len(self._serving) >= self._concurrency:
            self._waiting[connection] = (request, calls)
        else:
            self._serve(connection, request, calls)

    # Requests

    def _serve(self, connection: Connection, request: LocalRequest, calls: Calls) -> None:
        if self._latency_s:
            loop = asyncio.get_running_loop()
            self._serving[connection] = loop.call_later(
                self._latency_s, self._served, connection, request, calls
            )
        else:
            self.in_flight -= 1
            connection.answer(self._draw(request, calls))

    def _served(self, connection: Connection, request: LocalRequest, calls: Calls) -> None:
        del self._serving[connection]
        self.in_flight -= 1
        self._serve_next()
        try:
            connection.answer(self._draw(request, calls))
        except Exception:
            # A handler that fails shows in the log of the loop, and nobody waits for its answer.
            connection.abort()
            raise

    def _serve_next(self) -> None:
        for connection, (request, calls) in self._waiting.items():
            del self._waiting[connection]
            self._serve(connection, request, calls)
            return

    def _draw(self, request: LocalRequest, calls: Calls) -> LocalResponse:
        """Return an answer or, by chance, a failure."""
        if self._error_rate and self._random.random() < self._error_rate:
            return calls.fail(_echo(request))
        return self._answer(request, calls)

    def _answer(self, request: LocalRequest, calls: Calls) -> LocalResponse:
        if self.handler is not None:
            return self.handler(request)
        if request.head.method == b"POST":
            return calls.answer(_echo(request))
        head = request.head
        target = head.path + head.query
        return LocalResponse(200, b"mock node: %s %s\n" % (head.method, target), fields=_echo(request))


def serve(listen: Address, latency_s: float, error_rate: float, concurrency: int) -> int:
    """Be a mock node until SIGINT or SIGTERM, and return the exit status.

    Args:
        listen: where.
        latency_s, error_rate, concurrency: as in `MockNode`.

    Raises:
        ConfigError: it cannot listen there.
    """
    node = MockNode(latency_s, error_rate, concurrency)
    # Nobody looks at them, and a day of large bodies is a lot of memory.
    node.received = deque(maxlen=0)
    uvloop.run(_serve_until_signal(node, listen))
    return 0


async def _serve_until_signal(node: MockNode, listen: Address) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    port = await node.start(listen.host, listen.port)
    host = f"[{listen.host}]" if ":" in listen.host else listen.host or "localhost"
    sys.stdout.write(f"mock node on http://{host}:{port}\n")
    sys.stdout.flush()
    await ended.wait()
    await node.stop()


def _echo(request: LocalRequest) -> bytes:
    """Return the field Test of a request, rendered, for its answer: it shows that fields travel both ways."""
    lines = request.head.forwarded.split(b"\r\n")
    return b"".join(b"%s\r\n" % line for line in lines if line[:5].lower() == b"test:")
