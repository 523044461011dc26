"""JSON that somebody else wrote: no member twice, no NaN, and each member of the type it should have."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TypeVar

from priolb.attest.reader import MalformedError

T = TypeVar("T")

# Objects, lists and commas: each costs time on the event loop, or holds it up from a thread. Real documents
# and TCB info have 30 to 600. So do digits, whose time grows with the square of their number.
ITEMS_MAX: Final = 3000
DIGITS_MAX: Final = 20

_NAMES: Final = {dict: "an object", list: "a list", str: "text", int: "a whole number", bool: "true or false"}


def parse_object(text: bytes | str, what: str) -> dict[str, Any]:
    """Return the object that a text holds.

    Raises:
        MalformedError: it holds something else, or nothing that is JSON.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        if sum(map(text.count, "{[,")) > ITEMS_MAX:
            raise MalformedError(f"{what} has more than {ITEMS_MAX} items")
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_refuse_fraction,
            parse_int=_short_number,
        )
    except MalformedError:
        raise
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise MalformedError(f"{what} is no JSON") from None
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is no JSON object")
    return value


def member(owner: dict[str, Any], name: str, kind: type[T]) -> T:
    """Return a member of an object.

    Raises:
        MalformedError: it is missing or of another type.
    """
    value = owner.get(name)
    if type(value) is not kind:
        raise MalformedError(f"{name} is not {_NAMES[kind]}")
    return value


def octets(owner: dict[str, Any], name: str) -> bytes:
    """Return what a member says in base64 with padding (RFC 4648, section 4).

    Raises:
        MalformedError: it is missing, no text, or not in this very form.
    """
    text = member(owner, name, str)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # the latter for what is not ASCII
        raise MalformedError(f"{name} is no base64") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedError(f"{name} is no base64 in its usual form")
    return data


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedError("a JSON object has a member twice")
    return found


def _short_number(number: str) -> int:
    if len(number) > DIGITS_MAX:
        raise MalformedError(f"{number[:DIGITS_MAX]}... is too long a number")
    return int(number)


def _refuse_fraction(number: str) -> NoReturn:
    # Nothing that is read here has any, and to read one can take as long as a hundred whole numbers.
    raise MalformedError(f"{number[:20]} is no whole number")


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is no JSON")
