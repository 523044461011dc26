"""The answer to a request that may not be forwarded any further."""

from priolb.http.last_stop import answer_of_last
from priolb.http.messages import RequestHead
from priolb.http.parser import parse_request_head
from support.heads import head_bytes


def head(method: str, *lines: str, target: str = "/a?b") -> RequestHead:
    return parse_request_head(head_bytes(f"{method} {target} HTTP/1.1", "Host: c", *lines), 100)


def test_a_trace_shows_what_has_arrived() -> None:
    answer = answer_of_last(head("TRACE", "Via: 1.0 x", "X: y", "Connection: X-Z", "X-Z: 1"))
    assert (answer.status, answer.content_type) == (200, b"message/http")
    assert answer.body == b"TRACE /a?b HTTP/1.1\r\nHost: c\r\nVia: 1.0 x\r\nX: y\r\n\r\n"
    assert answer_of_last(head("TRACE", target="/")).body == b"TRACE / HTTP/1.1\r\nHost: c\r\n\r\n"


def test_a_trace_shows_no_secret() -> None:
    """RFC 9110, section 9.3.8."""
    lines = [
        "Authorization: a",
        "X: authorization: b",
        "COOKIE: c=d",
        "cookie: e",
        "X-Cookie: f",
        "x-api-key: g",
    ]
    assert answer_of_last(head("TRACE", *lines, target="/")).body == (
        b"TRACE / HTTP/1.1\r\nHost: c\r\nX: authorization: b\r\nX-Cookie: f\r\n\r\n"
    )


def test_options_tell_what_can_be_asked() -> None:
    answer = answer_of_last(head("OPTIONS", target="*"))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.fields == b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n"
