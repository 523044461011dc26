"""Requests that are refused before they are read to their end, and the close that lingers after it."""

import pytest

from priolb.http.parser import HeadLimits
from priolb.net.flushing import LONG_READ_BYTES
from support.messages import ANSWER, CLOSE, POST, RETRY_AFTER, answer_at_client, post, problem
from support.rig import Rig

# Refusals


def test_a_body_over_the_bound_is_refused_before_it_is_read() -> None:
    with Rig(max_body_bytes=1024) as rig:
        node, client = rig.node(), rig.client()
        client.send(
            b"POST / HTTP/1.1\r\nHost: balancer\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n"
        )
        assert client.writes == [problem(b"413 Content Too Large", "Payload too large", CLOSE)]
        assert client.calls == ["write_eof"]
        assert rig.counts() == (0, 0, 0)
        assert rig.notes.take() == [("rejected", "192.0.2.1", 413, "payload_too_large")]
        assert node.is_quiet()


def test_a_body_over_the_bound_that_comes_with_its_head_is_refused_too() -> None:
    with Rig(max_body_bytes=1024) as rig:
        node, client = rig.node(), rig.client()
        client.send(post(b"X-Request-ID: id-7", body=b"x" * 1025))
        assert client.writes == [problem(b"413 Content Too Large", "Payload too large", CLOSE)]
        assert rig.counts() == (0, 0, 0)
        assert rig.notes.take() == [("rejected", b"id-7", "192.0.2.1", 413, "payload_too_large")]
        assert node.is_quiet()


def test_a_body_at_the_bound_is_served() -> None:
    with Rig(max_body_bytes=1024) as rig:
        node, client = rig.node(), rig.client()
        client.send(post(body=b"x" * 1024))
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_chunked_body_is_refused_as_soon_as_it_is_over_the_bound() -> None:
    with Rig(max_body_bytes=4) as rig:
        rig.node()
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        assert rig.counts() == (0, 0, 4)
        assert client.take() == b""
        client.send(b"1\r\n")
        assert client.take() == b""
        client.send(b"e")
        assert client.take() == problem(b"413 Content Too Large", "Payload too large", CLOSE)
        assert rig.counts() == (0, 0, 0)


def test_a_chunked_body_that_breaks_its_framing_is_refused() -> None:
    with Rig() as rig:
        rig.node()
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab")
        client.send(b"c")
        assert client.take() == problem(
            b"400 Bad Request", "bad request: malformed request: a chunk longer than its size", CLOSE
        )
        assert client.calls == ["write_eof"]


def test_a_head_that_is_no_http_is_refused() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert client.take() == problem(
            b"400 Bad Request", "bad request: malformed request: the request line", CLOSE
        )
        assert rig.notes.take() == [("rejected", "192.0.2.1", 400, "malformed request: the request line")]


@pytest.mark.parametrize(
    ("start", "status", "detail"),
    [
        (b"CONNECT a:1 HTTP/1.1\r\n", 501, "the method CONNECT"),
        (b"POST / HTTP/1.1\r\nExpect: x\r\n", 417, "an expectation other than 100-continue"),
        (b"POST / HTTP/1.1\r\nX-Request-Timeout: x\r\n", 400, None),
    ],
)
def test_who_is_refused_by_the_head_alone_finds_the_id_in_the_log(
    start: bytes, status: int, detail: str | None
) -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(start + b"host: a\r\nx-request-id: \tid-7 \r\n\r\nX-Request-ID: another\r\n")
        [(kind, request_id, _, told, words)] = rig.notes.take()
        assert (kind, request_id, told) == ("rejected", b"id-7", status)
        assert detail is None or words == detail
        client.break_off()


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_a_head_over_the_bound_is_refused_whether_or_not_its_end_is_there(size: int) -> None:
    too_large = b"GET / HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 218)
    assert len(too_large) == 257
    with Rig(head_limits=HeadLimits(256, 100)) as rig:
        client = rig.client()
        for start in range(0, len(too_large), size):
            client.send(too_large[start : start + size])
        assert client.take() == problem(
            b"431 Request Header Fields Too Large", "bad request: the head of the request is too large", CLOSE
        )


def test_a_head_at_the_bounds_is_served() -> None:
    head = b"GET / HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 217)
    assert len(head) == 256
    with Rig(head_limits=HeadLimits(256, 2)) as rig:
        node, client = rig.node(), rig.client()
        client.send(head)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)


