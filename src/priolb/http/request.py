"""A request as rules see it, and the functions of users that choose lanes."""

from __future__ import annotations

from typing import Final

from priolb.http.callers import Caller
from priolb.http.fields import FieldFinder
from priolb.http.messages import RequestHead
from priolb.http.rpc_methods import RpcMethods, methods_in
from priolb.http.urgency import urgency_of

# Of a body with a content coding nobody can tell without undoing that which methods it calls, nor how many.
_CODED: Final = RpcMethods([], is_batch=True, is_all=False)

# Instead of a rule
NO_RULE: Final = -1
BY_FUNCTION: Final = -2


class Request:
    """A request whose lane is to be chosen.

    Args:
        head: its head.
        caller: who asks.
        body: its body; of a long one the beginning, None when none of it has come yet.
        body_bytes: how long the body is, or may become; 0 when that is what the head says, or has come.
        is_by_proxy: whether it comes by a proxy that is trusted, whose claims are believed.

    `lane` is the one that it goes to, and `wanted` the one that it asks for, which its caller may not use;
    both are less than 0 until they are known. `rule` is the index of the rule that has chosen, or NO_RULE or
    BY_FUNCTION.
    """

    __slots__ = (
        "_is_by_proxy",
        "_is_read",
        "_rpc",
        "body",
        "body_bytes",
        "caller",
        "head",
        "lane",
        "rule",
        "wanted",
    )

    def __init__(
        self,
        head: RequestHead,
        caller: Caller,
        body: bytes | None,
        body_bytes: int = 0,
        is_by_proxy: bool = False,
    ) -> None:
        self.head = head
        self._is_by_proxy = is_by_proxy
        self.caller = caller
        self.body = body
        self.body_bytes = max(head.body_bytes, body_bytes, len(body) if body else 0)
        self.lane: int = -1
        self.wanted: int = -1
        self.rule: int = NO_RULE
        self._is_read: bool = False
        self._rpc: RpcMethods | None = None

    def ask(self, lane: int) -> None:
        """Ask for a lane; less than 0 when that depends on a body that has not come."""
        self.wanted = lane
        self.lane = -1 if lane < 0 else self.caller.lane_for(lane)

    def field(self, finder: FieldFinder) -> bytes:
        """Return the value of a field, empty when there is none, or when it is a claim of a stranger."""
        if finder.is_claim and not self._is_by_proxy:
            return b""
        return finder.value_in(self.head).strip(b" \t")

    def rpc(self) -> RpcMethods | None:
        """Return which methods of JSON-RPC its body calls, None when that is no JSON-RPC."""
        if not self._is_read:
            self._is_read = True
            if self.body:
                self._rpc = _CODED if b"content-encoding" in self.head.known else methods_in(self.body)
        return self._rpc

    def urgency(self) -> int:
        """Return its urgency by RFC 9218, 0 to 7."""
        return urgency_of(self.head.known.get(b"priority", b""))
