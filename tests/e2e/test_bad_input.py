"""What is no request: a clear refusal, one line in the log, and no connection left hanging."""

import json

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always
from support.wire import post, request

HOST = b"Host: x"
CHUNKED = b"Transfer-Encoding: chunked"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


def get(*lines: bytes) -> bytes:
    return head(b"GET / HTTP/1.1", HOST, *lines)


def upload(*lines: bytes) -> bytes:
    return head(b"POST / HTTP/1.1", HOST, *lines)


MALFORMED = {
    "no text": (400, b"\x00\x01\x02\x03\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "no request line": (400, head(b"hello")),
    "HTTP/0.9": (505, head(b"GET /")),
    "HTTP/2.0": (505, head(b"GET / HTTP/2.0", HOST)),
    "the preface of HTTP/2": (505, head(b"PRI * HTTP/2.0") + b"SM\r\n\r\n"),
    "a long version": (400, head(b"GET / HTTP/1.12", HOST)),
    "no Host": (400, head(b"GET / HTTP/1.1")),
    "two Hosts": (400, get(HOST)),
    "a space in the method": (400, head(b"GE T / HTTP/1.1", HOST)),
    "a space in the target": (400, head(b"GET /a b HTTP/1.1", HOST)),
    "a target without a slash": (400, head(b"GET x HTTP/1.1", HOST)),
    "a target of another scheme": (400, head(b"GET ftp://x/ HTTP/1.1", HOST)),
    "CONNECT": (501, head(b"CONNECT x:443 HTTP/1.1", HOST)),
    "a field without a colon": (400, get(b"No colon")),
    "a space before the colon": (400, get(b"A : b")),
    "a field without a name": (400, get(b": b")),
    "a folded field": (400, get(b"A: b", b" c")),
    "a NUL in a field": (400, get(b"A: b\x00c")),
    "a lone CR in a field": (400, get(b"A: b\rc")),
    "a lone LF": (400, b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    "two heads in one": (400, b"GET / HTTP/1.1\nHost: x\n\n" + get()),
    "a length that is none": (400, upload(b"Content-Length: x")),
    "a negative length": (400, upload(b"Content-Length: -1")),
    "a signed length": (400, upload(b"Content-Length: +1") + b"x"),
    "a list of lengths": (400, upload(b"Content-Length: 1, 1") + b"x"),
    "two lengths": (400, upload(b"Content-Length: 1", b"Content-Length: 2") + b"xx"),
    "an endless length": (400, upload(b"Content-Length: " + b"9" * 5000)),
    "two framings": (400, upload(b"Content-Length: 5", CHUNKED) + b"0\r\n\r\n"),
    "another coding": (400, upload(b"Transfer-Encoding: gzip, chunked")),
    "an unknown coding": (400, upload(b"Transfer-Encoding: x")),
    "chunks in HTTP/1.0": (400, head(b"POST / HTTP/1.0", CHUNKED) + b"0\r\n\r\n"),
}

BAD_CHUNKS = {
    "a size that is none": b"x\r\n",
    "a negative size": b"-1\r\n",
    "a prefixed size": b"0x5\r\nhello\r\n",
    "a size of 17 digits": b"11111111111111111\r\n",
    "a chunk longer than its size": b"5\r\nhello!\r\n",
    "a lone LF": b"5\nhello\r\n",
    "an endless extension": b"5;" + b"x" * 300 + b"\r\n",
    "an endless trailer": b"0\r\n" + b"A: b\r\n" * 4000 + b"\r\n",
}

UNUSUAL = {
    "empty lines before it": b"\r\n\r\n" + upload(b"Content-Length: 2") + b"{}",
    "case and zeros": upload(b"content-LENGTH: 02") + b"{}",
    "blanks around a value": upload(b"Content-Length:\t2 ") + b"{}",
    "an absolute target": head(b"POST http://x HTTP/1.1", HOST, b"Content-Length: 2") + b"{}",
    "chunks": upload(b"Transfer-Encoding: Chunked") + b"02\r\n{}\r\n0\r\n\r\n",
    "an upgrade": upload(b"Upgrade: h2c", b"Connection: upgrade", b"Content-Length: 2") + b"{}",
}


@pytest.mark.parametrize(("status", "data"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused_and_its_connection_closed(
    balancer: Balancer, node: ScriptedNode, connect: Connect, status: int, data: bytes
) -> None:
    client = connect(balancer)
    answer = client.ask(data)
    assert (answer.status, answer.field("Connection")) == (status, "close")
    assert answer.field("Content-Type") == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["title"], problem["status"]) == ("bad request", status)
    assert problem["detail"].startswith("bad request: ")
    assert client.is_ended()
    assert node.requests == []


def test_each_refusal_is_one_line_in_the_log(launch: Launch, connect: Connect) -> None:
    balancer = launch()
    told = []
    for _, data in MALFORMED.values():
        problem = json.loads(connect(balancer).ask(data).body)
        told.append((problem["status"], problem["detail"].removeprefix("bad request: ")))
    balancer.stop()
    lines = [line for line in balancer.lines if line["msg"] == "Connection rejected"]
    assert [(line["statusCode"], line["err"]) for line in lines] == told
    assert {(line["level"], line["peer"]) for line in lines} == {("warn", "127.0.0.1")}


@pytest.mark.parametrize("data", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_malformed_chunk_is_refused_and_its_connection_closed(
    balancer: Balancer, node: ScriptedNode, connect: Connect, data: bytes
) -> None:
    client = connect(balancer)
    answer = client.ask(upload(CHUNKED) + data)
    assert (answer.status, answer.field("Connection")) == (400, "close")
    assert json.loads(answer.body)["detail"].startswith("bad request: malformed request: ")
    assert client.is_ended()
    assert node.requests == []


def test_what_came_before_the_malformed_is_still_answered(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post(b"fine") + b"no request\r\n\r\n" + post(b"never"))
    call = node.next_call()
    assert call.body == b"fine"
    call.answer(200, b"ok")
    assert client.receive().body == b"ok"
    assert client.receive().status == 400
    assert client.is_ended()
    assert node.is_quiet()


def test_a_refusal_is_not_lost_to_a_client_that_goes_on_sending(balancer: Balancer, connect: Connect) -> None:
    client = connect(balancer)
    client.send(request("POST", "/", b"", "Content-Length: 100000000"))
    for _ in range(20):
        client.send(b"x" * 65536)
    assert client.receive().status == 413


def test_malformed_with_legacy_errors_is_plain_text(launch: Launch, connect: Connect) -> None:
    answer = connect(launch(LEGACY_ERRORS="1")).ask(b"hello\r\n\r\n")
    assert (answer.status, answer.field("Content-Type")) == (400, "text/plain; charset=utf-8")
    assert answer.body.startswith(b"bad request: malformed request: ")


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_only_unusual_is_served(
    balancer: Balancer, new_node: NewNode, connect: Connect, data: bytes
) -> None:
    node = new_node(always(200, b"ok"))
    balancer.add_node(node.uri)
    client = connect(balancer)
    assert client.ask(data).body == b"ok"
    assert client.ask(data).body == b"ok"
    assert [(call.target, call.body) for call in node.requests] == [("/", b"{}")] * 2


def test_nothing_is_lost_to_others_while_a_client_sends_nonsense(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post(b"mine"))
    call = node.next_call()
    for _ in range(20):
        assert connect(balancer).ask(b"nonsense\r\n\r\n").status == 400
    call.answer(200, b"ok")
    assert client.receive().body == b"ok"