@pytest.mark.parametrize("parts", [(b"\r", b"GET / HTTP/1.1\r\nHost: balancer\r\n\r\n"), (b"\r\n\r\r",)])
def test_a_line_in_front_of_a_request_that_is_not_empty_is_refused_at_once(parts: tuple[bytes, ...]) -> None:
    with Rig() as rig:
        rig.node()
        client = rig.client()
        for part in parts:
            client.send(part)
        assert client.take() == problem(
            b"400 Bad Request",
            "bad request: malformed request: a line that does not end in CR LF",
            CLOSE,
        )


def test_too_many_fields_are_refused() -> None:
    with Rig(head_limits=HeadLimits(256, 2)) as rig:
        client = rig.client()
        client.send(b"GET / HTTP/1.1\r\nHost: balancer\r\nA: 1\r\nB: 2\r\n\r\n")
        assert client.take() == problem(
            b"431 Request Header Fields Too Large", "bad request: more than 2 header fields", CLOSE
        )


def test_a_refused_head_request_gets_no_body() -> None:
    with Rig(max_body_bytes=4) as rig:
        client = rig.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 5\r\n\r\n")
        whole = problem(b"413 Content Too Large", "Payload too large", CLOSE)
        assert client.take() == whole[: whole.index(b"\r\n\r\n") + 4]


def test_a_body_that_the_budget_has_no_room_for_is_refused() -> None:
    with Rig(body_budget_bytes=5) as rig:
        node, first, second = rig.node(), rig.client(), rig.client()
        first.send(post(body=b"abcd"))
        assert rig.counts() == (0, 1, 4)
        second.send(post(body=b"ef"))
        assert second.take() == problem(
            b"503 Service Unavailable",
            "queue full: no room for the body of the request",
            RETRY_AFTER + CLOSE,
        )
        node.accept().send(ANSWER)
        assert first.take() == answer_at_client()


# Lingering close


def test_after_a_refusal_what_still_comes_is_thrown_away_until_the_client_leaves() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"nonsense\r\n\r\n")
        assert client.is_ended
        refusal = client.take()
        client.send(POST * 100)
        assert client.take() == b""
        assert refusal.startswith(b"HTTP/1.1 400 ")
        client.end()
        rig.run()
        assert client.calls == ["write_eof", "close"]
        assert node.is_quiet()


# How the balancer ends its side; with TLS, with a goodbye that the client has to answer.
SIDES = pytest.mark.parametrize(
    ("can_half_close", "ends"), [(True, "write_eof"), (False, "close")], ids=["plain", "with TLS"]
)


@SIDES
def test_a_refused_client_that_neither_sends_nor_leaves_is_let_go_after_5_seconds(
    can_half_close: bool, ends: str
) -> None:
    with Rig() as rig:
        client = rig.client(can_half_close=can_half_close)
        client.send(b"nonsense\r\n\r\n")
        for _ in range(3):
            rig.advance(4.5)
            client.send(b"more")
        rig.advance(4.9)
        assert client.calls == [ends]
        rig.advance(0.2)
        assert client.is_lost
        assert client.calls == [ends, "abort"]


@SIDES
def test_a_refused_client_that_sends_on_and_on_is_let_go_after_30_seconds(
    can_half_close: bool, ends: str
) -> None:
    with Rig() as rig:
        client = rig.client(can_half_close=can_half_close)
        client.send(b"nonsense\r\n\r\n")
        for _ in range(299):
            client.send(b"more")
            rig.advance(0.1)
        assert client.calls == [ends]
        rig.advance(0.2)
        assert client.is_lost
        assert client.calls == [ends, "abort"]


def test_a_refused_client_that_sends_much_at_once_is_read_on_in_the_next_turn() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"nonsense\r\n\r\n")
        client.send(b"x" * LONG_READ_BYTES)
        assert client.calls == ["write_eof", "pause_reading"]
        rig.run()
        assert client.calls == ["write_eof", "pause_reading", "resume_reading"]


def test_a_system_that_does_not_tell_how_long_a_client_is_silent_has_it_let_go_after_5_seconds() -> None:
    with Rig() as rig:
        client = rig.client()
        client.socket.is_mute = True
        client.send(b"nonsense\r\n\r\n")
        rig.advance(4.9)
        client.send(b"more")
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.is_lost
