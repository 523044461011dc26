"""The output half of a client connection: writing, back-pressure and closing.

A connection is one object, made from a chain of classes: `Lapsing` (its time-out), `Flushing` (writes at the
end of a turn), `FrontOutput` here, `Pipeline` (heads, one behind the other), `Reception` (what is let in) and
`FrontConnection` (bodies, where requests go, and ends). What a state means:

    state      what is read                                 until when (`lapses_at`)
    AT_HEAD    a head                                       KEEPALIVE_TIMEOUT; once it has begun, HEAD_TIMEOUT
    AT_BODY    a body, to be collected                      the next part is due (`Upload.due_at`)
    PASSING    a body, as fast as the node takes it; or     the same; for ever while nobody takes it (*)
               whatever another protocol sends
    BUSY       up to 64 KB of the next requests             for ever: the request has its own time (*)
    LINGERING  what still comes, thrown away                5 s without any of it, 30 s in all
    CLOSING    nothing                                      2 s, for a goodbye of TLS

    (*) While nothing is read, so that nobody would notice that the client leaves, the system is asked each
        second whether it is still there.

In all of them, a client that reads slower than it is sent to (`_writing_paused`), or has not read to the end
while it is CLOSING or LINGERING, has CLIENT_STALL_TIMEOUT for each part instead; the 30 s begin behind that.
Who lingers has its own half of the connection still open. With TLS there are no halves: the transport is
closed, waits for the goodbye of the client, and throws away what comes before. Reading stops by
`_is_paused`, as long as there is a reason, and by `_rests`, to the end of the turn; it goes on without both.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final

from priolb.http.forwarding import Peer
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.writer import local_response
from priolb.net.flushing import SHORT_MAX_BYTES, Flushing
from priolb.net.transports import silence_s, stop_when_paused, unread_bytes

if TYPE_CHECKING:
    from priolb.net.front.listener import Listener

# States of a connection
AT_HEAD: Final = 0  # waiting for, or in the middle of, a head
AT_BODY: Final = 1  # collecting the body of a request
PASSING: Final = 2  # a request is under way, and its body passes through, or another protocol does
BUSY: Final = 3  # a request is in line, at a node, or with the admin API
LINGERING: Final = 4  # answered; what still comes is thrown away, so that the answer is not lost to a reset
CLOSING: Final = 5  # the last bytes are on their way out

# As long as nginx waits: for the next part, and for all that a client sends that has got its answer.
_LINGER_SILENCE_S: Final = 5.0
_LINGER_S: Final = 30.0
_GOODBYE_S: Final = 2.0
_UNKNOWN: Final = -1
_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: what is not sent is lost, and the peer is told


class FrontOutput(Flushing):
    """A connection to a client.

    Args:
        listener: what took it, and what it shares with others.

    `peer_address` is the client's address, empty for a Unix socket; `counts_for` the address among whose
    connections it counts, None while it counts for none.
    """

    __slots__ = (
        "_engine",
        "_is_paused",
        "_last_fields",
        "_last_head",
        "_last_is_rpc",
        "_last_model",
        "_last_way",
        "_linger_until",
        "_listener",
        "_outgoing",
        "_peer",
        "_rests",
        "_state",
        "_transport",
        "_unread_bytes",
        "_writing_paused",
        "counts_for",
        "peer_address",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._engine = listener.engine
        self._transport: asyncio.Transport | None = None
        self._state: int = AT_HEAD
        self._is_paused: bool = False
        self._rests: bool = False
        # Answers
        self._outgoing: bytes = b""
        self._writing_paused: bool = False
        self._unread_bytes: int = 0
        self._linger_until: float = 0.0
        # Who it is
        self.peer_address: str = ""
        self.counts_for: str | None = None
        self._peer: Peer | None = None
        # What nodes were told of its last request: the same as of the next if its head is the same, as mostly
        self._last_head: RequestHead | None = None
        self._last_is_rpc: bool = False
        self._last_fields: bytes = b""
        # And of their way, of requests that differ in a value which says nothing of that
        self._last_model: RequestHead | None = None
        self._last_way: bytes = b""

    @property
    def is_slow(self) -> bool:
        """Whether the client reads slower than it is sent to: more waits for it than the transport likes."""
        return self._writing_paused

    def write(self, data: bytes) -> None:
        """Send a part of an answer, at the end of this turn of the loop; a long one at once."""
        if len(data) > SHORT_MAX_BYTES:
            self._write_long(data)
        elif self._outgoing:
            self._outgoing += data
            if len(self._outgoing) > SHORT_MAX_BYTES:
                self.flush()
        else:
            self._outgoing = data
            self._engine.flush_later(self)

    def _write_long(self, data: bytes) -> None:
        """Send at once, so that a client that is slower than the node is noticed before more is read."""
        start, self._outgoing = self._outgoing, b""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if start:
            transport.writelines([start, data])
        else:
            transport.write(data)

    def flush(self) -> None:
        """Send what was written."""
        data = self._outgoing
        self._outgoing = b""
        transport = self._transport
        if transport is None:
            return
        if data:
            transport.write(data)  # one that is closing takes it and lets it go

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def fields_for_node(self, head: RequestHead, is_rpc: bool) -> bytes:
        """Return the fields of a request as a node shall see them, rendered, without Host and framing.

        Args:
            head: the request's head.
            is_rpc: whether the body is JSON-RPC for the node's own path.
        """
        if head is not self._last_head or is_rpc is not self._last_is_rpc:
            return self._new_fields(head, is_rpc)
        return self._last_fields

    def _new_fields(self, head: RequestHead, is_rpc: bool) -> bytes:
        forwarding = self._listener.forwarding
        model = head.model
        if model is None:
            fields = forwarding.fields(head, is_rpc, self._known_peer())
            if not head.raw:
                return fields  # too long to be kept for a next request that may never come
        else:
            if model is not self._last_model:
                self._last_model, self._last_way = model, forwarding.way(model, self._known_peer())
            fields = (head.rpc_forwarded if is_rpc else head.forwarded) + self._last_way
        self._last_head = head
        self._last_is_rpc = is_rpc
        self._last_fields = fields
        return fields

    # For whoever reads from it

    def _connected(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        if transport.get_extra_info("sslcontext") is not None:
            stop_when_paused(transport)
        peer = transport.get_extra_info("peername")
        self.peer_address = str(peer[0]) if isinstance(peer, tuple) else ""

    def _known_peer(self) -> Peer:
        """Return what is known of the client's end."""
        peer = self._peer
        if peer is None:
            peer = self._peer = self._listener.forwarding.peer(self.peer_address)
        return peer

    def _pause_reading(self) -> None:
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if self._transport is not None and not self._rests:
                self._transport.resume_reading()

    def _rest(self) -> None:
        """Read no more in this turn of the loop."""
        if not self._rests and self._transport is not None and not self._transport.is_closing():
            self._rests = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._end_rest)

    def _end_rest(self) -> None:
        self._rests = False
        self._read_rest()
        if not self._is_paused and not self._rests and self._transport is not None:
            self._transport.resume_reading()

    def _read_rest(self) -> None:
        """Read what came in an earlier turn and was too much for it."""
        raise NotImplementedError

    def _watch_unread(self) -> None:
        """Take note of how much the client has to read, and look again in a while."""
        if self._transport is not None:
            self._unread_bytes = unread_bytes(self._transport)
            self._lapse_in(self._listener.stall_timeout_s)

    def _is_to_read(self) -> bool:
        """Return whether the client is waited for to read what it was sent, rather than for what it sends."""
        return self._transport is not None and (self._writing_paused or self._state == CLOSING)

    def _drop_if_stuck(self) -> None:
        """Reset the connection of a client that has read too little of its answer since the last look."""
        assert self._transport is not None
        unread = unread_bytes(self._transport)
        if not unread and self._state == CLOSING:
            self.abort()  # it has all, and does not say goodbye in the way of TLS
        elif self._reads_on(unread):
            self._watch_unread()
        else:
            self._drop_stuck()

    def _reads_on(self, unread: int) -> bool:
        """Return whether a client has read enough since the last look, which has so many bytes to read now.

        Whoever takes byte after byte would hold a node for as long as he likes.
        """
        listener = self._listener
        least_bytes = max(1, int(listener.body_min_bytes_per_s * listener.stall_timeout_s))
        # More than before: what the node had sent by then was added, and for once tells nothing.
        return unread > self._unread_bytes or self._unread_bytes - unread >= least_bytes

    def _drop_stuck(self) -> None:
        self._note_rejected(0, "a client that does not read its answer")
        self._reset()

    def _write_local(
        self, response: LocalResponse, method: bytes, minor: int, keep_alive: bool, now: float
    ) -> None:
        """Send a whole answer of our own; the other arguments are those of `writer.local_response`."""
        self.write(local_response(response, method, minor, keep_alive, self._engine.date(now)))

    def _note_rejected(self, status: int, detail: str, request_id: bytes = b"") -> None:
        engine = self._engine
        engine.instrument.rejected(request_id, self.peer_address, status, detail, engine.clock())

    def _linger(self) -> None:
        """Send all, and read what still comes for a while, so that the answer is not lost to a reset."""
        self._state = LINGERING
        self.flush()
        transport = self._transport
        if transport is None:
            return
        self._resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
        self._unread_bytes = unread_bytes(transport)
        until_s = self._listener.stall_timeout_s if self._unread_bytes else _LINGER_S
        self._linger_until = self._engine.clock() + until_s
        self._lapse_in(min(_LINGER_SILENCE_S, until_s))

    def _linger_on(self, now: float) -> None:
        """Look whether a client still reads or sends, and close if it does neither."""
        transport = self._transport
        assert transport is not None
        unread = unread_bytes(transport)
        wait_s = _LINGER_SILENCE_S
        if unread:
            if not self._unread_bytes or now >= self._linger_until:
                if not self._reads_on(unread):
                    self._drop_stuck()
                    return
                self._linger_until = now + self._listener.stall_timeout_s
                self._unread_bytes = unread
        else:
            if self._unread_bytes:
                self._linger_until = now + _LINGER_S
                self._unread_bytes = 0
            wait_s -= silence_s(transport)
        wait_s = min(wait_s, self._linger_until - now)
        if wait_s > 0:
            self._lapse_in(wait_s)
        else:
            self.abort()

    def _close_behind(self) -> None:
        """Close behind an answer; a client that has not all of it yet may go on speaking meanwhile.

        What it says would reset a connection that is closed on both sides, and with it the rest of the answer
        (RFC 9112, section 9.6).
        """
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if unread_bytes(transport):
                self._linger()
            else:
                self._close()

    def _close(self) -> None:
        """Close once all is sent."""
        self._state = CLOSING
        self.flush()
        transport = self._transport
        if transport is None:
            return
        transport.close()
        if transport.can_write_eof():
            self._watch_unread()
        else:  # with TLS it stays open for its goodbye; how much is still on its way is seen after that time
            self._unread_bytes = _UNKNOWN
            self._lapse_in(_GOODBYE_S)

    def _reset(self) -> None:
        """Close at once and let the client know that something is missing."""
        if self._transport is not None:
            connected = self._transport.get_extra_info("socket")
            if connected is not None:  # else it was lost a moment ago
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _lapse_in(self, seconds: float) -> None:
        self.lapses_at = self._engine.clock() + seconds
        self._engine.watch(self)
