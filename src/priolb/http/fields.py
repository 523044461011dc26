"""Header fields: which travel on, which are looked at, and which concern one connection alone."""

from __future__ import annotations

import re
from typing import Final

from priolb.errors import FramingError
from priolb.http.messages import RequestHead

_FORWARD: Final = 1
_LOOK: Final = 2

# Told by proxies of the requests that they pass on: worth as much as whoever says it (see `forwarding`).
PROXY_CLAIMS: Final = (b"x-real-ip", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server")


def _misspelt(name: bytes) -> list[bytes]:
    """Return the names that programs behind CGI or WSGI take for `name`: with underscores for its dashes."""
    parts = name.split(b"-")
    spelt = parts[:1]
    for part in parts[1:]:
        spelt = [start + dash + part for start in spelt for dash in (b"-", b"_")]
    return spelt[1:]


# Where a body ends is for us to say.
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_CLAIMS: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", *PROXY_CLAIMS)

# RFC 9110, section 7.6.1: fields for this connection alone. Host, framing and what tells of proxies are
# written anew; so is the type of the body, which nobody may have told.
REQUEST_ROLES: Final[dict[bytes, int]] = {
    b"connection": _LOOK,
    b"keep-alive": 0,
    b"proxy-connection": 0,
    b"proxy-authorization": 0,  # for whoever asked for it, and no proxy here does
    b"te": _LOOK,
    b"trailer": _LOOK,
    b"transfer-encoding": _LOOK,
    b"upgrade": _LOOK,
    b"content-length": _LOOK,
    b"host": _LOOK,
    b"expect": _LOOK,
    b"max-forwards": _LOOK,
    b"via": _LOOK,
    b"forwarded": _LOOK,
    **dict.fromkeys(_CLAIMS, _LOOK),
    **{misspelt: 0 for name in (*_CLAIMS, *_FRAMING) for misspelt in _misspelt(name)},
    b"content-type": _LOOK,
    b"content-encoding": _LOOK | _FORWARD,
    b"authorization": _LOOK | _FORWARD,
    b"x-api-key": _LOOK | _FORWARD,
    b"priority": _LOOK | _FORWARD,
    b"origin": _LOOK | _FORWARD,
    b"x-fast-track": _LOOK | _FORWARD,
    b"x-high-priority": _LOOK | _FORWARD,
    b"high_prio": _LOOK | _FORWARD,
    b"x-request-id": _LOOK | _FORWARD,
    b"x-request-timeout": _LOOK | _FORWARD,
    b"grpc-timeout": _LOOK | _FORWARD,
}

RESPONSE_ROLES: Final[dict[bytes, int]] = {
    b"connection": _LOOK,
    b"keep-alive": 0,
    b"proxy-connection": 0,
    b"proxy-authenticate": 0,
    b"te": 0,
    b"trailer": _LOOK,
    b"transfer-encoding": _LOOK,
    b"upgrade": _LOOK,
    b"content-length": _LOOK,
    b"content-type": _LOOK | _FORWARD,
    b"content-encoding": _LOOK | _FORWARD,
    b"date": _LOOK | _FORWARD,
    b"retry-after": _LOOK | _FORWARD,
    b"x-priolb-queuedurationus": 0,
    b"x-priolb-simdurationus": 0,
    b"x-priolb-totaldurationus": 0,
    b"x-priolb-queuesizestart": 0,
    b"x-priolb-queuesizeend": 0,
}

# Looked at, and written anew for the other side: not if Connection names them. What frames a message or
# tells its way cannot be named away.
_NAMEABLE: Final = frozenset({*PROXY_CLAIMS, b"content-type", b"date"})

# RFC 9110, section 6.5.1: what a trailer section must not say, since it was needed before the body: framing,
# routing, conditions, credentials, and what the body is.
_NOT_IN_TRAILERS: Final = frozenset(
    {
        *REQUEST_ROLES,
        *RESPONSE_ROLES,
        b"accept",
        b"age",
        b"cache-control",
        b"content-range",
        b"cookie",
        b"date",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"pragma",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"warning",
        b"www-authenticate",
    }
)

# RFC 9110, sections 5.1 and 5.5.
TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD_LINE: Final = re.compile(rb"(" + TOKEN + rb"):([\t -~\x80-\xff]*)")


def sort_fields(
    fields: list[tuple[bytes, bytes]], roles: dict[bytes, int]
) -> tuple[dict[bytes, bytes], bytes]:
    """Return the fields that are looked at, by lower-case name, and those that travel on, rendered.

    Args:
        fields: names and values, as they stand in the head.
        roles: what is done with which field; any other travels on.
    """
    known: dict[bytes, bytes] = {}
    parts: list[bytes] = []
    for name, value in fields:
        key = name.lower()
        role = roles.get(key, _FORWARD)
        if role & _LOOK:
            trimmed = value.rstrip(b" \t")  # llhttp takes blanks off the front only
            known[key] = known[key] + b", " + trimmed if key in known else trimmed
        if role & _FORWARD:
            parts += (name, b": ", value, b"\r\n")
    connection = known.get(b"connection")
    if connection is not None:
        nominated = tokens(connection)
        nominated.discard(b"keep-alive")
        nominated.discard(b"close")
        if nominated:
            parts = _without(parts, nominated)
            for name in nominated.intersection(_NAMEABLE):
                known.pop(name, None)
    return known, b"".join(parts)


def tokens(value: bytes) -> set[bytes]:
    """Return the members of a comma-separated list, in lower case."""
    return {token.strip() for token in set(value.lower().split(b","))}


def keeps_alive(known: dict[bytes, bytes], minor: int) -> bool:
    """Return whether the sender lets the connection stay open (RFC 9112, section 9.3)."""
    connection = known.get(b"connection")
    if connection is None:
        return minor == 1
    options = tokens(connection)
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


class FieldFinder:
    """Finds the value of one field in heads of requests.

    Args:
        name: the field's name, in any case.

    `is_claim` tells whether it is what proxies tell of the way of a request: worth as much as they are.
    """

    __slots__ = ("_name", "_pattern", "is_claim")

    def __init__(self, name: str) -> None:
        self._name: bytes = name.lower().encode()
        self.is_claim: bool = self._name in _CLAIMS or self._name == b"forwarded"
        self._pattern = re.compile(rb"^%s: ([^\r]*)" % re.escape(self._name), re.IGNORECASE | re.MULTILINE)

    def value_in(self, head: RequestHead) -> bytes:
        """Return the value of the field, of several lines all, joined by commas; empty when there is none."""
        known = head.known.get(self._name)
        return b", ".join(self._pattern.findall(head.forwarded)) if known is None else known

    def last_in(self, head: RequestHead) -> bytes:
        """Return the value of its last line, which is that of the last proxy; empty when there is none."""
        known = head.known.get(self._name)
        if known is not None:
            return known.rpartition(b", ")[2]
        lines = self._pattern.findall(head.forwarded)
        return lines[-1] if lines else b""


def trailer_line(line: bytes, nominated: set[bytes]) -> bytes:
    """Return a line of a trailer section as it travels on; empty for one that has no place there.

    Args:
        line: the line without its end.
        nominated: what Connection in the head names, in lower case: that concerns one connection alone.

    Raises:
        FramingError: it is no field.
    """
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        raise FramingError("a trailer section with a malformed field")
    name = found[1].lower()
    if name in _NOT_IN_TRAILERS or name in nominated:
        return b""
    return b"%s: %s\r\n" % (found[1], found[2].strip(b" \t"))


def _without(parts: list[bytes], names: set[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for start in range(0, len(parts), 4):
        if parts[start].lower() not in names:
            kept += parts[start : start + 4]
    return kept
