"""From the tables of limits to what holds requests against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from priolb.config.references import Names
from priolb.config.settings import Settings
from priolb.config.tables import (
    ANONYMOUS,
    KEY,
    LANE,
    LIMIT_WINDOW_MAX_S,
    NETWORK,
    LimitSpec,
)
from priolb.config.words import did_you_mean, shown
from priolb.core.limits.costs import Costs
from priolb.core.limits.limiter import BY_ANONYMOUS, BY_KEY, BY_LANE, BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, Limit, RateLimit
from priolb.errors import ConfigError
from priolb.http.rate_limit_fields import policy_item

_BY: Final = {NETWORK: BY_NETWORK, ANONYMOUS: BY_ANONYMOUS, KEY: BY_KEY, LANE: BY_LANE}
_PER_S: Final = 1
_IPV4_BITS: Final = 32
_IPV6_BITS: Final = 64


def limiter_of(settings: Settings) -> Limiter | None:
    """Return what holds requests against the limits of these settings, None when there are none.

    Raises:
        ConfigError: there is no memory for the callers of so many limits.
    """
    limits = settings.policy.limits
    lanes = [lane.name for lane in settings.lanes]
    return Limiter([_rule_of(limit) for limit in limits], lanes) if limits else None


def limit_in_words(limit: LimitSpec) -> str:
    """Return what a limit says, for the operator."""
    if limit.rate is None:
        bound = f"{_requests(limit.concurrent or 0)} at a time"
    else:
        per_s, burst = limit.per_s or _PER_S, _burst_of(limit, limit.rate)
        time = "second" if per_s == 1 else f"{per_s} seconds"
        bound = f"{_requests(limit.rate)} per {time}, {burst} at once"
    costs = ", ".join(f"{method} counts for {cost}" for method, cost in limit.costs)
    dry_run = "dry run, refuses nobody" if limit.is_dry_run else ""
    return "; ".join(filter(None, (f"{_whose(limit)} may have {bound}", costs, dry_run)))


def mistakes_in_limits(limits: Iterable[LimitSpec], known: Names) -> Iterator[tuple[int, str]]:
    """Return what is wrong with the limits: line and text of each mistake.

    Args:
        limits: those that are right one by one.
        known: the names of all lanes and API keys.
    """
    lines: dict[str, int] = {}
    for limit in limits:
        line = limit.place.line_of("name")
        if limit.name in lines:
            yield line, f"[[limit]] name: is the same as in line {lines[limit.name]}"
        lines.setdefault(limit.name, line)
        for name, what in _mistakes_in(limit, known):
            yield limit.place.line_of(name), f"[[limit]] {name}: {what}"


def _mistakes_in(limit: LimitSpec, known: Names) -> Iterator[tuple[str, str]]:
    """Return key and text of each mistake."""
    if limit.rate is None:
        if limit.concurrent is None:
            yield "name", f"{limit.name!r} needs rate or concurrent"
        for name in _given(per=limit.per_s, burst=limit.burst, cost=limit.costs or None):
            yield name, "is for a limit with rate"
    else:
        if limit.concurrent is not None:
            yield "concurrent", "is for a limit without rate: take one limit for each"
        yield from _mistakes_in_rate(limit, limit.rate)
    if limit.by in {KEY, LANE}:
        for name in _given(prefix_v4=limit.ipv4_bits, prefix_v6=limit.ipv6_bits):
            yield name, f"is for by = {NETWORK} or {ANONYMOUS}"
    elif limit.only:
        yield "only", f"is for by = {KEY} or {LANE}"
    if limit.by == KEY and not known.keys:
        yield "by", "there is no [[key]]"
    if limit.by in {KEY, LANE}:
        noun, names = ("key", known.keys) if limit.by == KEY else ("lane", known.lanes)
        for name in limit.only:
            if name not in names:
                yield "only", f"there is no {noun} {shown(name)}{did_you_mean(name, names)}"


def _mistakes_in_rate(limit: LimitSpec, rate: int) -> Iterator[tuple[str, str]]:
    burst, per_s = _burst_of(limit, rate), limit.per_s or _PER_S
    if burst * per_s > rate * LIMIT_WINDOW_MAX_S:
        yield "burst", f"takes more than {LIMIT_WINDOW_MAX_S} seconds at this rate"
    for method, cost in limit.costs:
        if cost > burst:
            yield "cost", f"{method} = {cost} is more than the burst of {burst} ever lets pass"


def _whose(limit: LimitSpec) -> str:
    if limit.by in {KEY, LANE}:
        noun = "API key" if limit.by == KEY else "lane"
        return f"each of the {noun}s {', '.join(limit.only)}" if limit.only[1:] else _one_of(noun, limit.only)
    ipv4_bits, ipv6_bits = _bits_of(limit)
    without_key = " without an API key" if limit.by == ANONYMOUS else ""
    return f"each client network (/{ipv4_bits}, IPv6 /{ipv6_bits}){without_key}"


def _one_of(noun: str, only: Sequence[str]) -> str:
    return f"{noun} {only[0]}" if only else f"each {noun}"


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def _bits_of(limit: LimitSpec) -> tuple[int, int]:
    return (
        _IPV4_BITS if limit.ipv4_bits is None else limit.ipv4_bits,
        _IPV6_BITS if limit.ipv6_bits is None else limit.ipv6_bits,
    )


def _given(**values: object) -> list[str]:
    return [name for name, value in values.items() if value is not None]


def _burst_of(limit: LimitSpec, rate: int) -> int:
    return rate if limit.burst is None else limit.burst


def _rule_of(limit: LimitSpec) -> LimitRule:
    if limit.rate is not None:
        burst = _burst_of(limit, limit.rate)
        try:
            in_rate = RateLimit(limit.name, limit.rate, limit.per_s or _PER_S, burst)
        except OSError as error:  # this process may not have as much as all limits together could need
            raise ConfigError(
                f"[[limit]] {limit.name}: no memory for its callers: {error.strerror}"
            ) from error
        policy = policy_item(limit.name, burst, in_rate.window_s)
        bound: Limit = in_rate
    else:
        assert limit.concurrent is not None
        bound = ConcurrencyLimit(limit.name, limit.concurrent)
        policy = policy_item(limit.name, limit.concurrent, 0)
    return LimitRule(
        bound,
        _BY[limit.by],
        frozenset(name.encode() for name in limit.only),
        *_bits_of(limit),
        Costs(dict(limit.costs)) if limit.costs else None,
        limit.is_dry_run,
        policy,
    )
