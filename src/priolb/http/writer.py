"""Messages to bytes. Framing is always written anew, from values."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from priolb.http.messages import LocalResponse, ResponseHead

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

_STATUS_LINES: Final[dict[int, bytes]] = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}


def connection_field(minor: int, keep_alive: bool) -> bytes:
    """Return the Connection field that tells a client of HTTP/1.`minor` whether the connection stays."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if minor == 1 else b"Connection: keep-alive\r\n"


def local_response(response: LocalResponse, method: bytes, minor: int, keep_alive: bool) -> bytes:
    """Return a whole answer of our own; without its body when `method` is HEAD."""
    return b"%sContent-Type: %s\r\nContent-Length: %d\r\n%s%s\r\n%s" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        response.fields,
        connection_field(minor, keep_alive),
        b"" if method == b"HEAD" else response.body,
    )


def answer_start(head: ResponseHead, method: bytes, body_bytes: int, minor: int) -> bytes:
    """Return the head of a node's answer as the client shall see it, up to where fields of ours follow.

    Args:
        head: what the node sent.
        method: method of the request it answers.
        body_bytes: length of the body in bytes, CHUNKED, or UNTIL_CLOSE.
        minor: minor version of the client's HTTP/1.
    """
    if minor == 1 and body_bytes == head.body_bytes and method != b"HEAD":
        # As mostly. Heads that are remembered come here again and again: once is enough.
        if not head.usual_start:
            head.usual_start = _answer_start(head, method, body_bytes, minor)
        return head.usual_start
    return _answer_start(head, method, body_bytes, minor)


def _answer_start(head: ResponseHead, method: bytes, body_bytes: int, minor: int) -> bytes:
    known = head.known
    if body_bytes > 0:
        framing = b"Content-Length: %d\r\n" % body_bytes
    elif body_bytes < 0:
        framing = b"Transfer-Encoding: chunked\r\n" if minor == 1 else b""
    elif head.status == 204:
        framing = b""  # RFC 9110, section 8.6
    elif method == b"HEAD" or head.status == 304:
        # As that section says: the length that the body would have had, if the node told.
        length = known.get(b"content-length")
        framing = b"" if length is None else b"Content-Length: %s\r\n" % length
    else:
        framing = b"Content-Length: 0\r\n"
    if b"content-type" not in known and body_bytes != 0:
        framing += b"Content-Type: application/json\r\n"
    return b"HTTP/1.1 %d %s\r\n%s%s" % (head.status, head.phrase, head.forwarded, framing)


def is_chunked_to_client(body_bytes: int, minor: int) -> bool:
    """Return whether a body of `body_bytes` reaches a client of HTTP/1.`minor` in chunks."""
    return minor == 1 and body_bytes in (CHUNKED, UNTIL_CLOSE)


def chunk(data: bytes) -> bytes:
    """Return `data`, which must not be empty, as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)
