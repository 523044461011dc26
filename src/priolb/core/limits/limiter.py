"""Limits of callers: who may ask for how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from priolb.core.limits.costs import Calls, Costs
from priolb.core.limits.rate_limits import Limit

# Whose requests count together
BY_NETWORK: Final = 0
BY_ANONYMOUS: Final = 1
BY_KEY: Final = 2
BY_LANE: Final = 3

# Of the prefix that a sender has already
_USUAL_IPV4_BITS: Final = 32
_USUAL_IPV6_BITS: Final = 64


class Sender(Protocol):
    """Who sends requests.

    `prefix` is its address, or the /64 of IPv6 that this is in; `key` the name of its API key, empty without
    one.
    """

    key: bytes
    prefix: bytes

    def network_of(self, ipv4_bits: int, ipv6_bits: int) -> bytes:
        """Return the network with a prefix of such a length that it is in; `prefix` when it has no address.

        Args:
            ipv4_bits: length of the prefix of an IPv4 address.
            ipv6_bits: length of the prefix of an IPv6 address.
        """


class LimitRule:
    """A limit, and whose requests it concerns.

    Args:
        limit: the limit.
        by: whose requests count together: BY_NETWORK, BY_ANONYMOUS (those of a network that have no key),
            BY_KEY or BY_LANE.
        only: names of the keys or lanes that it concerns; empty for all.
        ipv4_bits: length of the prefix that tells networks apart.
        ipv6_bits: the same of IPv6.
        costs: what requests count for; None for 1 each.
        is_dry: it counts, and refuses nobody.
        policy: how it is told, rendered for `RateLimit-Policy`.

    `is_told` says whether those whom it concerns are told of it. `last_refused` is who was last refused, or
    would have been.
    """

    __slots__ = (
        "_ipv4_bits",
        "_ipv6_bits",
        "_is_usual_network",
        "by",
        "costs",
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
        is_dry: bool,
        policy: bytes,
    ) -> None:
        self.limit = limit
        self.by = by
        self.only = only
        self._ipv4_bits = ipv4_bits
        self._ipv6_bits = ipv6_bits
        self._is_usual_network: bool = ipv4_bits == _USUAL_IPV4_BITS and ipv6_bits == _USUAL_IPV6_BITS
        self.costs = costs
        self.is_dry = is_dry
        # What is left of a lane tells of the others in it, and how to fill it.
        self.is_told: bool = not is_dry and by != BY_LANE
        self.policy = policy
        self.last_refused: bytes = b""

    def whose(self, sender: Sender, lane: bytes) -> bytes:
        """Return with whose requests one of `sender` counts; empty when the limit does not concern it.

        Args:
            sender: who sends it.
            lane: name of its lane, empty when that is not known.
        """
        by = self.by
        if by == BY_LANE:
            name = lane
        elif by == BY_KEY:
            name = sender.key
        elif by == BY_ANONYMOUS and sender.key:
            return b""
        elif self._is_usual_network:
            return sender.prefix
        else:
            return sender.network_of(self._ipv4_bits, self._ipv6_bits)
        return name if not self.only or name in self.only else b""


class Count:
    """What a request came to in one limit.

    Args:
        rule: the limit.
        who: with whose requests it counts.
        cost: what it counts for.
        level: what `take` of the limit has said.

    `is_over` says that it is over the limit, so that it was not counted.
    """

    __slots__ = ("cost", "is_over", "level", "rule", "who")

    def __init__(self, rule: LimitRule, who: bytes, cost: int, level: int) -> None:
        self.rule = rule
        self.who = who
        self.cost = cost
        self.level = level
        self.is_over: bool = level > rule.limit.most

    @property
    def wait_ns(self) -> int:
        """When it would be within the limit, from now, nanoseconds; 0 for never."""
        limit = self.rule.limit
        return limit.wait_ns(self.level) if limit.can_pass(self.cost) else 0

    def is_worse_than(self, other: Count) -> bool:
        """Return whether this is longer over its limit; for ever is longest."""
        wait_ns, others_ns = self.wait_ns, other.wait_ns
        return others_ns > 0 and (not wait_ns or wait_ns > others_ns)

    def refuse_again(self) -> None:
        """Count another request that is over the limit, as this one is."""
        self.rule.limit.refused += 1
        self.rule.last_refused = self.who


class Grant:
    """What a request counts for while it is under way.

    Args:
        counts: what it came to in each limit that concerns it.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: list[Count]) -> None:
        self.counts = counts

    def end(self) -> None:
        """Take note, once, that the request is over."""
        for count in self.counts:
            count.rule.limit.end(count.who)


class Excess:
    """Why a request is over a limit of its sender.

    Args:
        worst: what it came to in the limit that it is over, for longest.
        counts: the same of all limits that concern it. It counts in none.
        is_alone: no other limit concerns the sender.
    """

    __slots__ = ("counts", "is_alone", "worst")

    def __init__(self, worst: Count, counts: list[Count], is_alone: bool) -> None:
        self.worst = worst
        self.counts = counts
        self.is_alone = is_alone


class Limiter:
    """Holds every request against the limits that concern it: it counts in all of them, or in none.

    Args:
        rules: the limits.
        lanes: names of the lanes.

    `reads_methods` says that what requests count for depends on their JSON-RPC methods.
    """

    __slots__ = ("_lanes", "reads_methods", "rules")

    def __init__(self, rules: Sequence[LimitRule], lanes: Sequence[str]) -> None:
        self.rules: tuple[LimitRule, ...] = tuple(rules)
        self._lanes: tuple[bytes, ...] = tuple([name.encode() for name in lanes])
        self.reads_methods: bool = any(rule.costs is not None for rule in rules)

    def admit(self, sender: Sender, lane: int, calls: Calls, now: float) -> Grant | Excess:
        """Count a request, unless that is over a limit.

        Args:
            sender: who sends it.
            lane: index of its lane.
            calls: what it asks for; that matters only when the limiter `reads_methods`.
            now: monotonic seconds.

        Returns the grant, which has to be told of the end of the request.
        """
        counts: list[Count] = []
        worst: Count | None = None
        concerned = 0
        now_ns = int(now * 1e9)
        lane_name = self._lanes[lane]
        for rule in self.rules:
            who = rule.whose(sender, lane_name)
            if not who:
                continue
            concerned += 1
            cost = 1 if rule.costs is None else rule.costs.of(calls)
            count = Count(rule, who, cost, rule.limit.take(who, cost, now_ns))
            if count.is_over:
                rule.last_refused = who
                if rule.is_dry:
                    continue
                if worst is None or count.is_worse_than(worst):
                    worst = count
            counts.append(count)
        if worst is None:
            return Grant(counts)
        _take_back(counts)
        return Excess(worst, counts, concerned == 1)

    def refuses(self, sender: Sender, now: float) -> Excess | None:
        """Return why any request of `sender` would be over a limit now; None when it depends on the request.

        Nothing is counted. The arguments are those of `admit`.
        """
        counts: list[Count] = []
        excess: Excess | None = None
        now_ns = int(now * 1e9)
        for rule in self.rules:
            who = b"" if rule.is_dry else rule.whose(sender, b"")
            if not who:
                continue
            cost = 1 if rule.costs is None else rule.costs.least
            count = Count(rule, who, cost, rule.limit.take(who, cost, now_ns))
            if count.is_over:
                rule.last_refused = who
                excess = Excess(count, [count], is_alone=False)
                break
            counts.append(count)
        _take_back(counts)
        return excess


def _take_back(counts: list[Count]) -> None:
    for count in counts:
        if not count.is_over:
            count.rule.limit.take_back(count.who, count.cost)
