"""Health checks over a connection of their own, outside slots and queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from priolb.core.outcome import Phase
from priolb.errors import NodeError, Reason
from priolb.http.messages import ResponseHead
from priolb.net.backend import BackendConnection

if TYPE_CHECKING:
    from priolb.net.pool import NodeLink

_FIELDS: Final = b"Accept: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n"
_QUESTION: Final = b'{"jsonrpc":"2.0","method":"net_version","params":[],"id":123}'


class Probe:
    """Waits for the answer to one health check; only its status counts."""

    __slots__ = ("_connection", "_name", "_result", "method", "upgrade")

    def __init__(self) -> None:
        self.method = b"POST"
        self.upgrade = b""
        self._name: str = ""
        self._result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection: BackendConnection | None = None

    async def run(self, link: NodeLink, timeout_s: float) -> None:
        """Ask the node of `link`; NodeError when it does not answer well within `timeout_s`."""
        request = link.target.request(self.method, b"", b"", b"", _FIELDS, _QUESTION)
        self._name = link.node.name
        self._connection = link.start(self, request, link.shared.clock() + timeout_s, fresh=True)
        try:
            await self._result
        finally:
            self._let_go()

    def on_interim(self, head: ResponseHead) -> None:
        """The answer follows."""

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        raise AssertionError("a probe asks for no other protocol")

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        self._judge(head)

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        self._judge(head)

    def on_body(self, data: bytes) -> None:
        """The head has told."""

    def on_end(self, trailers: bytes, now: float) -> None:
        """The head has told."""

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        self._fail(detail)

    def on_stale(self) -> None:
        raise AssertionError("a probe never reuses a connection")

    def _judge(self, head: ResponseHead) -> None:
        self._let_go()  # now: a node that keeps it open would see it used for a request, and then dropped
        if head.status >= 400:
            self._fail(f"it was answered with status {head.status}")
        elif not self._result.done():
            self._result.set_result(None)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _fail(self, detail: str) -> None:
        if not self._result.done():
            self._result.set_exception(NodeError(f"health check of {self._name} failed: {detail}"))


async def probe(link: NodeLink, timeout_s: float) -> None:
    """Ask a node for its `net_version`, as the original does.

    Args:
        link: the node.
        timeout_s: longest wait, seconds.

    Raises:
        NodeError: it cannot be reached, is late, or answers with a status of 400 and above.
    """
    await Probe().run(link, timeout_s)
