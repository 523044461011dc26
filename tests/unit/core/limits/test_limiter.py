import pytest

from priolb.core.limits.costs import Calls, Costs
from priolb.core.limits.limiter import (
    BY_ANONYMOUS,
    BY_KEY,
    BY_LANE,
    BY_NETWORK,
    Excess,
    Grant,
    Limiter,
    LimitRule,
)
from priolb.core.limits.rate_limits import ConcurrencyLimit, Limit, RateLimit
from support.senders import ASender

S = 1_000_000_000
NOW = 100.0
LANES = (b"low", b"high")
HOME = "192.0.2.7"


def rate(name: str = "api", units: int = 1, per_s: int = 10, burst: int = 2) -> RateLimit:
    return RateLimit(name, units, per_s, burst)


def rule(
    limit: Limit,
    by: int = BY_NETWORK,
    *only: bytes,
    ipv4_bits: int = 32,
    ipv6_bits: int = 64,
    costs: dict[str, int] | None = None,
    is_dry: bool = False,
) -> LimitRule:
    return LimitRule(
        limit, by, frozenset(only), ipv4_bits, ipv6_bits, Costs(costs) if costs else None, is_dry, b""
    )


def limiter_of(rules: list[LimitRule]) -> Limiter:
    return Limiter(rules, [name.decode() for name in LANES])


def ask(
    limiter: Limiter,
    address: str = HOME,
    key: bytes = b"",
    lane: bytes = b"low",
    *methods: bytes,
    now: float = NOW,
) -> Grant | Excess:
    return limiter.admit(ASender(address, key), LANES.index(lane), Calls(methods or (b"POST",)), now)


def passes(
    limiter: Limiter,
    address: str = HOME,
    key: bytes = b"",
    lane: bytes = b"low",
    *methods: bytes,
    now: float = NOW,
) -> bool:
    return isinstance(ask(limiter, address, key, lane, *methods, now=now), Grant)


def excess(answer: Grant | Excess | None) -> tuple[str, int]:
    assert isinstance(answer, Excess)
    wait_ns = answer.worst.wait_ns
    assert wait_ns % S == 0
    return answer.worst.rule.limit.name, wait_ns // S


# Whose requests count together


def test_by_network_each_address_has_the_limit_for_itself_whatever_its_key() -> None:
    limiter = limiter_of([rule(rate(burst=1), BY_NETWORK)])
    asked = [(HOME, b""), (HOME, b"builder"), ("192.0.2.8", b"builder")]
    assert [passes(limiter, *who) for who in asked] == [True, False, True]


def test_by_anonymous_only_those_without_a_key_are_counted() -> None:
    limiter = limiter_of([rule(rate(burst=1), BY_ANONYMOUS)])
    asked = [(HOME, b""), (HOME, b"builder"), (HOME, b"builder"), (HOME, b"")]
    assert [passes(limiter, *who) for who in asked] == [True, True, True, False]


def test_by_key_each_key_has_the_limit_for_itself_wherever_it_comes_from() -> None:
    limiter = limiter_of([rule(rate(burst=1), BY_KEY)])
    asked = [(HOME, b"a"), ("192.0.2.8", b"a"), (HOME, b"b"), (HOME, b""), (HOME, b"")]
    assert [passes(limiter, *who) for who in asked] == [True, False, True, True, True]


def test_by_lane_each_lane_has_the_limit_for_itself() -> None:
    limiter = limiter_of([rule(rate(burst=1), BY_LANE)])
    asked = [(HOME, b"", b"low"), ("192.0.2.8", b"a", b"low"), (HOME, b"", b"high")]
    assert [passes(limiter, *who) for who in asked] == [True, False, True]


