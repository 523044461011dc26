"""One connection to a node, and what it tells whoever sent a request over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, cast

from priolb.core.outcome import Phase
from priolb.core.timers import Lapsing
from priolb.errors import FramingError, NodeError, Reason
from priolb.http.framing import CHUNKED, UNTIL_CLOSE, ChunkedDecoder
from priolb.http.messages import ResponseHead
from priolb.http.parser import HEAD_END, parse_response_head

if TYPE_CHECKING:
    from priolb.net.pool import NodeLink

CONNECTING: Final = 0
IDLE: Final = 1
AWAITING_HEAD: Final = 2
IN_BODY: Final = 3
CLOSED: Final = 4

_CLOSED_DETAIL: Final = "the node closed the connection"


class AnswerSink(Protocol):
    """Who sent a request to a node and gets the answer: an exchange, or a health probe.

    After `on_answer`, `on_end` or `on_failure` the connection belongs to the sink no more.
    """

    method: bytes

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        """Take an answer that came whole."""

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        """Take the head of an answer whose body follows; `body_bytes` as in `framing`."""

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, never empty."""

    def on_end(self, now: float) -> None:
        """Take note that the body is complete."""

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        """Take note that no more will come."""

    def on_stale(self) -> None:
        """Send again: the node had closed this reused connection before it saw the request."""


