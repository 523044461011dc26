"""Listeners: they take client connections, and hold what these share."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, cast

from priolb.core.byte_budget import ByteBudget
from priolb.errors import Reason
from priolb.http.forwarding import Forwarding
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.parser import HeadLimits
from priolb.net.engine import Engine
from priolb.net.front.connection import FrontConnection
from priolb.net.front.peers import PeerCount
from priolb.net.front.sockets import BACKLOG, listen
from priolb.net.front.tls_server import Accepted, TlsServer
from priolb.tasks import Tasks

# Bodies of changes to the program itself that are held at once: of their own, so that there is room for what
# the operator has to say when clients have taken all of theirs.
_LOCAL_BODIES_MAX_BYTES: Final = 16 * 1024 * 1024


class LocalHandler(Protocol):
    """Answers the requests that are for the program itself."""

    def owns(self, method: bytes, path: bytes) -> bool:
        """Return whether a request is for the program itself, not for a node."""

    def refusal(self, head: RequestHead, peer: str) -> LocalResponse | None:
        """Return the answer that refuses a request for its head alone, None to let it in; must not raise.

        Asked before its body is read: there shall be none of who may not send one.

        Args:
            peer: address of the client's end of the connection, empty for a Unix socket.
        """

    def handle(self, request: LocalRequest) -> Awaitable[LocalResponse]:
        """Answer a request that it owns, judged by its head before or not; must not raise."""


def _is_any(_method: bytes, _path: bytes) -> bool:
    return True


def _is_none(_method: bytes, _path: bytes) -> bool:
    return False


class Listener:
    """Takes client connections, and holds what they share.

    `local_budget` bounds the bodies of requests that change the program itself.

    Args:
        engine: serves what is for the nodes.
        local: serves what is for the program itself; None where all is for the nodes.
        forwards: whether anything is for the nodes here; False for a listener of the admin API alone.
        head_limits: bounds on the head of a request.
        forwarding: what nodes are told of the way of a request.
        max_body_bytes: longest body, 0 for no limit.
        replay_max_bytes: longest body that is held so that it can be sent again; a longer one is passed on as
            it comes.
        body_min_bytes_per_s: how fast a body must come, and an answer be read that is not taken at once,
            bytes per second; 0 for no matter.
        connections_max: most connections at a time, 0 for no limit.
        connections_per_peer: most of one peer, 0 for no limit; a /64 of IPv6 is one.
        head_timeout_s: longest time from the first byte of a head to its last, seconds.
        keepalive_timeout_s: longest time between requests, seconds.
        stall_timeout_s: longest time without progress of a body, in either direction, seconds.
    """

    __slots__ = (
        "_is_empty",
        "_peers",
        "_servers",
        "_sockets",
        "body_min_bytes_per_s",
        "connections",
        "engine",
        "forwarding",
        "forwards",
        "head_limits",
        "head_timeout_s",
        "is_draining",
        "is_local",
        "keepalive_timeout_s",
        "local",
        "local_budget",
        "max_body_bytes",
        "replay_max_bytes",
        "stall_timeout_s",
        "tasks",
    )

    def __init__(
        self,
        engine: Engine,
        local: LocalHandler | None,
        forwards: bool,
        head_limits: HeadLimits,
        forwarding: Forwarding,
        max_body_bytes: int,
        replay_max_bytes: int,
        body_min_bytes_per_s: int,
        connections_max: int,
        connections_per_peer: int,
        head_timeout_s: float,
        keepalive_timeout_s: float,
        stall_timeout_s: float,
    ) -> None:
        self.engine = engine
        self.local = local
        self.is_local: Callable[[bytes, bytes], bool] = _is_none if local is None else local.owns
        if not forwards:
            self.is_local = _is_any
        self.forwards = forwards
        self.local_budget = ByteBudget(_LOCAL_BODIES_MAX_BYTES)
        self.head_limits = head_limits
        self.forwarding = forwarding
        self.max_body_bytes = max_body_bytes
        # Nothing longer than what may come at all is held, so that to look at one of the bounds is enough.
        self.replay_max_bytes = min(replay_max_bytes, max_body_bytes) if max_body_bytes else replay_max_bytes
        self.body_min_bytes_per_s = body_min_bytes_per_s
        self.head_timeout_s = head_timeout_s
        self.keepalive_timeout_s = keepalive_timeout_s
        self.stall_timeout_s = stall_timeout_s
        self.is_draining: bool = False
        self.connections: set[FrontConnection] = set()
        self.tasks = Tasks()
        self._peers = PeerCount(connections_per_peer, connections_max, forwarding)
        self._sockets: list[socket.socket] = []  # those that listen, but do not accept yet
        self._servers: list[asyncio.Server | TlsServer] = []
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def open(self, host: str, port: int) -> int:
        """Take the port, and return it: clients can connect, and wait until `accept`.

        Args:
            host: name or address; empty for all interfaces.
            port: TCP port; 0 lets the system choose.

        Raises:
            ConfigError: cannot listen there; the text names address and cause.
        """
        self._sockets = listen(host, port)
        return int(self._sockets[0].getsockname()[1])

    async def accept(self, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        """Serve whoever has connected, and connects from now on.

        Args:
            tls: returns the TLS settings of a new connection to an https listener, None for http.
        """
        loop = asyncio.get_running_loop()
        while self._sockets:
            each = self._sockets.pop()
            if tls is not None:
                self._servers.append(TlsServer(each, tls, self.head_timeout_s, self._accept, self.tasks))
            else:
                server = await loop.create_server(self._connection, sock=each, backlog=BACKLOG)
                self._servers.append(server)

    def add(self, connection: FrontConnection) -> bool:
        """Take note of a connection that is open; False when its peer has too many."""
        self.connections.add(connection)
        self._is_empty.clear()
        return connection.counts_for is not None or self._count(connection, connection.peer_address)

    def remove(self, connection: FrontConnection) -> None:
        """Take note of a connection that is closed."""
        self.connections.discard(connection)
        self._count_no_more(connection)
        if not self.connections:
            self._is_empty.set()

    def drain(self) -> None:
        """Listen no more, close idle connections and, with its answer, every other one.

        To close thousands takes some turns of the loop: what is under way does not wait for that.
        """
        self.is_draining = True
        for each in self._sockets:
            each.close()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.drain()

    async def wait_closed(self, timeout_s: float) -> bool:
        """Wait until no connection is left; False when that takes longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    def shut_down(self) -> None:
        """Refuse or cut what is still under way."""
        for connection in list(self.connections):
            connection.shut_down()

    async def close(self) -> None:
        """End everything at once."""
        self.drain()
        for connection in list(self.connections):
            connection.abort()
        await self.tasks.cancel()

    def _accept(self, address: str) -> Accepted | None:
        """Take note of a connection whose handshake begins; None when its peer has too many."""
        connection = FrontConnection(self)
        if self._count(connection, address):
            return Accepted(cast("asyncio.Protocol", connection), lambda: self._count_no_more(connection))
        self._count_no_more(connection)
        now = self.engine.clock()
        self.engine.instrument.rejected(b"", address, 0, Reason.TOO_MANY_CONNECTIONS.value, now)
        return None

    def _count(self, connection: FrontConnection, address: str) -> bool:
        connection.counts_for = address
        return self._peers.add(address)

    def _count_no_more(self, connection: FrontConnection) -> None:
        if connection.counts_for is not None:
            self._peers.remove(connection.counts_for)
            connection.counts_for = None

    def _connection(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", FrontConnection(self))  # as in `backend`
