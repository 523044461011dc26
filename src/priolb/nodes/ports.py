"""What the nodes work with: the store of their list, what brings requests to them, and the log."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

from priolb.core.fleet import Fleet
from priolb.core.node import NodeState
from priolb.core.status import NodeChange
from priolb.http.rewrite import Target


class NodeStore(Protocol):
    """Where the node list lives; see `store.base` for the whole contract."""

    @property
    def shared(self) -> bool: ...
    async def nodes(self) -> list[str]: ...
    async def add(self, uri: str) -> bool: ...
    async def remove(self, uri: str) -> bool: ...


class Traffic(Protocol):
    """What brings requests to nodes; see `net.engine` for the meaning of each."""

    on_node_change: Callable[[NodeChange], None]

    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def fleet(self) -> Fleet: ...
    def link(
        self, name: str, host: str, port: int, tls: ssl.SSLContext | None, target: Target, slots: int
    ) -> NodeState: ...
    def attach(self, node: NodeState, passed: bool = False) -> None: ...
    def detach(self, node: NodeState) -> None: ...
    def settle(self) -> None: ...
    async def probe(self, node: NodeState, timeout_s: float) -> None: ...
    def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None: ...


class Log(Protocol):
    """Where changes of the nodes are told."""

    def info(self, msg: str, /, **fields: object) -> None: ...
    def warning(self, msg: str, /, **fields: object) -> None: ...
