"""One client request through its tries, from the head's arrival to the last byte of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from priolb.core.nodes.node import Lease
from priolb.core.outcome import GIVEN_UP, OUTRUN, Outcome, Phase, Source, answered
from priolb.core.overload.retry_advice import OVERLOADED
from priolb.core.ticket import RUNNING, WAITING
from priolb.errors import Reason
from priolb.http.framing import UNTIL_CLOSE
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.writer import (
    answer_start,
    chunk,
    connection_field,
    interim_answer,
    is_chunked_to_client,
    last_chunk,
)
from priolb.net.backend.connection import BackendConnection
from priolb.net.exchange.added_fields import added_fields
from priolb.net.exchange.answer import (
    MAX_KEPT_ANSWER_BYTES,
    SWITCHING_PROTOCOLS,
    AnswerStream,
    HeldAnswer,
)
from priolb.net.exchange.attempts import Attempts
from priolb.net.exchange.second_try import SecondTry, plan_second_try
from priolb.net.exchange.sink import AnswerSink
from priolb.net.exchange.upload import Upload
from priolb.net.flushing import SHORT_MAX_BYTES

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend
    from priolb.net.engine import Engine
    from priolb.net.front.connection import FrontConnection


# How a connection ended that had switched protocols: nothing that says anything of its node.
_NO_VERDICT: Final = Outcome(Source.CLIENT, Phase.DONE, None, SWITCHING_PROTOCOLS, sent=True, answering=True)
# Why one ends whose time is over: both sides were silent for too long, or its node leaves.
_OVER: Final = (Reason.NODE_TIMEOUT, Reason.NODE_DRAINED)


class Exchange(Attempts, AnswerSink):
    """One request of one client, which is its own ticket in line and the sink of its node's answer.

    It ends exactly once: answered, refused, cut, or left by the client.

    Args:
        engine: runs it.
        client: whom to answer.
        head: the request's head.
        body: the request's whole body, kept so that it can be sent again; empty when there is an upload.
        upload: the body that is passed on as it comes, None for none.
        lane: index of its lane.
        now: monotonic seconds of its arrival.

    `payload_bytes` is how much of the body has come.
    """

    __slots__ = (
        "_fallback",
        "_keep_alive",
        "method",
        "request_id",
        "size_at_start",
    )

    def __init__(
        self,
        engine: Engine,
        client: FrontConnection,
        head: RequestHead,
        body: bytes,
        upload: Upload | None,
        lane: int,
        now: float,
    ) -> None:
        body_bytes = len(body) if upload is None else upload.received_bytes
        super().__init__(lane, now, now + engine.max_waits_s[lane], body_bytes)
        if head.is_special:
            self.answer_by = now + head.timeout_s
            self.start_by = min(self.start_by, self.answer_by)
        if engine.affinity is not None:
            self.affinity = engine.affinity.value_in(head)
        # Request
        self._engine = engine
        self._client = client
        self._head = head
        self.method: bytes = head.method
        self.body = body
        self._upload: Upload | None = upload
        self.payload_bytes: int = body_bytes
        self._is_repeatable: bool = upload is None and head.method in engine.retry_methods
        self.request_id: bytes = head.request_id
        self.size_at_start: int = 1
        self._fallback: tuple[ResponseHead, bytes, bytes] | None = None
        # Try
        self._lease: Lease | None = None
        self._connection: BackendConnection | None = None
        self._held: HeldAnswer | None = None
        self._second: SecondTry | None = None
        # Answer
        self._stream: AnswerStream | None = None
        self._keep_alive: bool = head.keep_alive

    # What the engine tells it

    def begin(self, lease: Lease, backend: Backend, now: float) -> None:
        """Start a try on the node of `lease`."""
        self._lease = lease
        self._backend = backend
        self._try_at = now
        # Of a used connection that ends, nobody can tell whether the node has seen the request.
        self._send(fresh=not self._is_repeatable)
        hedging = self._engine.scheduler.hedging
        if hedging is not None and self.tries == 1 and self._is_repeatable and not self.upgrade:
            self._second = plan_second_try(self, self._engine, hedging.delay_s(self.lane), now)

    def refuse(self, reason: Reason, detail: str = "") -> None:
        """Answer in our own words; the request is not in line and not at a node."""
        now = self._engine.clock()
        body = self.body if self._upload is None else self._upload.first_part()
        if reason in OVERLOADED:
            retry_after_s = self._engine.scheduler.retry_after_s(self.lane, self, now)
            self._client.refuse_overloaded(reason, self.lane, body, retry_after_s, now)
        else:
            self._client.refuse(reason, self.lane, body, detail, now)

    def expire(self, reason: Reason, now: float) -> None:
        """End a request that waits no longer, with what a node last answered, if one did."""
        if not self._client.awaits(self):
            return  # a dispatch found it late, and the client left before the timer came round
        if self._fallback is None:
            self.refuse(reason)
        else:
            self._deliver_fallback(now)

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

    def client_closed(self, now: float) -> None:
        """Take note that the client sends no more: it has left, or ends what a switch of protocols began."""
        if not self.has_switched:
            self.client_gone(now)
            return
        if self._connection is not None:
            self._connection.finish(now)
            self._connection = None
        self._give_back(_NO_VERDICT, now)
        self._note_completed(SWITCHING_PROTOCOLS, self._backend.told_name, now)

    def withdraw(self) -> None:
        """Leave the line, as nobody waits for the answer; `client_closed` follows."""
        if self.state == WAITING:
            self._engine.scheduler.cancel(self)

    def client_gone(self, now: float) -> None:
        """End it: nobody waits for the answer. Its place in line and its node are free at once."""
        engine = self._engine
        if self._upload is not None:
            self.payload_bytes = self._upload.received_bytes
        engine.instrument.client_left(self.request_id, self.lane, self.tries, self.payload_bytes)
        self.withdraw()
        if self.state == RUNNING:
            self._drop_try(Source.CLIENT)

    def pause(self) -> None:
        """Take nothing more from the node: the client is slower."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self, now: float) -> None:
        """Take more from the node."""
        if self._connection is not None:
            self._connection.resume(now)

    # What the node's connection tells it

    def on_interim(self, head: ResponseHead) -> None:
        if self._head.minor == 1:
            self._client.write(interim_answer(head))

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        """Let both sides speak what they have agreed on, until one of them ends it."""
        connection = self._connection
        assert connection is not None
        self._keep_alive = False
        self._stream = AnswerStream(head.status, UNTIL_CLOSE, is_chunked=False)
        start = b"HTTP/1.1 %d %s\r\n%s" % (head.status, head.phrase, head.forwarded)
        own = added_fields(self._engine, self, head, self._try_at, now) + self._client.limit_fields
        self._client.write(b"%s%s\r\n" % (start, own))
        self._note_answering(now)
        self._heed_client()
        self._client.switch_protocols(connection)

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        self._connection = None
        outcome = self.outcome_of(head, body)
        if outcome.failed and self._may_go_on(outcome, now):
            before = self._fallback
            self._fallback = (head, body, self._backend.told_name)
            self._end_try(outcome, now)
            if len(body) > MAX_KEPT_ANSWER_BYTES and self._client.awaits(self):
                self._fallback = before  # there will be another one
        else:
            self._write(head, len(body), body, now)
            self._complete(outcome, now)

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        if head.status < 400:
            if self.may_be_node_error(head, body_bytes):
                self._held = HeldAnswer(head, body_bytes, is_failing=False)
            else:
                self._begin_answer(head, body_bytes, now)
                self._note_answering(now)
        elif self._may_go_on(self.outcome_of(head, b""), now):
            self._held = HeldAnswer(head, body_bytes, is_failing=True)
            assert self._connection is not None
            self._connection.limit_body(self.try_until(self._try_at))
        else:
            self._begin_answer(head, body_bytes, now)

    def on_body(self, data: bytes) -> None:
        held = self._held
        if held is None:
            self._write_part(data)
            return
        held.add(data)
        if not held.is_failing:
            if not self._engine.node_errors.may_become(held.start, held.text_bytes):
                self._let_go(held, self._engine.clock())
        elif held.size_bytes > MAX_KEPT_ANSWER_BYTES:
            assert self._connection is not None
            self._connection.abort()
            self._connection = None
            self._end_try(self.outcome_of(held.head, b""), self._engine.clock())

    def on_end(self, trailers: bytes, now: float) -> None:
        self._connection = None
        held = self._held
        if held is not None:
            if self.outcome_of(held.head, held.body()).failed:
                self._held = None
                self.on_answer(held.head, held.body(), now)
                return
            self._let_go(held, now)
        stream = self._stream
        assert stream is not None
        if stream.is_chunked:
            self._client.write(last_chunk(trailers))
        self._complete(_NO_VERDICT if self.has_switched else answered(stream.status, True), now)

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        self._connection = None
        if self.has_switched and reason in _OVER:
            self._complete(_NO_VERDICT, now)
            return
        if reason is Reason.NODE_TIMEOUT and self.is_out_of_time(now) and not self.has_good_head():
            self.run_out_of_time(phase, now)
            return
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
        until = self._try_at + self._engine.try_timeout_s
        if self._head.is_special:
            until = self.try_until(self._try_at)
        self._connection = self.start_on(self._backend, self, until, fresh)

    def _end_try(self, outcome: Outcome, now: float) -> None:
        """End a try that failed: back in line, or give up with the last thing a node said."""
        engine = self._engine
        self._held = None
        if self._stream is None and self._second is not None and self._second.is_running:
            self._take_over(outcome, now)
            engine.pump_later()
            return
        self._give_back(outcome, now)
        if self.state == WAITING:
            engine.wake_by(self.start_by)
        elif self._stream is not None:
            self._note_completed(self._stream.status, self._backend.told_name, now)
            self._client.cut(self._stream.until_close)
        elif self._fallback is not None:
            self._deliver_fallback(now)
        else:
            self.refuse(outcome.reason or Reason.NODE_BAD_ANSWER)

    def _complete(self, outcome: Outcome, now: float) -> None:
        """End a try whose answer has gone to the client."""
        if self._engine.scheduler.hedging is not None and (self.tries == 1 or self._second is not None):
            self._teach(now)
        self._give_back(outcome, now)
        self._note_completed(outcome.status, self._backend.told_name, now)
        self._client.exchange_done(self._keep_alive, now)

    def has_good_head(self) -> bool:
        """Return whether the answer of its try has begun as it should."""
        return self._stream is not None or (self._held is not None and not self._held.is_failing)

    def run_out_of_time(self, phase: Phase, now: float) -> None:
        """End it at the node, whose fault it is not that the client has no more time."""
        self._held = None
        self._drop_connection()
        self._give_back(Outcome(Source.CLIENT, phase, Reason.DEADLINE, 0, True, answering=False), now)
        self.expire(Reason.DEADLINE, now)

    # A second try beside the first

    @property
    def slow_lease(self) -> Lease | None:
        """The lease of the first try, as long as nothing is known of its answer."""
        return self._lease if self._stream is None and self._held is None else None

    def forget_second_try(self) -> None:
        """Take note that the second try has failed: the first one goes on."""
        self._second = None

    def give_up_first_try(self, now: float) -> None:
        """Go on with the second try alone, which has the better answer."""
        is_silent = self._held is None and not self.is_connecting
        if self._connection is not None:
            self._connection.abort()
        self._held = None
        self._teach(now)
        self._take_over(OUTRUN if is_silent else GIVEN_UP, now)

    def _take_over(self, outcome: Outcome, now: float) -> None:
        """End the first try with this outcome; the second one is the only one now."""
        second, lease = self._second, self._lease
        assert second is not None and second.lease is not None and lease is not None
        self._second = None
        self._lease, self._backend, self._connection = second.lease, second.backend, second.connection
        self._try_at = second.lease.started_at
        self._held = second.held
        if self._connection is not None:
            self._connection.hand_over(self)
        self._engine.scheduler.end_aside(lease, outcome, now)

    # The answer

    def _begin_answer(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        """Let the client see an answer whose body follows: no other one will come."""
        if self._second is not None:
            if self._second.is_running:
                self._teach(now)
            self._second.cancel(now)
            self._second = None
        minor = self._head.minor
        self._stream = stream = AnswerStream(head.status, body_bytes, is_chunked_to_client(body_bytes, minor))
        if stream.until_close:
            self._keep_alive = False
        self._write(head, body_bytes, b"", now)
        self._heed_client()
        if self._engine.scheduler.hedging is not None:
            self._engine.pump_later()  # the slot of a try that was given up for this one is free

    def _heed_client(self) -> None:
        """Read the node slowly from the start, if the client has not yet read what was sent to it before."""
        if self._client.is_slow:
            self.pause()

    def _let_go(self, held: HeldAnswer, now: float) -> None:
        """Let the client see an answer that was held: it is a good one."""
        self._held = None
        self._begin_answer(held.head, held.body_bytes, now)
        self._note_answering(now)
        if held.size_bytes:
            self._write_part(held.body())

    def _write_part(self, data: bytes) -> None:
        stream = self._stream
        assert stream is not None
        self._client.write(chunk(data) if stream.is_chunked else data)

    def _deliver_fallback(self, now: float) -> None:
        assert self._fallback is not None
        head, body, node = self._fallback
        self._write(head, len(body), body, now)
        self._note_completed(head.status, node, now)
        self._client.exchange_done(self._keep_alive, now)

    def _write(self, head: ResponseHead, body_bytes: int, body: bytes, now: float) -> None:
        """Send the client the head of the answer, and as much of its body as there is."""
        request = self._head
        if self._upload is not None and not self._upload.is_complete:
            self._keep_alive = False  # what is left of the request would be read as the next one
        client = self._client
        is_long = len(body) > SHORT_MAX_BYTES
        start = b"%s%s%s%s\r\n%s" % (
            answer_start(head, request.method, body_bytes, request.minor, request.is_rpc),
            added_fields(self._engine, self, head, self._try_at, now),
            client.limit_fields,
            connection_field(request.minor, self._keep_alive),
            b"" if is_long else body,
        )
        client.write(start)
        if is_long:
            client.write(body)

    def _note_completed(self, status: int, node: bytes, now: float) -> None:
        queue = self._engine.scheduler.queue
        self._engine.instrument.completed(
            self, self.request_id, self.payload_bytes, status, node, self._try_at, now, queue
        )
