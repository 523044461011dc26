"""From a value of TOML to the text that a kind reads: a file says the same as the environment."""

import json
from decimal import Decimal as Exact
from typing import Final

from priolb.config.parse import (
    CidrList,
    CommaList,
    Count,
    Decimal,
    JsonText,
    Kind,
    MethodCosts,
    Methods,
    Names,
    Switch,
    WholeNumbers,
)
from priolb.config.rule_kinds import PatternList, Urgencies
from priolb.config.words import shown

# Kinds that may be written as an array, too.
_LISTS: Final = (CidrList, CommaList, Methods, Names, PatternList, WholeNumbers)

# Kinds that are written as a table, with names and values of this type.
_TABLES: Final[dict[type, type]] = {MethodCosts: int, Urgencies: str}

# Python refuses to write longer numbers; no kind has any that come near it.
_NUMBER_MAX: Final = 10**30


def toml_text(kind: Kind[object], value: object) -> str:
    """Return the text that stands for a value.

    A number has to be a number of TOML, a switch a boolean, and everything else a string; where a list is
    meant, an array of strings or whole numbers is one as well; where a table is meant, only a table is; and
    where JSON is meant, a string is its text, and anything else the value itself.

    Raises:
        ValueError: the value is of another type; as with kinds, the text reads on after the value.
    """
    if isinstance(kind, Switch):
        if isinstance(value, bool):
            return "true" if value else "false"
    elif isinstance(kind, Count | Decimal):
        is_number = isinstance(value, int) or (isinstance(kind, Decimal) and isinstance(value, float))
        if is_number and not isinstance(value, bool):
            return number_text(value)
    elif type(kind) in _TABLES:
        if isinstance(value, dict):
            return ",".join(_pair(kind, name, item) for name, item in value.items())
    elif isinstance(value, str):
        return value
    elif isinstance(kind, JsonText):
        return json.dumps(value, default=str)  # what JSON has no word for, as dates, is text
    elif isinstance(kind, WholeNumbers) and isinstance(value, int) and not isinstance(value, bool):
        return number_text(value)
    elif isinstance(kind, _LISTS) and isinstance(value, list):
        return ",".join(_item(kind, number, item) for number, item in enumerate(value, start=1))
    what = "is a string, and not" if isinstance(value, str) else "is not"
    raise ValueError(f"{what} {'true or false' if isinstance(kind, Switch) else kind.accepts}")


def number_text(value: object) -> str:
    """Return a number as kinds read it, without an exponent."""
    if isinstance(value, int) and abs(value) > _NUMBER_MAX:
        return hex(value)
    return f"{Exact(repr(value)):f}"


def named(value: object) -> str:
    """Return a value as errors show it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(number_text(value) if isinstance(value, int | float) else str(value))


def _pair(kind: Kind[object], name: str, item: object) -> str:
    is_right = isinstance(item, _TABLES[type(kind)]) and not isinstance(item, bool)
    text = item if isinstance(item, str) else number_text(item) if is_right else ""
    if not is_right or {",", "="} & {*name, *text}:
        raise ValueError(f"is not {kind.accepts}: see {shown(name)}")
    return f"{name}={text}"


def _item(kind: Kind[object], number: int, item: object) -> str:
    if isinstance(item, str) and item.strip() and "," not in item:
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        return number_text(item)
    raise ValueError(f"is not {kind.accepts}: see item {number}")
