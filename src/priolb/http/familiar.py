"""Heads that differ from the one before in one value alone: mostly an id that each request has of its own.

Or, of a proxy, the address of the client for whom it asks.

To parse such a head again tells nothing new but that value. Two heads teach which it is; from then on the
bytes in front of it and behind it are compared, and the value is put where it belongs. Only values of fields
that merely travel on are treated so, X-Request-ID and X-Forwarded-For: nothing else of what is made of a head
depends on them.
"""

from __future__ import annotations

from typing import Final

from priolb.http.alphabet import changing_others
from priolb.http.fields import REQUEST_ROLES, tokens
from priolb.http.messages import RequestHead

# Fields that are looked at, and whether they travel on besides: else they are written anew.
_LOOKED_AT: Final = {b"x-request-id": True, b"x-forwarded-for": False}
# Bytes that a value may have wherever it stands: what else the syntax allows is parsed.
_PLAIN: Final = changing_others(bytes(range(33, 127)))
_MAX_VALUE_BYTES: Final = 128
_NOMINATES_NOTHING: Final = frozenset({b"keep-alive", b"close"})


class Familiar:
    """All of a head but one value.

    Args:
        head: a head as parsed, which is short enough to have its bytes.
        name: name of the field with the value, as it is spelled.
        value: the value.

    `taken_bytes` is how long the head was that `take` found last.
    """

    __slots__ = (
        "_after",
        "_before",
        "_fields",
        "_head",
        "_is_typed",
        "_key",
        "_rpc_fields",
        "_travels",
        "taken_bytes",
    )

    def __init__(self, head: RequestHead, name: bytes, value: bytes) -> None:
        line = b"%s: %s\r\n" % (name, value)
        self._head = head
        key = name.lower()
        self._key: bytes = key if key in _LOOKED_AT else b""
        self._travels: bool = _LOOKED_AT.get(key, True)
        before, _, after = head.raw.partition(b"\r\n" + line)
        self._before: bytes = b"%s\r\n%s: " % (before, name)
        self._after: bytes = b"\r\n" + after
        self._is_typed: bool = head.rpc_forwarded == head.forwarded
        self._fields: tuple[bytes, bytes] = (b"", b"")
        self._rpc_fields: tuple[bytes, bytes] = (b"", b"")
        if self._travels:
            self._fields = _around(head.forwarded, line, name)
            self._rpc_fields = _around(head.rpc_forwarded, line, name)
        self.taken_bytes: int = 0

    def take(self, data: bytes) -> RequestHead | None:
        """Return the head at the front of `data`; None when it is none of these."""
        if not data.startswith(self._before):
            return None
        start = len(self._before)
        stop = data.find(b"\r", start)
        if stop < 0 or not data.startswith(self._after, stop):
            return None
        value = data[start:stop]
        if not _is_plain(value):
            return None
        self.taken_bytes = stop + len(self._after)
        head = self._head
        known = head.known
        if self._key:
            known = known.copy()
            known[self._key] = value
        forwarded, rpc_forwarded = head.forwarded, head.rpc_forwarded
        if self._travels:
            forwarded = rpc_forwarded = b"%s%s%s" % (self._fields[0], value, self._fields[1])
            if not self._is_typed:
                rpc_forwarded = b"%s%s%s" % (self._rpc_fields[0], value, self._rpc_fields[1])
        taken = RequestHead(
            head.method,
            head.authority,
            head.path,
            head.query,
            head.minor,
            head.keep_alive,
            known,
            forwarded,
            rpc_forwarded,
            head.body_bytes,
            head.upgrade,
            head.max_forwards,
            head.timeout_s,
        )
        if self._travels:  # what does not is told of the way
            taken.model = head
        return taken


def learn(first: RequestHead, second: RequestHead) -> Familiar | None:
    """Return what two heads have in common; None unless that is all but the value of one field."""
    lines, others = first.raw.split(b"\r\n"), second.raw.split(b"\r\n")
    if len(lines) != len(others) or lines[0] != others[0] or not lines[0]:
        return None
    different = [(line, other) for line, other in zip(lines, others, strict=True) if line != other]
    if len(different) != 1:
        return None
    name, separator, value = different[0][0].partition(b": ")
    other_name, _, other_value = different[0][1].partition(b": ")
    key = name.lower()
    if not separator or name != other_name or not (_is_plain(value) and _is_plain(other_value)):
        return None
    if b":" in name:
        return None  # the name ends at its first colon, behind which no blank has to be
    if key in REQUEST_ROLES and key not in _LOOKED_AT:
        return None
    if sum([line.lower().startswith(key + b":") for line in lines]) != 1:
        return None
    connection = first.known.get(b"connection")
    if connection is not None and not tokens(connection) <= _NOMINATES_NOTHING:
        return None
    return Familiar(first, name, value)


def _is_plain(value: bytes) -> bool:
    return 0 < len(value) <= _MAX_VALUE_BYTES and value.translate(_PLAIN) == value


def _around(fields: bytes, line: bytes, name: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and behind the value that `line` has among rendered fields."""
    at = 0 if fields.startswith(line) else fields.index(b"\r\n" + line) + 2
    return b"%s%s: " % (fields[:at], name), b"\r\n" + fields[at + len(line) :]
