"""The record that describes one setting, and the dataclass field that carries it."""

from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from priolb.config.parse import Kind

T = TypeVar("T")
_RECORD: Final = "setting"


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


def settings_of(owner: type[Any]) -> dict[str, Setting]:
    """Return the record of each field of a dataclass of settings, by field name, in order."""
    return {each.name: each.metadata[_RECORD] for each in fields(owner)}
