"""The door: who asks, in which lane, and whether at all."""

from __future__ import annotations

from typing import Final

from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import Excess, Grant, Limiter
from priolb.http.callers import Caller, Callers
from priolb.http.forwarding import Peer
from priolb.http.lane_function import LaneFunction
from priolb.http.messages import RequestHead
from priolb.http.request import Request
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.http.rules import NO_LANE, Rules
from priolb.net.front.header_lane import header_lane

_NO_CALLS: Final = Calls(())


class Admitted:
    """How a request is let in.

    Args:
        caller: who asks.
        lane: index of the lane that it goes to.
        grant: what it counts for in limits, None when there are no limits.
    """

    __slots__ = ("caller", "grant", "lane")

    def __init__(self, caller: Caller, lane: int, grant: Grant | None = None) -> None:
        self.caller = caller
        self.lane = lane
        self.grant = grant


class Door:
    """Looks at every request before it is taken up.

    Args:
        callers: knows who asks.
        rules: know which lane a request asks for; where they do not, the original's headers do.
        function: is asked before the rules, None for none.
        limiter: holds requests against the limits of their callers, None for none.

    `looks_closer` says that more of a request matters than its caller and the original's headers.
    """

    __slots__ = ("_callers", "_function", "_limiter", "_rules", "looks_closer")

    def __init__(
        self,
        callers: Callers,
        rules: Rules,
        function: LaneFunction | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self._callers = callers
        self._rules = rules
        self._function = function
        self._limiter = limiter
        self.looks_closer: bool = (
            function is not None or rules.decide or (limiter is not None and limiter.reads_methods)
        )

    def admit(
        self, head: RequestHead, peer: Peer, body: bytes, body_bytes: int, now: float
    ) -> Admitted | Excess:
        """Let a request in, or return why not.

        Args:
            head: its head.
            peer: the other end of the connection that it came by.
            body: its body, or what has come of a long one.
            body_bytes: how long that is, or may become.
            now: monotonic seconds.
        """
        limiter, calls = self._limiter, _NO_CALLS
        if self.looks_closer:
            request = self.decide(head, peer, body, body_bytes)
            caller, lane = request.caller, request.lane
            if limiter is not None and limiter.reads_methods:
                calls = calls_of(request)
        else:
            caller = self._callers.caller_of(head, peer)
            lane = caller.lane_for(header_lane(head))
        if limiter is None:
            return Admitted(caller, lane)
        answer = limiter.admit(caller, lane, calls, now)
        if isinstance(answer, Excess):
            return answer
        return Admitted(caller, lane, answer)

    def excess_by_head(self, head: RequestHead, peer: Peer, now: float) -> Excess | None:
        """Return why a request is not let in, whatever its body will be; None when that depends on it."""
        if self._limiter is None:
            return None
        return self._limiter.refuses(self._callers.caller_of(head, peer), now)

    def decide(self, head: RequestHead, peer: Peer, body: bytes | None, body_bytes: int = 0) -> Request:
        """Return a request with the lane that it goes to, and why; the arguments are those of `admit`.

        Without a body, its lane is NO_LANE when that depends on the body.
        """
        caller = self._callers.caller_of(head, peer)
        request = Request(head, caller, body, body_bytes, peer.is_trusted)
        wanted = NO_LANE
        if self._function is not None:
            wanted = self._function.lane_of(request)
        if wanted == NO_LANE:
            wanted = self._rules.lane_of(request)
        if wanted == NO_LANE:
            wanted = header_lane(head)
        request.ask(wanted)
        return request


def calls_of(request: Request) -> Calls:
    """Return what a request asks for, as limits count it, as far as its beginning tells.

    Of a batch that is longer than what is looked at, the rest counts as if it were the same again and again,
    for as long as it may become. Of a single call, the method counts that it has named by then; when it has
    named none, any may follow.
    """
    rpc = request.rpc()
    if rpc is None:
        return Calls((request.head.method,))
    if not rpc.is_batch:
        return Calls(rpc.names, is_all=bool(rpc.names))
    times = -(-request.body_bytes // LOOKED_AT_BYTES)
    return Calls(rpc.names, rpc.is_all or (times > 1 and bool(rpc.names)), times)
