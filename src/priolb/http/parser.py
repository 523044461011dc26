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
from priolb.http.fields import (
    REQUEST_ROLES,
    RESPONSE_ROLES,
    TOKEN,
    keeps_alive,
    sort_fields,
    tokens,
)
from priolb.http.framing import request_body_bytes, response_body_bytes
from priolb.http.messages import MAX_REQUEST_ID_BYTES, RequestHead, ResponseHead
from priolb.http.rewrite import typed_fields
from priolb.http.timeouts import timeout_of

HEAD_END: Final = b"\r\n\r\n"

# What is remembered of heads: 2 x 512 heads of at most 1 KB, about 3 MB with all that is made of them.
_MAX_REMEMBERED_HEADS: Final = 512
_MAX_REMEMBERED_BYTES: Final = 1024

# RFC 9112, section 4; llhttp lets control characters through.
_PHRASE: Final = re.compile(rb"[\t -~\x80-\xff]*")

# RFC 9110, section 7.2, and RFC 3986, section 3.2: host and port, without a user part. May be empty.
_NAME: Final = rb"[A-Za-z0-9._~!$&'()*+,;=-]*"
_HOST: Final = re.compile(
    rb"(?:" + _NAME + rb"+(?:%[0-9A-Fa-f]{2}" + _NAME + rb"+)*+"
    rb"|\[(?:[0-9A-Fa-f:.]+|[Vv][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\])(?::[0-9]*)?"
)

# RFC 9112, section 3; llhttp takes several blanks, and judges versions in its own way.
_REQUEST_LINE: Final = re.compile(rb"(?:\r\n)?(" + TOKEN + rb") ([!-~]+)(?: ([!-~]+))?\r\n")
_REQUEST_ID: Final = re.compile(rb"\nX-Request-ID:[ \t]*([^\r\n]*)", re.IGNORECASE)
_VERSION: Final = re.compile(rb"[A-Z]+/[0-9]\.[0-9]")
_MINORS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_STANDARD_METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"}
)
_MAX_FORWARDS_DIGITS: Final = 9
_STEPS: Final = (b"/", b"\\", b"%2f", b"%5c")
_MAX_STEPS: Final = 1024


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

    __slots__ = ("complete", "fields", "phrase")

    def __init__(self) -> None:
        self.phrase = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_status(self, phrase: bytes) -> None:
        self.phrase = phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def breaks_lines(data: bytes, start: int = 0) -> bool:
    """Return whether half an end of a line stands alone in a head that is not all there.

    RFC 9112, section 2.2: who took a bare LF for one would see the end of the head where others see none.

    Args:
        data: what there is of the head; the other half of its last byte may still come.
        start: before it, all has been looked at.
    """
    before = max(0, start - 1)
    ends = data.count(b"\r\n", before)
    carriage_returns = data.count(b"\r", before) - data.endswith(b"\r")
    return data.count(b"\n", start) != ends or carriage_returns != ends


def parse_request_head(data: bytes, max_fields: int) -> RequestHead:
    """Parse the head of a request.

    Args:
        data: the bytes of the head, its empty line included, and nothing behind it.
        max_fields: most header lines.

    Raises:
        ClientError: malformed (400), an expectation that cannot be met (417), too many fields (431), the
            method CONNECT (501), or another protocol (505).
    """
    if len(data) > _MAX_REMEMBERED_BYTES:
        return _parse_request_head(data, max_fields)
    return _remembered_request_head(data, max_fields)


