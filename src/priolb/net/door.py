"""The door: who asks, in which lane, and whether at all."""

from __future__ import annotations

from priolb.core.classify import lane_of
from priolb.errors import Reason
from priolb.http.callers import Caller, Callers
from priolb.http.forwarding import Peer
from priolb.http.lane_function import LaneFunction
from priolb.http.messages import LocalResponse, RequestHead
from priolb.http.request import Request
from priolb.http.rules import NO_LANE, Rules


class Admission:
    """What was decided about a request at the door.

    Args:
        caller: who asks.
        lane: index of the lane that it goes to, or would have gone to.
        reason: why it is not let in.
        refusal: what it is answered then, None when it is let in.
    """

    __slots__ = ("caller", "lane", "reason", "refusal")

    def __init__(
        self,
        caller: Caller,
        lane: int,
        reason: Reason = Reason.QUEUE_FULL,
        refusal: LocalResponse | None = None,
    ) -> None:
        self.caller = caller
        self.lane = lane
        self.reason = reason
        self.refusal = refusal


class Door:
    """Looks at every request before it is taken up.

    Args:
        callers: knows who asks.
        rules: know which lane a request asks for; where they do not, the original's headers do.
        function: is asked before the rules, None for none.
    """

    __slots__ = ("_callers", "_function", "_rules")

    def __init__(self, callers: Callers, rules: Rules, function: LaneFunction | None = None) -> None:
        self._callers = callers
        self._rules = rules
        self._function = function

    def admit(self, head: RequestHead, peer: Peer, body: bytes, now: float) -> Admission:
        """Decide about a request.

        Args:
            head: its head.
            peer: the other end of the connection that it came by.
            body: its body, or what has come of a long one.
            now: monotonic seconds.
        """
        request = self.decide(head, peer, body)
        return Admission(request.caller, request.lane)

    def lane_by_head(self, head: RequestHead, peer: Peer) -> int:
        """Return the lane of a request whose body is still to come, NO_LANE when that hangs on the body."""
        return self.decide(head, peer, None).lane

    def decide(self, head: RequestHead, peer: Peer, body: bytes | None) -> Request:
        """Return a request with the lane that it goes to, and why; the arguments are those of `admit`.

        Without a body, its lane is NO_LANE when that hangs on the body.
        """
        request = Request(head, self._callers.caller_of(head, peer), body)
        wanted = NO_LANE
        if self._function is not None:
            wanted = self._function.lane_of(request)
        if wanted == NO_LANE:
            wanted = self._rules.lane_of(request)
        if wanted == NO_LANE:
            wanted = lane_of(head.known)
        request.ask(wanted)
        return request
