"""The output half of a connection to a node: connecting, sending, time-outs and closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, cast

from priolb.attest.context import NotAttestedError
from priolb.core.outcome import Phase
from priolb.errors import Reason
from priolb.net.exchange.sink import AnswerSink
from priolb.net.flushing import Flushing
from priolb.net.transports import SHORTAGES, TLS_GOODBYE_S, stop_when_paused, unread_bytes

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend
    from priolb.net.exchange.upload import Upload

# States of a connection
CONNECTING: Final = 0
IDLE: Final = 1
AWAITING_HEAD: Final = 2
IN_BODY: Final = 3
CLOSING: Final = 4  # the last bytes are on their way out
CLOSED: Final = 5

_DISTRUSTED_DETAIL: Final = "the node has stopped proving what it runs"


class BackendOutput(Flushing):
    """A connection to a node.

    Args:
        backend: whose it is, and what it shares with others.
    """

    __slots__ = (
        "_asks_system",
        "_backend",
        "_cancel_connecting",
        "_engine",
        "_idle_timeout_s",
        "_is_reusable",
        "_keep_alive",
        "_long_body",
        "_outbox",
        "_reused",
        "_sink",
        "_transport",
        "_unread_bytes",
        "_upload",
        "is_paused",
        "state",
    )

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        # Node
        self._backend = backend
        self._engine = backend.engine
        # Connection
        self.state: int = CONNECTING
        self.is_paused: bool = False
        self._transport: asyncio.Transport | None = None
        self._cancel_connecting: Callable[[], object] | None = None
        # Request
        self._sink: AnswerSink | None = None
        self._upload: Upload | None = None
        self._unread_bytes: int = 0
        self._outbox: bytes = b""
        self._long_body: bytes = b""
        self._reused: bool = False
        # Where a body ended that was passed on is for the node to find: what it reads behind it may not be
        # what we send next, so such a connection serves no other request.
        self._is_reusable: bool = True
        # Before another request follows, the system is asked whether it still holds a part of this one: of a
        # long one it may be megabytes, and with TLS nobody else knows.
        self._asks_system: bool = backend.tls is not None
        # Answer
        self._idle_timeout_s: float = inf
        self._keep_alive: bool = False

    # What the engine does with it

    def open(
        self, sink: AnswerSink, request: bytes, upload: Upload | None, long_body: bytes, until: float
    ) -> None:
        """Connect, send `request`, and answer to `sink`.

        Args:
            sink: who gets the answer.
            request: the whole request, or its head when the body is apart.
            upload: the body that is passed on, None for none.
            long_body: as in `Backend.start`.
            until: monotonic seconds by which the answer's head must be there; when there is an upload, the
                connection.
        """
        self._sink = sink
        self._upload = upload
        self._is_reusable = upload is None
        self._outbox = request
        self._long_body = long_body
        self.lapses_at = until
        self._engine.watch(self)
        self._cancel_connecting = self._engine.tasks.spawn(
            self._connect(), f"connect {self._backend.node.name}"
        )

    def send(self, sink: AnswerSink, request: bytes, long_body: bytes, until: float) -> bool:
        """Do as `open`, over this idle connection; False, and nothing done, when it is about to close."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._sink = sink
        self._reused = True
        self.state = AWAITING_HEAD
        self.lapses_at = until
        if until < self.watched_at:
            self._engine.watch(self)
        self._outbox = request
        self._long_body = long_body
        self._engine.flush_later(self)
        return True

    def flush(self) -> None:
        """Send the request that `open` or `send` was given."""
        transport = self._transport
        request = self._outbox
        self._outbox = b""
        if transport is None:
            self._long_body = b""
            return
        if request:
            if self._long_body:
                transport.writelines([request, self._long_body])
                self._long_body = b""
                self._asks_system = True
            else:
                transport.write(request)  # one that is closing takes it and lets it go

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
        if transport is None or not self._is_to_read(transport):
            self.abort()
            return
        self._sink = self._upload = None
        self.state = CLOSING
        self._unread_bytes = unread_bytes(transport)
        transport.close()
        self.lapses_at = now + self._engine.node_idle_timeout_s
        self._engine.watch(self)

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
            self.lapses_at = self._engine.clock() + self._idle_timeout_s

    def take_upload(self, upload: Upload) -> None:
        """Send what comes by `upload`: the client's side of a connection that has switched protocols."""
        self._upload = upload
        upload.pass_to(self)

    def end_body(self) -> None:
        """Take note that the request's body is complete: from now on the node is waited for."""
        self._upload = None
        if self.state == AWAITING_HEAD and self._transport is not None:
            self._unread_bytes = unread_bytes(self._transport)
            self._await_answer(self._engine.clock())

    # What the event loop tells it

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._cancel_connecting = None
        if self.state == CLOSED:
            transport.abort()
            return
        self.state = AWAITING_HEAD
        if self._backend.tls is not None:
            stop_when_paused(transport)
        self.flush()
        if self._upload is not None:
            self.lapses_at = inf  # as long as the node reads, the client's connection has the time
            self._upload.pass_to(self)

    def pause_writing(self) -> None:
        """Take note that the node reads slower than the client sends.

        A request that is held for a retry may wait in the kernel: nothing more piles up behind it.
        """
        if self._upload is not None:
            self._upload.hold()
            if self.state == AWAITING_HEAD and self._transport is not None:
                self._unread_bytes = unread_bytes(self._transport)
                self._expect_within(self._engine.node_idle_timeout_s)

    def resume_writing(self) -> None:
        if self._upload is not None:
            if self.state == AWAITING_HEAD:
                self.lapses_at = inf
            self._upload.go_on()

    def on_lapse(self, now: float) -> None:
        if self.state in {AWAITING_HEAD, CLOSING} and self._is_read_on():
            if self.state == AWAITING_HEAD and self._upload is None:
                self._await_answer(now)
            else:
                self._expect_within(self._engine.node_idle_timeout_s)
        else:
            self._expire()

    def cut(self) -> None:
        """Let the time be over of whatever is under way, as the node is to leave."""
        phases = {CONNECTING: Phase.CONNECT, AWAITING_HEAD: Phase.HEAD, IN_BODY: Phase.BODY}
        if self.state in phases:
            self._fail(Reason.NODE_DRAINED, phases[self.state], "cut off at the end of its drain")
        else:
            self._close()

    def _expire(self) -> None:
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

    # How it begins and ends

    async def _connect(self) -> None:
        backend = self._backend
        try:
            await asyncio.get_running_loop().create_connection(
                self._protocol,
                backend.host,
                backend.port,
                ssl=backend.tls,
                server_hostname=backend.host if backend.tls else None,
                ssl_shutdown_timeout=TLS_GOODBYE_S if backend.tls else None,
            )
        except (OSError, UnicodeError) as error:  # the second from the codec for names
            if self.state == CONNECTING:
                words = getattr(error, "strerror", None) or str(error) or type(error).__name__
                self._fail(self._reason_of(error), Phase.CONNECT, words)

    def _reason_of(self, error: Exception) -> Reason:
        """Return why there is no connection."""
        if isinstance(error, OSError) and error.errno in SHORTAGES:
            return Reason.NO_SOCKET
        if isinstance(error, NotAttestedError) and not self._backend.node.attested:
            return Reason.NODE_UNATTESTED
        # Unless a verdict has taken the node out of use already, it has to be taken for unreachable.
        return Reason.NODE_UNREACHABLE

    def _protocol(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", self)  # it is one in all but name: event loops ask for no more

    def _is_sending(self) -> bool:
        """Return whether a part of the request has not left yet, or is still to come."""
        if self._outbox or self._upload is not None:
            return True
        if self.state == AWAITING_HEAD and self._sink is not None and self._sink.upgrade:
            return True  # once the node agrees, what follows is no answer alone
        return self._transport is not None and self._is_to_read(self._transport)

    def _is_to_read(self, transport: asyncio.Transport) -> bool:
        """Return whether a part of what was written may not have left yet."""
        if self._backend.tls is None:
            return transport.get_write_buffer_size() > 0
        return unread_bytes(transport) > 0

    def _is_all_taken(self, transport: asyncio.Transport) -> bool:
        """Return whether the node's system has taken all of the request; it is asked once of each."""
        self._asks_system = self._backend.tls is not None
        return unread_bytes(transport) == 0

    def _await_answer(self, now: float) -> None:
        """Give the node its time for the answer to a body that was passed on, but no longer than the client.

        Once the client's time is over, what the node still reads is not interrupted.
        """
        until = now + self._engine.try_timeout_s
        sink = self._sink
        if sink is not None and (now < sink.answer_by or not self._unread_bytes):
            until = min(until, max(now, sink.answer_by))
        self.lapses_at = until
        self._engine.watch(self)

    def _is_read_on(self) -> bool:
        """Return whether the node has read more of what was passed on, and had not had all of it before.

        Megabytes of it may be in the hands of the system, which asks for more when it has let go of many.
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
        self.lapses_at = self._engine.clock() + seconds
        self._engine.watch(self)

    def _fail(self, reason: Reason, phase: Phase, detail: str) -> None:
        sink = self._sink
        self._sink = None
        self._close()
        if sink is not None:
            sink.on_failure(reason, phase, detail, self._engine.clock())

    def _close(self) -> None:
        was_idle = self.state == IDLE
        self.state = CLOSED
        self._outbox = self._long_body = b""
        self._upload = None
        self._backend.forget(self, was_idle)
        if self._transport is not None:
            self._transport.abort()
        elif self._cancel_connecting is not None:
            self._cancel_connecting()
            self._cancel_connecting = None
