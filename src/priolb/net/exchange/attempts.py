"""The tries of one request at nodes: what it sends, what an answer says, and how a try ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from priolb.core.nodes.node import Lease
from priolb.core.outcome import Outcome, Phase, Source, answered
from priolb.core.ticket import Ticket
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.node_errors import retry_after_s
from priolb.http.refusal import looks_like_rpc
from priolb.net.backend.output import CONNECTING
from priolb.net.exchange.answer import SWITCHING_PROTOCOLS, AnswerStream, HeldAnswer
from priolb.net.exchange.upload import Upload, framing_of_upload
from priolb.net.flushing import SHORT_MAX_BYTES

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend
    from priolb.net.backend.connection import BackendConnection
    from priolb.net.engine import Engine
    from priolb.net.exchange.second_try import SecondTry
    from priolb.net.exchange.sink import AnswerSink
    from priolb.net.front.connection import FrontConnection


class Attempts(Ticket):
    """A request and its try at a node, if it is at one; `Exchange` says what its client gets.

    The try is no object of its own, which would cost each request one more.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_connection",
        "_engine",
        "_head",
        "_held",
        "_is_repeatable",
        "_lease",
        "_second",
        "_stream",
        "_try_at",
        "_upload",
        "body",
        "payload_bytes",
    )

    # Request
    _engine: Engine
    _client: FrontConnection
    _head: RequestHead
    body: bytes
    _upload: Upload | None
    _is_repeatable: bool
    payload_bytes: int
    # Try; where to, and since when in monotonic seconds, is not there before the first one
    _lease: Lease | None
    _backend: Backend
    _connection: BackendConnection | None
    _try_at: float
    _held: HeldAnswer | None
    _second: SecondTry | None
    # Answer
    _stream: AnswerStream | None

    @property
    def upgrade(self) -> bytes:
        """The protocols that its client would like to switch to, empty for none."""
        return self._head.upgrade

    @property
    def is_connecting(self) -> bool:
        """Whether the connection to its node is still being made."""
        return self._connection is not None and self._connection.state == CONNECTING

    @property
    def is_answering(self) -> bool:
        """Whether a part of an answer has gone to the client."""
        return self._stream is not None

    @property
    def has_switched(self) -> bool:
        """Whether its client and its node speak another protocol by now."""
        return self._stream is not None and self._stream.status == SWITCHING_PROTOCOLS

    # What its node gets

    def start_on(self, backend: Backend, sink: AnswerSink, until: float, fresh: bool) -> BackendConnection:
        """Send the request to a node, whose answer goes to `sink`; otherwise as `Backend.start`."""
        body, long_body = self.body, b""
        if len(body) > SHORT_MAX_BYTES:
            long_body = body
        return backend.start(
            sink, self._request_for(backend, long_body), until, fresh, self._upload, long_body
        )

    def _request_for(self, backend: Backend, long_body: bytes) -> bytes:
        """Return the whole request for a node, or its head when the body is long or passes through."""
        head, body = self._head, self.body
        client, target = self._client, backend.target
        if self._upload is None:
            is_rpc = not head.node_path and looks_like_rpc(body)
            fields = client.fields_for_node(head, is_rpc)
            if long_body:
                return target.head(head.method, head.node_path, head.query, head.authority, fields, len(body))
            return target.request(head.method, head.node_path, head.query, head.authority, fields, body)
        # A body that is still coming is not looked at: as with the original, it is JSON.
        is_rpc = head.is_rpc and (not self._upload.is_complete or looks_like_rpc(self._upload.first_part()))
        fields = client.fields_for_node(head, is_rpc)
        start = target.start(head.method, head.node_path, head.query, head.authority)
        return b"%s%s%s\r\n" % (start, fields, framing_of_upload(head))

    # What the answer says

    def outcome_of(self, head: ResponseHead, body: bytes) -> Outcome:
        """Return what an answer says of its node, of which the client has seen nothing yet."""
        if head.is_plain:
            return answered(head.status, False, self._head.is_rpc and self._engine.node_errors.are_in(body))
        if head.status >= 400:
            return answered(head.status, False, False, retry_after_s(head.known.get(b"retry-after")))
        is_error = self._head.is_rpc and self._engine.node_errors.are_in_coded(head, body)
        return answered(head.status, False, is_error)

    def may_be_node_error(self, head: ResponseHead, body_bytes: int) -> bool:
        """Return whether only the body of an answer will tell whether its node can serve."""
        return self._head.is_rpc and self._engine.node_errors.may_follow(head, body_bytes)

    def _may_go_on(self, outcome: Outcome, now: float) -> bool:
        """Return whether there may be a better answer than that of a try which ended so."""
        if self._second is not None and self._second.is_running:
            return True
        lease = self._lease
        assert lease is not None
        return self._engine.scheduler.may_retry(lease, outcome, self._is_repeatable, now)

    def _note_answering(self, now: float) -> None:
        """Take note that the answer of a try is a good one, though it may take long to come."""
        lease = self._lease
        assert lease is not None
        if lease.node.watched:
            self._engine.scheduler.answering(lease, now)
            self._engine.pump_later()  # a node that is found well by it has more slots

    # The time that the client has given it

    def try_until(self, started_at: float) -> float:
        """Return until when a try may take that began at `started_at`, monotonic seconds."""
        until = started_at + self._engine.try_timeout_s
        return min(until, self.answer_by)

    def is_out_of_time(self, now: float) -> bool:
        """Return whether the client, by its own word, waits no longer."""
        return now >= self.answer_by

    def _teach(self, now: float) -> None:
        """Let second tries learn from how long the first one took; at least, if the second one was faster."""
        hedging = self._engine.scheduler.hedging
        if hedging is not None and self._is_repeatable and not self.upgrade:
            hedging.answered(self.lane, now - self._try_at)

    # A better request that needs the slot

    def may_be_preempted(self) -> bool:
        second = self._second
        return (
            self._is_repeatable
            and self._stream is None
            and self._held is None
            and not self.upgrade
            and (second is None or not second.is_running)
        )

    def give_way(self, now: float) -> None:
        """Cut its try short; the scheduler gives its slot to another."""
        self._drop_connection()
        self._lease = None
        if self._second is not None:
            self._second.cancel(now)
            self._second = None

    # Ends of a try

    def _drop_try(self, source: Source) -> None:
        """End a try that nobody wants to go on."""
        self._drop_connection()
        phase = Phase.HEAD if self._stream is None else Phase.BODY
        self._give_back(Outcome(source, phase, None, 0, True, self._stream is not None), self._engine.clock())

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def _give_back(self, outcome: Outcome, now: float) -> None:
        """End the lease; whoever is next is looked for, before the client's next request is read."""
        lease = self._lease
        assert lease is not None
        self._lease = None  # the lease knows its ticket: a circle would wait for the garbage collector
        if self._upload is not None:
            self.payload_bytes = self._upload.received_bytes
            lease.worked_from = max(lease.started_at, self._upload.completed_at)
        self._engine.scheduler.finished(lease, outcome, self._is_repeatable, now)
        if self._second is not None:
            self._second.cancel(now)
            self._second = None
        self._engine.pump_later()
