"""The node pool: keeps the store, the health checks and the scheduler in step.

The list in the store is the truth. A change is made in the store first and takes effect here only when the
store has it, so a store that is away never leaves a change half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from priolb.attest.attestation import Attestation
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeChange, NodeStatus
from priolb.errors import ConfigError, StoreError
from priolb.nodes.checks import Checks, Rhythm
from priolb.nodes.factory import KnownNode, NodeFactory
from priolb.nodes.parameters import ACTIVE, CORDONED, parse_order
from priolb.nodes.ports import Log, NodeStore, Traffic
from priolb.nodes.report import Detail, detail_of, detail_of_unusable, log_change
from priolb.nodes.slots import Slots
from priolb.nodes.uri import NodeURI
from priolb.tasks import Tasks

_SYNC_INTERVAL_S: Final = 0.5
_NODES_AT_ONCE: Final = 8

# As long as the stores give a call: with one that hangs, the last in line is refused soon after the first.
_TURN_TIMEOUT_S: Final = 2.0


class _Member:
    """An entry of the list: a node with its checks, or a URI that this version cannot use, and why."""

    __slots__ = ("cancel_checks", "checks", "fault", "known")

    def __init__(self, known: KnownNode | None, fault: str = "") -> None:
        self.known = known
        self.fault = fault
        self.checks: Checks | None = None
        self.cancel_checks: Callable[[], object] | None = None


class NodePool:
    """The nodes in use.

    Args:
        store: where the list lives, opened.
        traffic: what brings requests to nodes; it tells of their changes here.
        factory: makes nodes of URIs.
        slots: how many slots nodes get.
        rhythm: how often they are checked.
        hard_stop_after_s: when to cut off what a drained node has in flight, unless the order says, seconds.
        log: where changes are told.
    """

    def __init__(
        self,
        store: NodeStore,
        traffic: Traffic,
        factory: NodeFactory,
        slots: Slots,
        rhythm: Rhythm,
        hard_stop_after_s: float,
        log: Log,
    ) -> None:
        self._store = store
        self._traffic = traffic
        self._factory = factory
        self._slots = slots
        self._rhythm = rhythm
        self._hard_stop_after_s = hard_stop_after_s
        self._log = log
        self._members: dict[str, _Member] = {}
        self._by_id: dict[int, _Member] = {}
        self._lock = asyncio.Lock()
        self._tasks = Tasks()
        traffic.report_to(self._changed)

    def uris(self) -> list[str]:
        """Return the URIs of all nodes, in the order they were added."""
        return list(self._members)

    def details(self) -> Iterator[Detail]:
        """Return what is known of each node, in the order they were added."""
        for uri, member in list(self._members.items()):
            if member.known is None:
                yield detail_of_unusable(uri, member.fault)
            else:
                yield detail_of(uri, member.known, self._traffic.clock())

    def known(self) -> list[tuple[NodeState, Attestation | None]]:
        """Return the nodes in the order they were added, each with who asks for its proof, or None."""
        nodes = [member.known for member in self._members.values() if member.known is not None]
        return [(each.node, each.proof.attestation if each.proof else None) for each in nodes]

    async def start(self, uris: Sequence[str]) -> None:
        """Add `uris` to the list in the store and take up all nodes of it.

        No health check is waited for: a node that is down is kept and joins when it passes.

        Raises:
            ConfigError: one of `uris` cannot be used; nothing is changed.
            StoreError: the store is away.
        """
        for uri in uris:
            self._factory.parse(uri)
        for uri in uris:
            await self._store.add(uri)
        await self._apply(await self._store.nodes())
        if self._store.shared:
            self._tasks.spawn(self._sync(), "node list sync")

    async def add(self, uri: str) -> None:
        """Add a node that passes its health check; one that is already there is no error.

        Raises:
            ConfigError: the URI cannot be used.
            NodeError: the node does not pass, or does not prove what it runs.
            StoreError: the store did not take it, or is busy with other changes.
        """
        parsed = self._factory.parse(uri)
        if uri in self._members:
            async with self._turn():
                await self._store.add(uri)  # another instance may have removed it a moment ago
            return
        known = self._make(parsed)
        is_kept = False
        try:
            await self._factory.check(known, self._rhythm.timeout_s)
            async with self._turn():
                await self._store.add(uri)
                if uri not in self._members:
                    is_kept = True
                    self._members[uri] = self._attach(known, has_passed=True)
                    self._log.info("Node added", nodeURI=known.node.name, slots=known.node.slots)
        finally:
            if not is_kept:
                self._factory.drop(known)

    async def remove(self, uri: str) -> bool:
        """Remove a node; what it has in flight goes on. False when it was not there.

        Raises:
            StoreError: the store did not take it, or is busy with other changes.
        """
        async with self._turn():
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
        if member.known is None:
            raise ConfigError(member.fault)
        node = member.known.node
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

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Have store and members to oneself for a change.

        Raises:
            StoreError: others have them for too long.
        """
        try:
            async with asyncio.timeout(_TURN_TIMEOUT_S):
                await self._lock.acquire()
        except TimeoutError:
            words = f"the list of nodes is busy with other changes: no turn within {_TURN_TIMEOUT_S:g} s"
            raise StoreError(words) from None
        try:
            yield
        finally:
            self._lock.release()

    async def _sync(self) -> None:
        """Follow the changes that other instances make."""
        is_away = False
        while True:
            await asyncio.sleep(_SYNC_INTERVAL_S)
            async with self._lock:
                try:
                    uris = await self._store.nodes()
                except Exception as error:  # noqa: BLE001 - nobody else would look at the list again
                    if not is_away:
                        err = str(error) if isinstance(error, StoreError) else repr(error)
                        self._log.warning("Store is away; serving goes on with the nodes known", err=err)
                    is_away = True
                    continue
                if is_away:
                    self._log.info("Store is back")
                is_away = False
                await self._apply(uris)

    async def _apply(self, uris: list[str]) -> None:
        """Make the members those of `uris`, in that order; of many, a few in each turn of the loop."""
        if uris == list(self._members):
            return
        if not uris:
            self._log.warning("The list in the store has become empty, and no node is left")
        kept = dict.fromkeys(uris)
        for number, new in enumerate([uri for uri in kept if uri not in self._members], start=1):
            self._members[new] = self._join(new)
            if number % _NODES_AT_ONCE == 0:
                await asyncio.sleep(0)
        for number, gone in enumerate([uri for uri in self._members if uri not in kept], start=1):
            self._release(self._members.pop(gone))
            if number % _NODES_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._members = {uri: self._members[uri] for uri in kept}

    def _join(self, uri: str) -> _Member:
        """Take up a node of the list, checked in the background."""
        try:
            known = self._make(self._factory.parse(uri))
        except ConfigError as error:
            self._log.warning("Node of the store cannot be used; it is kept in the list", err=str(error))
            return _Member(None, str(error))
        return self._attach(known, has_passed=False)

    def _make(self, uri: NodeURI) -> KnownNode:
        known = self._factory.make(uri)
        missing, slots = self._slots.missing(uri.parameters), known.node.slots
        if missing:
            words = "Node has fewer slots than asked for: ProxyMaxConnsPerHost bounds them"
            self._log.warning(words, nodeURI=known.node.name, asked=slots + missing, slots=slots)
        return known

    def _attach(self, known: KnownNode, has_passed: bool) -> _Member:
        node = known.node
        member = self._by_id[node.node_id] = _Member(known)
        self._traffic.attach(node, has_passed)
        checks = Checks(node, self._traffic, self._rhythm, lambda failure: self._failed(known, failure))
        member.checks = checks
        name = f"health checks {node.name}"
        member.cancel_checks = self._tasks.spawn(checks.run(has_passed), name)
        return member

    def _failed(self, known: KnownNode, failure: str) -> None:
        """Tell why a node that has shown nothing yet proves nothing; all else is told with its state."""
        node, proof = known.node, known.proof
        if proof is None or proof.changed_at is not None or node.reason == failure:
            return
        self._log.warning(
            "Node cannot be asked to prove what it runs and gets nothing", nodeURI=node.name, err=failure
        )
        self._traffic.attested(node, failure)

    def _release(self, member: _Member) -> None:
        if member.cancel_checks is not None:
            member.cancel_checks()
        if member.known is not None:
            del self._by_id[member.known.node.node_id]
            self._factory.drop(member.known)
            self._log.info("Node removed", nodeURI=member.known.node.name)

    def _changed(self, change: NodeChange) -> None:
        log_change(self._log, change)
        member = self._by_id.get(change.node.node_id)
        # A request may have found it down, and perhaps it is back by now. One that has just proven itself may
        # have done so by what was remembered of it, and is asked how it is.
        is_to_be_asked = change.status is NodeStatus.DOWN or change.before is NodeStatus.UNATTESTED
        if is_to_be_asked and member is not None and member.checks is not None:
            member.checks.hurry()
