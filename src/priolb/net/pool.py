"""The connections of one node."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from priolb.core.node import NodeState
from priolb.core.timers import Lapsing
from priolb.http.rewrite import Target
from priolb.net.backend import AnswerSink, BackendConnection
from priolb.tasks import Tasks


class IdleBudget:
    """Idle connections that may be kept, over all nodes.

    Args:
        total: over all nodes, 0 for no limit.
        per_node: of one node, 0 for no limit.
        timeout_s: seconds a connection may stay idle.
    """

    __slots__ = ("count", "per_node", "timeout_s", "total")

    def __init__(self, total: int, per_node: int, timeout_s: float) -> None:
        self.total: int = total
        self.per_node: int = per_node
        self.timeout_s: float = timeout_s
        self.count: int = 0


class NodeLink:
    """How to reach one node, and its idle connections, the most recently used first.

    Args:
        node: what the scheduler knows of it.
        host: name or address.
        port: TCP port.
        tls: TLS settings for an https node, else None.
        target: where its URI points.
        idle: bounds on idle connections, shared by all nodes.
        max_head_bytes: longest head of an answer.
        max_fields: most header lines of an answer.
        idle_body_timeout_s: longest silence between two parts of an answer's body, seconds.
        watch: makes sure that a connection is looked at when it lapses.
        unwatch: ends that.
        clock: monotonic seconds.
        tasks: owner of the connecting tasks.
    """

    __slots__ = (
        "_idle",
        "_idle_budget",
        "_is_removed",
        "_unwatch",
        "clock",
        "host",
        "idle_body_timeout_s",
        "max_fields",
        "max_head_bytes",
        "node",
        "port",
        "target",
        "tasks",
        "tls",
        "watch",
    )

    def __init__(
        self,
        node: NodeState,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        target: Target,
        idle: IdleBudget,
        max_head_bytes: int,
        max_fields: int,
        idle_body_timeout_s: float,
        watch: Callable[[Lapsing], None],
        unwatch: Callable[[Lapsing], None],
        clock: Callable[[], float],
        tasks: Tasks,
    ) -> None:
        self.node = node
        self.host = host
        self.port = port
        self.tls = tls
        self.target = target
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self.idle_body_timeout_s = idle_body_timeout_s
        self.watch = watch
        self.clock = clock
        self.tasks = tasks
        self._idle_budget = idle
        self._idle: list[BackendConnection] = []
        self._is_removed = False
        self._unwatch = unwatch

    def start(self, sink: AnswerSink, request: bytes, until: float, fresh: bool) -> BackendConnection:
        """Send `request` for `sink` and return the connection that carries it.

        Args:
            sink: who gets the answer.
            request: the whole request.
            until: monotonic seconds by which the answer's head must be there.
            fresh: use a new connection even when an idle one is at hand.
        """
        while self._idle and not fresh:
            connection = self._idle.pop()
            self._idle_budget.count -= 1
            if connection.is_usable:
                connection.send(sink, request, until)
                return connection
            connection.abort()
        connection = BackendConnection(self)
        connection.open(sink, request, until)
        return connection

    def keep(self, connection: BackendConnection, now: float) -> bool:
        """Take an idle connection in; False when there is no room for it."""
        budget = self._idle_budget
        if self._is_removed or 0 < budget.total <= budget.count or 0 < budget.per_node <= len(self._idle):
            return False
        self._idle.append(connection)
        budget.count += 1
        connection.lapses_at = now + budget.timeout_s
        if connection.lapses_at < connection.watched_at:
            self.watch(connection)
        return True

    def forget(self, connection: BackendConnection, was_idle: bool) -> None:
        """Let go of a connection that is closed."""
        self._unwatch(connection)
        if was_idle and connection in self._idle:
            self._idle.remove(connection)
            self._idle_budget.count -= 1

    def close(self) -> None:
        """Close what is idle now, and keep nothing that becomes idle later."""
        self._is_removed = True
        for connection in list(self._idle):
            connection.abort()
