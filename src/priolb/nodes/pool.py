"""The node pool: keeps the store, the health checks and the scheduler in step.

The list in the store is the truth. A change is made in the store first and takes effect here only when the
store has it, so a store that is away never leaves a change half done.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from priolb.core.node import NodeState
from priolb.core.status import NodeChange, NodeStatus
from priolb.errors import ConfigError, StoreError
from priolb.http.rewrite import Target
from priolb.nodes.checks import Checks, Rhythm
from priolb.nodes.parameters import ACTIVE, CORDONED, parse_order
from priolb.nodes.ports import Log, NodeStore, Traffic
from priolb.nodes.report import Detail, detail_of, detail_of_unusable, log_change
from priolb.nodes.slots import Slots
from priolb.nodes.uri import NodeURI, parse_node_uri
from priolb.tasks import Tasks
from priolb.tls import NodeTLS

_SYNC_INTERVAL_S: Final = 0.5


class _Member:
    """An entry of the list: a node with its checks, or a URI that this version cannot use, and why."""

    __slots__ = ("cancel_checks", "checks", "fault", "node")

    def __init__(self, node: NodeState | None, fault: str = "") -> None:
        self.node = node
        self.fault = fault
        self.checks: Checks | None = None
        self.cancel_checks: Callable[[], object] | None = None


class NodePool:
    """The nodes in use.

    Args:
        store: where the list lives, opened.
        traffic: what brings requests to nodes; it tells of their changes here.
        slots: how many slots nodes get.
        rhythm: how often they are checked.
        hard_stop_after_s: when to cut off what a drained node has in flight, unless the order says, seconds.
        keeps_host: nodes are told the host that the client asked for, rather than their own.
        tls: how connections to https nodes are secured.
        log: where changes are told.
    """

    def __init__(
        self,
        store: NodeStore,
        traffic: Traffic,
        slots: Slots,
        rhythm: Rhythm,
        hard_stop_after_s: float,
        keeps_host: bool,
        tls: NodeTLS,
        log: Log,
    ) -> None:
        self._store = store
        self._traffic = traffic
        self._slots = slots
        self._rhythm = rhythm
        self._hard_stop_after_s = hard_stop_after_s
        self._keeps_host = keeps_host
        self._tls = tls
        self._log = log
        self._members: dict[str, _Member] = {}
        self._by_id: dict[int, _Member] = {}
        self._lock = asyncio.Lock()
        self._tasks = Tasks()
        traffic.on_node_change = self._changed

    def uris(self) -> list[str]:
        """Return the URIs of all nodes, in the order they were added."""
        return list(self._members)

    def details(self) -> list[Detail]:
        """Return what is known of all nodes, in the order they were added."""
        now = self._traffic.clock()
        return [
            detail_of_unusable(uri, member.fault) if member.node is None else detail_of(uri, member.node, now)
            for uri, member in self._members.items()
        ]

    async def start(self, uris: Sequence[str]) -> None:
        """Add `uris` to the list in the store and take up all nodes of it.

        No health check is waited for: a node that is down is kept and joins when it passes.

        Raises:
            ConfigError: one of `uris` cannot be used; nothing is changed.
            StoreError: the store is away.
        """
        for uri in uris:
            parse_node_uri(uri)
        for uri in uris:
            await self._store.add(uri)
        self._apply(await self._store.nodes())
        if self._store.shared:
            self._tasks.spawn(self._sync(), "node list sync")

    async def add(self, uri: str) -> None:
        """Add a node that passes its health check; one that is already there is no error.

        Raises:
            ConfigError: the URI cannot be used.
            NodeError: the node does not pass.
            StoreError: the store did not take it.
        """
        parsed = parse_node_uri(uri)
        if uri in self._members:
            return
        node = self._link(parsed)
        is_kept = False
        try:
            await self._traffic.probe(node, self._rhythm.timeout_s)
            async with self._lock:
                await self._store.add(uri)
                if uri not in self._members:
                    is_kept = True
                    self._members[uri] = self._attach(node, has_passed=True)
                    self._log.info("Node added", nodeURI=node.name, slots=node.slots)
        finally:
            if not is_kept:
                self._traffic.detach(node)

    async def remove(self, uri: str) -> bool:
        """Remove a node; what it has in flight goes on. False when it was not there.

        Raises:
            StoreError: the store did not take it.
        """
        async with self._lock:
            was_stored = await self._store.remove(uri)
            member = self._members.pop(uri, None)
            if member is not None:
                self._release(member)
            return was_stored or member is not None

    def change(self, uri: str, members: Mapping[str, object]) -> bool:
        """Change a node while it works, until it is removed or the program ends. False when it is not there.

        Args:
            uri: the node.
            members: the members of the order; see `parameters`.

        Raises:
            ConfigError: the order cannot be carried out; nothing is changed.
        """
        order = parse_order(members)
        member = self._members.get(uri)
        if member is None:
            return False
        node = member.node
        if node is None:
            raise ConfigError(member.fault)
        self._slots.check(order.workers)
        fleet, now = self._traffic.fleet, self._traffic.clock()
        if order.is_auto:
            fleet.set_workers(node, self._slots.adaptive_most, self._slots.new_adaptive(now), now)
        elif order.workers is not None:
            fleet.set_workers(node, order.workers, None, now)
        if order.weight is not None:
            fleet.set_weight(node, order.weight, now)
        if order.state == ACTIVE:
            fleet.uncordon(node, now)
        elif order.state == CORDONED:
            fleet.cordon(node, now)
        elif order.state is not None:
            given_s = order.hard_stop_after_s
            fleet.drain(node, self._hard_stop_after_s if given_s is None else given_s, now)
        if order.is_auto or order.workers is not None or order.weight is not None:
            self._log.info("Node changed", nodeURI=node.name, slots=node.slots, weight=node.weight)
        self._traffic.settle()
        return True

    async def close(self) -> None:
        """End the background work."""
        await self._tasks.cancel()

    async def _sync(self) -> None:
        """Follow the changes that other instances make."""
        is_away = False
        while True:
            await asyncio.sleep(_SYNC_INTERVAL_S)
            async with self._lock:
                try:
                    uris = await self._store.nodes()
                except StoreError as error:
                    if not is_away:
                        self._log.warning(
                            "Store is away; serving goes on with the nodes known", err=str(error)
                        )
                    is_away = True
                    continue
                if is_away:
                    self._log.info("Store is back")
                is_away = False
                self._apply(uris)

    def _apply(self, uris: list[str]) -> None:
        """Make the members those of `uris`, in that order."""
        if uris == list(self._members):
            return
        members: dict[str, _Member] = {}
        for uri in uris:
            known = self._members.pop(uri, None)
            members[uri] = self._join(uri) if known is None else known
        for gone in self._members.values():
            self._release(gone)
        self._members = members

    def _join(self, uri: str) -> _Member:
        """Take up a node of the list, checked in the background."""
        try:
            node = self._link(parse_node_uri(uri))
        except ConfigError as error:
            self._log.warning("Node of the store cannot be used; it is kept in the list", err=str(error))
            return _Member(None, str(error))
        return self._attach(node, has_passed=False)

    def _attach(self, node: NodeState, has_passed: bool) -> _Member:
        member = self._by_id[node.node_id] = _Member(node)
        self._traffic.attach(node, has_passed)
        member.checks = Checks(node, self._traffic, self._rhythm)
        name = f"health checks {node.name}"
        member.cancel_checks = self._tasks.spawn(member.checks.run(has_passed), name)
        return member

    def _release(self, member: _Member) -> None:
        if member.cancel_checks is not None:
            member.cancel_checks()
        if member.node is not None:
            del self._by_id[member.node.node_id]
            self._traffic.detach(member.node)
            self._log.info("Node removed", nodeURI=member.node.name)

    def _changed(self, change: NodeChange) -> None:
        log_change(self._log, change)
        member = self._by_id.get(change.node.node_id)
        if change.status is NodeStatus.DOWN and member is not None and member.checks is not None:
            member.checks.hurry()  # a request may have found it down: perhaps it is back by now

    def _link(self, uri: NodeURI) -> NodeState:
        parameters, slots = uri.parameters, self._slots
        tls: ssl.SSLContext | None = None
        if uri.is_tls:
            tls = self._tls.unverified if parameters.is_insecure else self._tls.verified
        target = Target(uri.authority, uri.path, uri.query, self._keeps_host)
        node = self._traffic.link(uri.name, uri.host, uri.port, tls, target, slots.of(parameters))
        node.weight, node.tier = parameters.weight, parameters.tier
        if slots.is_adaptive_for(parameters):
            now = self._traffic.clock()
            self._traffic.fleet.set_workers(node, slots.adaptive_most, slots.new_adaptive(now), now)
        return node
