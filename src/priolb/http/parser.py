"""Heads of messages from bytes: httptools (llhttp) behind a typed front.

llhttp judges the syntax; it bounds nothing, so callers hand it exactly one head, cut at its empty line and
no longer than they allow. Bodies never pass through it: `framing` says how long they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import httptools

from priolb.errors import ClientError, NodeError
from priolb.http.framing import request_body_bytes, response_body_bytes
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.rewrite import typed_fields

HEAD_END: Final = b"\r\n\r\n"

# What is remembered of heads: 2 x 512 heads of at most 1 KB, about 3 MB with all that is made of them.
_MAX_REMEMBERED_HEADS: Final = 512
_MAX_REMEMBERED_BYTES: Final = 1024

# RFC 9112, section 4; llhttp lets control characters through.
_PHRASE: Final = re.compile(rb"[\t -~\x80-\xff]*")

_FORWARD: Final = 1
_LOOK: Final = 2

# RFC 9110, section 7.6.1: fields for this connection alone; framing and Host are written anew.
_REQUEST_ROLES: Final[dict[bytes, int]] = {
    b"connection": _LOOK,
    b"keep-alive": 0,
    b"proxy-connection": 0,
    b"te": 0,
    b"trailer": 0,
    b"transfer-encoding": _LOOK,
    b"upgrade": 0,
    b"content-length": _LOOK,
    b"host": _LOOK,
    b"expect": _LOOK,
    b"content-type": _LOOK,
    b"authorization": _LOOK | _FORWARD,
    b"origin": _LOOK | _FORWARD,
    b"x-fast-track": _LOOK | _FORWARD,
    b"x-high-priority": _LOOK | _FORWARD,
    b"high_prio": _LOOK | _FORWARD,
    b"x-request-id": _LOOK | _FORWARD,
}

_RESPONSE_ROLES: Final[dict[bytes, int]] = {
    b"connection": _LOOK,
    b"keep-alive": 0,
    b"proxy-connection": 0,
    b"te": 0,
    b"trailer": 0,
    b"transfer-encoding": _LOOK,
    b"upgrade": 0,
    b"content-length": _LOOK,
    b"content-type": _LOOK | _FORWARD,
    b"x-priolb-queuedurationus": 0,
    b"x-priolb-simdurationus": 0,
    b"x-priolb-totaldurationus": 0,
    b"x-priolb-queuesizestart": 0,
    b"x-priolb-queuesizeend": 0,
}


class HeadLimits:
    """Bounds on the head of a message.

    Args:
        max_bytes: longest head.
        max_fields: most header lines.
    """

    __slots__ = ("max_bytes", "max_fields")

    def __init__(self, max_bytes: int, max_fields: int) -> None:
        self.max_bytes = max_bytes
        self.max_fields = max_fields


class _Collector:
    """Receives what httptools finds."""

    __slots__ = ("complete", "fields", "phrase", "url")

    def __init__(self) -> None:
        self.url = b""
        self.phrase = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_status(self, phrase: bytes) -> None:
        self.phrase = phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_request_head(data: bytes, max_fields: int) -> RequestHead:
    """Parse the head of a request.

    Args:
        data: the bytes of the head, its empty line included, and nothing behind it.
        max_fields: most header lines.

    Raises:
        ClientError: malformed (400), too many fields (431), a method or coding that is not understood (501),
            or another protocol (505).
    """
    if len(data) > _MAX_REMEMBERED_BYTES:
        return _parse_request_head(data, max_fields)
    return _remembered_request_head(data, max_fields)


def _parse_request_head(data: bytes, max_fields: int) -> RequestHead:
    found = _Collector()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # an Upgrade that is not taken up: the request stands as if it had not asked
    except httptools.HttpParserError as error:
        raise ClientError(400, f"malformed request: {error}") from None
    if not found.complete:
        raise ClientError(400, "malformed request: the head ends early")
    if len(found.fields) > max_fields:
        raise ClientError(431, f"more than {max_fields} header fields")
    # No method is as short as two letters: an empty line in front is passed over.
    minor = _minor_of(data[data.find(b"\r\n", 2) - 8 :])
    if minor is None:
        raise ClientError(505, "a protocol other than HTTP/1.1 and HTTP/1.0")
    known, fields = _sort(found.fields, _REQUEST_ROLES)
    forwarded, rpc_forwarded = typed_fields(fields, known.get(b"content-type"))
    host = known.get(b"host")
    if host is None and minor == 1:
        raise ClientError(400, "malformed request: no Host field")
    if host is not None and b", " in host:
        raise ClientError(400, "malformed request: more than one Host field")
    method = parser.get_method()
    path, query = _split_target(found.url, method)
    return RequestHead(
        method,
        path,
        query,
        minor,
        _keeps_alive(known, minor),
        known,
        forwarded,
        rpc_forwarded,
        request_body_bytes(known, minor),
    )


def parse_response_head(data: bytes, max_fields: int) -> ResponseHead:
    """Parse the head of a node's answer.

    Args:
        data: the bytes of the head, its empty line included, and nothing behind it.
        max_fields: most header lines.

    Raises:
        NodeError: malformed, ambiguous about its body, or too many fields.
    """
    if len(data) > _MAX_REMEMBERED_BYTES:
        return _parse_response_head(data, max_fields)
    return _remembered_response_head(data, max_fields)


def _parse_response_head(data: bytes, max_fields: int) -> ResponseHead:
    found = _Collector()
    parser = httptools.HttpResponseParser(found)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # 101 and CONNECT answers; judged by their status, not by the parser
    except httptools.HttpParserError as error:
        raise NodeError(f"malformed answer: {error}") from None
    if not found.complete:
        raise NodeError("malformed answer: the head ends early")
    if len(found.fields) > max_fields:
        raise NodeError(f"an answer of more than {max_fields} header fields")
    minor = _minor_of(data)
    if minor is None:
        raise NodeError("malformed answer: a protocol other than HTTP/1.1 and HTTP/1.0")
    status = parser.get_status_code()
    if status < 100:
        raise NodeError("malformed answer: a status below 100")
    if not _PHRASE.fullmatch(found.phrase):
        raise NodeError("malformed answer: control characters in the reason phrase")
    known, forwarded = _sort(found.fields, _RESPONSE_ROLES)
    keep_alive = _keeps_alive(known, minor)
    body_bytes = response_body_bytes(known, status)
    return ResponseHead(status, found.phrase, minor, keep_alive, known, forwarded, body_bytes)


# Clients and nodes say the same thing over and over: on a busy connection nearly every head has been seen
# before, to the letter. Parsing is a pure function and heads are never changed, so they can be shared.
_remembered_request_head = lru_cache(maxsize=_MAX_REMEMBERED_HEADS)(_parse_request_head)
_remembered_response_head = lru_cache(maxsize=_MAX_REMEMBERED_HEADS)(_parse_response_head)


def _sort(fields: list[tuple[bytes, bytes]], roles: dict[bytes, int]) -> tuple[dict[bytes, bytes], bytes]:
    """Return the fields we look at, and the fields that travel on, rendered."""
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
        nominated = _tokens(connection)
        nominated.discard(b"keep-alive")
        nominated.discard(b"close")
        if nominated:
            parts = _without(parts, nominated)
    return known, b"".join(parts)


def _keeps_alive(known: dict[bytes, bytes], minor: int) -> bool:
    """Return whether the sender lets the connection stay open (RFC 9112, section 9.3)."""
    connection = known.get(b"connection")
    if connection is None:
        return minor == 1
    options = _tokens(connection)
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def _without(parts: list[bytes], names: set[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    for start in range(0, len(parts), 4):
        if parts[start].lower() not in names:
            kept += parts[start : start + 4]
    return kept


def _tokens(value: bytes) -> set[bytes]:
    return {token.strip().lower() for token in value.split(b",")}


def _minor_of(line: bytes) -> int | None:
    """Return the minor version of HTTP/1 that `line` starts with; llhttp takes RTSP and HTTP/2.0 as well."""
    version = line[:8]
    return 1 if version == b"HTTP/1.1" else 0 if version == b"HTTP/1.0" else None


def _split_target(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request's target (RFC 9112, section 3.2)."""
    if method == b"CONNECT":
        raise ClientError(501, "the method CONNECT")
    path, _, query = target.partition(b"?")
    if path[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return path, query
    scheme, separator, rest = path.partition(b"://")
    host, slash, path = rest.partition(b"/")
    if not separator or not host or scheme.lower() not in (b"http", b"https"):
        raise ClientError(400, "malformed request: the target is neither a path nor an http URL")
    return (slash or b"/") + path, query
