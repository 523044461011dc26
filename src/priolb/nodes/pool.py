"""The node pool: keeps the store, the health checks and the scheduler in step.

The list in the store is the truth. A change is made in the store first and takes effect here only when the
store has it, so a store that is away never leaves a change half done.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from priolb.core.node import NodeState
from priolb.errors import ConfigError, NodeError, StoreError
from priolb.http.rewrite import Target
from priolb.nodes.uri import NodeURI, parse_node_uri
from priolb.tasks import Tasks
from priolb.tls import NodeTLS

HEALTH_CHECK_TIMEOUT_S: Final = 5.0
_RECHECK_INTERVAL_S: Final = 2.0
_SYNC_INTERVAL_S: Final = 0.5


class NodeStore(Protocol):
    """Where the node list lives; see `store.base` for the whole contract."""

    @property
    def shared(self) -> bool: ...
    async def nodes(self) -> list[str]: ...
    async def add(self, uri: str) -> bool: ...
    async def remove(self, uri: str) -> bool: ...


class Traffic(Protocol):
    """What brings requests to nodes; see `net.engine` for the meaning of each."""

    def link(
        self, name: str, host: str, port: int, tls: ssl.SSLContext | None, target: Target, slots: int
    ) -> NodeState: ...
    def attach(self, node: NodeState) -> None: ...
    def detach(self, node: NodeState) -> None: ...
    def set_healthy(self, node: NodeState, healthy: bool) -> None: ...
    async def probe(self, node: NodeState, timeout_s: float) -> None: ...


class Log(Protocol):
    """Where changes of the nodes are told."""

    def info(self, msg: str, /, **fields: object) -> None: ...
    def warning(self, msg: str, /, **fields: object) -> None: ...


class _Member:
    """A node of the list; `state` is None for one whose URI this version cannot use."""

    __slots__ = ("cancel_check", "state")

    def __init__(self, state: NodeState | None) -> None:
        self.state = state
        self.cancel_check: Callable[[], object] | None = None


class NodePool:
    """The nodes in use.

    Args:
        store: where the list lives, opened.
        traffic: what brings requests to nodes.
        default_slots: slots of a node whose URI does not say.
        max_slots: most slots of any node, 0 for no limit.
        keeps_host: nodes are told the host that the client asked for, rather than their own.
        tls: how connections to https nodes are secured.
        log: where changes are told.
    """

    def __init__(
        self,
        store: NodeStore,
        traffic: Traffic,
        default_slots: int,
        max_slots: int,
        keeps_host: bool,
        tls: NodeTLS,
        log: Log,
    ) -> None:
        self._store = store
        self._traffic = traffic
        self._default_slots = default_slots
        self._max_slots = max_slots
        self._keeps_host = keeps_host
        self._tls = tls
        self._log = log
        self._members: dict[str, _Member] = {}
        self._lock = asyncio.Lock()
        self._tasks = Tasks()

    def uris(self) -> list[str]:
        """Return the URIs of all nodes, in the order they were added."""
        return list(self._members)

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
        state = self._link(parsed)
        is_kept = False
        try:
            await self._traffic.probe(state, HEALTH_CHECK_TIMEOUT_S)
            async with self._lock:
                await self._store.add(uri)
                if uri not in self._members:
                    is_kept = True
                    self._members[uri] = _Member(state)
                    self._traffic.attach(state)
                    self._traffic.set_healthy(state, True)
                    self._log.info("Node added", nodeURI=state.name, slots=state.slots)
        finally:
            if not is_kept:
                self._traffic.detach(state)

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
            state = self._link(parse_node_uri(uri))
        except ConfigError as error:
            self._log.warning("Node of the store cannot be used; it is kept in the list", err=str(error))
            return _Member(None)
        member = _Member(state)
        self._traffic.attach(state)
        member.cancel_check = self._tasks.spawn(
            self._check_until_healthy(state), f"health check {state.name}"
        )
        return member

    def _release(self, member: _Member) -> None:
        if member.cancel_check is not None:
            member.cancel_check()
        if member.state is not None:
            self._traffic.detach(member.state)
            self._log.info("Node removed", nodeURI=member.state.name)

    async def _check_until_healthy(self, state: NodeState) -> None:
        is_told = False
        while True:
            try:
                await self._traffic.probe(state, HEALTH_CHECK_TIMEOUT_S)
            except NodeError as error:
                if not is_told:
                    self._log.warning(
                        "Node is unhealthy and will be checked again", nodeURI=state.name, err=str(error)
                    )
                is_told = True
                await asyncio.sleep(_RECHECK_INTERVAL_S)
            else:
                self._traffic.set_healthy(state, True)
                self._log.info("Node is healthy", nodeURI=state.name, slots=state.slots)
                return

    def _link(self, uri: NodeURI) -> NodeState:
        slots = uri.slots or self._default_slots
        if self._max_slots:
            slots = min(slots, self._max_slots)
        target = Target(uri.authority, uri.path, uri.query, self._keeps_host)
        tls: ssl.SSLContext | None = None
        if uri.is_tls:
            tls = self._tls.unverified if uri.is_insecure else self._tls.verified
        return self._traffic.link(uri.name, uri.host, uri.port, tls, target, slots)