class BackendConnection(Lapsing):
    """One connection to a node. It serves one sink at a time and is reused only when all was in order."""

    __slots__ = (
        "_body_until",
        "_buffer",
        "_cancel_connecting",
        "_decoder",
        "_keep_alive",
        "_link",
        "_outbox",
        "_remaining",
        "_reused",
        "_shared",
        "_sink",
        "_transport",
        "is_paused",
        "state",
    )

    def __init__(self, link: NodeLink) -> None:
        super().__init__()
        self._link = link
        self._shared = link.shared
        self.state: int = CONNECTING
        self.is_paused: bool = False
        self._transport: asyncio.Transport | None = None
        self._cancel_connecting: Callable[[], object] | None = None
        self._sink: AnswerSink | None = None
        self._outbox: bytes = b""
        self._buffer: bytes = b""
        self._decoder: ChunkedDecoder | None = None
        self._remaining: int = 0
        self._body_until: float = inf
        self._keep_alive: bool = False
        self._reused: bool = False

    # What the engine does with it

    def open(self, sink: AnswerSink, request: bytes, until: float) -> None:
        """Connect, send `request`, and answer to `sink`; `until` bounds all up to the answer's head."""
        self._sink = sink
        self._outbox = request
        self.lapses_at = until
        self._shared.watch(self)
        self._cancel_connecting = self._shared.tasks.spawn(self._connect(), f"connect {self._link.node.name}")

    def send(self, sink: AnswerSink, request: bytes, until: float) -> bool:
        """Send `request` over this idle connection; False, and nothing done, when it is about to close."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._sink = sink
        self._reused = True
        self.state = AWAITING_HEAD
        self.lapses_at = until
        if until < self.watched_at:
            self._shared.watch(self)
        self._outbox = request
        self._shared.flush_later(self)
        return True

    def flush(self) -> None:
        """Send the request that `send` was given."""
        request, self._outbox = self._outbox, b""
        transport = self._transport
        if request and transport is not None and not transport.is_closing():
            transport.write(request)

    def abort(self) -> None:
        """Drop the connection at once, whatever it does; the sink hears nothing more."""
        self._sink = None
        self._close()

    def limit_body(self, until: float) -> None:
        """Give the rest of the answer no longer than `until`, however steadily it comes."""
        self._body_until = until
        self.lapses_at = min(self.lapses_at, until)
        self._shared.watch(self)

    def pause(self) -> None:
        """Read no more for now: the client is slower than the node."""
        self.is_paused = True
        self.lapses_at = inf
        if self._transport is not None and self.state == IN_BODY:
            self._transport.pause_reading()

    def resume(self, now: float) -> None:
        """Read on."""
        if not self.is_paused:
            return
        self.is_paused = False
        if self._transport is not None and self.state == IN_BODY:
            self.lapses_at = now + self._shared.node_idle_timeout_s
            self._shared.watch(self)
            self._transport.resume_reading()

    def on_lapse(self, now: float) -> None:
        if self.state == IDLE:
            self._close()
        elif self.state == CONNECTING:
            self._fail(Reason.NODE_TIMEOUT, Phase.CONNECT, "not connected in time")
        elif self.state == AWAITING_HEAD:
            self._fail(Reason.NODE_TIMEOUT, Phase.HEAD, "no answer in time")
        elif self.state == IN_BODY:
            self._fail(Reason.NODE_TIMEOUT, Phase.BODY, "the answer stopped coming")

    # What the event loop tells it

    async def _connect(self) -> None:
        link = self._link
        try:
            await asyncio.get_running_loop().create_connection(
                self._protocol,
                link.host,
                link.port,
                ssl=link.tls,
                server_hostname=link.host if link.tls else None,
            )
        except (OSError, UnicodeError) as error:  # the second from the codec for names
            if self.state == CONNECTING:
                words = getattr(error, "strerror", None) or str(error) or type(error).__name__
                self._fail(Reason.NODE_UNREACHABLE, Phase.CONNECT, words)

    def _protocol(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", self)  # it is one in all but name: event loops ask for no more

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._cancel_connecting = None
        if self.state == CLOSED:
            transport.abort()
            return
        self.state = AWAITING_HEAD
        transport.write(self._outbox)
        self._outbox = b""

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self.state == CLOSED:
            return
        if self.state == IDLE:
            self._close()
        else:
            self._broken(str(error) if error else _CLOSED_DETAIL)

    def eof_received(self) -> bool:
        if self.state == IN_BODY and self._remaining == UNTIL_CLOSE:
            self._end(self._shared.clock())
        return False

    def pause_writing(self) -> None:
        """Let the kernel take its time: the request is held for a retry anyway, so nothing more piles up."""

    def resume_writing(self) -> None:
        """Nothing waits for this."""

    def data_received(self, data: bytes) -> None:
        if self.state == AWAITING_HEAD and self._outbox:
            self._broken("the node spoke before it was asked")  # the request has not left yet
        elif self.state == AWAITING_HEAD:
            self._read_head(data)
        elif self.state == IN_BODY:
            self._read_body(data)
        else:
            self._close()  # nobody asked: what comes now could be taken for the next answer

    # The answer

    def _read_head(self, data: bytes) -> None:
        shared = self._shared
        sink = self._sink
        assert sink is not None
        self._reused = False  # from here on it is no stale connection
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while True:
            end = data.find(HEAD_END) + 4
            if (end if end >= 4 else len(data)) > shared.head_limits.max_bytes:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "the head of the answer is too large")
                return
            if end < 4:
                self._buffer = data
                return
            try:
                head = parse_response_head(data[:end], shared.head_limits.max_fields)
            except NodeError as error:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, str(error))
                return
            data = data[end:]
            if head.status >= 200:
                break
            if head.status == 101:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "an answer that switches protocols unasked")
                return
        body_bytes = 0 if sink.method == b"HEAD" else head.body_bytes
        now = shared.clock()
        self._keep_alive = head.keep_alive
        if 0 <= body_bytes <= len(data):
            if len(data) > body_bytes:
                self._keep_alive = False
                data = data[:body_bytes]
            self._release(now)
            sink.on_answer(head, data, now)
            return
        self.state = IN_BODY
        self._remaining = body_bytes
        self._decoder = ChunkedDecoder() if body_bytes == CHUNKED else None
        self.lapses_at = now + shared.node_idle_timeout_s
        shared.watch(self)
        self._body_until = inf
        sink.on_head(head, body_bytes, now)
        if data and self.state == IN_BODY:
            self._read_body(data)

    def _read_body(self, data: bytes) -> None:
        sink = self._sink
        assert sink is not None
        now = self._shared.clock()
        if not self.is_paused:
            self.lapses_at = min(now + self._shared.node_idle_timeout_s, self._body_until)
        is_complete = False
        if self._decoder is not None:
            try:
                data = self._decoder.feed(data)
            except FramingError as error:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, str(error))
                return
            is_complete = self._decoder.done
            if self._decoder.rest:
                self._keep_alive = False
        elif self._remaining != UNTIL_CLOSE:
            if len(data) > self._remaining:
                self._keep_alive = False
                data = data[: self._remaining]
            self._remaining -= len(data)
            is_complete = self._remaining == 0
        if data:
            sink.on_body(data)
        if is_complete and self.state == IN_BODY:
            self._end(now)

    def _end(self, now: float) -> None:
        sink = self._sink
        assert sink is not None
        if self._remaining == UNTIL_CLOSE:
            self._keep_alive = False
        self._release(now)
        sink.on_end(now)

    def _release(self, now: float) -> None:
        """Part from the sink: into the pool when the connection is clean, else closed."""
        transport = self._transport
        self._sink = None
        self._decoder = None
        if self.is_paused:
            self.is_paused = False
            if transport is not None:
                transport.resume_reading()
        # A request that the node did not read to its end would be read as the next one.
        if self._keep_alive and transport is not None and transport.get_write_buffer_size() == 0:
            self.state = IDLE
            if self._link.keep(self, now):
                return
        self._close()

    def _broken(self, detail: str) -> None:
        sink = self._sink
        if self.state == AWAITING_HEAD and self._reused and sink is not None:
            self._sink = None
            self._close()
            sink.on_stale()
        elif self.state == AWAITING_HEAD:
            self._fail(Reason.NODE_UNREACHABLE, Phase.HEAD, detail)
        elif self._remaining == UNTIL_CLOSE and detail == _CLOSED_DETAIL:
            self._end(self._shared.clock())
        else:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, detail)

    def _fail(self, reason: Reason, phase: Phase, detail: str) -> None:
        sink = self._sink
        self._sink = None
        self._close()
        if sink is not None:
            sink.on_failure(reason, phase, detail, self._shared.clock())

    def _close(self) -> None:
        was_idle = self.state == IDLE
        self.state = CLOSED
        self._outbox = self._buffer = b""
        self._link.forget(self, was_idle)
        if self._transport is not None:
            self._transport.abort()
        elif self._cancel_connecting is not None:
            self._cancel_connecting()
            self._cancel_connecting = None
