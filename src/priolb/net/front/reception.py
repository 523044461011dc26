"""What is decided about a request before it is taken up: whether it is let in, and in which lane it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from priolb.core.byte_budget import ByteBudget
from priolb.core.limits.limiter import Excess, Grant
from priolb.errors import Reason
from priolb.http.call_error import CallError
from priolb.http.last_stop import answer_of_last
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.http.rules import NO_LANE
from priolb.net.exchange.upload import Upload
from priolb.net.front.door import Door
from priolb.net.front.header_lane import header_lane
from priolb.net.front.limit_answers import Denial, answer_over_limit, denial_of, granted_fields, over_limit
from priolb.net.front.output import BUSY
from priolb.net.front.pipeline import Pipeline

if TYPE_CHECKING:
    from priolb.net.front.listener import Listener

MAX_LOCAL_BODY_BYTES: Final = 65536
NO_ROOM: Final = "no room for the body of the request"
# A long head is held as it goes to a node, with JSON-RPC and with any other body, and by single fields.
_COPIES_OF_HEAD: Final = 3
_QUEUE_FULL: Final = Reason.QUEUE_FULL  # to look up a member of an enumeration takes longer than to use it


class Reception(Pipeline):
    """A client connection as far as its requests are let in; whoever derives from it serves them.

    Args:
        listener: what took it, and what it shares with others.

    `limit_fields` are what the answer to its request, the last that was let in, tells of the limits of its
    sender, rendered.
    """

    __slots__ = (
        "_denial",
        "_grant",
        "_head",
        "_head_bytes",
        "_holds_more",
        "_is_local",
        "_is_upgrade",
        "limit_fields",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._head: RequestHead | None = None
        self._head_bytes: int = 0  # that count in the budget, as it is a long one
        self._is_local: bool = False  # whether this program answers it itself
        self._is_upgrade: bool = False
        self._holds_more: bool = False
        self._denial: Denial | None = None
        self._grant: Grant | None = None
        self.limit_fields: bytes = b""

    def answer(self, response: LocalResponse, now: float) -> None:
        """Send a whole answer of our own to the request under way."""
        raise NotImplementedError

    def answer_call(self, error: CallError, call_id: bytes, fields: bytes, now: float) -> None:
        """Answer the call under way with an error.

        Args:
            error: the error.
            call_id: its id, as it stands in the call.
            fields: further fields, rendered.
            now: monotonic seconds.
        """
        raise NotImplementedError

    def _answer_and_close(self, response: LocalResponse) -> None:
        """Answer a request that is not read to its end, and close: where the next one starts is unknown."""
        raise NotImplementedError

    def refuse(self, reason: Reason, lane: int, body: bytes, detail: str, now: float) -> None:
        """Answer the request under way in our own words, and take note of it.

        Args:
            reason: why.
            lane: index of its lane.
            body: as in `Refusals.answer`.
            detail: as there.
            now: monotonic seconds.
        """
        self._refuse_with(self._engine.refusals.answer(reason, body, detail), reason, lane, now)

    def refuse_overloaded(
        self, reason: Reason, lane: int, body: bytes, retry_after_s: int, now: float
    ) -> None:
        """Do the same when there is too much to do, so that it has to be cheap.

        Args:
            reason: why.
            lane: index of its lane.
            body: as in `Refusals.answer`.
            retry_after_s: when the client should come back, seconds.
            now: monotonic seconds.
        """
        engine, head = self._engine, self._head
        assert head is not None
        call_id = engine.refusals.call_id(body)
        if call_id:
            error = engine.refusals.overloaded(reason, retry_after_s)
            engine.instrument.refused(head.request_id, lane, error.reason, error.status, now)
            self.answer_call(error, call_id, self.limit_fields, now)
        else:
            response = engine.refusals.answer(reason, body, retry_after_s=retry_after_s)
            self._refuse_with(response, reason, lane, now)

    def _refuse_with(self, response: LocalResponse, reason: Reason, lane: int, now: float) -> None:
        engine, head = self._engine, self._head
        assert head is not None
        engine.refusals.add_fields(response, self.limit_fields)
        engine.instrument.refused(head.request_id, lane, reason.value, response.status, now)
        self.answer(response, now)

    def _is_wanted(self, head: RequestHead) -> bool:
        """Look at what a request asks for besides being forwarded; False when it has been refused."""
        engine = self._engine
        if self._listener.forwarding.is_loop(head):
            self._reject(Reason.LOOP)
            return False
        if head.max_forwards == 0:
            if head.body_bytes:
                self._reject(Reason.BAD_REQUEST, "a body that goes nowhere, as Max-Forwards is 0", 400)
                return False
            self._state = BUSY
            self.answer(answer_of_last(head), engine.clock())
            return False
        if head.long_bytes:
            held_bytes = _COPIES_OF_HEAD * head.long_bytes
            if not engine.body_budget.take(held_bytes):
                self._reject(Reason.QUEUE_FULL, "no room for the head of the request")
                return False
            self._head_bytes = held_bytes
            self._holds_more = True
        if head.upgrade:
            if 0 < engine.upgrades_max <= engine.upgrades:
                self._reject(Reason.UPGRADES_FULL)
                return False
            engine.upgrades += 1
            self._is_upgrade = True
            self._holds_more = True
        return True

    def _is_body_wanted(self, head: RequestHead, max_body_bytes: int, budget: ByteBudget) -> bool:
        """Look at what a head says of a body that is still to come; False when the request has been refused.

        Args:
            head: the head.
            max_body_bytes: longest body, 0 for no limit.
            budget: bounds the bytes held over all requests.
        """
        engine = self._engine
        body_bytes = head.body_bytes
        if 0 < max_body_bytes < body_bytes:
            self._reject(Reason.PAYLOAD_TOO_LARGE)
            return False
        if engine.door is not None and not self._is_local:
            excess = engine.door.excess_by_head(head, self._known_peer(), engine.clock())
            if excess is not None:
                self._answer_and_close(answer_over_limit(engine.refusals, excess, b""))
                return False
        if head.expects_continue and not self._waiting:
            # RFC 9110, section 10.1.1: what will be refused anyway shall not be uploaded first.
            reason = None if self._is_local else self._foreseen_refusal(head, body_bytes)
            has_room = budget.has_room(min(body_bytes, self._replay_max_bytes()))
            if reason is not None or not has_room:
                self._reject(reason or Reason.QUEUE_FULL, "" if reason is not None else NO_ROOM)
                return False
        return True

    def _replay_max_bytes(self) -> int:
        """Return how long a body may be that is collected, rather than passed on as it comes."""
        return MAX_LOCAL_BODY_BYTES if self._is_local else self._listener.replay_max_bytes

    def _let_in(
        self, head: RequestHead, body: bytes, upload: Upload | None, now: float
    ) -> tuple[int, bytes] | None:
        """Hold a request against the limits of its sender and of its lane.

        Args:
            head: its head.
            body: its body, empty when there is an upload.
            upload: its body that passes through, None for none.
            now: monotonic seconds.

        Returns:
            Its lane and its tenant; None when it has been refused.
        """
        engine = self._engine
        tenant = b""
        if engine.door is None:
            lane = header_lane(head)
        else:
            begun, body_bytes = body, len(body)
            if upload is not None:
                begun, body_bytes = upload.beginning(LOOKED_AT_BYTES), upload.longest_bytes
            denial = self._denial
            if denial is not None:
                call_id = denial.id_of(head, begun, now)
                if call_id:
                    self.answer_call(denial.error, call_id, b"", now)
                    return None
                self._denial = None
            admission = engine.door.admit(head, self._known_peer(), begun, body_bytes, now)
            if isinstance(admission, Excess):
                self._refuse_over_limit(engine.door, admission, head, begun, now)
                return None
            lane, tenant = admission.lane, admission.caller.tenant
            if admission.grant is not None:
                self._grant = admission.grant
                self.limit_fields = granted_fields(admission.grant)
                self._holds_more = True
        if upload is None and not self._listener.is_draining and engine.is_full(lane, len(body), tenant, now):
            retry_after_s = engine.scheduler.retry_after_s(lane, None, now)
            self.refuse_overloaded(_QUEUE_FULL, lane, body, retry_after_s, now)
            return None
        return lane, tenant

    def _refuse_over_limit(
        self, door: Door, excess: Excess, head: RequestHead, body: bytes, now: float
    ) -> None:
        """Answer the request under way, which is over a limit, and remember the answer if it stands."""
        engine = self._engine
        call_id = engine.refusals.call_id(body)
        if not call_id:
            self.answer(answer_over_limit(engine.refusals, excess, body), now)
            return
        error = over_limit(engine.refusals, excess)
        if not door.looks_closer:
            self._denial = denial_of(excess, head, error, now)
        self.answer_call(error, call_id, b"", now)

    def _foreseen_refusal(self, head: RequestHead, body_bytes: int) -> Reason | None:
        """Return why a request will be refused whose body is still to come, None when nobody knows."""
        engine = self._engine
        waiting_bytes = min(max(body_bytes, 0), self._listener.replay_max_bytes)
        if engine.door is None:
            return engine.refusal(header_lane(head), b"", waiting_bytes, head.timeout_s)
        request = engine.door.decide(head, self._known_peer(), None)
        if request.lane == NO_LANE:
            return None
        return engine.refusal(request.lane, request.caller.tenant, waiting_bytes, head.timeout_s)

    def _let_go_of_more(self) -> None:
        """Let go of what few requests hold: a place among upgrades, what counts in limits, a long head."""
        self._holds_more = False
        if self._head_bytes:
            self._engine.body_budget.give_back(self._head_bytes)
            self._head_bytes = 0
        if self._is_upgrade:
            self._is_upgrade = False
            self._engine.upgrades -= 1
        if self._grant is not None:
            self._grant.end()
            self._grant = None
