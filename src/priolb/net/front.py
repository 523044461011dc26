"""One client connection: requests in, answers out, one at a time and in order."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from priolb.core.classify import lane_of
from priolb.core.timers import Lapsing
from priolb.errors import ClientError, FramingError, Reason
from priolb.http.framing import CHUNKED, ChunkedDecoder
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.parser import HEAD_END, parse_request_head
from priolb.http.refusal import refusal
from priolb.http.writer import CONTINUE, local_response
from priolb.net.exchange import Exchange

if TYPE_CHECKING:
    from priolb.net.listener import Listener

# States of a connection
AT_HEAD: Final = 0  # waiting for, or in the middle of, a head
AT_BODY: Final = 1  # reading the body of a request
BUSY: Final = 2  # a request is in line, at a node, or with the admin API
LINGERING: Final = 3  # refused; what still comes is thrown away, so that the answer is not lost to a reset
CLOSING: Final = 4  # the last bytes are on their way out

# More than this is not put off to the end of the turn: the loop may read from a node many times in a turn.
_MAX_PUT_OFF_BYTES: Final = 16384
_LINGER_S: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: what is not sent is lost, and the peer is told
_HEADS_PER_TURN: Final = range(16)
_CARRIAGE_RETURN: Final = 13
_MAX_PIPELINED_BYTES: Final = 65536
_MAX_LOCAL_BODY_BYTES: Final = 65536


class FrontConnection(Lapsing):
    """One client connection."""

    __slots__ = (
        "_body_parts",
        "_buffer",
        "_cancel_local",
        "_decoder",
        "_engine",
        "_exchange",
        "_head",
        "_held_bytes",
        "_is_local",
        "_is_paused",
        "_is_reading",
        "_listener",
        "_max_body_bytes",
        "_outgoing",
        "_remaining",
        "_scanned",
        "_state",
        "_transport",
        "_unsent_bytes",
        "_writing_paused",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        # Process
        self._listener = listener
        self._engine = listener.engine
        # Connection
        self._transport: asyncio.Transport | None = None
        self._outgoing: bytes = b""
        self._state: int = AT_HEAD
        self._buffer: bytes = b""
        self._scanned: int = 0
        self._is_reading: bool = False
        self._is_paused: bool = False
        self._writing_paused: bool = False
        self._unsent_bytes: int = 0
        # Request
        self._head: RequestHead | None = None
        self._is_local: bool = False
        self._max_body_bytes: int = 0
        self._body_parts: list[bytes] = []
        self._remaining: int = 0
        self._decoder: ChunkedDecoder | None = None
        self._held_bytes: int = 0
        self._exchange: Exchange | None = None
        self._cancel_local: Callable[[], object] | None = None

    # What the event loop tells it

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._listener.add(self)
        self._lapse_in(self._listener.keepalive_timeout_s)
        if self._listener.is_draining:
            self._close()  # it had been accepted when `drain` came

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._listener.remove(self)
        self._engine.forget(self)
        self._leave()

    def eof_received(self) -> bool:
        self._leave()
        self._close()
        return False

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._exchange is not None:
            self._exchange.pause()
        elif self._state == AT_BODY:
            self._hold_back()  # so that no request starts whose answer nobody pauses
        assert self._transport is not None
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._lapse_in(self._listener.stall_timeout_s)

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._state == BUSY:
            self.lapses_at = inf
            if self._exchange is not None:
                self._exchange.resume(self._engine.clock())
        elif self._state == AT_HEAD:
            self._await_head(self._engine.clock())
        elif self._state != LINGERING:
            self._lapse_in(self._listener.stall_timeout_s)
            if self._is_paused:
                self._read_on()

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == AT_HEAD:
            self._buffer = self._buffer + data if self._buffer else data
            self._read_heads()
        elif state == AT_BODY:
            self._read_body(data)
            self._read_heads()
        elif state == BUSY:
            self._buffer += data
        if len(self._buffer) > _MAX_PIPELINED_BYTES:
            self._hold_back()

    def on_lapse(self, now: float) -> None:
        if self._transport is not None and (self._writing_paused or self._state == CLOSING):
            unsent_bytes = self._transport.get_write_buffer_size()
            # More than before: what the node had sent by then was added, and for once tells nothing.
            if unsent_bytes != self._unsent_bytes and self._state != LINGERING:
                self._unsent_bytes = unsent_bytes
                self._lapse_in(self._listener.stall_timeout_s)
                return
            self._reject(0, "a client that does not read its answer")
            self._reset()
        elif self._state == AT_HEAD and not self._buffer:
            self._close()
        elif self._state == AT_HEAD:
            self._refuse(Reason.BAD_REQUEST, "the head of the request did not come in time", 408)
        elif self._state == AT_BODY:
            self._refuse(Reason.BAD_REQUEST, "the body of the request stopped coming", 408)
        else:
            self.abort()

    # What the program tells it

    def drain(self) -> None:
        """Close when idle; else with the answer under way."""
        if self._state == AT_HEAD:
            self._close()
        elif self._exchange is not None:
            self._exchange.close_after_answer()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def shut_down(self) -> None:
        """Refuse or cut the request under way."""
        if self._exchange is not None:
            self._exchange.shut_down()
        elif self._state == AT_BODY:
            self._refuse(Reason.SHUTTING_DOWN)
        elif self._state == BUSY and self._cancel_local is not None:
            self._cancel_local()
            self.abort()

    # What the exchange tells it

    def write(self, data: bytes) -> None:
        """Send a part of an answer, at the end of this turn of the loop."""
        if self._outgoing:
            self._outgoing += data
        else:
            self._outgoing = data
            self._engine.flush_later(self)
        if len(self._outgoing) > _MAX_PUT_OFF_BYTES:
            self.flush()  # so that a client that is slower than the node is noticed before more is read

    def flush(self) -> None:
        """Send what was written."""
        data, self._outgoing = self._outgoing, b""
        transport = self._transport
        if data and transport is not None and not transport.is_closing():
            transport.write(data)

    def exchange_done(self, keep_alive: bool, now: float) -> None:
        """The answer is complete: next request, or the end."""
        self._end_request()
        if not keep_alive:
            self._close()
            return
        self._state = AT_HEAD
        if not self._writing_paused:  # else the client first reads what it has asked for
            self._await_head(now)

    def answer(self, response: LocalResponse) -> None:
        """Send a whole answer of our own to the request under way."""
        head = self._head
        assert head is not None
        keep_alive = head.keep_alive and not self._listener.is_draining
        self.write(local_response(response, head.method, head.minor, keep_alive))
        self.exchange_done(keep_alive, self._engine.clock())

    def cut(self, until_close: bool) -> None:
        """End in the middle of an answer, so that the client does not take it for complete.

        Args:
            until_close: the end of the connection is all that marks the end of this answer: so reset it.
        """
        self._end_request()
        if not until_close:
            self._close()
        else:
            self._state = CLOSING
            self._reset()

    def awaits(self, exchange: Exchange) -> bool:
        """Return whether the client is still there for the answer of `exchange`."""
        return self._exchange is exchange

    # Requests

    def _await_head(self, now: float) -> None:
        """Go on with the next request: of the buffer, or of the network."""
        self.lapses_at = now + self._listener.keepalive_timeout_s
        if self.lapses_at < self.watched_at:
            self._engine.watch(self)
        if self._buffer:
            self._read_heads()
        if self._is_paused:
            self._read_on()

    def _hold_back(self) -> None:
        """Read no more while requests wait in the buffer that cannot be taken up yet."""
        if self._must_wait() and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        """Read again, unless too much waits in the buffer that still cannot be taken up."""
        if len(self._buffer) > _MAX_PIPELINED_BYTES and self._must_wait():
            return
        self._is_paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def _must_wait(self) -> bool:
        return self._state == BUSY or self._writing_paused or self._is_reading

    def _read_heads(self) -> None:
        """Take requests out of the buffer as long as none is under way."""
        if self._is_reading or self._writing_paused or self._state != AT_HEAD or not self._buffer:
            return  # not now; or an answer given at once leads back here: the loop below goes on
        self._is_reading = True
        for _ in _HEADS_PER_TURN:
            head = self._take_head()
            if head is not None:
                self._begin(head)
            if head is None or self._state != AT_HEAD or not self._buffer or self._writing_paused:
                self._is_reading = False
                return
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take more requests out of the buffer, now that other connections had their turn."""
        self._is_reading = False
        self._read_heads()
        if self._is_paused:
            self._read_on()

    def _take_head(self) -> RequestHead | None:
        """Take one head out of the buffer; None when it is not all there, or was refused."""
        limits = self._listener.head_limits
        buffer = self._buffer
        end = buffer.find(HEAD_END, self._scanned) + 4
        if not 4 <= end <= limits.max_bytes or buffer[0] == _CARRIAGE_RETURN:
            return self._take_odd_head()
        self._scanned = 0
        self._buffer = buffer[end:]
        try:
            return parse_request_head(buffer[:end], limits.max_fields)
        except ClientError as error:
            self._refuse(Reason.BAD_REQUEST, str(error), error.status)
            return None

    def _take_odd_head(self) -> RequestHead | None:
        """Do the same for a head that starts with empty lines, is not all there, or is too large."""
        limits = self._listener.head_limits
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request are ignored
            start = 2
            while buffer.startswith(b"\r\n", start):
                start += 2
            self._buffer = buffer = buffer[start:]
            self._scanned = 0
            return self._take_head() if buffer else None
        if len(buffer) > limits.max_bytes:
            self._refuse(Reason.BAD_REQUEST, "the head of the request is too large", 431)
        elif buffer[0] == _CARRIAGE_RETURN and len(buffer) > 1:
            self._refuse(Reason.BAD_REQUEST, "malformed request: a line that does not end in CR LF", 400)
        elif self._scanned == 0:
            self._scanned = 1
            self._lapse_in(self._listener.head_timeout_s)
        else:
            self._scanned = max(1, len(buffer) - 3)
        return None

    def _begin(self, head: RequestHead) -> None:
        """Take up a request; what is there of its body is in the buffer."""
        listener = self._listener
        self._head = head
        self._is_local = listener.is_local(head.method, head.path)
        body_bytes = head.body_bytes
        if body_bytes == 0:
            self._dispatch(b"")
            return
        max_body_bytes = _MAX_LOCAL_BODY_BYTES if self._is_local else listener.max_body_bytes
        if body_bytes > max_body_bytes:
            self._refuse(Reason.PAYLOAD_TOO_LARGE)
            return
        buffer = self._buffer
        if 0 < body_bytes <= len(buffer) and self._engine.body_budget.take(body_bytes):
            # The whole body came with the head, as mostly: no detour.
            self._held_bytes = body_bytes
            self._buffer = buffer[body_bytes:]
            self._dispatch(buffer[:body_bytes])
            return
        self._state = AT_BODY
        self._max_body_bytes = max_body_bytes
        if body_bytes == CHUNKED:
            self._decoder = ChunkedDecoder()
        else:
            self._remaining = body_bytes
        self._buffer = b""
        if buffer:
            self._read_body(buffer)
        elif head.minor == 1 and head.known.get(b"expect", b"").lower() == b"100-continue":
            self.write(CONTINUE)
        if self._state == AT_BODY:
            self._lapse_in(listener.stall_timeout_s)

    def _read_body(self, data: bytes) -> None:
        """Take a part of the body; the request is taken up when it is complete."""
        decoder = self._decoder
        if decoder is not None:
            try:
                body = decoder.feed(data)
            except FramingError as error:
                self._refuse(Reason.BAD_REQUEST, f"malformed request: {error}", 400)
                return
            is_complete = decoder.done
            self._buffer = decoder.rest
        else:
            body = data if len(data) <= self._remaining else data[: self._remaining]
            self._buffer = data[self._remaining :]
            self._remaining -= len(body)
            is_complete = self._remaining == 0
        if self._held_bytes + len(body) > self._max_body_bytes:
            self._refuse(Reason.PAYLOAD_TOO_LARGE)
            return
        if not self._engine.body_budget.take(len(body)):
            self._refuse(Reason.QUEUE_FULL, "no room for the body of the request")
            return
        self._held_bytes += len(body)
        if not is_complete:
            self._body_parts.append(body)
            self.lapses_at = self._engine.clock() + self._listener.stall_timeout_s
        elif self._body_parts:
            self._body_parts.append(body)
            whole, self._body_parts = b"".join(self._body_parts), []
            self._dispatch(whole)
        else:
            self._dispatch(body)

    def _dispatch(self, body: bytes) -> None:
        """Bring a complete request on its way."""
        head = self._head
        assert head is not None
        self._state = BUSY
        self._decoder = None
        self.lapses_at = inf
        if self._is_local:
            request = LocalRequest(head, body, self._peer())
            self._cancel_local = self._listener.tasks.spawn(self._answer_locally(request), "admin request")
            return
        exchange = Exchange(self._engine, self, head, body, lane_of(head.known), self._engine.clock())
        self._exchange = exchange
        if self._listener.is_draining:
            exchange.refuse(Reason.SHUTTING_DOWN)
        else:
            self._engine.submit(exchange)

    async def _answer_locally(self, request: LocalRequest) -> None:
        local = self._listener.local
        assert local is not None
        response = await local.handle(request)
        self._cancel_local = None
        if self._state == BUSY:
            self.answer(response)

    # Ends

    def _refuse(self, reason: Reason, detail: str = "", status: int = 0) -> None:
        """Answer a request that is not read to its end, and close: where the next one starts is unknown."""
        head = self._head
        response = refusal(reason, b"", self._engine.legacy_errors, detail, status)
        self._reject(response.status, detail or reason.value)
        self.write(local_response(response, head.method if head else b"", 1, keep_alive=False))
        self._end_request()
        self._buffer = b""
        self.flush()
        transport = self._transport
        if transport is None or not transport.can_write_eof():
            self._close()
            return
        transport.write_eof()
        self._state = LINGERING
        self._lapse_in(_LINGER_S)

    def _reject(self, status: int, detail: str) -> None:
        self._engine.instrument.rejected(self._peer(), status, detail)

    def _leave(self) -> None:
        """The client is gone: so is what it wanted."""
        exchange, cancel_local = self._exchange, self._cancel_local
        self._end_request()
        self._state = CLOSING
        self._buffer = b""
        if exchange is not None:
            exchange.client_gone(self._engine.clock())
        if cancel_local is not None:
            self._cancel_local = None
            cancel_local()

    def _end_request(self) -> None:
        """Let go of the request and of the bytes held for it."""
        self._exchange = None
        self._head = None
        self._decoder = None
        self._body_parts = []
        if self._held_bytes:
            self._engine.body_budget.give_back(self._held_bytes)
            self._held_bytes = 0

    def _close(self) -> None:
        """Close once all is sent."""
        self._state = CLOSING
        self._buffer = b""
        self.flush()
        if self._transport is not None:
            self._transport.close()
            self._unsent_bytes = self._transport.get_write_buffer_size()
            self._lapse_in(self._listener.stall_timeout_s)

    def _reset(self) -> None:
        """Close at once and let the client know that something is missing."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def _lapse_in(self, seconds: float) -> None:
        self.lapses_at = self._engine.clock() + seconds
        self._engine.watch(self)
