"""The connections of one node."""

from __future__ import annotations

import ssl
import sys
from math import inf
from typing import TYPE_CHECKING

from priolb.core.nodes.node import NodeState
from priolb.core.timers import Lapsing
from priolb.http.messages import ResponseHead
from priolb.http.rewrite import Target
from priolb.net.backend.connection import BackendConnection
from priolb.net.backend.output import IDLE, BackendOutput
from priolb.net.exchange.sink import AnswerSink
from priolb.net.exchange.upload import Upload

if TYPE_CHECKING:
    from priolb.net.engine import Engine


class IdleBudget:
    """Idle connections that may be kept, over all nodes.

    Args:
        total: over all nodes, 0 for no limit.
        per_node: of one node, 0 for no limit.
        timeout_s: seconds a connection may stay idle, 0 for no limit.
        open_per_node: open ones of one node, in use or idle, beyond which none stays idle; 0 for no limit.
    """

    __slots__ = ("count", "open_per_node", "per_node", "timeout_s", "total")

    def __init__(self, total: int, per_node: int, timeout_s: float, open_per_node: int = 0) -> None:
        self.total: int = total or sys.maxsize
        self.per_node: int = per_node or sys.maxsize
        self.timeout_s: float = timeout_s or inf
        self.open_per_node: int = open_per_node or sys.maxsize
        self.count: int = 0


class Backend(Lapsing):
    """How to reach one node, and its idle connections, the most recently used first.

    It lapses when its node is removed in the middle of a drain: at the end of that.

    Args:
        node: what the scheduler knows of it.
        host: name or address.
        port: TCP port.
        tls: TLS settings for an https node, else None.
        target: where its URI points.
        engine: what the connections to all nodes share.

    `last_head` is that of the last answer of the node; `told_name` is its name as the instrument is told it.
    """

    __slots__ = (
        "_connections",
        "_cut_at",
        "_idle",
        "_is_removed",
        "engine",
        "host",
        "last_head",
        "node",
        "port",
        "target",
        "tls",
        "told_name",
    )

    def __init__(
        self,
        node: NodeState,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        target: Target,
        engine: Engine,
    ) -> None:
        super().__init__()
        self.node = node
        self.host = host
        self.port = port
        self.tls = tls
        self.target = target
        self.engine = engine
        self.told_name: bytes = engine.instrument.node_name(node.name)
        self.last_head: ResponseHead | None = None
        self._idle: list[BackendConnection] = []
        self._connections: dict[BackendOutput, None] = {}  # all that are open, idle or not
        self._is_removed = False
        self._cut_at: float = inf

    def start(
        self,
        sink: AnswerSink,
        request: bytes,
        until: float,
        fresh: bool,
        upload: Upload | None = None,
        long_body: bytes = b"",
    ) -> BackendConnection:
        """Send `request` for `sink` and return the connection that carries it.

        Args:
            sink: who gets the answer.
            request: the whole request, or its head when the body is apart.
            until: monotonic seconds by which the answer's head must be there; when there is an upload, the
                connection.
            fresh: use a new connection even when an idle one is at hand; so it must be with an upload.
            upload: the body that is passed on.
            long_body: a body that is not copied behind its head.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            self.engine.idle.count -= 1
            if connection.send(sink, request, long_body, until):
                return connection
            connection.abort()
        if self._idle and len(self._connections) >= self.engine.idle.open_per_node:
            self._idle[0].abort()  # which has rested longest
        connection = BackendConnection(self)
        self._connections[connection] = None
        connection.open(sink, request, upload, long_body, until)
        return connection

    def keep(self, connection: BackendConnection, now: float) -> bool:
        """Take an idle connection in; False when there is no room for it."""
        idle = self._idle
        budget = self.engine.idle
        if self._is_removed or budget.count >= budget.total or len(idle) >= budget.per_node:
            return False
        idle.append(connection)
        budget.count += 1
        connection.lapses_at = lapses_at = now + budget.timeout_s
        if lapses_at < connection.watched_at:
            self.engine.watch(connection)
        return True

    def forget(self, connection: BackendOutput, was_idle: bool) -> None:
        """Let go of a connection that is closed."""
        self.engine.forget(connection)
        self._connections.pop(connection, None)
        if was_idle and connection in self._idle:
            self._idle = [each for each in self._idle if each is not connection]
            self.engine.idle.count -= 1
        if self._cut_at < inf and not self._connections:
            self.lapses_at = self.engine.clock()  # in a moment: another may take the place of the last one
            self.engine.watch(self)

    def cut(self) -> None:
        """Let the time be over of everything that is under way to or from the node."""
        for connection in list(self._connections):
            if connection.state != IDLE:
                connection.cut()

    def distrust(self) -> None:
        """Send the node nothing more over the connections that it has now; see `BackendOutput`."""
        for connection in list(self._connections):
            connection.distrust()

    def close(self) -> None:
        """Close what is idle now, and keep nothing that becomes idle later."""
        self._is_removed = True
        for connection in list(self._idle):
            connection.abort()

    def remove(self, cut_at: float) -> None:
        """Do as `close`, and cut off at `cut_at` (monotonic seconds) what is still under way then."""
        self.close()
        if self._connections:
            self._cut_at = self.lapses_at = cut_at
            self.engine.watch(self)

    def on_lapse(self, now: float) -> None:
        if now >= self._cut_at:
            self._cut_at = inf
            self.cut()
        elif self._connections:
            self.lapses_at = self._cut_at
            self.engine.watch(self)
