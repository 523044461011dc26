"""From the configuration file to `Policy`: every table read by its records, and held against the others."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from priolb.config.document import Document, Place
from priolb.config.limits import mistakes_in_limits
from priolb.config.parse import Kind
from priolb.config.reachability import unreachable
from priolb.config.record import Key, Table, keys_of, tables_of
from priolb.config.references import Names, mistakes_in_names, names_in
from priolb.config.tables import AGED, AGING_STEP_S, ORIGINAL, WEIGHT, WEIGHTED, Entry, LaneSpec, Policy
from priolb.config.toml_text import named, toml_text
from priolb.config.words import did_you_mean, escaped
from priolb.errors import ConfigFileError

_NOBODY: Final = ((), frozenset[bytes]())

E = TypeVar("E", bound=Entry)
T = TypeVar("T")


class PolicyReader:
    """Reads a configuration file, and remembers every mistake in it.

    Args:
        document: the file.
        settings: names of the settings, which the file may hold as well.
    """

    def __init__(self, document: Document, settings: frozenset[str]) -> None:
        self._document = document
        self._settings = settings
        self.mistakes: list[tuple[int, str]] = []

    def raise_mistakes(self) -> None:
        """Raise `ConfigFileError` with all mistakes that were found, if any."""
        if self.mistakes:
            raise ConfigFileError(self._document.name, self.mistakes)

    def setting(self, name: str, kind: Kind[T], secret: bool) -> T | None:
        """Return the value of a setting, None when the file does not have it or it cannot be used."""
        return self._value(self._document.place(), name, "", self._document.values[name], kind, secret)

    def policy(self) -> Policy:
        """Return what the file says beyond settings; it counts only while there are no mistakes."""
        values, place = self._document.values, self._document.place()
        records = tables_of(Policy)
        found: dict[str, Any] = {
            field: tuple(self._tables(table, values[table.name]))
            for field, table in records.items()
            if table.name in values
        }
        others = {table.name for table in records.values()} | self._settings
        own = {name: value for name, value in values.items() if name not in others}
        tables = Policy(place=place, **found)
        policy = self._entry(Policy, place, "", own, frozenset(others), found)
        lanes = values.get("lane", [])
        if policy is not None and isinstance(lanes, list) and len(policy.lanes) == len(lanes):
            self.mistakes.extend(_mistakes_in_lanes(policy))
        self.mistakes.extend(_mistakes_between(tables, names_in(values)))
        return policy or Policy()

    def _tables(self, table: Table, value: object) -> Iterator[Entry]:
        """Return the tables of one kind."""
        name = table.name
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            line = self._document.place(name).line_of()
            self.mistakes.append((line, f"{name}: has to be a table that begins with [[{name}]]"))
            return
        for number, values in enumerate(value):
            place = self._document.place(name, number)
            if number == table.most:
                self.mistakes.append((place.line_of(), f"[[{name}]]: there may be {table.most} of them"))
                return
            entry = self._entry(table.owner, place, f"[[{name}]]", values, frozenset(), {})
            if entry is not None:
                yield entry

    def _entry(
        self,
        owner: type[E],
        place: Place,
        title: str,
        values: dict[str, Any],
        others: frozenset[str],
        found: dict[str, Any],
    ) -> E | None:
        """Return one table, None when it has mistakes.

        Args:
            owner: its class.
            place: where it stands.
            title: how errors call it; empty for the file as a whole.
            values: what it says.
            others: names that `values` might have held besides keys of the table.
            found: values of fields that are known already.
        """
        records = {record.name: (name, record) for name, record in keys_of(owner).items()}
        mistakes = len(self.mistakes)
        for name, value in values.items():
            if name not in records:
                self._unknown(place, title, name, others | set(records))
                continue
            field, record = records[name]
            found[field] = self._value(place, name, title, value, record.kind, record.secret)
            if found[field] in _NOBODY:  # which would mean everybody
                self.mistakes.append((place.line_of(name), f"{title} {name}: is empty"))
        for record in _required(owner):
            if record.name not in values:
                self.mistakes.append((place.line_of(), f"{title}: needs {record.name} ({record.unit})"))
        return owner(place=place, **found) if len(self.mistakes) == mistakes else None

    def _value(
        self, place: Place, name: str, title: str, value: object, kind: Kind[T], secret: bool
    ) -> T | None:
        try:
            return kind.parse(toml_text(kind, value))
        except ValueError as error:
            what = f"{'the value (not shown)' if secret else named(value)} {error}"
        self.mistakes.append((place.line_of(name), f"{title} {name}: {what}".lstrip()))
        return None

    def _unknown(self, place: Place, title: str, name: str, known: frozenset[str]) -> None:
        if title and name in self._settings:
            what = f"{title} {name}: is a setting, which has to stand above the first table"
        else:
            what = f"{title} {escaped(name)}: is not known{did_you_mean(name, known)}".lstrip()
        self.mistakes.append((place.line_of(name), what))


def too_long_waits(lanes: Iterable[LaneSpec], most_s: float) -> Iterator[tuple[int, str]]:
    """Return which lanes let a request wait for longer than any may: line and text of each mistake."""
    for lane in lanes:
        if lane.max_wait_s is not None and lane.max_wait_s > most_s:
            what = f"[[lane]] max_wait: {lane.max_wait_s:g} is more than REQUEST_TIMEOUT ({most_s:g})"
            yield lane.place.line_of("max_wait"), what


def _mistakes_between(tables: Policy, known: Names) -> Iterator[tuple[int, str]]:
    """Return what is wrong between tables that are right one by one: line and text of each mistake.

    Args:
        tables: those tables; others may have mistakes.
        known: the names of all tables.
    """
    lines: dict[str, int] = {}
    for lane in tables.lanes:
        line = lane.place.line_of("name")
        if lane.name in lines:
            yield line, f"[[lane]] name: {lane.name!r} is the name of that in line {lines[lane.name]}, too"
        lines.setdefault(lane.name, line)
    yield from mistakes_in_names(tables, known)
    yield from mistakes_in_limits(tables.limits, known)
    yield from unreachable(tables.rules)


def _mistakes_in_lanes(policy: Policy) -> Iterator[tuple[int, str]]:
    """Return what the lanes, all of them right, say that does not fit together: line and text of each."""
    yield from _discipline_mistakes(policy)
    yield from _preemption_mistakes(policy.lanes)


def _discipline_mistakes(policy: Policy) -> Iterator[tuple[int, str]]:
    """Return what the discipline and the lanes say that does not fit together."""
    lanes, discipline = policy.lanes, policy.discipline
    if discipline == ORIGINAL and len(lanes) not in {0, 3}:
        line = lanes[-1].place.line_of()
        yield line, f"[[lane]]: the discipline original takes 3 lanes, and there are {len(lanes)}"
    if discipline == WEIGHTED and all(lane.strict for lane in lanes):
        what = "all lanes are strict" if lanes else "needs lanes, with weights"
        yield policy.place.line_of("discipline"), f"discipline: weighted: {what}"
    if discipline != AGED and policy.aging_step_s != AGING_STEP_S:
        yield policy.place.line_of("aging_step"), f"aging_step: the discipline {discipline} does not heed it"
    for lane in lanes:
        if lane.strict and lane.weight != WEIGHT:
            yield lane.place.line_of("weight"), "[[lane]] weight: a strict lane has none"
        elif discipline != WEIGHTED:
            for name, is_set in (("strict", lane.strict), ("weight", lane.weight != WEIGHT)):
                if is_set:
                    what = f"[[lane]] {name}: the discipline {discipline} does not heed it"
                    yield lane.place.line_of(name), what


def _preemption_mistakes(lanes: tuple[LaneSpec, ...]) -> Iterator[tuple[int, str]]:
    """Return where a lane would take slots from nobody, or lose them to nobody."""
    for index, lane in enumerate(lanes):
        if lane.preempts and not any(each.preemptible for each in lanes[index + 1 :]):
            yield lane.place.line_of("preempts"), "[[lane]] preempts: no lane below it is preemptible"
        if lane.preemptible and not any(each.preempts for each in lanes[:index]):
            yield lane.place.line_of("preemptible"), "[[lane]] preemptible: no lane above it preempts"


def _required(owner: type[Entry]) -> list[Key]:
    return [record for record in keys_of(owner).values() if record.is_required]