def _parse_request_head(data: bytes, max_fields: int) -> RequestHead:
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise ClientError(400, "malformed request: the request line")
    method, target, version = line.groups()
    minor = _minor_of_request(version, method)
    found = _Collector()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(
            data if method in _STANDARD_METHODS else _with_known_method(data, method, line.end(1))
        )
    except httptools.HttpParserUpgrade:
        pass  # judged here, not by the parser
    except httptools.HttpParserError as error:
        raise ClientError(400, f"malformed request: {error}") from None
    if not found.complete:
        raise ClientError(400, "malformed request: the head ends early")
    if len(found.fields) > max_fields:
        raise ClientError(431, f"more than {max_fields} header fields")
    known, fields = sort_fields(found.fields, REQUEST_ROLES)
    authority, path, query = _split_target(target, method)
    host = known.get(b"host")
    if host is None and minor == 1:
        raise ClientError(400, "malformed request: no Host field")
    if host is not None and not _HOST.fullmatch(host):
        raise ClientError(400, "malformed request: a Host field that names no host, or more than one")
    if b"expect" in known and minor == 1 and tokens(known[b"expect"]) != {b"100-continue"}:
        raise ClientError(417, "an expectation other than 100-continue")
    body_bytes = request_body_bytes(known, minor)
    upgrade = _upgrade_of(known) if b"upgrade" in known and minor == 1 and body_bytes == 0 else b""
    if upgrade or b"te" in known:
        fields += _hop_fields(known, upgrade)
    max_forwards = -1
    if b"max-forwards" in known:
        max_forwards, field = _max_forwards_of(known[b"max-forwards"], method)
        fields += field
    forwarded, rpc_forwarded = typed_fields(fields, known.get(b"content-type"))
    head = RequestHead(
        method,
        host or b"" if authority is None else authority,
        path,
        query,
        minor,
        keeps_alive(known, minor),
        known,
        forwarded,
        rpc_forwarded,
        body_bytes,
        upgrade,
        max_forwards,
        timeout_of(known),
    )
    if len(data) <= _MAX_REMEMBERED_BYTES:
        head.raw = data
    else:
        head.long_bytes = len(data)
        head.is_special = True
    return head


def _minor_of_request(version: bytes | None, method: bytes) -> int:
    """Return the minor version of HTTP/1 that a request line names; a GET that names none is HTTP/0.9."""
    if version is not None and version in _MINORS:
        return _MINORS[version]
    if method == b"GET" if version is None else _VERSION.fullmatch(version):
        raise ClientError(505, "a protocol other than HTTP/1.1 and HTTP/1.0")
    raise ClientError(400, "malformed request: the request line")


def _with_known_method(data: bytes, method: bytes, method_end: int) -> bytes:
    """Return a head whose method the parser takes: it has a list, while for HTTP a method is any token.

    A method that is a standard one but for its case is refused: who compares without case would take it for
    that, and its answer for one without a body.
    """
    if method.upper() in _STANDARD_METHODS:
        raise ClientError(400, "malformed request: a method in lower case")
    return b"PUT" + data[method_end:]


def _upgrade_of(known: dict[bytes, bytes]) -> bytes:
    """Return the protocols that a client would switch to (RFC 9110, section 7.8).

    Not to HTTP/2: its requests would pass through unseen, as the bytes of a tunnel.
    """
    upgrade = known[b"upgrade"]
    if not upgrade or b"upgrade" not in tokens(known.get(b"connection", b"")):
        return b""
    names = tokens(upgrade)
    return b"" if any(name.partition(b"/")[0] in {b"h2c", b"h2", b"http"} for name in names) else upgrade


def _hop_fields(known: dict[bytes, bytes], upgrade: bytes) -> bytes:
    """Return the fields for the connection to the node alone."""
    # RFC 9110, section 10.1.4: we pass trailers on, but know no transfer coding but chunked.
    wants_trailers = b"te" in known and b"trailers" in tokens(known[b"te"])
    if upgrade:
        both = (
            b"Connection: upgrade, TE\r\nTE: trailers\r\n" if wants_trailers else b"Connection: upgrade\r\n"
        )
        return b"%sUpgrade: %s\r\n" % (both, upgrade)
    return b"Connection: TE\r\nTE: trailers\r\n" if wants_trailers else b""


