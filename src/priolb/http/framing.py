"""How long a body is, by the head of its message: RFC 9112, section 6."""

from __future__ import annotations

from typing import Final

from priolb.errors import ClientError, NodeError

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

# Those of 2**64: llhttp bounds the number, but not how many zeros stand in front of it.
_MAX_LENGTH_DIGITS: Final = 20


def request_body_bytes(known: dict[bytes, bytes], minor: int) -> int:
    """Return the length of a request's body in bytes, or CHUNKED.

    Raises:
        ClientError: framing that two readers could read differently, or a coding other than chunked (400).
    """
    length = known.get(b"content-length")
    coding = known.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise ClientError(400, "malformed request: both Content-Length and Transfer-Encoding")
        if minor == 0:
            raise ClientError(400, "malformed request: Transfer-Encoding in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise ClientError(400, "malformed request: a transfer coding other than chunked")
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise ClientError(400, "malformed request: Content-Length is not a number")
    return int(length)


def response_body_bytes(known: dict[bytes, bytes], minor: int, status: int) -> int:
    """Return the length of an answer's body in bytes, or CHUNKED, or UNTIL_CLOSE, unless it answers HEAD.

    Args:
        known: the answer's fields.
        minor: minor version of the answer's HTTP/1.
        status: the answer's status.

    Raises:
        NodeError: framing that two readers could read differently.
    """
    if status < 200 or status in {204, 304}:
        return 0
    length = known.get(b"content-length")
    coding = known.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise NodeError("an answer with both Content-Length and Transfer-Encoding")
        if minor == 0:
            raise NodeError("an answer of HTTP/1.0 with Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise NodeError("an answer in a transfer coding other than chunked")
        return CHUNKED
    if length is None:
        return UNTIL_CLOSE
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise NodeError("an answer whose Content-Length is not a number")
    return int(length)
