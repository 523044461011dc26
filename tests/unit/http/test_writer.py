"""Answers as bytes: framing is written from values, whatever the node had written."""

import pytest

from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from priolb.http.messages import LocalResponse, ResponseHead
from priolb.http.writer import (
    CONTINUE,
    answer_start,
    chunk,
    connection_field,
    date_field,
    interim_answer,
    is_chunked_to_client,
    last_chunk,
    local_response,
    status_line,
    timing_fields,
    via_field,
    without_body,
)

JSON = b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(400, b"Bad Request"), (413, b"Content Too Large"), (414, b"URI Too Long"), (504, b"Gateway Timeout")],
)
def test_phrases_are_those_of_rfc_9110_whatever_python_has(status: int, phrase: bytes) -> None:
    assert status_line(status) == b"HTTP/1.1 %d %s\r\n" % (status, phrase)


def head(
    status: int = 200, known: dict[bytes, bytes] | None = None, forwarded: bytes = b"", phrase: bytes = b"OK"
) -> ResponseHead:
    # The length that counts is the writer's argument: that of an answer to HEAD is not the head's.
    return ResponseHead(status, phrase, 1, True, known or {}, forwarded, UNTIL_CLOSE)


def written(
    answer: ResponseHead, body_bytes: int, method: bytes = b"POST", minor: int = 1, is_json: bool = True
) -> bytes:
    """The lines behind the status line; the second time, when the head may have noted them, the same."""
    line, end, lines = answer_start(answer, method, body_bytes, minor, is_json).partition(b"\r\n")
    assert line + end == b"HTTP/1.1 %d OK\r\n" % answer.status
    assert answer_start(answer, method, body_bytes, minor, is_json) == line + end + lines
    return lines


@pytest.mark.parametrize(
    ("minor", "keep_alive", "field"),
    [
        (1, True, b""),
        (1, False, b"Connection: close\r\n"),
        (0, True, b"Connection: keep-alive\r\n"),
        (0, False, b"Connection: close\r\n"),
    ],
)
def test_a_client_is_told_what_its_version_does_not_imply(minor: int, keep_alive: bool, field: bytes) -> None:
    assert connection_field(minor, keep_alive) == field


def test_an_answer_of_our_own_is_whole() -> None:
    response = LocalResponse(503, b"no\n", b"text/plain", b"Retry-After: 1\r\n")
    assert local_response(response, b"POST", 1, keep_alive=True) == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        b"Retry-After: 1\r\n\r\nno\n"
    )
    dated = local_response(response, b"POST", 1, keep_alive=True, date=date_field(1795348800.9))
    assert dated.endswith(b"Retry-After: 1\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\nno\n")
    assert local_response(response, b"GET", 1, keep_alive=False).endswith(
        b"Retry-After: 1\r\nConnection: close\r\n\r\nno\n"
    )


def test_the_answer_to_head_tells_the_length_of_the_body_it_leaves_out() -> None:
    assert local_response(LocalResponse(200, b"body"), b"HEAD", 1, keep_alive=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n"
    )


def test_an_answer_of_a_node_keeps_its_status_phrase_and_fields() -> None:
    answer = head(418, {b"content-type": b"a/b"}, b"Content-Type: a/b\r\nX: y\r\n", b"Teapot, I am")
    assert answer_start(answer, b"POST", 4, 1, is_json=False) == (
        b"HTTP/1.1 418 Teapot, I am\r\nContent-Type: a/b\r\nX: y\r\nContent-Length: 4\r\n"
    )


def test_an_answer_without_a_phrase_keeps_the_space_before_it() -> None:
    """RFC 9112, section 4: the space is no part of the phrase."""
    assert answer_start(head(phrase=b""), b"POST", 1, 1, is_json=False).startswith(b"HTTP/1.1 200 \r\n")


@pytest.mark.parametrize(
    ("body_bytes", "minor", "framing"),
    [
        (5, 1, b"Content-Length: 5\r\n"),
        (5, 0, b"Content-Length: 5\r\n"),
        (CHUNKED, 1, b"Transfer-Encoding: chunked\r\n"),
        (CHUNKED, 0, b""),
        (UNTIL_CLOSE, 1, b"Transfer-Encoding: chunked\r\n"),
        (UNTIL_CLOSE, 0, b""),
    ],
)
def test_a_body_has_a_length_or_chunks_or_the_end_of_the_connection(
    body_bytes: int, minor: int, framing: bytes
) -> None:
    assert written(head(), body_bytes, minor=minor) == framing + JSON
    typed = head(known={b"content-type": b"a/b", b"content-length": b"99"})
    assert written(typed, body_bytes, minor=minor) == framing


