"""Rules that can never match: contradictory in themselves, or behind one that matches all that they do."""

from collections.abc import Iterator, Sequence

from priolb.config.parse import Network
from priolb.config.tables import RuleSpec
from priolb.http.fields import REQUEST_ROLES
from priolb.http.urgency import URGENCIES

# Line and text of a mistake.
Mistake = tuple[int, str]


def unreachable(rules: Sequence[RuleSpec]) -> Iterator[Mistake]:
    """Return the rules that can never match: line of each, and why.

    A rule that only several others together cover is not found.
    """
    for number, rule in enumerate(rules):
        yield from _contradictions(rule)
        for earlier in rules[:number]:
            is_mistake = earlier.value is not None and earlier.header is None  # which is told elsewhere
            if not is_mistake and covers(earlier, rule):
                line = earlier.place.line_of()
                yield (
                    rule.place.line_of(),
                    f"[[rule]]: never matches, as that of line {line} matches all of it",
                )
                break


def covers(rule: RuleSpec, other: RuleSpec) -> bool:
    """Return whether a rule matches every request that the other one matches."""
    return (
        _covers_field(rule, other)
        and _covers_patterns(rule.paths, other.paths)
        and _covers_patterns(rule.rpc_methods, other.rpc_methods)
        and _covers_words(rule.http_methods, other.http_methods)
        and _covers_words(frozenset(rule.keys), frozenset(other.keys))
        and _covers_networks(rule.networks, other.networks)
        and _urgencies(other) <= _urgencies(rule)
    )


def _contradictions(rule: RuleSpec) -> Iterator[Mistake]:
    place = rule.place
    header, value = rule.header, rule.value
    if header is not None and REQUEST_ROLES.get(header.lower().encode()) == 0:
        yield (
            place.line_of("header"),
            f"[[rule]] header: never matches, as {header} is for the connection alone",
        )
    if value is not None and (not value or value != value.strip(" \t")):
        what = "no field begins or ends with a blank" if value else "a field that is empty counts as missing"
        yield place.line_of("value"), f"[[rule]] value: never matches, as {what}"
    if any(set("?#") & set(path) for path in rule.paths):
        yield place.line_of("path"), "[[rule]] path: never matches, as paths stand without their query"
    if b"CONNECT" in rule.http_methods:
        yield (
            place.line_of("http_method"),
            "[[rule]] http_method: never matches, as CONNECT is always refused",
        )


def _covers_field(rule: RuleSpec, other: RuleSpec) -> bool:
    if rule.header is None:
        return True
    if other.header is None or rule.header.lower() != other.header.lower():
        return False
    return rule.value is None or rule.value == other.value


def _covers_words(
    words: frozenset[bytes] | frozenset[str], others: frozenset[bytes] | frozenset[str]
) -> bool:
    return not words or (bool(others) and set(others) <= set(words))


def _covers_patterns(patterns: Sequence[str], others: Sequence[str]) -> bool:
    return not patterns or (
        bool(others) and all(any(_stands_for(each, other) for each in patterns) for other in others)
    )


def _stands_for(pattern: str, other: str) -> bool:
    """Return whether all names that one pattern stands for are among those of another."""
    return pattern == other or (pattern.endswith("*") and other.startswith(pattern[:-1]))


def _covers_networks(networks: Sequence[Network], others: Sequence[Network]) -> bool:
    return not networks or (
        bool(others) and all(any(_is_inside(other, each) for each in networks) for other in others)
    )


def _is_inside(network: Network, other: Network) -> bool:
    return (
        network.version == other.version
        and network.prefixlen >= other.prefixlen
        and network.network_address in other
    )


def _urgencies(rule: RuleSpec) -> set[int]:
    return {urgency for urgency, _ in rule.urgency} or set(URGENCIES)
