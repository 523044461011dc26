"""Which methods of JSON-RPC a body calls, as far as its beginning tells.

A body that is short enough is read as a whole, in C. Of a longer one the beginning is gone through member by
member, each of which is passed over in C as well, up to what is cut off. So nothing but the beginning of a
body is ever looked at, nor more members in that than any node would serve.
"""

from __future__ import annotations

import json
import re
from typing import Final

# So much of a body is looked at.
LOOKED_AT_BYTES: Final = 65536
# Calls of a batch, and members of a call, that are looked at one by one.
_CALLS_MAX: Final = 1000
_MEMBERS_MAX: Final = 64

_METHOD: Final = "method"
# A byte order mark is no JSON, but some nodes pass over it.
_START: Final = re.compile(r"\ufeff?[ \t\r\n]*([\[{])[ \t\r\n]*")
_KEY: Final = re.compile(r'("(?:[^"\\\x00-\x1f]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_COMMA: Final = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
# An object becomes a tuple of its members, so that none hides another of the same name.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple)


class RpcMethods:
    """Methods that a body calls.

    Args:
        names: each method that it names, in order. Some nodes take a name for `method` however that is
            spelled, and of two the last: so all are told.
        is_batch: whether it is a batch.
        is_all: whether all of it is known, and every call names a method.
    """

    __slots__ = ("is_all", "is_batch", "names")

    def __init__(self, names: list[bytes], is_batch: bool, is_all: bool) -> None:
        self.names = names
        self.is_batch = is_batch
        self.is_all = is_all


def methods_in(body: bytes) -> RpcMethods | None:
    """Return the methods that a body calls, None when it is no JSON-RPC.

    Args:
        body: the body, or as much of it as has come.
    """
    text = body[:LOOKED_AT_BYTES].decode("utf-8", "replace")
    start = _START.match(text)
    if start is None:
        # What begins behind more blanks than are looked at may be anything, also a batch.
        is_hidden = len(body) >= LOOKED_AT_BYTES and not text.strip("\ufeff \t\r\n")
        return RpcMethods([], is_batch=True, is_all=False) if is_hidden else None
    is_batch = start[1] == "["
    names: list[bytes] = []
    try:
        value, at = _DECODER.raw_decode(text, start.start(1))
    except (ValueError, RecursionError):
        if is_batch:
            _add_calls(text, start.end(), names)
        else:
            _add_members(text, start.end(), names)
        return RpcMethods(names, is_batch, is_all=False)
    calls = value if is_batch else [value]
    is_all = bool(calls) and _BLANKS.fullmatch(text, at) is not None
    for call in calls:
        if not _names_method(call, names):
            is_all = False
    return RpcMethods(names, is_batch, is_all) if names or is_batch else None


def _names_method(call: object, names: list[bytes]) -> bool:
    """Add the method of a call to the names, and return whether it names one."""
    known = len(names)
    if isinstance(call, tuple):
        for name, value in call:
            _add_member(name, value, names)
    return len(names) > known


def _add_member(name: str, value: object, names: list[bytes]) -> None:
    if name.lower() == _METHOD and isinstance(value, str):
        names.append(value.encode("utf-8", "replace"))


def _add_calls(text: str, at: int, names: list[bytes]) -> None:
    """Add the methods of a batch that is cut off or broken, as far as it is not.

    Args:
        text: the text.
        at: where the first call begins.
        names: where they are added.
    """
    for _ in range(_CALLS_MAX):
        try:
            call, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        comma = _COMMA.match(text, at)
        if not _names_method(call, names) or comma is None:
            return
        at = comma.end()


def _add_members(text: str, at: int, names: list[bytes]) -> None:
    """Add the methods of a call that is cut off or broken, as far as it is not; as in `_add_calls`."""
    for _ in range(_MEMBERS_MAX):
        key = _KEY.match(text, at)
        if key is None:
            return
        try:
            name = _DECODER.decode(key[1])
            value, at = _DECODER.raw_decode(text, key.end())
        except (ValueError, RecursionError):
            return
        _add_member(name, value, names)
        comma = _COMMA.match(text, at)
        if comma is None:
            return
        at = comma.end()
