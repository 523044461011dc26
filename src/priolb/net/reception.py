"""What is decided about a request before it is taken up: whether it is let in, and in which lane it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from priolb.core.queueing.classify import lane_of
from priolb.core.quotas.limiter import Excess
from priolb.errors import Reason
from priolb.http.last_stop import answer_of_last
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.http.rules import NO_LANE
from priolb.net.client import BUSY
from priolb.net.pipeline import Pipeline
from priolb.net.quota import Denial, denial_of, granted_fields, over_limit
from priolb.net.upload import Upload

if TYPE_CHECKING:
    from priolb.net.listener import Listener

_QUEUE_FULL: Final = Reason.QUEUE_FULL  # to look up a member of an enumeration takes longer than to use it


class Reception(Pipeline):
    """A client connection as far as its requests are let in; whoever derives from it serves them.

    Args:
        listener: what took it, and what it shares with others.
    """

    __slots__ = ("_denial", "_holds_more", "_is_upgrade")

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._is_upgrade: bool = False
        self._holds_more: bool = False
        self._denial: Denial | None = None

    def answer(self, response: LocalResponse, now: float) -> None:
        """Send a whole answer of our own to the request under way."""
        raise NotImplementedError

    def _is_wanted(self, head: RequestHead) -> bool:
        """Look at what a request asks for besides being forwarded; False when it has been refused."""
        engine = self._engine
        if self._listener.forwarding.is_loop(head):
            self._refuse(Reason.LOOP)
            return False
        if head.max_forwards == 0:
            if head.body_bytes:
                self._refuse(Reason.BAD_REQUEST, "a body that goes nowhere, as Max-Forwards is 0", 400)
                return False
            self._state = BUSY
            self.answer(answer_of_last(head), engine.clock())
            return False
        if head.upgrade:
            if 0 < engine.upgrades_max <= engine.upgrades:
                self._refuse(Reason.UPGRADES_FULL)
                return False
            engine.upgrades += 1
            self._is_upgrade = True
            self._holds_more = True
        return True

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
            lane = lane_of(head.known)
        else:
            begun = body if upload is None else upload.beginning(LOOKED_AT_BYTES)
            if self._denial is not None:
                response = self._denial.again(head, begun, now)
                if response is not None:
                    self.answer(response, now)
                    return None
                self._denial = None
            admission = engine.door.admit(head, self._known_peer(), begun, now)
            if isinstance(admission, Excess):
                if not engine.door.looks_closer:
                    self._denial = denial_of(engine.refusals, admission, head, now)
                self.answer(over_limit(engine.refusals, admission, begun), now)
                return None
            lane, tenant = admission.lane, admission.caller.tenant
            if admission.grant is not None:
                self._grant = admission.grant
                self.limit_fields = granted_fields(admission.grant)
                self._holds_more = True
        if (
            upload is None
            and not self._listener.is_draining
            and engine.scheduler.is_full(lane, len(body), tenant)
        ):
            fields = self.limit_fields
            retry_after_s = engine.scheduler.retry_after_s(lane, None, now)
            response = engine.overloaded(_QUEUE_FULL, retry_after_s, lane, head.request_id, body, fields, now)
            self.answer(response, now)
            return None
        return lane, tenant

    def _foreseen_refusal(self, head: RequestHead, body_bytes: int) -> Reason | None:
        """Return why a request will be refused whose body is still to come, None when nobody knows."""
        engine = self._engine
        waiting_bytes = min(max(body_bytes, 0), self._listener.replay_max_bytes)
        if engine.door is None:
            return engine.refusal(lane_of(head.known), b"", waiting_bytes, head.timeout_s)
        request = engine.door.decide(head, self._known_peer(), None)
        if request.lane == NO_LANE:
            return None
        return engine.refusal(request.lane, request.caller.tenant, waiting_bytes, head.timeout_s)

    def _let_go_of_more(self) -> None:
        """Let go of what only few requests hold: a place among upgrades, and what counts in limits."""
        self._holds_more = False
        if self._is_upgrade:
            self._is_upgrade = False
            self._engine.upgrades -= 1
        if self._grant is not None:
            self._grant.end()
            self._grant = None
