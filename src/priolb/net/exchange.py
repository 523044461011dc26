"""One client request through its tries, from the head's arrival to the last byte of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from priolb.core.node import Lease
from priolb.core.outcome import Outcome, Phase, Source, answered
from priolb.core.retry import RETRYABLE_METHODS
from priolb.core.ticket import RUNNING, WAITING, Ticket
from priolb.errors import Reason
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.refusal import looks_like_rpc, refusal
from priolb.http.writer import LAST_CHUNK, answer_start, chunk, connection_field, is_chunked_to_client
from priolb.net.backend import BackendConnection

if TYPE_CHECKING:
    from priolb.net.engine import Engine
    from priolb.net.front import FrontConnection
    from priolb.net.pool import NodeLink

# A failing answer is kept while another try runs; a larger one is not worth the memory.
_MAX_KEPT_ANSWER_BYTES: Final = 65536

_OWN_PATHS: Final = frozenset({b"/", b"/sim"})


class Exchange(Ticket):
    """One request of one client, which is its own ticket in line and the sink of its node's answer.

    It ends exactly once: answered, refused, cut, or left by the client.

    Args:
        engine: runs it.
        client: whom to answer.
        head: the request's head.
        body: the request's whole body, kept so that it can be sent again.
        lane: index of its lane.
        now: monotonic seconds of its arrival.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_engine",
        "_failing",
        "_head",
        "_keep_alive",
        "_kept",
        "_lease",
        "_link",
        "_stream",
        "_try_at",
        "body",
        "method",
        "request_id",
        "size_at_start",
    )

    def __init__(
        self, engine: Engine, client: FrontConnection, head: RequestHead, body: bytes, lane: int, now: float
    ) -> None:
        super().__init__(lane, now, now + engine.request_timeout_s)
        # Request
        self._engine = engine
        self._client = client
        self._head = head
        self.method: bytes = head.method
        self.body: bytes = body
        self.request_id: bytes = head.request_id
        self.size_at_start: int = 1
        self._kept: tuple[ResponseHead, bytes, str] | None = None
        # Try
        self._lease: Lease | None = None
        self._link: NodeLink | None = None
        self._backend: BackendConnection | None = None
        self._try_at: float = 0.0
        self._failing: _FailingAnswer | None = None
        # Answer
        self._stream: _Stream | None = None
        self._keep_alive: bool = head.keep_alive

    # What the engine tells it

    def begin(self, lease: Lease, link: NodeLink, now: float) -> None:
        """Start a try on the node of `lease`."""
        self._lease = lease
        self._link = link
        self._try_at = now
        # Of a used connection that ends, nobody can tell whether the node has seen the request.
        self._send(fresh=self.method not in RETRYABLE_METHODS)

    def refuse(self, reason: Reason, detail: str = "") -> None:
        """Answer in our own words; the request is not in line and not at a node."""
        response = refusal(reason, self.body, self._engine.legacy_errors, detail)
        self._engine.instrument.refused(self.request_id, self.lane, reason.value, response.status)
        self._client.answer(response)

    def expire(self, now: float) -> None:
        """End a request whose time to start has passed, with what a node last answered, if one did."""
        if not self._client.awaits(self):
            return  # a dispatch found it late, and the client left before the timer came round
        if self._kept is None:
            self.refuse(Reason.DEADLINE)
        else:
            self._deliver_kept(now)

    def shut_down(self) -> None:
        """End it, because the program ends: refused, or cut when its answer has begun."""
        if self.state == WAITING:
            self._engine.scheduler.cancel(self)
            self.refuse(Reason.SHUTTING_DOWN)
        elif self.state == RUNNING:
            self._drop_try(Source.US)
            if self._stream is not None:
                self._client.cut(self._stream.until_close)
            else:
                self.refuse(Reason.SHUTTING_DOWN)

    def close_after_answer(self) -> None:
        """Let the client's connection end with this answer, begun or not."""
        self._keep_alive = False

    # What the client's connection tells it

    def client_gone(self, now: float) -> None:
        """End it: nobody waits for the answer. Its place in line and its node are free at once."""
        engine = self._engine
        engine.instrument.client_left(self.request_id, self.lane, self.tries, len(self.body))
        if self.state == WAITING:
            engine.scheduler.cancel(self)
        elif self.state == RUNNING:
            self._drop_try(Source.CLIENT)
            engine.pump(now)

    def pause(self) -> None:
        """Take nothing more from the node: the client is slower."""
        if self._backend is not None:
            self._backend.pause()

    def resume(self, now: float) -> None:
        """Take more from the node."""
        if self._backend is not None:
            self._backend.resume(now)

    # What the node's connection tells it

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        self._backend = None
        outcome = answered(head.status, False)
        if head.status >= 400 and self._may_retry(outcome, now):
            self._keep_answer(head, body)
            self._end_try(outcome, now)
        else:
            self._write_answer(head, body, now)
            self._complete(outcome, now)

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        outcome = Outcome(Source.NODE, Phase.HEAD, None, head.status, True, False)
        if head.status >= 400 and self._may_retry(outcome, now):
            self._failing = _FailingAnswer(head)
            assert self._backend is not None
            self._backend.limit_body(self._try_at + self._engine.try_timeout_s)
            return
        minor = self._head.minor
        self._stream = stream = _Stream(head.status, body_bytes, minor)
        if stream.until_close:
            self._keep_alive = False
        start = answer_start(head, self.method, body_bytes, minor)
        self._client.write(start + self._rest_of_head(now))

    def on_body(self, data: bytes) -> None:
        failing = self._failing
        if failing is None:
            stream = self._stream
            assert stream is not None
            self._client.write(chunk(data) if stream.is_chunked else data)
            return
        failing.add(data)
        if failing.size_bytes > _MAX_KEPT_ANSWER_BYTES:
            assert self._backend is not None
            self._backend.abort()
            self._backend = None
            self._end_try(
                Outcome(Source.NODE, Phase.BODY, None, failing.head.status, True, False), self._engine.clock()
            )

    def on_end(self, now: float) -> None:
        self._backend = None
        failing = self._failing
        if failing is not None:
            self._keep_answer(failing.head, failing.body())
            self._end_try(answered(failing.head.status, False), now)
            return
        stream = self._stream
        assert stream is not None
        if stream.is_chunked:
            self._client.write(LAST_CHUNK)
        self._complete(answered(stream.status, True), now)

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        self._backend = None
        lease = self._lease
        assert lease is not None
        self._engine.instrument.node_failed(
            self.request_id, lease.node.name, reason.value, detail, self.tries
        )
        self._end_try(
            Outcome(Source.NODE, phase, reason, 0, phase is not Phase.CONNECT, self._stream is not None), now
        )

    def on_stale(self) -> None:
        self._send(fresh=True)

    # Tries

    def _send(self, fresh: bool) -> None:
        link = self._link
        assert link is not None
        head = self._head
        path = head.path
        fields = head.forwarded
        if path in _OWN_PATHS:
            path = b""
            if looks_like_rpc(self.body):
                fields = head.rpc_forwarded
        request = link.target.request(head.method, path, head.query, fields, self.body)
        self._backend = link.start(self, request, self._try_at + self._engine.try_timeout_s, fresh)

    def _may_retry(self, outcome: Outcome, now: float) -> bool:
        return self._engine.scheduler.may_retry(self, outcome, self.method in RETRYABLE_METHODS, now)

    def _end_try(self, outcome: Outcome, now: float) -> None:
        """End a try that failed: back in line, or give up with the last thing a node said."""
        engine = self._engine
        self._failing = None
        lease = self._give_back(outcome, now)
        if self.state == WAITING:
            engine.expect(self.start_by)
        elif self._stream is not None:
            self._note_completed(self._stream.status, lease.node.name, now)
            self._client.cut(self._stream.until_close)
        elif self._kept is not None:
            self._deliver_kept(now)
        else:
            self.refuse(outcome.reason or Reason.NODE_BAD_ANSWER)
        engine.pump(now)

    def _complete(self, outcome: Outcome, now: float) -> None:
        """End a try whose answer has gone to the client."""
        lease = self._give_back(outcome, now)
        self._note_completed(outcome.status, lease.node.name, now)
        self._client.exchange_done(self._keep_alive, now)
        self._engine.pump(now)

    def _drop_try(self, source: Source) -> None:
        """End a try that nobody wants to go on."""
        if self._backend is not None:
            self._backend.abort()
            self._backend = None
        phase = Phase.HEAD if self._stream is None else Phase.BODY
        self._give_back(Outcome(source, phase, None, 0, True, self._stream is not None), self._engine.clock())

    def _give_back(self, outcome: Outcome, now: float) -> Lease:
        lease = self._lease
        assert lease is not None
        self._lease = None  # the lease knows its ticket: a circle would wait for the garbage collector
        self._engine.scheduler.finished(lease, outcome, self.method in RETRYABLE_METHODS, now)
        return lease

    # The answer

    def _keep_answer(self, head: ResponseHead, body: bytes) -> None:
        if len(body) <= _MAX_KEPT_ANSWER_BYTES:
            assert self._lease is not None
            self._kept = (head, body, self._lease.node.name)

    def _deliver_kept(self, now: float) -> None:
        assert self._kept is not None
        head, body, node = self._kept
        self._write_answer(head, body, now)
        self._note_completed(head.status, node, now)
        self._client.exchange_done(self._keep_alive, now)

    def _write_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        start = answer_start(head, self.method, len(body), self._head.minor)
        self._client.write(start + self._rest_of_head(now) + body)

    def _rest_of_head(self, now: float) -> bytes:
        arrived_at, try_at = self.enqueued_at, self._try_at
        return (
            b"X-PrioLB-QueueDurationUs: %d\r\nX-PrioLB-SimDurationUs: %d\r\nX-PrioLB-TotalDurationUs: %d\r\n"
            b"X-PrioLB-QueueSizeStart: %d\r\nX-PrioLB-QueueSizeEnd: %d\r\n%s\r\n"
            % (
                (try_at - arrived_at) * 1e6,
                (now - try_at) * 1e6,
                (now - arrived_at) * 1e6,
                self.size_at_start,
                self._engine.scheduler.queue.lanes[self.lane].length,
                connection_field(self._head.minor, self._keep_alive),
            )
        )

    def _note_completed(self, status: int, node: str, now: float) -> None:
        engine = self._engine
        sizes = engine.scheduler.queue.lengths()
        engine.instrument.completed(self, status, node, self._try_at, now, sizes)


class _Stream:
    """An answer on its way to the client, part by part.

    Args:
        status: its status.
        body_bytes: length of its body, as in `framing`.
        minor: minor version of the client's HTTP/1.
    """

    __slots__ = ("is_chunked", "status", "until_close")

    def __init__(self, status: int, body_bytes: int, minor: int) -> None:
        self.status = status
        self.is_chunked = is_chunked_to_client(body_bytes, minor)
        self.until_close = body_bytes < 0 and not self.is_chunked


class _FailingAnswer:
    """An answer that will be tried again, collected in case no later try brings a better one."""

    __slots__ = ("_parts", "head", "size_bytes")

    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.size_bytes: int = 0
        self._parts: list[bytes] = []

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self.size_bytes += len(data)

    def body(self) -> bytes:
        return b"".join(self._parts)
