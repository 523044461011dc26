"""A node pool between a store and traffic that are both in the hands of a test."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from priolb.core.node import NodeState
from priolb.errors import NodeError, StoreError
from priolb.http.rewrite import Target
from priolb.nodes.pool import NodePool
from priolb.tls import NodeTLS
from support.local_requests import RecordingLog


class FakeStore:
    """A list that others may change too, and that can be away."""

    def __init__(self, uris: list[str], shared: bool) -> None:
        self.list = uris
        self.shared = shared
        self.is_away = False
        self.reads = 0

    async def nodes(self) -> list[str]:
        self._reach()
        self.reads += 1
        return list(self.list)

    async def add(self, uri: str) -> bool:
        self._reach()
        if uri in self.list:
            return False
        self.list.append(uri)
        return True

    async def remove(self, uri: str) -> bool:
        self._reach()
        if uri not in self.list:
            return False
        self.list.remove(uri)
        return True

    def _reach(self) -> None:
        if self.is_away:
            raise StoreError("store: away")


class FakeTraffic:
    """Records what becomes of nodes; a check passes unless its node is in `down` or `hanging`."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.hanging: dict[str, asyncio.Event] = {}
        self.linked: list[NodeState] = []
        self.taking_part: list[NodeState] = []
        self.probes: list[tuple[str, float]] = []
        self.hosts: list[tuple[str, int, bool]] = []
        self.tls: list[ssl.SSLContext | None] = []

    @property
    def attached(self) -> list[str]:
        """Names of the nodes that take part, in the order in which they came."""
        return [node.name for node in self.taking_part]

    @property
    def healthy(self) -> set[str]:
        """Names of the nodes that get work."""
        return {node.name for node in self.taking_part if node.healthy}

    def link(
        self, name: str, host: str, port: int, tls: ssl.SSLContext | None, target: Target, slots: int
    ) -> NodeState:
        node = NodeState(len(self.linked), name, slots)
        self.linked.append(node)
        self.hosts.append((host, port, tls is not None))
        self.tls.append(tls)
        return node

    def attach(self, node: NodeState) -> None:
        assert node in self.linked and node not in self.taking_part
        self.taking_part.append(node)

    def detach(self, node: NodeState) -> None:
        self.linked.remove(node)
        if node in self.taking_part:
            self.taking_part.remove(node)

    def set_healthy(self, node: NodeState, healthy: bool) -> None:
        assert node in self.taking_part
        node.healthy = healthy

    async def probe(self, node: NodeState, timeout_s: float) -> None:
        self.probes.append((node.name, timeout_s))
        if node.name in self.hanging:
            await self.hanging[node.name].wait()
        if node.name in self.down:
            raise NodeError(f"{node.name} is down")


class Desk:
    """A pool with all that it works on."""

    def __init__(self, stored: list[str], shared: bool, default_slots: int, max_slots: int) -> None:
        self.store = FakeStore(stored, shared)
        self.traffic = FakeTraffic()
        self.log = RecordingLog()
        self.tls = NodeTLS("", "", "")
        self.pool = NodePool(
            self.store,
            self.traffic,
            default_slots,
            max_slots,
            keeps_host=False,
            tls=self.tls,
            log=self.log,
        )

    def messages(self) -> list[str]:
        return [msg for _, msg, _ in self.log.lines]


@asynccontextmanager
async def desk(
    *stored: str, shared: bool = False, default_slots: int = 8, max_slots: int = 0
) -> AsyncIterator[Desk]:
    opened = Desk(list(stored), shared, default_slots, max_slots)
    yield opened
    await opened.pool.close()


async def turns(count: int = 10) -> None:
    """Let the loop turn so many times, for what should not happen to have its chance."""
    for _ in range(count):
        await asyncio.sleep(0)
