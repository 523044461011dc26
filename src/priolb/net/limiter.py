"""Limits of callers: who may ask for how much, and what he is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

from priolb.core.rate_limits import Limit, RateLimit
from priolb.http.costs import Costs
from priolb.http.rate_limit_fields import policy_item, service_item, whole_seconds

# Whose requests count together
BY_NETWORK: Final = 0
BY_STRANGER: Final = 1
BY_KEY: Final = 2
BY_LANE: Final = 3

NO_LANE: Final = -1

_ADDRESSES_REMEMBERED: Final = 4096
_IPV4_BITS: Final = 32
_IPV6_BITS: Final = 128


class LimitRule:
    """A limit, and whose requests it concerns.

    Args:
        limit: the limit.
        by: whose requests count together: BY_NETWORK, BY_STRANGER (by network those without a key), BY_KEY or
            BY_LANE.
        only: names of the keys or lanes that it concerns; empty for all.
        ipv4_bits: length of the prefix that tells networks apart.
        ipv6_bits: the same of IPv6.
        costs: what requests count for; None for 1 each.
        quota: what it allows in its window, or at a time.
        is_dry: it counts, and refuses nobody.

    `last_refused` is who was last refused, or would have been.
    """

    __slots__ = (
        "by",
        "costs",
        "ipv4_bits",
        "ipv6_bits",
        "is_dry",
        "is_told",
        "last_refused",
        "limit",
        "only",
        "policy",
    )

    def __init__(
        self,
        limit: Limit,
        by: int,
        only: frozenset[bytes],
        ipv4_bits: int,
        ipv6_bits: int,
        costs: Costs | None,
        quota: int,
        is_dry: bool,
    ) -> None:
        self.limit = limit
        self.by = by
        self.only = only
        self.ipv4_bits = ipv4_bits
        self.ipv6_bits = ipv6_bits
        self.costs = costs
        self.is_dry = is_dry
        # What is left of a lane tells of the others in it, and how to fill it.
        self.is_told: bool = not is_dry and by != BY_LANE
        window_s = limit.window_s if isinstance(limit, RateLimit) else 0
        self.policy: bytes = policy_item(limit.name, quota, window_s)
        self.last_refused: bytes = b""

    def whose(self, address: str, key: bytes, lane: bytes) -> bytes:
        """Return with whose requests one from there counts; empty when the limit does not concern it."""
        by = self.by
        if by == BY_NETWORK or (by == BY_STRANGER and not key):
            return network_of(address, self.ipv4_bits, self.ipv6_bits)
        name = b""
        if by == BY_KEY:
            name = key
        elif by == BY_LANE:
            name = lane
        return name if not self.only or name in self.only else b""


class Grant:
    """What a request counts for while it is under way.

    Args:
        fields: what its answer tells of the limits of its sender, rendered.
        held: what to tell of its end, and whose it is.
    """

    __slots__ = ("_held", "fields")

    def __init__(self, fields: bytes, held: list[tuple[Limit, bytes]]) -> None:
        self.fields = fields
        self._held = held

    def end(self) -> None:
        """Take note that the request is over."""
        for limit, who in self._held:
            limit.end(who)
        self._held = []


class Excess:
    """Why a request is over a limit of its sender.

    Args:
        policy: name of the limit.
        wait_s: seconds after which it would be within it, 0 for never.
        fields: as in `Grant`.
    """

    __slots__ = ("fields", "policy", "wait_s")

    def __init__(self, policy: str, wait_s: int, fields: bytes) -> None:
        self.policy = policy
        self.wait_s = wait_s
        self.fields = fields


class _Count:
    """What a request came to in one limit."""

    __slots__ = ("cost", "level", "rule", "who")

    def __init__(self, rule: LimitRule, who: bytes, cost: int, level: int) -> None:
        self.rule = rule
        self.who = who
        self.cost = cost
        self.level = level

    @property
    def is_over(self) -> bool:
        return self.level > self.rule.limit.most


class Limiter:
    """Holds every request against the limits that concern it: it counts in all of them, or in none.

    Args:
        rules: the limits.

    `reads_methods` says that what requests count for hangs on their JSON-RPC methods.
    """

    __slots__ = ("reads_methods", "rules")

    def __init__(self, rules: Sequence[LimitRule]) -> None:
        self.rules: tuple[LimitRule, ...] = tuple(rules)
        self.reads_methods: bool = any(rule.costs is not None for rule in rules)

    def admit(
        self, address: str, key: bytes, lane: bytes, methods: Sequence[bytes], is_all: bool, now: float
    ) -> Grant | Excess:
        """Count a request, unless that is over a limit.

        Args:
            address: address of the client, empty when it has none.
            key: name of its key, empty when it has none.
            lane: name of the lane.
            methods: see `Costs.of`; they matter only when it `reads_methods`.
            is_all: see `Costs.of`.
            now: monotonic seconds.
        """
        counts: list[_Count] = []
        worst: _Count | None = None
        now_ns = int(now * 1e9)
        for rule in self.rules:
            who = rule.whose(address, key, lane)
            if not who:
                continue
            cost = 1 if rule.costs is None else rule.costs.of(methods, is_all)
            count = _Count(rule, who, cost, rule.limit.take(who, cost, now_ns))
            if count.is_over:
                rule.last_refused = who
                if rule.is_dry:
                    continue
                if worst is None or _wait_s(count) > _wait_s(worst):
                    worst = count
            counts.append(count)
        if worst is None:
            held = [(count.rule.limit, count.who) for count in counts]
            return Grant(_fields(counts, is_granted=True), held)
        _take_back(counts)
        wait_s = _wait_s(worst) if worst.rule.limit.can_pass(worst.cost) else 0
        return Excess(worst.rule.limit.name, wait_s, _fields(counts, is_granted=False))

    def refuses(self, address: str, key: bytes, now: float) -> Excess | None:
        """Return why any request of a client would be over a limit now; None when that hangs on the request.

        Nothing is counted. The arguments are those of `admit`.
        """
        counts: list[_Count] = []
        excess: Excess | None = None
        now_ns = int(now * 1e9)
        for rule in self.rules:
            who = b"" if rule.is_dry else rule.whose(address, key, b"")
            if not who:
                continue
            cost = 1 if rule.costs is None else rule.costs.least
            count = _Count(rule, who, cost, rule.limit.take(who, cost, now_ns))
            counts.append(count)
            if count.is_over:
                rule.last_refused = who
                excess = Excess(rule.limit.name, _wait_s(count), _fields([count], is_granted=False))
                break
        _take_back(counts)
        return excess


def _wait_s(count: _Count) -> int:
    return whole_seconds(count.rule.limit.wait_ns(count.level))


def _take_back(counts: list[_Count]) -> None:
    for count in counts:
        if not count.is_over:
            count.rule.limit.take_back(count.who, count.cost)


def _fields(counts: list[_Count], is_granted: bool) -> bytes:
    """Return RateLimit-Policy and RateLimit, empty when there is nothing to tell."""
    policies, services = b"", b""
    for count in counts:
        if not count.rule.is_told:
            continue
        limit = count.rule.limit
        level = count.level if is_granted else limit.before(count.level, count.cost)
        service = service_item(limit.name, limit.left(level), limit.renewal_ns(level))
        policies = b"%s, %s" % (policies, count.rule.policy) if policies else count.rule.policy
        services = b"%s, %s" % (services, service) if services else service
    if not policies:
        return b""
    return b"RateLimit-Policy: %s\r\nRateLimit: %s\r\n" % (policies, services)


@lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def network_of(address: str, ipv4_bits: int, ipv6_bits: int) -> bytes:
    """Return the network that an address is in, `address/bits` or the address alone where that is all of it.

    Args:
        address: the address, empty for one that has none.
        ipv4_bits: length of the prefix of an IPv4 address.
        ipv6_bits: length of the prefix of an IPv6 address, unless that stands for one of IPv4.
    """
    if not address:
        return b"unknown"
    if ipv4_bits == _IPV4_BITS and ":" not in address:
        return address.encode()  # as mostly
    known = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address):
        known = known.ipv4_mapped or known
    bits, most = (ipv6_bits, _IPV6_BITS) if isinstance(known, IPv6Address) else (ipv4_bits, _IPV4_BITS)
    if bits == most:
        return str(known).encode()
    number = int(known) >> (most - bits) << (most - bits)
    return b"%s/%d" % (str(type(known)(number)).encode(), bits)
