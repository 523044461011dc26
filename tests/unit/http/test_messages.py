"""What we are asked ourselves, and what our answer is when nobody says otherwise."""

from priolb.http.messages import LocalRequest, LocalResponse
from priolb.http.parser import parse_request_head


def test_a_request_for_us_is_its_head_its_body_and_its_peer() -> None:
    head = parse_request_head(b"POST /nodes HTTP/1.1\r\nHost: a\r\n\r\n", 10)
    request = LocalRequest(head, b"{}", "127.0.0.1")
    assert (request.head, request.body, request.peer) == (head, b"{}", "127.0.0.1")


def test_an_answer_of_our_own_is_plain_text() -> None:
    response = LocalResponse(200, b"ok\n")
    assert (response.status, response.body, response.content_type, response.fields) == (
        200,
        b"ok\n",
        b"text/plain; charset=utf-8",
        b"",
    )
