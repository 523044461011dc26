"""A second try of a request whose first one takes long: on another node, beside the first."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from priolb.core.nodes.node import Lease
from priolb.core.outcome import GIVEN_UP, Outcome, Phase, Source
from priolb.core.timers import Lapsing
from priolb.errors import Reason
from priolb.http.messages import ResponseHead
from priolb.net.exchange.answer import HeldAnswer
from priolb.net.exchange.sink import AnswerSink

if TYPE_CHECKING:
    from priolb.net.backend.backend import Backend
    from priolb.net.backend.connection import BackendConnection
    from priolb.net.engine import Engine
    from priolb.net.exchange.exchange import Exchange


class SecondTry(Lapsing, AnswerSink):
    """Waits for its time, and is then the sink of the second node's answer until that answer is good.

    The first good answer wins: from there on the exchange is the sink, of whichever connection that is.

    Args:
        exchange: whose request it is.
        engine: runs both.
        delay_s: how long the first try may take before there is a second one, seconds.

    `lease`, `backend` and `connection` are those of the second node; there is no backend before it runs.
    `held` is what has come of its answer, as long as that may be an error that means the node.
    """

    __slots__ = (
        "_delay_s",
        "_engine",
        "_exchange",
        "answer_by",
        "backend",
        "connection",
        "held",
        "lease",
        "method",
    )

    backend: Backend

    def __init__(self, exchange: Exchange, engine: Engine, delay_s: float) -> None:
        super().__init__()
        self._exchange = exchange
        self._engine = engine
        self._delay_s = delay_s
        self.method: bytes = exchange.method
        self.answer_by: float = exchange.answer_by
        self.lease: Lease | None = None
        self.connection: BackendConnection | None = None
        self.held: HeldAnswer | None = None

    @property
    def is_running(self) -> bool:
        """Whether the second node has the request."""
        return self.lease is not None

    def wait(self, now: float) -> None:
        """Begin when the first try has taken its time."""
        self.lapses_at = now + self._delay_s
        self._engine.watch(self)

    def on_lapse(self, now: float) -> None:
        """Begin, if there is a node and a budget for it; else see again later."""
        first = self._exchange.slow_lease
        if first is None:
            return
        self.lease = self._engine.scheduler.hedge(first, now)
        if self.lease is None:
            self.wait(now)
        else:
            self.backend = self._engine.backends[self.lease.node]
            self._send(self.lease, fresh=False)

    def cancel(self, now: float) -> None:
        """End it, because its exchange has ended."""
        self._engine.forget(self)
        if self.connection is not None:
            self.connection.abort()
        if self.lease is not None:
            self._engine.scheduler.end_aside(self.lease, GIVEN_UP, now)

    # What the node's connection tells it

    def on_interim(self, head: ResponseHead) -> None:
        """Nobody has decided yet for this node."""

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        raise AssertionError("a request for another protocol has no second try")

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        self.connection = None
        outcome = self._exchange.outcome_of(head, body)
        if outcome.failed:
            self._fail(outcome, now)
        else:
            self._exchange.give_up_first_try(now)
            self._exchange.on_answer(head, body, now)

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        if head.status >= 400:
            assert self.connection is not None
            self.connection.abort()
            self._fail(self._exchange.outcome_of(head, b""), now)
        elif self._exchange.may_be_node_error(head, body_bytes):
            self.held = HeldAnswer(head, body_bytes, is_failing=False)
        else:
            self._exchange.give_up_first_try(now)
            self._exchange.on_head(head, body_bytes, now)

    def on_body(self, data: bytes) -> None:
        held = self.held
        assert held is not None
        held.add(data)
        if not self._engine.node_errors.may_become(held.start, held.text_bytes):
            self._win(held, self._engine.clock())

    def on_end(self, trailers: bytes, now: float) -> None:
        held = self.held
        assert held is not None
        self.connection = None
        outcome = self._exchange.outcome_of(held.head, held.body())
        if outcome.failed:
            self._fail(outcome, now)
        else:
            self._win(held, now)
            self._exchange.on_end(trailers, now)

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        exchange = self._exchange
        if reason is Reason.NODE_TIMEOUT and exchange.is_out_of_time(now) and not exchange.has_good_head():
            self.connection = None
            exchange.run_out_of_time(phase, now)
            return
        self._fail(Outcome(Source.NODE, phase, reason, 0, phase is not Phase.CONNECT, answering=False), now)

    def on_stale(self) -> None:
        # The node may have been removed meanwhile, and what it has in flight goes on.
        assert self.lease is not None
        self._send(self.lease, fresh=True)

    def _win(self, held: HeldAnswer, now: float) -> None:
        """Let the exchange go on with the answer that was held."""
        exchange = self._exchange
        self.held = None
        exchange.give_up_first_try(now)
        exchange.on_head(held.head, held.body_bytes, now)
        if held.size_bytes:
            exchange.on_body(held.body())

    def _send(self, lease: Lease, fresh: bool) -> None:
        until = self._exchange.try_until(lease.started_at)
        self.connection = self._exchange.start_on(self.backend, self, until, fresh)

    def _fail(self, outcome: Outcome, now: float) -> None:
        assert self.lease is not None
        self._exchange.forget_second_try()
        self._engine.scheduler.end_aside(self.lease, outcome, now)
        self._engine.pump_later()


def plan_second_try(exchange: Exchange, engine: Engine, delay_s: float, now: float) -> SecondTry | None:
    """Return what waits to try a second time; None when the first try may take all its time.

    Args:
        exchange: the request, whose first try has begun.
        engine: runs it.
        delay_s: as in `SecondTry`, infinite for never.
        now: monotonic seconds.
    """
    if delay_s == inf:
        return None
    second = SecondTry(exchange, engine, delay_s)
    second.wait(now)
    return second
