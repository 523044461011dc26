"""A node pool between a store and traffic that are both in the hands of a test."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from priolb.attest.attestors import Attestors
from priolb.attest.context import AttestedContext
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx.policy import SgxPolicy
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.status import NodeChange
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.errors import NodeError, StoreError, UnattestedError
from priolb.http.rewrite import Target
from priolb.nodes.checks import Rhythm
from priolb.nodes.factory import NodeFactory
from priolb.nodes.pool import NodePool
from priolb.nodes.slots import Slots
from priolb.tls import NodeTLS
from support.memory_log import MemoryLog
from support.tickets import new_queue


class FakeStore:
    """A list that others may change too, and that can be away, or hang."""

    def __init__(self, uris: list[str], shared: bool) -> None:
        self.list = uris
        self.shared = shared
        self.is_away = False
        self.hanging: asyncio.Event | None = None
        self.error: Exception = StoreError("store: away")
        self.reads = 0

    async def nodes(self) -> list[str]:
        await self._reach()
        self.reads += 1
        return list(self.list)

    async def add(self, uri: str) -> bool:
        await self._reach()
        if uri in self.list:
            return False
        self.list.append(uri)
        return True

    async def remove(self, uri: str) -> bool:
        await self._reach()
        if uri not in self.list:
            return False
        self.list.remove(uri)
        return True

    async def _reach(self) -> None:
        if self.hanging is not None:
            await self.hanging.wait()
        if self.is_away:
            raise self.error


class FakeTraffic:
    """Nodes whose checks pass unless they are in `down`, `late` or `hanging`; the fleet is a real one.

    Attested nodes show their leaf of `leaves` when they are asked, if they are there at all.
    """

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.late: set[str] = set()
        self.hanging: dict[str, asyncio.Event] = {}
        self.registered: list[NodeState] = []
        self.probes: list[tuple[str, float]] = []
        self.hosts: list[tuple[str, int, bool]] = []
        self.tls: list[ssl.SSLContext | None] = []
        self.leaves: dict[str, bytes] = {}
        self.distrusted: list[str] = []
        self.now = 1000.0
        self._on_change: Callable[[NodeChange], None] = lambda change: None
        self.scheduler = Scheduler(new_queue(), RetryPolicy(3))

    @property
    def fleet(self) -> Fleet:
        return self.scheduler.fleet

    @property
    def attached(self) -> list[str]:
        """Names of the nodes that take part, in the order in which they came."""
        return [node.name for node in self.fleet.nodes.values()]

    @property
    def healthy(self) -> set[str]:
        """Names of the nodes that get work."""
        return {node.name for node in self.fleet.nodes.values() if node.healthy}

    def node(self, name: str) -> NodeState:
        [found] = [node for node in self.registered if node.name == name]
        return found

    def clock(self) -> float:
        return self.now

    def report_to(self, on_change: Callable[[NodeChange], None]) -> None:
        self._on_change = on_change

    def register(
        self, name: str, host: str, port: int, tls: ssl.SSLContext | None, target: Target, slots: int
    ) -> NodeState:
        node = NodeState(len(self.hosts), name, slots)
        self.registered.append(node)
        self.hosts.append((host, port, tls is not None))
        self.tls.append(tls)
        return node

    def attach(self, node: NodeState, passed: bool = False) -> None:
        assert node in self.registered and node.node_id not in self.fleet.nodes
        self.fleet.add(node, self.now, passed)
        self.settle()

    def detach(self, node: NodeState) -> None:
        self.registered.remove(node)
        self.fleet.remove(node, self.now)
        self.settle()

    def attested(self, node: NodeState, refusal: str) -> None:
        if refusal:
            self.distrusted.append(node.name)
        self.fleet.set_attested(node, not refusal, refusal or "has proven what it runs", self.now)
        self.settle()

    def settle(self) -> None:
        for change in self.fleet.take_changes():
            self._on_change(change)

    async def probe(self, node: NodeState, timeout_s: float) -> None:
        self.probes.append((node.name, timeout_s))
        if node.name in self.hanging:
            await self.hanging[node.name].wait()
        if node.name in self.leaves:
            tls = self.tls[node.node_id]
            assert isinstance(tls, AttestedContext)
            verdict = tls.attestor.judge(self.leaves[node.name], b"")
            if not verdict.ok:
                raise UnattestedError(f"{node.name}: {verdict}")
        if node.name in self.late:
            raise NodeError(f"{node.name} is late", is_late=True)
        if node.name in self.down:
            raise NodeError(f"{node.name} is down")

    def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None:
        assert node.node_id in self.fleet.nodes
        self.scheduler.checked(node, failure, is_late, self.now)
        self.settle()


class NoPause(Rhythm):
    """Nodes that are not well are checked again in every turn of the loop, and others when somebody asks."""

    def __init__(self) -> None:
        super().__init__(0.0, 5.0, random.Random(1))

    def pause_s(self, is_well: bool) -> float | None:
        return None if is_well else 0.0

    def unattested_pause_s(self) -> float:
        return 0.0


class Desk:
    """A pool with all that it works on."""

    def __init__(self, stored: list[str], shared: bool, slots: Slots, attestors: Attestors | None) -> None:
        self.store = FakeStore(stored, shared)
        self.traffic = FakeTraffic()
        self.log = MemoryLog()
        self.tls = NodeTLS("", "", "")
        self.attestors = attestors or Attestors(SevPolicy(), SgxPolicy(), "", self.log)
        self.factory = NodeFactory(
            self.traffic, slots, keeps_host=False, tls=self.tls, attestors=self.attestors
        )
        self.pool = NodePool(self.store, self.traffic, self.factory, slots, NoPause(), 30.0, self.log)

    def messages(self) -> list[str]:
        return [msg for _, msg, _ in self.log.lines]


@asynccontextmanager
async def desk(
    *stored: str,
    shared: bool = False,
    default_slots: int = 8,
    max_slots: int = 0,
    is_adaptive: bool = False,
    attestors: Attestors | None = None,
) -> AsyncIterator[Desk]:
    """Yield a pool; attestors by default those of the program, which ask nobody for collateral."""
    slots = Slots(default_slots, max_slots, is_adaptive=is_adaptive)
    opened = Desk(list(stored), shared, slots, attestors)
    yield opened
    await opened.pool.close()
    await opened.attestors.close()


async def turns(count: int = 10) -> None:
    """Let the loop turn so many times, for what should not happen to have its chance."""
    for _ in range(count):
        await asyncio.sleep(0)
