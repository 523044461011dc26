"""Health checks over a connection of their own, outside slots and queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from priolb.core.nodes.health_check import MAX_BODY_BYTES, HealthCheck
from priolb.core.outcome import Phase
from priolb.errors import NodeError, Reason, UnaskedError, UnattestedError
from priolb.http.messages import ResponseHead
from priolb.net.backend.connection import BackendConnection
from priolb.net.exchange.sink import AnswerSink

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend


class Probe(AnswerSink):
    """Asks a node once, and waits for as much of its answer as matters.

    Args:
        check: what is asked, and what is expected.
    """

    __slots__ = (
        "_body",
        "_check",
        "_connection",
        "_name",
        "_result",
        "_status",
        "answer_by",
        "method",
    )

    def __init__(self, check: HealthCheck) -> None:
        self._check = check
        self.method = check.method
        self._name: str = ""
        self.answer_by: float = 0.0
        self._status: int = 0
        self._body: bytes = b""
        self._result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection: BackendConnection | None = None

    async def run(self, backend: Backend, timeout_s: float) -> None:
        """Ask the node of `backend`; NodeError when it does not answer well within `timeout_s`."""
        check = self._check
        request = backend.target.request(check.method, check.path, check.query, b"", check.fields, check.body)
        self._name = backend.node.name
        self.answer_by = backend.engine.clock() + timeout_s
        self._connection = backend.start(self, request, self.answer_by, fresh=True)
        try:
            await self._result
        finally:
            self._let_go()

    def on_interim(self, head: ResponseHead) -> None:
        """The answer follows."""

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        raise AssertionError("a probe asks for no other protocol")

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        self._judge(head.status, body)

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        if not self._check.needs_body:
            self._judge(head.status, b"")
            return
        self._status = head.status
        assert self._connection is not None
        self._connection.limit_body(self.answer_by)

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MAX_BODY_BYTES:
            self._judge(self._status, self._body)

    def on_end(self, trailers: bytes, now: float) -> None:
        self._judge(self._status, self._body)

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        if reason is Reason.NODE_UNATTESTED:
            self._end(UnattestedError(f"{self._name}: {detail}"))
            return
        if reason is Reason.NO_SOCKET:
            self._end(UnaskedError(f"health check of {self._name} failed: {detail}"))
            return
        # Late with its answer, that is: a node that cannot even be connected to is not just busy.
        # So it is, for all we know, when we cut it off ourselves.
        is_no_answer = reason in (Reason.NODE_TIMEOUT, Reason.NODE_DRAINED)
        self._fail(detail, is_late=is_no_answer and phase is not Phase.CONNECT)

    def on_stale(self) -> None:
        raise AssertionError("a probe never reuses a connection")

    def _judge(self, status: int, body: bytes) -> None:
        self._let_go()  # now: a node that keeps it open would see it used for a request, and then dropped
        failure = self._check.failure(status, body)
        if failure is not None:
            self._fail(failure, is_late=False)
        elif not self._result.done():
            self._result.set_result(None)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _fail(self, detail: str, is_late: bool) -> None:
        self._end(NodeError(f"health check of {self._name} failed: {detail}", is_late))

    def _end(self, error: NodeError) -> None:
        if not self._result.done():
            self._result.set_exception(error)


async def probe(backend: Backend, check: HealthCheck, timeout_s: float) -> None:
    """Ask a node whether it is well.

    Args:
        backend: the node.
        check: what is asked, and what is expected.
        timeout_s: longest wait, seconds.

    Raises:
        UnattestedError: it has not proven what it runs, and was sent nothing.
        NodeError: it cannot be reached, is late, or does not answer as expected.
    """
    await Probe(check).run(backend, timeout_s)
