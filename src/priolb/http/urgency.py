"""How urgent a request is, in the words of HTTP itself: the field Priority of RFC 9218."""

from __future__ import annotations

import re
from typing import Final

# RFC 9218, section 4.1.
DEFAULT_URGENCY: Final = 3
URGENCIES: Final = range(8)
_MAX_BYTES: Final = 1024

# RFC 9651, section 4.2: a dictionary, the values of which are items or lists of them, with parameters.
_KEY: Final = rb"[a-z*][a-z0-9_.*-]*"
_ITEM: Final = (
    rb"(?:-?[0-9]{1,12}\.[0-9]{1,3}|@?-?[0-9]{1,15}|\?[01]|:[A-Za-z0-9+/=]*:"
    rb'|"(?:[ !#-\[\]-~]|\\["\\])*"|%"(?:[ !#$&-~]|%[0-9a-f]{2})*"'
    rb"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*)"
)
# Possessive, `*+`: else blanks without an end would be divided in every way, in time by the square of them.
_PARAMETERS: Final = rb"(?:; *+" + _KEY + rb"(?:=" + _ITEM + rb")?)*"
_LIST: Final = rb"\( *+(?:" + _ITEM + _PARAMETERS + rb"(?: +" + _ITEM + _PARAMETERS + rb")*)? *\)"
_MEMBER: Final = re.compile(rb"(" + _KEY + rb")(?:=(" + _ITEM + rb"|" + _LIST + rb"))?" + _PARAMETERS)
_COMMA: Final = re.compile(rb"[ \t]*,[ \t]*")


def urgency_of(priority: bytes) -> int:
    """Return the urgency of a request, 0 for the highest and 7 for the lowest.

    Args:
        priority: value of its field Priority, empty when it has none.

    What cannot be read counts as not said, as RFC 9218 has it in section 4; so does what is far too long.
    """
    urgency = DEFAULT_URGENCY
    if len(priority) > _MAX_BYTES:
        return urgency
    at, stop = 0, len(priority)
    while at < stop:
        member = _MEMBER.match(priority, at)
        if member is None:
            return DEFAULT_URGENCY
        if member[1] == b"u":
            value = member[2]
            is_one = value is not None and value.isdigit() and int(value) in URGENCIES
            urgency = int(value) if is_one else DEFAULT_URGENCY
        at = member.end()
        if at < stop:
            comma = _COMMA.match(priority, at)
            if comma is None or comma.end() == stop:
                return DEFAULT_URGENCY
            at = comma.end()
    return urgency