def test_a_limit_may_concern_some_keys_or_lanes_alone() -> None:
    by_key = limiter_of([rule(rate(burst=1), BY_KEY, b"a")])
    assert [passes(by_key, HOME, key) for key in (b"a", b"a", b"b", b"b")] == [True, False, True, True]
    by_lane = limiter_of([rule(rate(burst=1), BY_LANE, b"low")])
    lanes = (b"low", b"low", b"high", b"high")
    assert [passes(by_lane, HOME, b"", lane) for lane in lanes] == [True, False, True, True]


def test_an_address_counts_as_its_sender_is_known() -> None:
    usual = rule(rate())
    assert usual.whose(ASender(HOME), b"") == b"192.0.2.7"
    assert usual.whose(ASender("2001:db8:1:2:3:4:5:6"), b"") == b"2001:db8:1:2::/64"
    assert rule(rate(), ipv4_bits=24).whose(ASender(""), b"") == b"unknown"


def test_the_limit_of_a_prefix_holds_for_all_of_its_addresses() -> None:
    limiter = limiter_of([rule(rate(burst=2), ipv4_bits=24, ipv6_bits=48)])
    addresses = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8::1")
    assert [passes(limiter, each) for each in addresses] == [True, True, False, True, True, False]


# Several limits


def test_what_one_limit_refuses_counts_in_no_other() -> None:
    wide, narrow = rate("wide", burst=3), rate("narrow", burst=1)
    slots = ConcurrencyLimit("slots", 9)
    limiter = limiter_of([rule(wide), rule(slots), rule(narrow)])
    assert passes(limiter)
    assert [excess(ask(limiter)) for _ in range(5)] == [("narrow", 10)] * 5
    assert (wide.passed, slots.passed, narrow.passed, narrow.refused) == (1, 1, 1, 5)
    assert wide.left(wide.take(HOME.encode(), 0, int(NOW * 1e9))) == 2
    assert slots._counts == {HOME.encode(): 1}


def test_of_several_limits_the_one_that_takes_longest_is_named() -> None:
    limiter = limiter_of(
        [
            rule(rate("s", per_s=2, burst=1)),
            rule(rate("m", per_s=60, burst=1)),
            rule(rate("l", per_s=9, burst=1)),
        ]
    )
    assert passes(limiter)
    assert excess(ask(limiter)) == ("m", 60)
    assert excess(ask(limiter, now=NOW + 58)) == ("m", 2)


def test_a_request_that_counts_at_a_time_counts_until_it_ends() -> None:
    limiter = limiter_of([rule(ConcurrencyLimit("slots", 1))])
    first = ask(limiter)
    assert isinstance(first, Grant)
    assert excess(ask(limiter)) == ("slots", 1)
    first.end()
    assert [passes(limiter), passes(limiter)] == [True, False]


# Costs


def test_a_request_counts_for_what_its_methods_cost() -> None:
    limiter = limiter_of([rule(rate(burst=10), costs={"eth_call": 5})])
    assert limiter.reads_methods
    assert passes(limiter, HOME, b"", b"low", b"eth_call", b"net_version")
    assert excess(ask(limiter, HOME, b"", b"low", b"eth_call")) == ("api", 10)
    assert passes(limiter, HOME, b"", b"low", b"net_version")


def test_without_costs_nobody_needs_to_know_the_methods() -> None:
    assert not limiter_of([rule(rate())]).reads_methods


def test_what_costs_more_than_the_limit_ever_allows_is_not_asked_to_come_back() -> None:
    limiter = limiter_of([rule(rate(burst=10), costs={"eth_call": 6})])
    assert excess(ask(limiter, HOME, b"", b"low", b"eth_call", b"eth_call")) == ("api", 0)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_limits_one_that_never_allows_it_takes_longest(order: int) -> None:
    slow = rule(rate("slow", per_s=3, burst=1))
    small = rule(rate("small", burst=2), costs={"eth_call": 1})
    limiter = limiter_of([slow, small][::order])
    assert passes(limiter, HOME, b"", b"low", b"eth_call")
    batch = (b"eth_call",) * 3
    assert excess(ask(limiter, HOME, b"", b"low", *batch)) == ("small", 0)


