"""The records that describe settings and tables of the configuration file, and the fields that carry them."""

from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from priolb.config.parse import Kind

T = TypeVar("T")
_RECORD: Final = "record"


@dataclass(frozen=True, slots=True)
class Setting:
    """What the operator has to know about one setting.

    Args:
        kind: what it may hold.
        env: name of its environment variable, None when only a flag sets it.
        flag: name of its flag without dashes, None when only the environment sets it.
        default: the value it has when nobody sets it, as an operator would write it.
        unit: unit or form of the value.
        meaning: what it does, one line.
        secret: it may hold a password, so no error and no repr shows its value.
        empty_is_value: an empty variable is a value of its own; otherwise it counts as unset.
    """

    kind: Kind[object]
    env: str | None
    flag: str | None
    default: str
    unit: str
    meaning: str
    secret: bool = False
    empty_is_value: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """What the operator has to know about one key of a table of the configuration file.

    Args:
        kind: what it may hold.
        name: how it is called in the file.
        default: the value it has when nobody sets it, as an operator would write it; None when it has none.
        unit: unit or form of the value.
        meaning: what it does, one line.
        is_required: whether a table without it is a mistake.
        secret: what stands there by mistake may be a secret, and is left out of errors.
    """

    kind: Kind[object]
    name: str
    default: str | None
    unit: str
    meaning: str
    is_required: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """What the operator has to know about one kind of table of the configuration file.

    Args:
        name: what stands between its brackets.
        owner: the dataclass whose fields are its keys.
        most: how many of them there may be.
        meaning: what one of them says, one line.
    """

    name: str
    owner: type[Any]
    most: int
    meaning: str


def setting(
    kind: Kind[T],
    env: str | None,
    default: str,
    unit: str,
    meaning: str,
    *,
    flag: str | None = None,
    secret: bool = False,
    empty_is_value: bool = False,
) -> T:
    """Return a dataclass field that carries a `Setting`; the arguments are those of the record."""
    record = Setting(kind, env, flag, default, unit, meaning, secret, empty_is_value)
    # typeshed gives dataclasses.field the type of its default: mypy holds each setting against its kind.
    return field(default=kind.parse(default), repr=not secret, metadata={_RECORD: record})


def key(kind: Kind[T], name: str, default: str, unit: str, meaning: str) -> T:
    """Return a dataclass field that carries a `Key` with a default; the arguments are those of the record."""
    record = Key(kind, name, default, unit, meaning)
    return field(default=kind.parse(default), metadata={_RECORD: record})


def required_key(kind: Kind[T], name: str, unit: str, meaning: str, *, secret: bool = False) -> T:
    """Return a dataclass field that carries a `Key` which every table of its kind must have."""
    record = Key(kind, name, None, unit, meaning, is_required=True, secret=secret)
    made: T = field(metadata={_RECORD: record})
    return made


def optional_key(kind: Kind[T], name: str, unit: str, meaning: str) -> T | None:
    """Return a dataclass field that carries a `Key` which is None when a table does not have it."""
    return field(default=None, metadata={_RECORD: Key(kind, name, None, unit, meaning)})


def tables(owner: type[T], name: str, meaning: str, *, most: int) -> tuple[T, ...]:
    """Return a dataclass field that carries a `Table` and holds all tables of its kind, in order."""
    return field(default=(), metadata={_RECORD: Table(name, owner, most, meaning)})


def settings_of(owner: type[Any]) -> dict[str, Setting]:
    """Return the record of each setting of a dataclass, by field name, in order."""
    return {name: record for name, record in _records_of(owner).items() if isinstance(record, Setting)}


def keys_of(owner: type[Any]) -> dict[str, Key]:
    """Return the record of each key of a dataclass, by field name, in order."""
    return {name: record for name, record in _records_of(owner).items() if isinstance(record, Key)}


def tables_of(owner: type[Any]) -> dict[str, Table]:
    """Return the record of each kind of table of a dataclass, by field name, in order."""
    return {name: record for name, record in _records_of(owner).items() if isinstance(record, Table)}


def _records_of(owner: type[Any]) -> dict[str, object]:
    return {each.name: each.metadata.get(_RECORD) for each in fields(owner)}