def _max_forwards_of(value: bytes, method: bytes) -> tuple[int, bytes]:
    """Return the limit that `value` sets to a request, -1 for none, and the field for the node.

    RFC 9110, section 7.6.2: it concerns TRACE and OPTIONS; with any other method it means nothing to us.
    """
    if method not in {b"TRACE", b"OPTIONS"}:
        return -1, b"Max-Forwards: %s\r\n" % value
    if not value.isdigit() or len(value) > _MAX_FORWARDS_DIGITS:
        raise ClientError(400, "malformed request: Max-Forwards is not a number")
    limit = int(value)
    return limit, b"Max-Forwards: %d\r\n" % max(0, limit - 1)


def request_id_in(data: bytes) -> bytes:
    """Return the X-Request-ID in what was refused as no head of a request; empty when there is none.

    Args:
        data: what the client has sent; whatever follows an empty line does not count.
    """
    end = data.find(HEAD_END)
    found = _REQUEST_ID.search(data, 0, len(data) if end < 0 else end)
    return b"" if found is None else found[1].rstrip(b" \t")[:MAX_REQUEST_ID_BYTES]


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
        # What llhttp says of this one says nothing to an operator.
        is_switch = found.complete and data[9:12] == b"101"
        detail = "a 101 that does not say to what it upgrades" if is_switch else str(error)
        raise NodeError(f"malformed answer: {detail}") from None
    if not found.complete:
        raise NodeError("malformed answer: the head ends early")
    if len(found.fields) > max_fields:
        raise NodeError(f"an answer of more than {max_fields} header fields")
    minor = _MINORS.get(data[:8])
    if minor is None:
        raise NodeError("malformed answer: a protocol other than HTTP/1.1 and HTTP/1.0")
    status = parser.get_status_code()
    if status < 100:
        raise NodeError("malformed answer: a status below 100")
    if not _PHRASE.fullmatch(found.phrase):
        raise NodeError("malformed answer: control characters in the reason phrase")
    known, forwarded = sort_fields(found.fields, RESPONSE_ROLES)
    if status in {101, 426} and b"upgrade" in known:
        # RFC 9110, sections 15.2.2 and 15.5.22: here the client must see it.
        forwarded += b"Connection: upgrade\r\nUpgrade: %s\r\n" % known[b"upgrade"]
    head = ResponseHead(
        status,
        found.phrase,
        minor,
        keeps_alive(known, minor),
        known,
        forwarded,
        response_body_bytes(known, minor, status),
    )
    if len(data) <= _MAX_REMEMBERED_BYTES:
        head.raw = data
    return head


# Clients and nodes say the same thing over and over: on a busy connection nearly every head has been seen
# before, to the letter. Parsing is a pure function and heads are never changed, so they can be shared.
_remembered_request_head = lru_cache(maxsize=_MAX_REMEMBERED_HEADS)(_parse_request_head)
_remembered_response_head = lru_cache(maxsize=_MAX_REMEMBERED_HEADS)(_parse_response_head)


def _split_target(target: bytes, method: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Return authority (None when there is none), path and query of a target (RFC 9112, section 3.2).

    The query has its question mark, which alone is something else than none (RFC 9110, section 7.7).
    """
    if method == b"CONNECT":
        raise ClientError(501, "the method CONNECT")
    if b"#" in target:
        raise ClientError(400, "malformed request: a fragment in the target")
    path, mark, query = target.partition(b"?")
    if len(path) > _MAX_STEPS and sum([path.lower().count(each) for each in _STEPS]) > _MAX_STEPS:
        raise ClientError(414, "the path has too many segments")
    query = mark + query
    if path[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return None, path, query
    scheme, separator, rest = path.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise ClientError(400, "malformed request: the target is neither a path nor an http URL")
    if not authority or not _HOST.fullmatch(authority):
        raise ClientError(400, "malformed request: a target without a host, or with a user part")
    if method == b"OPTIONS" and not slash and not query:
        return authority, b"*", b""  # RFC 9112, section 3.2.4: so says who is the last proxy
    return authority, (slash or b"/") + path, query