@pytest.mark.parametrize("known", [{}, {b"content-length": b"0"}, {b"transfer-encoding": b"chunked"}])
@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_empty_body_has_the_length_zero(known: dict[bytes, bytes], status: int) -> None:
    """However the node framed it: without a length the client would wait for the end of the connection."""
    assert written(head(status, known), 0) == b"Content-Length: 0\r\n"


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"HEAD", 404), (b"GET", 304), (b"HEAD", 304)]
)
def test_an_answer_to_head_and_a_304_carry_the_length_that_the_node_gave(method: bytes, status: int) -> None:
    """It is that of the body they leave out, and unknown when the node did not tell."""
    assert written(head(status, {b"content-length": b"12"}), 0, method) == b"Content-Length: 12\r\n"
    assert written(head(status), 0, method) == b""
    assert written(head(status, {b"transfer-encoding": b"chunked"}), 0, method) == b""


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("known", [{}, {b"content-length": b"0"}, {b"content-length": b"12"}])
def test_a_204_carries_no_length_whatever_the_node_said(method: bytes, known: dict[bytes, bytes]) -> None:
    """RFC 9110, section 8.6."""
    assert written(head(204, known), 0, method) == b""


@pytest.mark.parametrize(
    ("body_bytes", "minor", "is_chunked"),
    [
        (CHUNKED, 1, True),
        (UNTIL_CLOSE, 1, True),
        (CHUNKED, 0, False),
        (UNTIL_CLOSE, 0, False),
        (5, 1, False),
        (0, 1, False),
    ],
)
def test_only_a_body_of_unknown_length_is_chunked_and_only_for_http_1_1(
    body_bytes: int, minor: int, is_chunked: bool
) -> None:
    assert is_chunked_to_client(body_bytes, minor) is is_chunked


def test_chunks_and_interim_answers_are_as_rfc_9112_spells_them() -> None:
    assert chunk(b"0123456789abcdef!") == b"11\r\n0123456789abcdef!\r\n"
    assert last_chunk(b"") == b"0\r\n\r\n"
    assert last_chunk(b"X-Sum: 1\r\n") == b"0\r\nX-Sum: 1\r\n\r\n"
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"
    hints = ResponseHead(103, b"Early Hints", 1, True, {}, b"Link: </a>\r\n", 0)
    assert interim_answer(hints) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.parametrize("body_bytes", [5, CHUNKED, UNTIL_CLOSE])
def test_a_type_that_the_node_does_not_tell_is_left_open_unless_it_must_be_json(body_bytes: int) -> None:
    """The head may be one that is remembered: what was made of it for JSON must not come back."""
    answer = ResponseHead(200, b"OK", 1, True, {}, b"", body_bytes)
    untyped = written(answer, body_bytes, is_json=False)
    assert b"Content-Type" not in untyped
    assert written(answer, body_bytes, is_json=True) == untyped + JSON
    assert written(answer, body_bytes, is_json=False) == untyped


def test_trailers_are_announced_where_they_can_come() -> None:
    known = {b"trailer": b"X-Sum", b"content-type": b"a/b"}
    assert written(head(known=known), CHUNKED) == b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
    assert written(head(known=known), CHUNKED, minor=0) == b""
    assert written(head(known=known), 5) == b"Content-Length: 5\r\n"


@pytest.mark.parametrize(("minor", "field"), [(0, b"Via: 1.0 lb-1\r\n"), (1, b"Via: 1.1 lb-1\r\n")])
def test_via_tells_the_version_in_which_an_answer_came(minor: int, field: bytes) -> None:
    assert via_field(minor, "lb-1") == field


@pytest.mark.parametrize(
    ("queue_us", "node_us", "start", "end", "expected"),
    [
        (0, 7, 1, 0, (b"0", b"7", b"7", b"1", b"0", b"0.000", b"0.007")),
        (999, 1_000, 999, 1000, (b"999", b"1000", b"1999", b"999", b"1000", b"0.999", b"1.000")),
        (
            1_000_050,
            1_234_567_890,
            1000,
            999,
            (b"1000050", b"1234567890", b"1235567940", b"1000", b"999", b"1000.050", b"1234567.890"),
        ),
    ],
)
def test_times_are_told_in_microseconds_and_to_browsers_in_milliseconds(
    queue_us: int, node_us: int, start: int, end: int, expected: tuple[bytes, ...]
) -> None:
    assert timing_fields(queue_us, node_us, start, end) == (
        b"X-PrioLB-QueueDurationUs: %b\r\nX-PrioLB-SimDurationUs: %b\r\nX-PrioLB-TotalDurationUs: %b\r\n"
        b"X-PrioLB-QueueSizeStart: %b\r\nX-PrioLB-QueueSizeEnd: %b\r\n"
        b"Server-Timing: queue;dur=%b, node;dur=%b\r\n" % expected
    )


def test_of_a_whole_answer_the_head_can_be_had_alone() -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 6\r\n\r\n"
    assert without_body(head + b"a\r\n\r\nb") == head
