"""One connection to a node, and what it tells whoever sent a request over it."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Final

from priolb.core.outcome import Phase
from priolb.errors import FramingError, NodeError, Reason
from priolb.http.body import BodyReader, OpenReader, body_reader
from priolb.http.fields import tokens
from priolb.http.messages import ResponseHead
from priolb.http.parser import HEAD_END, breaks_lines, parse_response_head
from priolb.net.backend.output import AWAITING_HEAD, CLOSED, CLOSING, IDLE, IN_BODY, BackendOutput
from priolb.net.flushing import LONG_READ_BYTES
from priolb.net.transports import last_words

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend

_CLOSED_DETAIL: Final = "the node closed the connection"
_TOO_LARGE: Final = "the head of the answer is too large"
# Each is passed on as it comes: without a bound, a node could speak for ever without answering. So many small
# ones, or fewer that are together as long as a head may be.
_MAX_INTERIM_ANSWERS: Final = 32


class BackendConnection(BackendOutput):
    """One connection to a node. It serves one sink at a time and is reused only when all was in order."""

    __slots__ = (
        "_body_until",
        "_buffer",
        "_has_switched",
        "_interim_bytes",
        "_reader",
        "_rests",
        "_scanned",
    )

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._buffer: bytes = b""
        self._scanned: int = 0  # no end of a head begins before
        self._interim_bytes: int = 0
        self._has_switched: bool = False
        self._reader: BodyReader | None = None
        self._rests: bool = False
        self._body_until: float = inf

    # Time and pressure

    def limit_body(self, until: float) -> None:
        """Give the rest of the answer no longer than `until`, however steadily it comes."""
        self._body_until = until
        self.lapses_at = min(self.lapses_at, until)
        self._engine.watch(self)

    def pause(self) -> None:
        """Read no more of a body for now: the client is slower than the node."""
        if self.is_paused or self.state != IN_BODY:
            return  # before its answer begins the node is waited for, however slow the client
        self.is_paused = True
        self.lapses_at = inf
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self, now: float) -> None:
        """Read on."""
        if not self.is_paused:
            return
        self.is_paused = False
        if self._transport is not None and self.state == IN_BODY:
            self.lapses_at = now + self._idle_timeout_s
            self._engine.watch(self)
            if not self._rests:
                self._transport.resume_reading()

    # What the event loop tells it

    def connection_lost(self, error: Exception | None) -> None:
        transport = self._transport
        # A node may refuse a body before it has read all of it, and close. Over a used connection, what it
        # said may have been said before the request.
        if error and transport is not None and self.state == AWAITING_HEAD and not self._reused:
            answer = last_words(transport) if self._backend.tls is None else b""
            if answer:
                self.data_received(answer)
        if self._is_behind():
            asyncio.get_running_loop().call_soon(self.connection_lost, error)  # once all that it said is read
            return
        self._transport = None
        if self.state == CLOSED:
            return
        if self.state in {IDLE, CLOSING}:
            self._close()
        else:
            self._broken(str(error) if error else _CLOSED_DETAIL)

    def eof_received(self) -> bool:
        if self.state == IN_BODY and isinstance(self._reader, OpenReader):
            self._end(self._engine.clock())
        return False

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
        if self.state == IN_BODY and not self._rests and self._transport is not None:
            self._rests = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._end_rest)

    def _end_rest(self) -> None:
        """Read on after a rest."""
        self._rests = False
        if self._is_behind():
            self._read_body(b"")
        if not self.is_paused and not self._rests and self._transport is not None:
            self._transport.resume_reading()

    def _is_behind(self) -> bool:
        return self.state == IN_BODY and self._reader is not None and self._reader.is_behind

    # The answer

    def _read_head(self, data: bytes) -> None:
        engine = self._engine
        sink = self._sink
        assert sink is not None
        head = self._backend.last_head
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
            if head is not None and data.startswith(head.raw):
                self._scanned = 0  # nobody will look for its end
        if head is not None and data.startswith(head.raw):
            data = data[len(head.raw) :]  # a node says the same over and over
        else:
            head = self._take_head(data)
            if head is None:
                return
            data, self._buffer = self._buffer, b""
            self._backend.last_head = head if head.raw else None
        now = engine.clock()
        if head.status == 101:
            self._switch(head, data, now)
            return
        body_bytes = 0 if sink.method == b"HEAD" else head.body_bytes
        self._keep_alive = head.keep_alive and self._is_reusable
        surplus_bytes = len(data) - body_bytes
        if body_bytes >= 0 and surplus_bytes >= 0:
            if surplus_bytes:
                self._keep_alive = False
                data = data[:body_bytes]
            self._release(now)
            sink.on_answer(head, data, now)
            return
        reader = body_reader(body_bytes, head.known.get(b"connection", b""))
        self._begin_body(reader, engine.node_idle_timeout_s, now)
        sink.on_head(head, body_bytes, now)
        if data and self.state == IN_BODY:
            self._read_body(data)

    def _take_head(self, data: bytes) -> ResponseHead | None:
        """Return the head of the answer, with what follows it in `_buffer`; None when it is not all there."""
        limits = self._engine.head_limits
        while True:
            end = data.find(HEAD_END, self._scanned) + 4
            if end < 4:
                self._await_rest_of_head(data)
                return None
            if end > limits.max_bytes:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, _TOO_LARGE)
                return None
            self._scanned = 0
            try:
                head = parse_response_head(data[:end], limits.max_fields)
            except NodeError as error:
                self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, str(error))
                return None
            data = data[end:]
            if head.status >= 200 or head.status == 101:
                self._buffer = data
                return head
            if not self._pass_interim(head, end):
                return None

    def _await_rest_of_head(self, data: bytes) -> None:
        if len(data) > self._engine.head_limits.max_bytes:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, _TOO_LARGE)
        elif breaks_lines(data, self._scanned):
            self._fail(Reason.NODE_BAD_ANSWER, Phase.HEAD, "a line of the head does not end in CR LF")
        else:
            self._buffer = data
            self._scanned = max(0, len(data) - 3)

    def _pass_interim(self, head: ResponseHead, size_bytes: int) -> bool:
        """Tell the sink of an interim answer; False when that was one too many, and all is over."""
        assert self._sink is not None
        max_bytes = self._engine.head_limits.max_bytes
        self._interim_bytes += max(size_bytes, max_bytes // _MAX_INTERIM_ANSWERS)
        if self._interim_bytes > max_bytes:
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
        self._has_switched = True
        self._begin_body(OpenReader(), self._engine.upgrade_idle_timeout_s, now)
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
        now = self._engine.clock()
        if not self.is_paused:
            self.lapses_at = min(now + self._idle_timeout_s, self._body_until)
        try:
            data = reader.feed(data)
        except FramingError as error:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, str(error))
            return
        if data:
            sink.on_body(data)
        if reader.is_behind:
            self._rest()
        elif reader.done and self.state == IN_BODY:
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
        self._interim_bytes = 0
        if self.is_paused:
            self.is_paused = False
            if transport is not None:
                transport.resume_reading()
        # A request that the node did not read to its end would be read as the next one.
        if (
            self._keep_alive
            and transport is not None
            and transport.get_write_buffer_size() == 0
            and (not self._asks_system or self._is_all_taken(transport))
        ):
            self.state = IDLE
            if self._backend.keep(self, now):
                return
        self._close()

    def _broken(self, detail: str) -> None:
        sink = self._sink
        is_silent = not self._buffer and not self._interim_bytes
        if self.state == AWAITING_HEAD and self._reused and is_silent and sink is not None:
            self._sink = None
            self._close()
            sink.on_stale()
        elif self.state == AWAITING_HEAD:
            self._fail(Reason.NODE_UNREACHABLE, Phase.HEAD, detail)
        elif isinstance(self._reader, OpenReader) and detail == _CLOSED_DETAIL and self._is_end():
            self._end(self._engine.clock())
        else:
            self._fail(Reason.NODE_BAD_ANSWER, Phase.BODY, detail)

    def _is_end(self) -> bool:
        """Return whether the end of the connection is that of what came: with TLS, the node has to say so.

        RFC 9112, section 9.8. Tunnels know their own ends.
        """
        return self._backend.tls is None or self._has_switched
