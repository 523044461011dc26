"""Answers of nodes, section by section of RFC 9112: what is the node's fault, and what a client gets."""

import pytest

from support.messages import ANSWER, BAD_ANSWER, CLOSE, POST, UNREACHABLE, timings
from support.rig import Rig

JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def answer(fields: bytes, body: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + fields + b"\r\n" + body


BROKEN_HEADS = [
    ("2.2 a bare LF ends the status line", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    ("2.2 a bare LF ends a field", b"HTTP/1.1 200 OK\r\nContent-Length: 0\nX: y\r\n\r\n"),
    ("2.2 bare LFs end all lines", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("2.2 bare CRs end all lines", b"HTTP/1.1 200 OK\rContent-Length: 0\r\r"),
    ("2.2 a bare CR in a value", answer(b"X: a\rb\r\nContent-Length: 0\r\n")),
    ("2.2 empty lines before it", b"\r\n\r\n\r\n\r\n"),
    ("2.3 version 2.0", answer(b"", line=b"HTTP/2.0 200 OK")),
    ("2.3 a version in lower case", answer(b"", line=b"http/1.1 200 OK")),
    ("2.3 another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("4 a status of two digits", answer(b"", line=b"HTTP/1.1 20 OK")),
    ("4 a status of four digits", answer(b"", line=b"HTTP/1.1 2000 OK")),
    ("4 a status below 100", answer(b"", line=b"HTTP/1.1 099 OK")),
    ("4 a status that is no number", answer(b"", line=b"HTTP/1.1 2x0 OK")),
    ("4 a control byte in the phrase", answer(b"", line=b"HTTP/1.1 200 O\x01K")),
    ("5.1 a blank before the colon", answer(b"Content-Length : 2\r\n", b"[]")),
    ("5.2 a folded line", answer(b"X: a\r\n b\r\nContent-Length: 0\r\n")),
    ("5 NUL in a value", answer(b"X: a\x00b\r\nContent-Length: 0\r\n")),
    ("5 no colon", answer(b"X\r\nContent-Length: 0\r\n")),
    ("6.1 another coding", answer(b"Transfer-Encoding: gzip\r\n")),
    ("6.1 a coding before chunked", answer(b"Transfer-Encoding: gzip, chunked\r\n")),
    ("6.1 chunked twice", answer(CHUNKED + CHUNKED)),
    ("6.1 chunked in HTTP/1.0", answer(CHUNKED, line=b"HTTP/1.0 200 OK")),
    ("6.3 a length and a coding", answer(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n")),
    ("6.3 two lengths that differ", answer(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"[]")),
    ("6.3 one length twice", answer(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"[]")),
    ("6.3 a signed length", answer(b"Content-Length: +2\r\n", b"[]")),
    ("6.3 a length that is no number", answer(b"Content-Length: two\r\n", b"[]")),
    ("9110 5.4 an endless head", answer(b"X: %s\r\n" % (b"y" * 70000))),
    ("9110 5.4 endless fields", answer(b"X: y\r\n" * 101)),
    (
        "9110 7.8 a switch of protocols that nobody asked for",
        answer(b"Upgrade: x\r\n", line=b"HTTP/1.1 101 S"),
    ),
]


@pytest.mark.parametrize("data", [case[1] for case in BROKEN_HEADS], ids=[case[0] for case in BROKEN_HEADS])
def test_an_ambiguous_head_is_502_and_its_connection_never_used_again(data: bytes) -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(data)
        assert client.take() == BAD_ANSWER
        assert call.was_aborted and rig.engine.idle.count == 0
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


BROKEN_BODIES = [
    ("7.1 a size that is no number", b"x\r\n"),
    ("7.1 a signed size", b"+1\r\na\r\n"),
    ("7.1 a blank behind the size", b"1 \r\na\r\n"),
    ("7.1 a bare LF", b"1\na\r\n"),
    ("7.1 a chunk longer than its size", b"1\r\nab\r\n"),
    ("7.1.1 a bare CR in an extension", b"1;a\rb\r\na\r\n"),
    ("7.1.2 a trailer without a colon", b"0\r\nX\r\n\r\n"),
    ("7.1.2 a folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
]


@pytest.mark.parametrize("data", [case[1] for case in BROKEN_BODIES], ids=[case[0] for case in BROKEN_BODIES])
def test_a_body_that_breaks_its_framing_is_cut_off_at_the_client(data: bytes) -> None:
    """What has been sent cannot be taken back; that it is not complete, the client sees."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(answer(CHUNKED, b"1\r\n[\r\n"))
        head = b"HTTP/1.1 200 OK\r\n" + CHUNKED + JSON + timings() + b"\r\n"
        assert client.take() == head + b"1\r\n[\r\n"
        call.send(data)
        rig.run()
        assert b"0\r\n\r\n" not in client.take()
        assert client.is_lost
        assert call.was_aborted and rig.engine.idle.count == 0


def test_8_a_sized_body_that_ends_early_is_cut_off_at_the_client() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(answer(b"Content-Length: 5\r\n", b"ab"))
        call.end()
        rig.run()
        assert client.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + JSON + timings() + b"\r\nab"
        assert client.is_lost


def test_8_a_chunked_body_that_ends_early_is_cut_off_at_the_client() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(answer(CHUNKED, b"2\r\nab\r\n"))
        call.end()
        rig.run()
        assert client.take().endswith(b"\r\n\r\n2\r\nab\r\n")
        assert client.is_lost


def test_8_a_reset_in_a_body_that_only_the_end_ends_is_a_reset_at_a_client_of_http_1_0() -> None:
    """Its end would look like the end of the body."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.0\r\n\r\n")
        call = node.accept()
        call.send(answer(b"", b"ab"))
        call.break_off()
        rig.run()
        assert client.take().endswith(b"\r\n\r\nab")
        assert client.was_reset


def test_8_a_node_that_closes_before_its_answer_is_502() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().end()
        rig.run()
        assert client.take() == UNREACHABLE


@pytest.mark.parametrize("surplus", [b"x", ANSWER, b"\r\n"])
@pytest.mark.parametrize(
    ("framing", "body", "received"),
    [
        (b"Content-Length: 2\r\n", b"[]", b"[]"),
        (CHUNKED, b"2\r\n[]\r\n0\r\n\r\n", b"2\r\n[]\r\n0\r\n\r\n"),
        (b"Content-Length: 0\r\n", b"", b""),
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_6_3_what_a_node_says_behind_its_answer_reaches_nobody(
    framing: bytes, body: bytes, received: bytes, surplus: bytes, is_split: bool
) -> None:
    """Another client's bytes, for all that anybody knows; that connection is not used again."""
    with Rig() as rig:
        node, client, other = rig.node(), rig.client(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(answer(framing, body + (b"" if is_split else surplus)))
        if is_split:
            call.send(surplus)
        assert client.take().endswith(b"\r\n\r\n" + received)
        assert call.was_aborted and rig.engine.idle.count == 0
        other.send(POST)
        node.accept().send(ANSWER)
        assert other.take().endswith(b"\r\n\r\n[]")
        assert not client.is_closing() and client.take() == b""


def test_9_3_what_a_node_says_unasked_ends_its_connection() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        client.take()
        call.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert call.was_aborted and client.take() == b""
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


NO_BODY = [
    ("HEAD", b"HEAD /a HTTP/1.1", b"Content-Length: 12\r\n", b"200 OK", b"Content-Length: 12\r\n"),
    ("HEAD, chunked", b"HEAD /a HTTP/1.1", CHUNKED, b"200 OK", b""),
    ("HEAD of an error", b"HEAD /a HTTP/1.1", b"Content-Length: 12\r\n", b"204 N", b""),
    ("204", b"GET /a HTTP/1.1", b"", b"204 No Content", b""),
    ("304", b"GET /a HTTP/1.1", b"Content-Length: 12\r\n", b"304 Not Modified", b"Content-Length: 12\r\n"),
    ("304 that tells no length", b"GET /a HTTP/1.1", b'ETag: "a"\r\n', b"304 N", b'ETag: "a"\r\n'),
]


@pytest.mark.parametrize(
    ("line", "fields", "status", "received"),
    [case[1:] for case in NO_BODY],
    ids=[case[0] for case in NO_BODY],
)
def test_6_3_an_answer_without_a_body_ends_with_its_head(
    line: bytes, fields: bytes, status: bytes, received: bytes
) -> None:
    """And the next answer on that connection is that of the next request."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(line + b"\r\nHost: balancer\r\n\r\n")
        call = node.accept()
        call.send(answer(fields, line=b"HTTP/1.1 " + status))
        assert client.take() == b"HTTP/1.1 " + status + b"\r\n" + received + timings() + b"\r\n"
        client.send(POST)
        call.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


FRAMINGS = [
    ("sized", 1, b"Content-Length: 2\r\n", b"[]", b"Content-Length: 2\r\n", b"[]", True),
    ("sized, 1.0", 0, b"Content-Length: 2\r\n", b"[]", b"Content-Length: 2\r\n", b"[]", True),
    ("chunked", 1, CHUNKED, b"2\r\n[]\r\n0\r\n\r\n", CHUNKED, b"2\r\n[]\r\n0\r\n\r\n", True),
    ("chunked, 1.0", 0, CHUNKED, b"2\r\n[]\r\n0\r\n\r\n", b"", b"[]", False),
    ("until the end", 1, b"", b"[]", CHUNKED, b"2\r\n[]\r\n0\r\n\r\n", True),
    ("until the end, 1.0", 0, b"", b"[]", b"", b"[]", False),
]


@pytest.mark.parametrize(
    ("minor", "fields", "body", "framing", "received", "stays"),
    [case[1:] for case in FRAMINGS],
    ids=[case[0] for case in FRAMINGS],
)
def test_6_an_answer_is_framed_anew_for_the_version_of_its_client(
    minor: int, fields: bytes, body: bytes, framing: bytes, received: bytes, stays: bool
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.%d\r\nHost: balancer\r\nConnection: keep-alive\r\n\r\n" % minor)
        call = node.accept()
        call.send(answer(b"Content-Type: a/b\r\n" + fields, body))
        if not fields:
            call.end()
        rig.run()
        connection = b"" if minor else b"Connection: keep-alive\r\n" if stays else CLOSE
        start = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n"
        assert client.take() == start + framing + timings() + connection + b"\r\n" + received
        assert client.is_lost is not stays


def test_7_1_2_trailers_of_a_node_reach_a_client_of_http_1_1() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.1\r\nHost: balancer\r\nTE: trailers\r\n\r\n")
        call = node.accept()
        call.send(answer(CHUNKED + b"Trailer: X-Sum\r\n", b"1\r\na\r\n"))
        call.send(b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\nSet-Cookie: a\r\nConnection: close\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"Trailer: X-Sum\r\n" + timings() + b"\r\n"
        assert client.take() == head + b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
        assert rig.engine.idle.count == 1


def test_7_1_2_trailers_that_connection_nominates_do_not_reach_the_client() -> None:
    """RFC 9110, section 7.6.1."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.1\r\nHost: balancer\r\n\r\n")
        call = node.accept()
        call.send(answer(CHUNKED + b"Connection: X-Hop\r\n", b"1\r\na\r\n0\r\nX-Hop: 1\r\nX-Sum: 2\r\n\r\n"))
        assert client.take().endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n")


def test_7_1_2_a_client_of_http_1_0_gets_no_trailers() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.0\r\n\r\n")
        node.accept().send(answer(CHUNKED, b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"))
        rig.run()
        assert client.take() == b"HTTP/1.1 200 OK\r\n" + timings() + CLOSE + b"\r\na"


@pytest.mark.parametrize(
    ("line", "fields", "stays"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200 OK", b"Connection: close\r\n", False),
        (b"HTTP/1.0 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"Connection: keep-alive\r\n", True),
    ],
)
def test_9_3_a_connection_to_a_node_stays_as_its_version_and_the_node_say(
    line: bytes, fields: bytes, stays: bool
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(answer(fields + b"Content-Length: 2\r\n", b"[]", line))
        assert client.take().endswith(b"\r\n\r\n[]")
        assert rig.engine.idle.count == stays
