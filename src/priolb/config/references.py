"""What tables of the configuration file say of each other: names given twice, and names of nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from priolb.config.tables import Policy, RuleSpec
from priolb.config.words import did_you_mean, shown
from priolb.core.queueing.classify import LANE_NAMES

# Line and text of a mistake.
Mistake = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Names:
    """What tables may be called by others, those that have mistakes included.

    Args:
        lanes: names of lanes, those of the original when the file has none.
        keys: names of API keys.
    """

    lanes: Sequence[str]
    keys: Sequence[str]


def names_in(values: Mapping[str, object]) -> Names:
    """Return the names that the tables of a file give themselves."""
    return Names(_names_of(values.get("lane")) or LANE_NAMES, _names_of(values.get("key")))


def mistakes_in_names(policy: Policy, known: Names) -> Iterator[Mistake]:
    """Return what is wrong with names in keys, networks and rules: line and text of each mistake.

    Args:
        policy: the tables that are right one by one.
        known: the names of all tables.
    """
    lanes, keys = known.lanes, known.keys
    names: dict[object, int] = {}
    secrets: dict[object, int] = {}
    networks: dict[object, int] = {}
    for key in policy.keys:
        yield from _twice(names, key.name, key.place.line_of("name"), "[[key]] name")
        yield from _twice(secrets, key.sha256, key.place.line_of("sha256"), "[[key]] sha256")
        yield from _unknown(key.allow, lanes, key.place.line_of("allow"), "[[key]] allow", "lane")
    for network in policy.networks:
        yield from _twice(networks, network.cidr, network.place.line_of("cidr"), "[[network]] cidr")
        yield from _unknown(network.allow, lanes, network.place.line_of("allow"), "[[network]] allow", "lane")
    for rule in policy.rules:
        yield from _unknown(rule.keys, keys, rule.place.line_of("key"), "[[rule]] key", "key")
        yield from _mistakes_in_rule(rule, lanes)


def _names_of(tables: object) -> list[str]:
    tables = [tables] if isinstance(tables, dict) else tables
    names = (
        [each.get("name") for each in tables if isinstance(each, dict)] if isinstance(tables, list) else []
    )
    return [name for name in names if isinstance(name, str)]


def _mistakes_in_rule(rule: RuleSpec, lanes: Sequence[str]) -> Iterator[Mistake]:
    lane, urgencies = rule.lane, dict(rule.urgency)
    if lane is None and not urgencies:
        yield rule.place.line_of(), "[[rule]]: needs lane or urgency"
    elif lane is not None and urgencies:
        yield rule.place.line_of("urgency"), "[[rule]] urgency: chooses the lane, and so does lane"
    if lane is not None:
        yield from _unknown((lane,), lanes, rule.place.line_of("lane"), "[[rule]] lane", "lane")
    line = rule.place.line_of("urgency")
    yield from _unknown(tuple(urgencies.values()), lanes, line, "[[rule]] urgency", "lane")
    if rule.value is not None and rule.header is None:
        yield rule.place.line_of("value"), "[[rule]] value: is that of a header, and there is none"


def _twice(seen: dict[object, int], value: object, line: int, what: str) -> Iterator[Mistake]:
    if value in seen:
        yield line, f"{what}: is the same as in line {seen[value]}"
    seen.setdefault(value, line)


def _unknown(names: Sequence[str], known: Sequence[str], line: int, what: str, of: str) -> Iterator[Mistake]:
    for name in names:
        if name not in known:
            yield line, f"{what}: there is no {of} {shown(name)}{did_you_mean(name, known)}"
