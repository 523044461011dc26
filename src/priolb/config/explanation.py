"""The configuration file in words: what `config check` prints."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Final

from priolb.config.admission import keeps_headers
from priolb.config.limits import limit_in_words
from priolb.config.record import keys_of, tables_of
from priolb.config.settings import Settings
from priolb.config.tables import Entry, KeySpec, LimitSpec, NetworkSpec, Policy, RuleSpec
from priolb.config.unheeded import unheeded
from priolb.core.queueing.access import lanes_for

_INDENT: Final = "  "
_HEADERS: Final = "the headers of the original: X-Fast-Track, X-High-Priority, high_prio"


def lines_of(settings: Settings) -> Iterator[str]:
    """Return what the file says beyond settings, and which settings have no effect, line by line."""
    policy = settings.policy
    yield f"Lanes, the best one first; discipline {policy.discipline}"
    yield from _table([_row(settings, number, lane) for number, lane in enumerate(settings.lanes, start=1)])
    for field, table in tables_of(Policy).items():
        entries: Sequence[Entry] = getattr(policy, field)
        if field != "lanes" and (entries or table.owner is RuleSpec):
            yield ""
            yield f"[[{table.name}]]{', the first that matches counts' if table.owner is RuleSpec else ''}"
            yield from _table([_row(settings, number, each) for number, each in enumerate(entries, start=1)])
        if policy.networks and table.owner is NetworkSpec:
            yield from _table([["", "", words] for words in _others_of(policy.networks)])
        if table.owner is RuleSpec:
            yield from _table([["", "", f"otherwise -> {default_of(settings)}"]])
    if settings.lane_function:
        yield ""
        yield f"LANE_FUNCTION {settings.lane_function} is asked before the rules"
    without_effect = [f"{settings.source_of(name)} has no effect: {why}" for name, why in unheeded(settings)]
    yield from ("", *without_effect) if without_effect else ()


def default_of(settings: Settings) -> str:
    """Return which lane a request gets that no rule matches, in words."""
    return _HEADERS if keeps_headers(settings.policy) else settings.lanes[-1].name


def words_of(settings: Settings, entry: Entry) -> str:
    """Return what a table says, in words."""
    if isinstance(entry, RuleSpec):
        return words_of_rule(entry)
    if isinstance(entry, KeySpec):
        allowed = access_of(settings, entry.allow) if entry.allow else "may use what its network may"
        return f"{entry.name}: {allowed}"
    if isinstance(entry, NetworkSpec):
        return f"{entry.cidr}: {access_of(settings, entry.allow)}"
    if isinstance(entry, LimitSpec):
        return f"{entry.name}: {limit_in_words(entry)}"
    records = keys_of(type(entry))
    name = str(getattr(entry, "name", ""))
    said = [
        f"{record.name} {_text(getattr(entry, field.name))}"
        for field in fields(entry)
        if (record := records.get(field.name)) and record.name != "name"
        if getattr(entry, field.name) != field.default
    ]
    return ": ".join(filter(None, (name, ", ".join(said))))


def words_of_rule(rule: RuleSpec) -> str:
    """Return the conditions of a rule and the lane that follows, in words."""
    conditions = [
        f"{rule.header} is {'there' if rule.value is None else repr(rule.value)}" if rule.header else "",
        f"path {_either(rule.paths)}" if rule.paths else "",
        f"method {_either(sorted(method.decode() for method in rule.http_methods))}"
        if rule.http_methods
        else "",
        f"JSON-RPC {_either(rule.rpc_methods)}" if rule.rpc_methods else "",
        f"client in {_either(map(str, rule.networks))}" if rule.networks else "",
        f"key {_either(rule.keys)}" if rule.keys else "",
    ]
    lanes = rule.lane or f"urgency {', '.join(f'{urgency}: {name}' for urgency, name in rule.urgency)}"
    return f"{' and '.join(filter(None, conditions)) or 'every request'} -> {lanes}"


def access_of(settings: Settings, allow: Sequence[str]) -> str:
    """Return which lanes somebody may use, and what he gets instead of others, in words."""
    if not allow:
        return "may use all lanes"
    names = [lane.name for lane in settings.lanes]
    given = lanes_for({names.index(name) for name in allow}, len(names))
    instead = [
        f"{names[given[lane]]} instead of {name}" for lane, name in enumerate(names) if given[lane] != lane
    ]
    return ", ".join([f"may use {' and '.join(allow)}", *(f"gets {each}" for each in instead)])


def _others_of(networks: Sequence[NetworkSpec]) -> Iterator[str]:
    """Return what addresses may that are in none of these networks, in words, where there are any."""
    for version in (4, 6):
        if not any(each.cidr.version == version and each.cidr.prefixlen == 0 for each in networks):
            yield f"other addresses of IPv{version}: may use all lanes"


def _row(settings: Settings, number: int, entry: Entry) -> list[str]:
    line = entry.place.line_of()
    return [str(number), f"line {line}" if line else "", words_of(settings, entry)]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for number, line, words in rows:
        yield f"{_INDENT}{number:>3}  {line:<9}  {words}".rstrip()


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | frozenset):
        return " ".join(_text(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
