"""From the tables of the configuration file to those who know callers and rules."""

from __future__ import annotations

from collections.abc import Sequence

from priolb.config.lane_function import lane_function_of
from priolb.config.settings import Settings
from priolb.config.tables import FAIR, ORIGINAL, Policy, RuleSpec
from priolb.core.queueing.access import lanes_for
from priolb.http.callers import Callers, KnownKey, KnownNetwork
from priolb.http.fields import FieldFinder
from priolb.http.lane_function import LaneFunction, Report
from priolb.http.rules import NO_LANE, Patterns, Rule, Rules
from priolb.http.urgency import URGENCIES


def keeps_headers(policy: Policy) -> bool:
    """Return whether the original's headers mean the lanes that there are."""
    return not policy.lanes or policy.discipline == ORIGINAL


def needs_door(settings: Settings) -> bool:
    """Return whether more has to be known of a request than the original's headers say."""
    policy = settings.policy
    if policy.keys or policy.networks or policy.rules or policy.limits or settings.lane_function:
        return True
    is_fair = any((lane.order or settings.lane_order) == FAIR for lane in settings.lanes)
    return is_fair or not keeps_headers(policy)


def callers_of(settings: Settings) -> Callers:
    """Return what knows who asks."""
    policy = settings.policy
    return Callers(
        [KnownKey(key.name.encode(), key.sha256, _granted(settings, key.allow)) for key in policy.keys],
        [KnownNetwork(each.cidr, _granted(settings, each.allow)) for each in policy.networks],
        settings.trusted_proxies,
        settings.tenant_header,
        _granted_to_nobody(settings),
    )


def _granted_to_nobody(settings: Settings) -> tuple[int, ...] | None:
    """Return the lanes of who has no address that can be read: what all may use, of IPv4 and of IPv6."""
    lanes = _lanes(settings)
    allowed = set(lanes)
    for each in settings.policy.networks:
        if each.cidr.prefixlen == 0 and each.allow:
            allowed &= set(each.allow)
    return None if len(allowed) == len(lanes) else _granted(settings, sorted(allowed) or lanes[-1:])


def rules_of(settings: Settings) -> Rules:
    """Return what knows the lane that a request asks for."""
    policy = settings.policy
    lanes = _lanes(settings)
    default = NO_LANE if keeps_headers(policy) else len(lanes) - 1
    return Rules([_rule_of(rule, lanes) for rule in policy.rules], default)


def function_of(settings: Settings, report: Report) -> LaneFunction | None:
    """Return what asks the user's function for lanes, None when there is none.

    Args:
        settings: the settings.
        report: see `LaneFunction`.

    Raises:
        ConfigError: the function cannot be had.
    """
    if not settings.lane_function:
        return None
    function = lane_function_of(settings.lane_function, settings.source_of("LANE_FUNCTION"))
    return LaneFunction(function, _lanes(settings), report)


def _rule_of(rule: RuleSpec, lanes: Sequence[str]) -> Rule:
    by_urgency = {urgency: lanes.index(name) for urgency, name in rule.urgency}
    return Rule(
        [by_urgency.get(urgency, NO_LANE) for urgency in URGENCIES] if by_urgency else [_lane(rule, lanes)],
        field=FieldFinder(rule.header) if rule.header else None,
        value=None if rule.value is None else rule.value.encode(),
        paths=Patterns([path.encode() for path in rule.paths]) if rule.paths else None,
        http_methods=rule.http_methods,
        rpc_methods=Patterns([name.encode() for name in rule.rpc_methods]) if rule.rpc_methods else None,
        networks=rule.networks,
        keys=frozenset(name.encode() for name in rule.keys),
    )


def _lane(rule: RuleSpec, lanes: Sequence[str]) -> int:
    assert rule.lane is not None
    return lanes.index(rule.lane)


def _granted(settings: Settings, allow: Sequence[str]) -> tuple[int, ...] | None:
    lanes = _lanes(settings)
    return lanes_for({lanes.index(name) for name in allow}, len(lanes)) if allow else None


def _lanes(settings: Settings) -> list[str]:
    return [lane.name for lane in settings.lanes]