# What is told


def levels(answer: Grant | Excess) -> list[tuple[str, int, int]]:
    """Return limit, cost and level of what may be told."""
    return [(count.rule.limit.name, count.cost, count.level) for count in answer.counts if count.rule.is_told]


def test_a_grant_knows_what_the_request_came_to_in_each_limit() -> None:
    limiter = limiter_of([rule(rate(burst=2)), rule(ConcurrencyLimit("slots", 4)), rule(rate("k"), BY_KEY)])
    assert levels(ask(limiter)) == [("api", 1, 10 * S), ("slots", 1, 1)]


def test_of_an_excess_it_is_known_what_the_request_would_have_come_to() -> None:
    limiter = limiter_of([rule(rate(burst=2), costs={"dear": 2}), rule(rate("other", burst=5))])
    ask(limiter)
    refused = ask(limiter, HOME, b"", b"low", b"dear", now=NOW + 2)
    assert excess(refused) == ("api", 8)
    assert levels(refused) == [("api", 2, 28 * S), ("other", 1, 18 * S)]


def test_of_the_limits_of_a_lane_and_of_dry_runs_nobody_is_told() -> None:
    limiter = limiter_of([rule(rate(burst=1), BY_LANE), rule(rate(), is_dry=True)])
    assert [levels(ask(limiter)), levels(ask(limiter))] == [[], []]


# Dry run


def test_in_dry_run_it_is_counted_who_would_be_refused_and_nobody_is() -> None:
    dry = rule(rate(burst=2), is_dry=True)
    limiter = limiter_of([dry])
    answers = [ask(limiter) for _ in range(5)]
    assert all(isinstance(each, Grant) for each in answers)
    assert (dry.limit.passed, dry.limit.refused, dry.last_refused) == (2, 3, HOME.encode())


def test_in_dry_run_a_request_that_would_be_refused_holds_nothing() -> None:
    slots = ConcurrencyLimit("slots", 1)
    limiter = limiter_of([rule(slots, is_dry=True)])
    first, second = ask(limiter), ask(limiter)
    assert isinstance(first, Grant) and isinstance(second, Grant)
    second.end()
    assert slots._counts == {HOME.encode(): 1}
    first.end()
    assert slots._counts == {}


# Before the request is known


def test_before_its_body_a_request_is_refused_that_would_be_over_a_limit_whatever_it_is() -> None:
    limiter = limiter_of([rule(rate(burst=2), costs={"eth_call": 2})])
    assert limiter.refuses(ASender(HOME), NOW) is None
    assert passes(limiter, HOME, b"", b"low", b"eth_call")
    assert excess(limiter.refuses(ASender(HOME), NOW)) == ("api", 10)
    assert limiter.refuses(ASender(HOME), NOW + 10) is None


def test_before_its_body_a_request_counts_nowhere() -> None:
    limit, slots = rate(burst=1), ConcurrencyLimit("slots", 1)
    limiter = limiter_of([rule(limit), rule(slots)])
    assert [limiter.refuses(ASender(HOME), NOW) for _ in range(3)] == [None] * 3
    assert (limit.passed, slots.passed, slots._counts) == (0, 0, {})
    assert passes(limiter)


def test_a_method_that_costs_nothing_may_yet_come_whatever_the_limit() -> None:
    limiter = limiter_of([rule(rate(burst=1), costs={"net_version": 0})])
    assert passes(limiter)
    assert limiter.refuses(ASender(HOME), NOW) is None


def test_before_its_body_no_lane_is_known_and_no_dry_run_counts() -> None:
    lane, dry = rule(rate(burst=1), BY_LANE), rule(rate(burst=1), is_dry=True)
    limiter = limiter_of([lane, dry])
    ask(limiter)
    assert limiter.refuses(ASender(HOME), NOW) is None
    assert (dry.limit.refused, lane.limit.refused) == (0, 0)
