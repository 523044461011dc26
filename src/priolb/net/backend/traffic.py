"""The nodes as whoever keeps their list sees the traffic: known, taking part, checked, proven, forgotten."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.health_check import HealthCheck
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeChange
from priolb.http.rewrite import Target
from priolb.net.backend.backend import Backend
from priolb.net.backend.prober import probe

if TYPE_CHECKING:
    from priolb.net.engine import Engine


class NodeTraffic:
    """Brings nodes to the engine, and what becomes of them to whoever keeps their list.

    Args:
        engine: brings requests to them.
        health_check: what nodes are asked to see whether they are well, None for what the original asks.
    """

    __slots__ = ("_engine", "_health_check", "_next_node_id")

    def __init__(self, engine: Engine, health_check: HealthCheck | None = None) -> None:
        self._engine = engine
        self._health_check = HealthCheck() if health_check is None else health_check
        self._next_node_id: int = 0

    @property
    def clock(self) -> Callable[[], float]:
        """Monotonic seconds."""
        return self._engine.clock

    @property
    def fleet(self) -> Fleet:
        """All attached nodes. Whoever changes a fact about one of them calls `settle` afterwards."""
        return self._engine.scheduler.fleet

    def settle(self) -> None:
        """Carry out what follows from a change in the fleet."""
        self._engine.pump(self._engine.clock())

    def report_to(self, on_change: Callable[[NodeChange], None]) -> None:
        """Call `on_change` for every node that does something else than before."""
        self._engine.on_node_change = on_change

    def register(
        self, name: str, host: str, port: int, tls: ssl.SSLContext | None, target: Target, slots: int
    ) -> NodeState:
        """Make a node known: it can be probed, but takes no part before `attach`.

        Args:
            name: how logs name it.
            host: name or address.
            port: TCP port.
            tls: TLS settings for an https node, else None.
            target: where its URI points.
            slots: most requests in flight at once.
        """
        self._next_node_id += 1
        node = NodeState(self._next_node_id, name, slots)
        self._engine.backends[node] = Backend(node, host, port, tls, target, self._engine)
        return node

    def attach(self, node: NodeState, passed: bool = False) -> None:
        """Let a known node take part; it gets work once it is healthy.

        Args:
            node: the node.
            passed: whether it has passed a health check already.
        """
        now = self._engine.clock()
        self.fleet.add(node, now, passed)
        self._engine.pump(now)

    def detach(self, node: NodeState) -> None:
        """Forget a node, attached or not; what it has in flight goes on, until the end of its drain."""
        now = self._engine.clock()
        self.fleet.remove(node, now)
        self._engine.backends.pop(node).remove(node.hard_stop_at)
        self._engine.pump(now)  # a retry that waited for this node may go elsewhere now

    async def probe(self, node: NodeState, timeout_s: float) -> None:
        """Send `node` a health check outside slots and queue.

        Raises:
            UnattestedError: it has not proven what it runs, and was sent nothing.
            NodeError: it cannot be reached, is late, or does not answer as expected.
        """
        await probe(self._engine.backends[node], self._health_check, timeout_s)

    def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None:
        """Take note of a health check, and give the node work if it may have some.

        Args:
            node: the node, attached.
            failure: why it did not pass, in words for the operator; None when it did.
            is_late: whether it failed only by being late.
        """
        now = self._engine.clock()
        self._engine.scheduler.checked(node, failure, is_late, now)
        self._engine.pump(now)

    def attested(self, node: NodeState, refusal: str) -> None:
        """Take note of what `node` has proven, attached or not.

        Args:
            node: the node.
            refusal: why it did not prove what it runs, in words for the operator; empty when it did. Then
                nothing more is sent to it.
        """
        now = self._engine.clock()
        self.fleet.set_attested(node, not refusal, refusal or "has proven what it runs", now)
        if refusal and node in self._engine.backends:
            self._engine.backends[node].distrust()
        self._engine.pump(now)
