"""The door: who asks, in which lane, and whether at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from priolb.core.classify import lane_of
from priolb.core.costs import Calls
from priolb.core.limiter import Excess, Grant, Limiter
from priolb.http.callers import Caller, Callers
from priolb.http.forwarding import Peer
from priolb.http.messages import RequestHead
from priolb.http.request import Request
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.http.rules import NO_LANE, Rules

_NO_CALLS: Final = Calls(())


class Admission:
    """What was decided about a request at the door.

    Args:
        caller: who asks.
        lane: index of the lane that it goes to, or would have gone to.
        grant: what it counts for in limits, None when there are no limits, or it is not let in.
        excess: why it is not let in, None when it is.
    """

    __slots__ = ("caller", "excess", "grant", "lane")

    def __init__(
        self, caller: Caller, lane: int, grant: Grant | None = None, excess: Excess | None = None
    ) -> None:
        self.caller = caller
        self.lane = lane
        self.grant = grant
        self.excess = excess


class Door:
    """Looks at every request before it is taken up.

    Args:
        callers: knows who asks.
        rules: know which lane a request asks for; where they do not, the original's headers do.
        lanes: names of the lanes.
        limiter: holds requests against the limits of their callers, None for none.
    """

    __slots__ = ("_callers", "_lanes", "_limiter", "_rules")

    def __init__(
        self, callers: Callers, rules: Rules, lanes: Sequence[str] = (), limiter: Limiter | None = None
    ) -> None:
        self._callers = callers
        self._rules = rules
        self._lanes: tuple[bytes, ...] = tuple([name.encode() for name in lanes])
        self._limiter = limiter

    def admit(self, head: RequestHead, peer: Peer, body: bytes, now: float) -> Admission:
        """Decide about a request.

        Args:
            head: its head.
            peer: the other end of the connection that it came by.
            body: its body, or what has come of a long one.
            now: monotonic seconds.
        """
        caller = self._callers.caller_of(head, peer)
        request = Request(head, caller, body)
        lane = caller.lane_for(self._wanted(request))
        limiter = self._limiter
        if limiter is None:
            return Admission(caller, lane)
        calls = calls_of(request) if limiter.reads_methods else _NO_CALLS
        answer = limiter.admit(caller, self._lanes[lane], calls, now)
        if isinstance(answer, Excess):
            return Admission(caller, lane, excess=answer)
        return Admission(caller, lane, answer)

    def excess_by_head(self, head: RequestHead, peer: Peer, now: float) -> Excess | None:
        """Return why a request is not let in, whatever its body will be; None when that hangs on it."""
        if self._limiter is None:
            return None
        return self._limiter.refuses(self._callers.caller_of(head, peer), now)

    def lane_by_head(self, head: RequestHead, peer: Peer) -> int:
        """Return the lane of a request whose body is still to come, NO_LANE when that hangs on the body."""
        caller = self._callers.caller_of(head, peer)
        lane = self._wanted(Request(head, caller, body=None))
        return NO_LANE if lane < 0 else caller.lane_for(lane)

    def _wanted(self, request: Request) -> int:
        """Return the lane that a request asks for; less than 0 when that hangs on a body still to come."""
        lane = self._rules.lane_of(request)
        return lane_of(request.head.known) if lane == NO_LANE else lane


def calls_of(request: Request) -> Calls:
    """Return what a request asks for, as far as its beginning tells.

    Of a batch that is longer than what is looked at, the rest counts as if it were the same again and again.
    Of a single call, the method counts that it has named by then; when it has named none, any may follow.
    """
    head, body, rpc = request.head, request.body or b"", request.rpc()
    if rpc is None:
        return Calls((head.method,))
    if not rpc.is_batch:
        return Calls(rpc.names, is_all=bool(rpc.names))
    times = -(-max(head.body_bytes, len(body)) // LOOKED_AT_BYTES)
    return Calls(rpc.names, rpc.is_all or (times > 1 and bool(rpc.names)), times)
