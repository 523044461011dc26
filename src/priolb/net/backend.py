"""One connection to a node, and what it tells whoever sent a request over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, cast

from priolb.attest.context import NotAttestedError
from priolb.core.outcome import Phase
from priolb.errors import FramingError, NodeError, Reason
from priolb.http.body import BodyReader, OpenReader, body_reader
from priolb.http.fields import tokens
from priolb.http.messages import ResponseHead
from priolb.http.parser import HEAD_END, breaks_lines, parse_response_head
from priolb.net.flushing import LONG_READ_BYTES, Flushing
from priolb.net.unread import unread_bytes

if TYPE_CHECKING:
    from priolb.net.pool import NodeLink
    from priolb.net.upload import Upload

CONNECTING: Final = 0
IDLE: Final = 1
AWAITING_HEAD: Final = 2
IN_BODY: Final = 3
CLOSING: Final = 4  # the last bytes are on their way out
CLOSED: Final = 5

_CLOSED_DETAIL: Final = "the node closed the connection"
_DISTRUSTED_DETAIL: Final = "the node has stopped proving what it runs"
# Each is passed on as it comes: without a bound, a node could speak for ever without answering.
_MAX_INTERIM_ANSWERS: Final = 32


class AnswerSink(Protocol):
    """Who sent a request to a node and gets the answer: an exchange, or a health probe.

    After `on_answer`, `on_end` or `on_failure` the connection belongs to the sink no more.
    """

    method: bytes
    upgrade: bytes

    def on_interim(self, head: ResponseHead) -> None:
        """Take an interim answer (1xx); another one follows."""

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        """Take note that the node switches to a protocol of `upgrade`; `on_body` has what follows."""

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        """Take an answer that came whole."""

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        """Take the head of an answer whose body follows; `body_bytes` as in `framing`."""

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, never empty."""

    def on_end(self, trailers: bytes, now: float) -> None:
        """Take note that the body is complete; `trailers` are fields that follow it, rendered."""

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        """Take note that no more will come."""

    def on_stale(self) -> None:
        """Send again: the node had closed this reused connection before it saw the request."""


