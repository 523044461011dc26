"""Messages to bytes. Framing is always written anew, from values."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from priolb.http.messages import LocalResponse, ResponseHead
from priolb.http.numbers import NUMBERS, THREE_DIGITS, decimal

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

# As RFC 9110 has it, section 15.5. Before Python 3.13, the standard library has the phrases of older RFCs.
_PHRASES: Final = {413: "Content Too Large", 414: "URI Too Long"}

_STATUS_LINES: Final[dict[int, bytes]] = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, status.phrase).encode())
    for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """Return the first line of an answer of ours."""
    return _STATUS_LINES[status]


def via_field(minor: int, name: str) -> bytes:
    """Return the Via field of ours for an answer that came as HTTP/1.`minor` (RFC 9110, section 7.6.3)."""
    return b"Via: 1.%d %s\r\n" % (minor, name.encode())


def connection_field(minor: int, keep_alive: bool) -> bytes:
    """Return the Connection field that tells a client of HTTP/1.`minor` whether the connection stays."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if minor == 1 else b"Connection: keep-alive\r\n"


def date_field(unix_s: float) -> bytes:
    """Return the Date field for this time in seconds since 1970 (RFC 9110, section 6.6.1)."""
    return b"Date: %s\r\n" % formatdate(unix_s, usegmt=True).encode()


def local_response(
    response: LocalResponse, method: bytes, minor: int, keep_alive: bool, date: bytes = b""
) -> bytes:
    """Return a whole answer of our own.

    Args:
        response: the answer.
        method: method of the request; with HEAD the body is left out.
        minor: minor version of the client's HTTP/1.
        keep_alive: whether the connection stays.
        date: the Date field, rendered; empty for a server without a clock.
    """
    return b"%sContent-Type: %s\r\nContent-Length: %d\r\n%s%s%s\r\n%s" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        response.fields,
        date,
        connection_field(minor, keep_alive),
        b"" if method == b"HEAD" else response.body,
    )


def without_body(answer: bytes) -> bytes:
    """Return the head of a whole answer."""
    return answer[: answer.find(b"\r\n\r\n") + 4]


def answer_start(head: ResponseHead, method: bytes, body_bytes: int, minor: int, is_json: bool) -> bytes:
    """Return the head of a node's answer as the client shall see it, up to where fields of ours follow.

    Args:
        head: what the node sent.
        method: method of the request it answers.
        body_bytes: length of the body in bytes, CHUNKED, or UNTIL_CLOSE.
        minor: minor version of the client's HTTP/1.
        is_json: a body whose type the node does not tell is JSON, as with the original.
    """
    is_usual = minor == 1 and body_bytes == head.body_bytes and method != b"HEAD"
    if is_usual and (is_json or b"content-type" in head.known):
        # As mostly. Heads that are remembered come here again and again: once is enough.
        if not head.usual_start:
            head.usual_start = _answer_start(head, method, body_bytes, minor, is_json)
        return head.usual_start
    return _answer_start(head, method, body_bytes, minor, is_json)


def _answer_start(head: ResponseHead, method: bytes, body_bytes: int, minor: int, is_json: bool) -> bytes:
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
    if is_json and body_bytes != 0 and b"content-type" not in known:
        framing += b"Content-Type: application/json\r\n"
    if b"trailer" in known and is_chunked_to_client(body_bytes, minor):
        framing += b"Trailer: %s\r\n" % known[b"trailer"]
    return b"HTTP/1.1 %d %s\r\n%s%s" % (head.status, head.phrase, head.forwarded, framing)


def is_chunked_to_client(body_bytes: int, minor: int) -> bool:
    """Return whether a body of `body_bytes` reaches a client of HTTP/1.`minor` in chunks."""
    return minor == 1 and body_bytes in (CHUNKED, UNTIL_CLOSE)


def timing_fields(queue_us: int, node_us: int, size_at_start: int, size_at_end: int) -> bytes:
    """Return the fields that tell where an answer spent its time.

    Args:
        queue_us: from the arrival of the request to the start of the try that was answered, microseconds.
        node_us: from there to the answer, microseconds.
        size_at_start: length of the request's lane when it came, itself included.
        size_at_end: the same now.
    """
    node_ms = node_us // 1000
    node_time = b"%d" % node_us
    queue_time, queue_span, total_time = b"0", b"0.000", node_time  # of one that started at once, as mostly
    if queue_us:
        queue_ms = queue_us // 1000
        queue_time = b"%d" % queue_us
        queue_span = b"%b.%b" % (decimal(queue_ms), THREE_DIGITS[queue_us - 1000 * queue_ms])
        total_time = b"%d" % (queue_us + node_us)
    return (
        b"X-PrioLB-QueueDurationUs: %b\r\nX-PrioLB-SimDurationUs: %b\r\nX-PrioLB-TotalDurationUs: %b\r\n"
        b"X-PrioLB-QueueSizeStart: %b\r\nX-PrioLB-QueueSizeEnd: %b\r\n"
        b"Server-Timing: queue;dur=%b, node;dur=%b.%b\r\n"
        % (
            queue_time,
            node_time,
            total_time,
            NUMBERS[size_at_start] if size_at_start < 1000 else b"%d" % size_at_start,
            NUMBERS[size_at_end] if size_at_end < 1000 else b"%d" % size_at_end,
            queue_span,
            NUMBERS[node_ms] if node_ms < 1000 else b"%d" % node_ms,
            THREE_DIGITS[node_us - 1000 * node_ms],
        )
    )


def interim_answer(head: ResponseHead) -> bytes:
    """Return an interim answer (1xx) of a node as the client shall see it."""
    return b"HTTP/1.1 %d %s\r\n%s\r\n" % (head.status, head.phrase, head.forwarded)


def last_chunk(trailers: bytes) -> bytes:
    """Return the end of a chunked body.

    Args:
        trailers: fields of the trailer section, rendered.
    """
    return b"0\r\n%s\r\n" % trailers


def chunk(data: bytes) -> bytes:
    """Return `data`, which must not be empty, as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)
