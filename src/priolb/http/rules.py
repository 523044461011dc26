"""Rules: which lane a request asks for."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from priolb.http.addresses import Networks
from priolb.http.fields import FieldFinder
from priolb.http.request import Request
from priolb.http.rpc_methods import RpcMethods

# Instead of a lane
NO_LANE: Final = -1
BODY_DECIDES: Final = -2  # and it has not come yet


class Patterns:
    """Names, or how several begin: a `*` at the end stands for any rest.

    Args:
        patterns: the names and beginnings.
    """

    __slots__ = ("_names", "_starts")

    def __init__(self, patterns: Sequence[bytes]) -> None:
        self._names: frozenset[bytes] = frozenset([each for each in patterns if not each.endswith(b"*")])
        self._starts: tuple[bytes, ...] = tuple([each[:-1] for each in patterns if each.endswith(b"*")])

    def fit(self, name: bytes) -> bool:
        """Return whether one of them stands for this name."""
        return name in self._names or name.startswith(self._starts)

    def fit_rpc(self, rpc: RpcMethods) -> bool:
        """Return whether they stand for the method that is called, or for those of all calls of a batch.

        Of a single call that is longer than what is looked at, the methods count that it has named by then.
        """
        if not rpc.names or (rpc.is_batch and not rpc.is_all):
            return False
        return all(self.fit(name) for name in rpc.names)


class Rule:
    """Conditions, and the lane of requests for which all of them hold.

    Args:
        lanes: index of the lane for each urgency of RFC 9218, NO_LANE where the rule does not fit; or of one
            lane for all.
        field: finds a field that the request must have, None for none.
        value: the value which that must have, None for any.
        paths: what the path must be, None for anything.
        http_methods: methods of HTTP that it may have, empty for any.
        rpc_methods: what the methods of JSON-RPC must be that it calls, None for anything.
        networks: networks that the client may be in, empty for any.
        keys: names of the API keys that it may have, empty for any or none.
    """

    __slots__ = (
        "_field",
        "_http_methods",
        "_keys",
        "_lanes",
        "_networks",
        "_paths",
        "_rpc_methods",
        "_value",
    )

    def __init__(
        self,
        lanes: Sequence[int],
        *,
        field: FieldFinder | None = None,
        value: bytes | None = None,
        paths: Patterns | None = None,
        http_methods: frozenset[bytes] = frozenset(),
        rpc_methods: Patterns | None = None,
        networks: Sequence[IPv4Network | IPv6Network] = (),
        keys: frozenset[bytes] = frozenset(),
    ) -> None:
        self._lanes: tuple[int, ...] = tuple(lanes)
        self._field = field
        self._value = value
        self._paths = paths
        self._http_methods = http_methods
        self._rpc_methods = rpc_methods
        self._networks: Networks | None = Networks(networks) if networks else None
        self._keys = keys

    def lane_of(self, request: Request) -> int:
        """Return the lane of a request if all conditions hold, else NO_LANE or BODY_DECIDES."""
        if not self._head_fits(request):
            return NO_LANE
        lanes = self._lanes
        lane = lanes[0] if len(lanes) == 1 else lanes[request.urgency()]
        if lane != NO_LANE and self._rpc_methods is not None:
            if request.body is None:
                return BODY_DECIDES
            rpc = request.rpc()
            if rpc is None or not self._rpc_methods.fit_rpc(rpc):
                return NO_LANE
        return lane

    def _head_fits(self, request: Request) -> bool:
        """Return whether all conditions hold that the head and the caller decide."""
        head, caller = request.head, request.caller
        if self._http_methods and head.method not in self._http_methods:
            return False
        if self._paths is not None and not self._paths.fit(head.path):
            return False
        if self._keys and caller.key not in self._keys:
            return False
        if self._field is not None:
            value = request.field(self._field)
            if not value or (self._value is not None and value != self._value):
                return False
        return self._networks is None or self._networks.around(caller.ip) >= 0


class Rules:
    """All rules: the first one that fits says which lane a request asks for.

    Args:
        rules: the rules.
        default: the lane of requests that none fits, or NO_LANE.

    `decide` says whether there is any request whose lane they know.
    """

    __slots__ = ("_default", "_rules", "decide")

    def __init__(self, rules: Sequence[Rule], default: int) -> None:
        self._rules: tuple[Rule, ...] = tuple(rules)
        self._default = default
        self.decide: bool = bool(rules) or default != NO_LANE

    def lane_of(self, request: Request) -> int:
        """Return the lane that a request asks for, NO_LANE or BODY_DECIDES; notes the rule in the request."""
        for index, rule in enumerate(self._rules):
            lane = rule.lane_of(request)
            if lane != NO_LANE:
                request.rule = index
                return lane
        return self._default
