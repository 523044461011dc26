"""One client connection: requests in, answers out, one at a time and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from priolb.errors import FramingError, Reason
from priolb.http.body import body_reader
from priolb.http.call_error import CallError
from priolb.http.framing import CHUNKED
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.writer import CONTINUE, connection_field, without_body
from priolb.net.exchange.exchange import Exchange
from priolb.net.exchange.upload import Upload, tunnel
from priolb.net.flushing import LONG_READ_BYTES
from priolb.net.front.header_lane import header_lane
from priolb.net.front.output import AT_BODY, AT_HEAD, BUSY, CLOSING, LINGERING, PASSING
from priolb.net.front.pipeline import MAX_PIPELINED_BYTES
from priolb.net.front.reception import MAX_LOCAL_BODY_BYTES, NO_ROOM, Reception

if TYPE_CHECKING:
    from priolb.net.backend.connection import BackendConnection
    from priolb.net.front.listener import Listener


class FrontConnection(Reception):
    """One client connection."""

    __slots__ = (
        "_awaits_continue",
        "_cancel_local",
        "_exchange",
        "_held_bytes",
        "_last_refused",
        "_upload",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._last_refused: RequestHead | None = None  # of a request for the nodes that got an answer of ours
        self._awaits_continue: bool = False
        self._held_bytes: int = 0
        self._upload: Upload | None = None
        self._exchange: Exchange | None = None
        self._cancel_local: Callable[[], object] | None = None

    # What the event loop tells it

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._connected(transport)
        if not self._listener.add(self):
            response = self._engine.refusals.answer(Reason.TOO_MANY_CONNECTIONS, b"")
            self._note_rejected(response.status, Reason.TOO_MANY_CONNECTIONS.value)
            self._write_local(response, b"", 1, keep_alive=False, now=self._engine.clock())
            self._close()
            return
        self._lapse_in(self._listener.keepalive_timeout_s)
        if self._listener.is_draining:
            self._close()  # it had been accepted when `drain` came

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._listener.remove(self)
        self._engine.forget(self)
        if self._state != CLOSING:
            self._depart()

    def eof_received(self) -> bool:
        transport = self._transport
        # What stays open is closed by `_leave`; a connection with TLS cannot stay open.
        return not self._depart() and transport is not None and transport.can_write_eof()

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._exchange is not None:
            self._exchange.pause()
        elif self._state == AT_BODY:
            self._hold_back()  # so that no request starts whose answer nobody pauses
        self._watch_unread()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._exchange is not None:
            self.lapses_at = inf
            if self._state == PASSING and not self._is_paused:
                self._expect_body()
            self._look_later()
            self._exchange.resume(self._engine.clock())
        elif self._state == BUSY:
            self.lapses_at = inf
        elif self._state == AT_HEAD:
            self._await_head(self._engine.clock())
        elif self._state != LINGERING:
            self._lapse_in(self._listener.stall_timeout_s)
            if self._is_paused:
                self._read_on()

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state == AT_HEAD:
            self._waiting = self._waiting + data if self._waiting else data
            self._read_heads()
            if self._state == AT_HEAD and len(data) >= LONG_READ_BYTES:
                self._rest()
        elif state == BUSY:
            self._waiting += data
        else:
            if state in {AT_BODY, PASSING}:
                self._read_body(data)
                self._read_heads()
            if len(data) >= LONG_READ_BYTES:
                self._rest()
        if self._waiting and len(self._waiting) > MAX_PIPELINED_BYTES:
            self._hold_back()

    def on_lapse(self, now: float) -> None:
        if self._state == LINGERING:
            self._linger_on(now)
        elif self._is_to_read():
            self._drop_if_stuck()
        elif self._state == AT_HEAD and not self._waiting:
            self._close_behind()
        elif self._state == AT_HEAD:
            self._reject(Reason.BAD_REQUEST, "the head of the request did not come in time", 408)
        elif self._is_paused and self._state in {BUSY, PASSING}:
            if self._has_left(is_heard_out=self._exchange is not None and self._exchange.has_switched):
                self._depart()
        elif self._state in {AT_BODY, PASSING}:
            self._reject(Reason.BAD_REQUEST, "the body of the request stopped coming", 408)

    # What the program tells it

    def drain(self) -> None:
        """Close when idle, as soon as that may be; else with the answer under way."""
        if self._state == AT_HEAD:
            self._engine.portions.do(self._close_idle)
        elif self._exchange is not None:
            self._exchange.close_after_answer()

    def shut_down(self) -> None:
        """Refuse or cut the request under way."""
        if self._exchange is not None:
            self._exchange.shut_down()
        elif self._state == AT_BODY:
            self._reject(Reason.SHUTTING_DOWN)
        elif self._state == BUSY and self._cancel_local is not None:
            self._cancel_local()
            self.abort()

    # What the exchange tells it

    def exchange_done(self, keep_alive: bool, now: float) -> None:
        """The answer is complete: next request, or the end."""
        if not keep_alive:
            has_more = self._is_sending() or self._is_paused or self._waiting
            self._end_request()
            self._waiting = b""
            if has_more:
                self._linger()
            else:
                self._state = CLOSING
                self.flush()
                # In the next turn: only then the loop has handed over to the system what it can.
                asyncio.get_running_loop().call_soon(self._close_behind)
            return
        self._end_request()
        self._state = AT_HEAD
        if not self._writing_paused:  # else the client first reads what it has asked for
            self._await_head(now)

    def answer(self, response: LocalResponse, now: float) -> None:
        """Send a whole answer of our own to the request under way."""
        head = self._head
        assert head is not None
        if not self._is_local:
            self._last_refused = head if head.raw else None
        keep_alive = self._stays_open(head)
        self._write_local(response, head.method, head.minor, keep_alive, now)
        self.exchange_done(keep_alive, now)

    def answer_call(self, error: CallError, call_id: bytes, fields: bytes, now: float) -> None:
        head = self._head
        assert head is not None
        self._last_refused = head if head.raw else None
        keep_alive = self._stays_open(head)
        connection = connection_field(head.minor, keep_alive)
        answer = error.answer(call_id, fields, self._engine.date(now), connection)
        self.write(answer if head.method != b"HEAD" else without_body(answer))
        self.exchange_done(keep_alive, now)

    def switch_protocols(self, connection: BackendConnection) -> None:
        """Pass on to the node whatever comes from now on."""
        self._upload = tunnel(self, self._engine.body_budget)
        self._state = PASSING
        waiting = self._waiting
        self._waiting = b""
        connection.take_upload(self._upload)
        if waiting:
            self._read_body(waiting)

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

    # What the upload tells it

    def hold_body(self) -> None:
        """Read no more of the body for now: no node takes it, or not so fast."""
        if not self._writing_paused:
            self.lapses_at = inf
        self._pause_reading()
        self._look_later()

    def read_body_on(self) -> None:
        """Read more of the body."""
        if self._awaits_continue:
            self._awaits_continue = False
            self.write(CONTINUE)
        self._read_on()
        if not self._writing_paused:
            self._expect_body()

    # Requests

    def _begin(self, head: RequestHead) -> None:
        """Take up a request; what is there of its body waits behind it."""
        self._head = head
        # Of the head of the last request that went to a node, or was refused, that is known.
        self._is_local = (
            head is not self._last_head
            and head is not self._last_refused
            and self._listener.is_local(head.method, head.path)
        )
        if head.is_special:
            if head.upgrade and head.path == b"/" and self._listener.forwards:
                self._is_local = False  # what we say there ourselves is a page; WebSockets of nodes are there
            if not self._is_local and not self._is_wanted(head):
                return
        body_bytes = head.body_bytes
        if not body_bytes:
            self._dispatch(head, b"", None)
            return
        data = self._waiting
        if (
            0 < body_bytes <= len(data)
            and body_bytes <= self._listener.replay_max_bytes
            and not self._is_local
            and self._engine.body_budget.take(body_bytes)
        ):
            # The whole body came with the head, as mostly: no detour.
            self._held_bytes = body_bytes
            if len(data) == body_bytes:  # compiled, a slice of the whole is a copy
                self._waiting = b""
            else:
                self._waiting = data[body_bytes:]
                data = data[:body_bytes]
            self._dispatch(head, data, None)
        else:
            self._begin_body(head)

    def _begin_body(self, head: RequestHead) -> None:
        """Take up a request whose body is not all there yet, or is too long to be collected."""
        listener, engine = self._listener, self._engine
        body_bytes = head.body_bytes
        budget, max_body_bytes = engine.body_budget, listener.max_body_bytes
        if self._is_local:
            assert listener.local is not None
            refusal = listener.local.refusal(head, self.peer_address)
            if refusal is not None:
                self._answer_and_close(refusal)
                return
            max_body_bytes = MAX_LOCAL_BODY_BYTES
            if head.method not in {b"GET", b"HEAD"}:  # which anybody may send, with a body that means nothing
                budget = listener.local_budget
        if not self._is_body_wanted(head, max_body_bytes, budget):
            return
        waiting = self._waiting
        self._awaits_continue = head.expects_continue and not waiting
        self._waiting = b""
        self._state = AT_BODY
        self._upload = Upload(
            self,
            body_reader(body_bytes, head.known.get(b"connection", b"")),
            max_body_bytes,
            budget,
            is_chunked=body_bytes == CHUNKED,
            max_silence_s=listener.stall_timeout_s,
            min_bytes_per_s=listener.body_min_bytes_per_s,
        )
        if waiting:
            self._read_body(waiting)
        if self._state == AT_BODY:
            self.read_body_on()

    def _read_body(self, data: bytes) -> None:
        """Take a part of the body; the request is taken up when that is complete, or too long to collect."""
        upload = self._upload
        assert upload is not None
        try:
            reason = upload.feed(data)
        except FramingError as error:
            self._reject(Reason.BAD_REQUEST, f"malformed request: {error}", 400)
            return
        if reason is not None:
            self._reject(reason, NO_ROOM if reason is Reason.QUEUE_FULL else "")
            return
        if upload.is_behind:
            self._rest()
        is_passing = self._state == PASSING
        if upload.is_complete:
            self._end_body(upload)
        elif not is_passing and upload.held_bytes > self._replay_max_bytes():
            self._let_pass(upload)
        elif is_passing and not upload.is_flowing:
            self._pause_reading()
        elif not self._is_paused and not self._writing_paused:
            self.lapses_at = upload.due_at(self._engine.clock())

    def _end_body(self, upload: Upload) -> None:
        """Go on behind a body that is complete."""
        upload.completed_at = self._engine.clock()
        self._waiting = upload.rest
        if self._state == PASSING:
            self._state = BUSY
            if not self._writing_paused:
                self.lapses_at = inf
            if self._is_paused:
                self._read_on()
        elif self._passes(upload):
            self._let_pass(upload)
        else:
            if not self._is_local:  # whose upload holds its bytes in a budget of its own
                self._held_bytes = upload.held_bytes
                self._upload = None
            assert self._head is not None
            self._dispatch(self._head, upload.collected(), None)

    def _read_rest(self) -> None:
        if self._upload is not None and self._upload.is_behind:
            self._read_body(b"")
            self._read_heads()

    def _passes(self, upload: Upload) -> bool:
        """Return whether a body that is complete is passed on as it came, rather than collected."""
        return (upload.has_trailers and not self._is_local) or upload.held_bytes > self._replay_max_bytes()

    def _let_pass(self, upload: Upload) -> None:
        """Take up a request whose body will be passed on as it comes, once a node is there to take it."""
        if not upload.is_complete:
            self._pause_reading()
        assert self._head is not None
        self._dispatch(self._head, b"", upload)
        self._look_later()

    def _dispatch(self, head: RequestHead, body: bytes, upload: Upload | None) -> None:
        """Bring a request on its way, whose body is complete or passes through."""
        self._state = BUSY if upload is None or upload.is_complete else PASSING
        self.lapses_at = inf
        if self._is_local:
            request = LocalRequest(head, body, self.peer_address)
            self._cancel_local = self._listener.tasks.spawn(self._answer_locally(request), "admin request")
            return
        engine = self._engine
        if engine.door is None and not engine.has_limits:
            exchange = Exchange(engine, self, head, body, upload, header_lane(head), engine.clock())
        else:
            now = engine.clock()
            place = self._let_in(head, body, upload, now)
            if place is None:
                return
            lane, tenant = place
            exchange = Exchange(engine, self, head, body, upload, lane, now)
            exchange.tenant = tenant
        self._exchange = exchange
        if self._listener.is_draining:
            exchange.refuse(Reason.SHUTTING_DOWN)
        else:
            engine.submit(exchange)

    async def _answer_locally(self, request: LocalRequest) -> None:
        local = self._listener.local
        assert local is not None
        response = await local.handle(request)
        self._cancel_local = None
        if self._state == BUSY:
            self.answer(response, self._engine.clock())

    def _stays_open(self, head: RequestHead) -> bool:
        """Return whether the connection stays open behind an answer of ours to this request."""
        return head.keep_alive and not self._listener.is_draining and not self._is_sending()

    def _is_sending(self) -> bool:
        """Return whether the client has not yet sent all of its request."""
        return self._upload is not None and not self._upload.is_complete

    def _expect_body(self) -> None:
        """Give the client its time for the next part of the body."""
        if self._upload is not None:
            now = self._engine.clock()
            self._upload.flows_from(now)
            self.lapses_at = self._upload.due_at(now)
            self._engine.watch(self)

    # Ends

    def _close_idle(self) -> None:
        """Close, unless a request has begun meanwhile, which will be refused."""
        if self._state == AT_HEAD:
            self._close_behind()

    def _reject(self, reason: Reason, detail: str = "", status: int = 0, request_id: bytes = b"") -> None:
        """Answer a request that is not read to its end with the reason."""
        response = self._engine.refusals.answer(reason, b"", detail, status)
        if self._head is not None:
            request_id = self._head.request_id
        self._note_rejected(response.status, detail or reason.value, request_id)
        self._answer_and_close(response)

    def _answer_and_close(self, response: LocalResponse) -> None:
        """Answer a request that is not read to its end, and close: where the next one starts is unknown."""
        head, exchange = self._head, self._exchange
        self._end_request()
        self._waiting = b""
        if exchange is not None:
            is_answering = exchange.is_answering
            self._state = CLOSING
            exchange.client_gone(self._engine.clock())
            if is_answering:
                self._reset()
                return
        now = self._engine.clock()
        self._write_local(response, head.method if head else b"", 1, keep_alive=False, now=now)
        self._linger()

    def _depart(self) -> bool:
        """The client is gone: its place in line is free at once, and the rest is done as soon as that may be.

        Returns:
            Whether all is done; it is not when thousands leave at once.
        """
        if self._engine.portions.do(self._leave):
            return True
        self._waiting = b""
        if self._exchange is not None:
            self._exchange.withdraw()
        return False

    def _leave(self) -> None:
        """Give up what a client wanted that is gone, and close."""
        exchange, cancel_local = self._exchange, self._cancel_local
        self._end_request()
        self._state = CLOSING
        self._waiting = b""
        if exchange is not None:
            exchange.client_closed(self._engine.clock())
        if cancel_local is not None:
            self._cancel_local = None
            cancel_local()
        self._close()

    def _end_request(self) -> None:
        """Let go of the request and of what is held for it."""
        self._exchange = None
        self._head = None
        if self._held_bytes:
            self._engine.body_budget.give_back(self._held_bytes)
            self._held_bytes = 0
        if self._upload is not None:
            self._upload.release()
            self._upload = None
            self._awaits_continue = False
        if self._holds_more:
            self._let_go_of_more()
