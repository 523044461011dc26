"""Rules: which lane a request asks for."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from priolb.http.callers import Caller, is_within
from priolb.http.fields import FieldFinder
from priolb.http.messages import RequestHead


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


class Rule:
    """Conditions, and the lane of requests for which all of them hold.

    Args:
        lane: index of the lane.
        field: finds a field that the request must have, None for none.
        value: the value which that must have, None for any.
        paths: what the path must be, None for anything.
        methods: methods of HTTP that it may have, empty for any.
        networks: networks that the client may be in, empty for any.
        keys: names of the API keys that it may have, empty for any or none.
    """

    __slots__ = ("_field", "_keys", "_methods", "_networks", "_paths", "_value", "lane")

    def __init__(
        self,
        lane: int,
        *,
        field: FieldFinder | None = None,
        value: bytes | None = None,
        paths: Patterns | None = None,
        methods: frozenset[bytes] = frozenset(),
        networks: Sequence[IPv4Network | IPv6Network] = (),
        keys: frozenset[bytes] = frozenset(),
    ) -> None:
        self.lane: int = lane
        self._field = field
        self._value = value
        self._paths = paths
        self._methods = methods
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(networks)
        self._keys = keys

    def fits(self, head: RequestHead, caller: Caller) -> bool:
        """Return whether all conditions hold."""
        if self._methods and head.method not in self._methods:
            return False
        if self._paths is not None and not self._paths.fit(head.path):
            return False
        if self._keys and caller.key not in self._keys:
            return False
        if self._field is not None:
            value = self._field.value_in(head).rstrip(b" \t")
            if not value or (self._value is not None and value != self._value):
                return False
        return not self._networks or is_within(caller.ip, self._networks)


class Rules:
    """All rules: the first one that fits says which lane a request asks for.

    Args:
        rules: the rules.
        default: the lane of requests that none fits, -1 for none.
    """

    __slots__ = ("_default", "_rules")

    def __init__(self, rules: Sequence[Rule], default: int) -> None:
        self._rules: tuple[Rule, ...] = tuple(rules)
        self._default = default

    def first(self, head: RequestHead, caller: Caller) -> int:
        """Return the index of the first rule that fits, -1 for none."""
        for index, rule in enumerate(self._rules):
            if rule.fits(head, caller):
                return index
        return -1

    def lane(self, rule: int) -> int:
        """Return the lane of requests whose first rule is this one, -1 for none."""
        return self._rules[rule].lane if rule >= 0 else self._default
