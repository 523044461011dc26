"""Heads of answers: what is taken from a node, what is its fault, and what travels on."""

import pytest

from priolb.errors import NodeError
from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from priolb.http.messages import ResponseHead
from priolb.http.parser import parse_response_head
from support.heads import MAX_FIELDS, head_bytes, values_of


def response(start: str = "HTTP/1.1 200 OK", *lines: str) -> ResponseHead:
    return parse_response_head(head_bytes(start, *lines), MAX_FIELDS)


def broken(data: bytes, max_fields: int = MAX_FIELDS) -> str:
    with pytest.raises(NodeError) as error:
        parse_response_head(data, max_fields)
    return str(error.value)


def test_an_answer_of_the_usual_kind() -> None:
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        "Content-Length: 12",
        "Date: Sun, 22 Nov 2026 08:00:00 GMT",
        "Set-Cookie: a=1",
        "Set-Cookie: b=2",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
    ]
    head = response(*lines)
    assert values_of(head) == {
        "status": 200,
        "phrase": b"OK",
        "minor": 1,
        "keep_alive": True,
        "known": {
            b"content-type": b"application/json",
            b"content-length": b"12",
            b"date": b"Sun, 22 Nov 2026 08:00:00 GMT",
            b"connection": b"keep-alive",
        },
        "forwarded": (
            b"Content-Type: application/json\r\nDate: Sun, 22 Nov 2026 08:00:00 GMT\r\n"
            b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        ),
        "body_bytes": 12,
        "raw": head_bytes(*lines),
        "is_plain": True,
        "usual_start": b"",
    }


@pytest.mark.parametrize(
    ("start", "status", "phrase"),
    [
        ("HTTP/1.1 200", 200, b""),
        ("HTTP/1.1 200 ", 200, b""),
        ("HTTP/1.1 404 Not Found", 404, b"Not Found"),
        ("HTTP/1.1 299 \xe9\xa0 \t~", 299, b"\xe9\xa0 \t~"),
        ("HTTP/1.1 100 Continue", 100, b"Continue"),
        ("HTTP/1.0 999 ?", 999, b"?"),
    ],
)
def test_the_status_line_of_an_answer(start: str, status: int, phrase: bytes) -> None:
    head = response(start)
    assert (head.status, head.phrase) == (status, phrase)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 200 O\x1bK\r\n\r\n",
        b"HTTP/1.1 200 O\x7fK\r\n\r\n",
        b"HTTP/1.1 200 O\rK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX y: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_a_malformed_answer_is_the_nodes_fault(data: bytes) -> None:
    assert broken(data).startswith("malformed answer: ")


def test_the_number_of_fields_of_an_answer_is_bounded() -> None:
    data = head_bytes("HTTP/1.1 200 OK", "A: 1", "B: 2")
    assert parse_response_head(data, 2).forwarded == b"A: 1\r\nB: 2\r\n"
    assert broken(data, 1) == "an answer of more than 1 header fields"


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        ("1.1", [], True),
        ("1.1", ["close"], False),
        ("1.1", ["Close"], False),
        ("1.1", ["x, close"], False),
        ("1.1", ["keep-alive", "close"], False),
        ("1.1", ["closed"], True),
        ("1.0", [], False),
        ("1.0", ["keep-alive"], True),
        ("1.0", ["Keep-Alive, x"], True),
        ("1.0", ["close, keep-alive"], False),
    ],
)
def test_whether_the_node_stays(version: str, connection: list[str], keep_alive: bool) -> None:
    lines = [f"Connection: {value}" for value in connection]
    assert response(f"HTTP/{version} 200 OK", *lines).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("start", "lines", "body_bytes"),
    [
        ("HTTP/1.1 200 OK", [], UNTIL_CLOSE),
        ("HTTP/1.1 200 OK", ["Content-Length: 7 "], 7),
        ("HTTP/1.1 200 OK", ["Transfer-Encoding: chunked "], CHUNKED),
        ("HTTP/1.1 204 No Content", [], 0),
        ("HTTP/1.1 304 Not Modified", ["Content-Length: 7"], 0),
    ],
)
def test_the_head_of_an_answer_says_how_long_its_body_is(
    start: str, lines: list[str], body_bytes: int
) -> None:
    assert response(start, *lines).body_bytes == body_bytes


@pytest.mark.parametrize("line", ["Transfer-Encoding: gzip", "Content-Length: " + "0" * 5000])
def test_an_answer_whose_end_cannot_be_known_is_the_nodes_fault(line: str) -> None:
    assert broken(head_bytes("HTTP/1.1 200 OK", line)).startswith("an answer ")


def test_a_node_cannot_speak_for_us_nor_about_the_connection() -> None:
    head = response(
        "HTTP/1.1 200 OK",
        "X-PrioLB-QueueDurationUs: 1",
        "X-PrioLB-SimDurationUs: 1",
        "X-PRIOLB-TOTALDURATIONUS: 1",
        "X-PrioLB-QueueSizeStart: 1",
        "X-PrioLB-QueueSizeEnd: 1",
        "Connection: x-hop",
        "X-Hop: 1",
        "Proxy-Connection: close",
        "Trailer: X-Sum",
        "Upgrade: h2c",
        "X-PrioLB-Other: kept",
    )
    assert head.forwarded == b"X-PrioLB-Other: kept\r\n"


def test_an_answer_that_switches_protocols_is_read_as_what_it_is() -> None:
    assert response("HTTP/1.1 101 Switching", "Connection: upgrade", "Upgrade: x").status == 101


@pytest.mark.parametrize("fields", [(), ("Connection: upgrade",), ("Upgrade: x",)])
def test_a_switch_to_no_protocol_is_called_that(fields: tuple[str, ...]) -> None:
    with pytest.raises(NodeError, match=r"^malformed answer: a 101 that does not say to what it upgrades$"):
        response("HTTP/1.1 101 Switching", *fields)


def test_a_switch_that_is_malformed_otherwise_is_called_that() -> None:
    with pytest.raises(NodeError, match=r"^malformed answer: Invalid header token$"):
        response("HTTP/1.1 101 Switching", "Connection: upgrade", "Upgrade: x", "bad field: y")
