"""Heads of messages from bytes: httptools (llhttp) behind a typed front.

llhttp judges the syntax; it bounds nothing, so callers hand it exactly one head, cut at its empty line and
no longer than they allow. Bodies never pass through it: `framing` says how long they are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import httptools

from priolb.errors import ClientError, NodeError
from priolb.http.framing import request_body_bytes
from priolb.http.messages import RequestHead, ResponseHead
from priolb.http.rewrite import typed_fields

HEAD_END: Final = b"\r\n\r\n"

# What is remembered of heads: 2 x 512 heads of at most 1 KB, about 3 MB with all that is made of them.
_MAX_REMEMBERED_HEADS: Final = 512
_MAX_REMEMBERED_BYTES: Final = 1024

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
        ClientError: malformed (400), too many fields (431), or a coding that is not understood (501).
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
    known, fields = _sort(found.fields, _REQUEST_ROLES)
    forwarded, rpc_forwarded = typed_fields(fields, known.get(b"content-type"))
    minor = 1 if parser.get_http_version() == "1.1" else 0
    if minor == 1 and b"host" not in known:
        raise ClientError(400, "malformed request: no Host field")
    path, _, query = found.url.partition(b"?")
    if path[:1] != b"/" and path != b"*":
        path = _path_of_absolute(path)
    return RequestHead(
        parser.get_method(),
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
        NodeError: malformed, or too many fields.
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
    known, forwarded = _sort(found.fields, _RESPONSE_ROLES)
    minor = 1 if parser.get_http_version() == "1.1" else 0
    keep_alive = _keeps_alive(known, minor)
    return ResponseHead(parser.get_status_code(), found.phrase, minor, keep_alive, known, forwarded)


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
            known[key] = known[key] + b", " + value if key in known else value
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


def _path_of_absolute(path: bytes) -> bytes:
    """Return the path of an absolute-form target (RFC 9112, section 3.2.2)."""
    scheme, separator, rest = path.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise ClientError(400, "malformed request: the target is neither a path nor an http URL")
    slash = rest.find(b"/")
    return b"/" if slash < 0 else rest[slash:]