class BackendConnection(Flushing):
    """One connection to a node. It serves one sink at a time and is reused only when all was in order."""

    __slots__ = (
        "_body_until",
        "_buffer",
        "_cancel_connecting",
        "_idle_timeout_s",
        "_interim_answers",
        "_is_reusable",
        "_keep_alive",
        "_link",
        "_outbox",
        "_reader",
        "_rests",
        "_reused",
        "_shared",
        "_sink",
        "_transport",
        "_unread_bytes",
        "_upload",
        "is_paused",
        "state",
    )

    def __init__(self, link: NodeLink) -> None:
        super().__init__()
        # Node
        self._link = link
        self._shared = link.shared
        # Connection
        self.state: int = CONNECTING
        self.is_paused: bool = False
        self._rests: bool = False
        self._transport: asyncio.Transport | None = None
        self._cancel_connecting: Callable[[], object] | None = None
        # Request
        self._sink: AnswerSink | None = None
        self._upload: Upload | None = None
        self._unread_bytes: int = 0
        self._outbox: bytes = b""
        self._reused: bool = False
        # Where a body ended that was passed on is for the node to find: what it reads behind it may not be
        # what we send next, so such a connection serves no other request.
        self._is_reusable: bool = True
        # Answer
        self._buffer: bytes = b""
        self._interim_answers: int = 0
        self._reader: BodyReader | None = None
        self._idle_timeout_s: float = inf
        self._body_until: float = inf
        self._keep_alive: bool = False

    # What the engine does with it

    def open(self, sink: AnswerSink, request: bytes, upload: Upload | None, until: float) -> None:
        """Connect, send `request`, and answer to `sink`.

        Args:
            sink: who gets the answer.
            request: the whole request, or its head when the body follows by `upload`.
            upload: the body that is passed on, None for none.
            until: monotonic seconds by which the answer's head must be there; when there is an upload, the
                connection.
        """
        self._sink = sink
        self._upload = upload
        self._is_reusable = upload is None
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
        self._interim_answers = 0
        self.state = AWAITING_HEAD
        self.lapses_at = until
        if until < self.watched_at:
            self._shared.watch(self)
        self._outbox = request
        self._shared.flush_later(self)
        return True

    def flush(self) -> None:
        """Send the request that `send` was given; read on after a rest."""
        request, self._outbox = self._outbox, b""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if request:
            transport.write(request)
        if self._rests:
            self._rests = False
            if not self.is_paused:
                transport.resume_reading()

    def hand_over(self, sink: AnswerSink) -> None:
        """Answer to `sink` from now on."""
        self._sink = sink

    def abort(self) -> None:
        """Drop the connection at once, whatever it does; the sink hears nothing more."""
        self._sink = None
        self._close()

    def finish(self, now: float) -> None:
        """Close the connection once all is sent; the sink hears nothing more."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() == 0:
            self.abort()
            return
        self._sink = self._upload = None
        self.state = CLOSING
        transport.close()
        self.lapses_at = now + self._shared.node_idle_timeout_s
        self._shared.watch(self)

    def distrust(self) -> None:
        """Send the node nothing more: it has stopped proving what it runs.

        A request that has left whole did so while the node proved it, and its answer is waited for; but the
        connection serves no other.
        """
        if self.state in {IDLE, CLOSING}:
            self._close()
        elif self.state in {AWAITING_HEAD, IN_BODY}:
            self._is_reusable = self._keep_alive = False
            if self._is_sending():
                self._fail(Reason.NODE_UNATTESTED, self._phase_of_sending(), _DISTRUSTED_DETAIL)

    # The body of a request

    def pass_on(self, data: bytes) -> None:
        """Send a part of the request's body, or of what follows a switch of protocols."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if self.state == IN_BODY and not self.is_paused:
            self.lapses_at = self._shared.clock() + self._idle_timeout_s

    def take_upload(self, upload: Upload) -> None:
        """Send what comes by `upload`: the client's side of a connection that has switched protocols."""
        self._upload = upload
        upload.pass_to(self)

    def end_body(self) -> None:
        """Take note that the request's body is complete: from now on the node is waited for."""
        self._upload = None
        if self.state == AWAITING_HEAD and self._transport is not None:
            self._unread_bytes = unread_bytes(self._transport)
            self._expect_within(self._shared.try_timeout_s)

    # Time and pressure

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
            self.lapses_at = now + self._idle_timeout_s
            self._shared.watch(self)
            self._transport.resume_reading()

    def on_lapse(self, now: float) -> None:
        if self.state == AWAITING_HEAD and self._is_read_on():
            self._expect_within(self._shared.try_timeout_s)
        else:
            self.cut()

    def cut(self) -> None:
        """Let the time be over of whatever is under way."""
        if self.state in {IDLE, CLOSING}:
            self._close()
        elif self.state == CONNECTING:
            self._fail(Reason.NODE_TIMEOUT, Phase.CONNECT, "not connected in time")
        elif self.state == AWAITING_HEAD and self._upload is not None:
            self._fail(Reason.NODE_TIMEOUT, Phase.SEND, "the node stopped reading the request")
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
                # Unless a verdict has taken the node out of use already, it has to be taken for unreachable.
                is_refused = isinstance(error, NotAttestedError) and not link.node.attested
                reason = Reason.NODE_UNATTESTED if is_refused else Reason.NODE_UNREACHABLE
                words = getattr(error, "strerror", None) or str(error) or type(error).__name__
                self._fail(reason, Phase.CONNECT, words)

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
        if self._upload is not None:
            self.lapses_at = inf  # as long as the node reads, the client's connection has the time
            self._upload.pass_to(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self.state == CLOSED:
            return
        if self.state in {IDLE, CLOSING}:
            self._close()
        else:
            self._broken(str(error) if error else _CLOSED_DETAIL)

    def eof_received(self) -> bool:
        if self.state == IN_BODY and isinstance(self._reader, OpenReader):
            self._end(self._shared.clock())
        return False

    def pause_writing(self) -> None:
        """Take note that the node reads slower than the client sends.

        A request that is held for a retry may wait in the kernel: nothing more piles up behind it.
        """
        if self._upload is not None:
            self._upload.hold()
            if self.state == AWAITING_HEAD:
                self._expect_within(self._shared.node_idle_timeout_s)

    def resume_writing(self) -> None:
        if self._upload is not None:
            if self.state == AWAITING_HEAD:
                self.lapses_at = inf
            self._upload.go_on()

    def data_received(self, data: bytes) -> None:
        if self.state == AWAITING_HEAD and self._outbox:
            self._broken("the node spoke before it was asked")  # the request has not left yet
        elif self.state == AWAITING_HEAD:
            self._read_head(data)
        elif self.state == IN_BODY:
            self._read_body(data)
            if len(data) >= LONG_READ_BYTES:
                self._rest()
        elif self.state != CLOSING:
            self._close()  # nobody asked: what comes now could be taken for the next answer

    def _rest(self) -> None:
        """Read no more in this turn of the loop."""
        if self.state == IN_BODY and not self.is_paused and self._transport is not None:
            self._rests = True
            self._transport.pause_reading()
            self._shared.flush_later(self)

    # The answer

    def _read_head(self, data: bytes) -> None:
        shared = self._shared
        sink = self._sink
        assert sink is not None
        self._reused = False  # from here on it is no stale connection
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        head = self._link.last_head
        if head is not None and data.startswith(head.raw):
            data = data[len(head.raw) :]  # a node says the same over and over
        else:
            head = self._take_head(data)
            if head is None:
                return
            data, self._buffer = self._buffer, b""
            self._link.last_head = head if head.raw else None
        now = shared.clock()
        if head.status == 101:
            self._switch(head, data, now)
            return
        body_bytes = 0 if sink.method == b"HEAD" else head.body_bytes
        self._keep_alive = head.keep_alive and self._is_reusable
        if 0 <= body_bytes <= len(data):
            if len(data) > body_bytes:
                self._keep_alive = False
                data = data[:body_bytes]
            self._release(now)
            sink.on_answer(head, data, now)
            return
        self._begin_body(body_reader(body_bytes), shared.node_idle_timeout_s, now)
        sink.on_head(head, body_bytes, now)
        if data and self.state == IN_BODY:
            self._read_body(data)

    def _take_head(self, data: bytes) -> ResponseHead | None:
        """Return the head of the answer, with what follows it in `_buffer`; None when it is not all there."""
        limits = self._shared.head_limits
        while True:
            end = data.find(HEAD_END) + 4
            if (end if end >= 4 else len(data)) > limits.max_bytes:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "the head of the answer is too large")
                return None
            if end < 4 and breaks_lines(data):
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "a line of the head does not end in CR LF")
                return None
            if end < 4:
                self._buffer = data
                return None
            try:
                head = parse_response_head(data[:end], limits.max_fields)
            except NodeError as error:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, str(error))
                return None
            data = data[end:]
            if head.status >= 200 or head.status == 101:
                self._buffer = data
                return head
            if not self._pass_interim(head):
                return None

    def _pass_interim(self, head: ResponseHead) -> bool:
        """Tell the sink of an interim answer; False when that was one too many, and all is over."""
        assert self._sink is not None
        self._interim_answers += 1
        if self._interim_answers > _MAX_INTERIM_ANSWERS:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "too many interim answers")
            return False
        if head.status != 100:  # which answers an expectation, and the client's was met by us
            self._sink.on_interim(head)
        return True

    def _switch(self, head: ResponseHead, data: bytes, now: float) -> None:
        """Read on as the other protocol: all up to the end of the connection."""
        sink = self._sink
        assert sink is not None
        protocol = head.known.get(b"upgrade", b"").lower()
        if not protocol or protocol not in tokens(sink.upgrade):
            self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "an answer that switches protocols unasked")
            return
        self._begin_body(OpenReader(), self._shared.upgrade_idle_timeout_s, now)
        sink.on_upgrade(head, now)
        if data and self.state == IN_BODY:
            self._read_body(data)

    def _begin_body(self, reader: BodyReader, idle_timeout_s: float, now: float) -> None:
        self.state = IN_BODY
        self._reader = reader
        self._idle_timeout_s = idle_timeout_s
        self._body_until = inf
        self._expect_within(idle_timeout_s)

    def _read_body(self, data: bytes) -> None:
        sink, reader = self._sink, self._reader
        assert sink is not None and reader is not None
        now = self._shared.clock()
        if not self.is_paused:
            self.lapses_at = min(now + self._idle_timeout_s, self._body_until)
        try:
            data = reader.feed(data)
        except FramingError as error:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, str(error))
            return
        if data:
            sink.on_body(data)
        if reader.done and self.state == IN_BODY:
            self._end(now)

    def _end(self, now: float) -> None:
        sink, reader = self._sink, self._reader
        assert sink is not None and reader is not None
        if reader.rest or not reader.done:
            self._keep_alive = False  # it said more than it had announced, or only its end ended the body
        self._release(now)
        sink.on_end(reader.trailers, now)

    def _release(self, now: float) -> None:
        """Part from the sink: into the pool when the connection is clean, else closed."""
        transport = self._transport
        self._sink = self._reader = None
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
        elif isinstance(self._reader, OpenReader) and detail == _CLOSED_DETAIL:
            self._end(self._shared.clock())
        else:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, detail)

    def _is_sending(self) -> bool:
        """Return whether a part of the request has not left yet, or is still to come."""
        if self._outbox or self._upload is not None:
            return True
        if self.state == AWAITING_HEAD and self._sink is not None and self._sink.upgrade:
            return True  # once the node agrees, what follows is no answer alone
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _is_read_on(self) -> bool:
        """Return whether the node has read more of a body that was passed on, and not had all of it before.

        Megabytes of it may be in the hands of the system when the client has sent its last byte.
        """
        before = self._unread_bytes
        if before and self._transport is not None:
            self._unread_bytes = unread_bytes(self._transport)
        return self._unread_bytes < before

    def _phase_of_sending(self) -> Phase:
        if self._outbox:
            return Phase.CONNECT  # a used connection, over which nothing of this request has gone
        return Phase.SEND if self.state == AWAITING_HEAD else Phase.BODY

    def _expect_within(self, seconds: float) -> None:
        self.lapses_at = self._shared.clock() + seconds
        self._shared.watch(self)

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
        self._reader = self._upload = None
        self._link.forget(self, was_idle)
        if self._transport is not None:
            self._transport.abort()
        elif self._cancel_connecting is not None:
            self._cancel_connecting()
            self._cancel_connecting = None
