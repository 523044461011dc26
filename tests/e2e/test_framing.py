"""Where bodies begin and end, in both directions."""

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always, reply
from support.wire import CUT, post, request

CHUNKED = "Transfer-Encoding: chunked"
ALIVE = request("GET", "/healthz")


def test_a_chunked_request_reaches_the_node_whole_with_a_length(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(request("POST", "/", b"", CHUNKED))
    client.send(b"3;note=1\r\nabc\r\n")
    client.send(b"A\r\n0123456789\r\n0\r\nTrailer: dropped\r\n\r\n")
    call = node.next_call()
    assert call.body == b"abc0123456789"
    assert call.field("content-length") == "13"
    assert call.field("transfer-encoding") is None
    assert call.field("trailer") is None
    call.answer()
    assert client.receive().status == 200
    assert client.ask(ALIVE).status == 200


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_chunked_answer_reaches_the_client_in_chunks(
    balancer: Balancer, node: ScriptedNode, connect: Connect, method: str
) -> None:
    client = connect(balancer)
    client.send(request(method, "/thing"))
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nfirst\r\n")
    _, status, _, lines = client.receive_head()
    assert status == 200
    assert ("Transfer-Encoding", "chunked") in lines and ("X-A", "b") in lines
    assert client.read_exactly(10) == b"5\r\nfirst\r\n", "the first part comes before the second is sent"
    call.send(b"6;ext\r\nsecond\r\n0\r\nTrailer: dropped\r\n\r\n")
    assert client.read_exactly(16) == b"6\r\nsecond\r\n0\r\n\r\n"
    assert client.ask(ALIVE).status == 200


def test_an_answer_that_ends_with_its_connection_reaches_the_client_in_chunks(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\n\r\nall there is")
    call.close()
    answer = client.receive()
    assert (answer.body, answer.field("Transfer-Encoding")) == (b"all there is", "chunked")
    assert client.ask(ALIVE).status == 200


def test_an_answer_of_http_1_0_is_taken(balancer: Balancer, node: ScriptedNode, connect: Connect) -> None:
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    answer = client.receive()
    assert (answer.version, answer.status, answer.body) == ("HTTP/1.1", 200, b"ok")
    call.wait_left()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
    ],
)
def test_a_client_of_http_1_0_gets_no_chunks_but_the_end_of_the_connection(
    balancer: Balancer, node: ScriptedNode, connect: Connect, answer: bytes
) -> None:
    client = connect(balancer)
    client.send(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}")
    call = node.next_call()
    call.send(answer)
    call.close()
    received = client.receive()
    assert (received.body, received.field("Transfer-Encoding")) == (b"body", None)
    assert received.field("Connection") == "close"
    assert client.is_ended()


def test_a_client_of_http_1_0_is_told_when_its_connection_stays(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    balancer.add_node(new_node(always(200, b"ok")).uri)
    client = connect(balancer)
    wish = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"
    assert client.ask(wish).field("Connection") == "keep-alive"
    answer = client.ask(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    assert (answer.body, answer.field("Connection")) == (b"ok", "close")
    assert client.is_ended()


def test_a_large_body_is_refused_before_it_is_sent(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """With the words of the original, as soon as Content-Length tells."""
    node = new_node(always())
    balancer = launch("-nodes", node.uri, PAYLOAD_MAX_KB="1")
    client = connect(balancer)
    answer = client.ask(request("POST", "/", b"", "Content-Length: 1025", "Expect: 100-continue"))
    assert (answer.status, answer.field("Connection")) == (413, "close")
    assert b"Payload too large" in answer.body
    assert client.is_ended()
    assert node.requests == []


def test_a_body_of_the_largest_size_is_served(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always())
    balancer = launch("-nodes", node.uri, PAYLOAD_MAX_KB="1")
    assert connect(balancer).ask(post(b"x" * 1024)).status == 200
    client = connect(balancer)
    client.send(request("POST", "/", b"", CHUNKED) + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n")
    assert client.receive().status == 200
    assert [len(call.body) for call in node.requests] == [1024, 1024]


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """The answer is not lost to a reset, although the client goes on sending."""
    node = new_node(always())
    balancer = launch("-nodes", node.uri, PAYLOAD_MAX_KB="1")
    client = connect(balancer)
    client.send(request("POST", "/", b"", CHUNKED) + b"401\r\n" + b"x" * 1025 + b"\r\n")
    client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
    answer = client.receive()
    assert answer.status == 413
    assert client.is_ended()
    assert node.requests == []


@pytest.mark.parametrize("framing", ["Content-Length: 3", CHUNKED])
def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(
    balancer: Balancer, new_node: NewNode, connect: Connect, framing: str
) -> None:
    node = new_node(always(200, b"ok"))
    balancer.add_node(node.uri)
    client = connect(balancer)
    interim = client.ask(request("POST", "/", b"", framing, "Expect: 100-continue"))
    assert (interim.status, interim.lines) == (100, [])
    client.send(b"abc" if framing != CHUNKED else b"3\r\nabc\r\n0\r\n\r\n")
    assert client.receive().body == b"ok"
    assert [(call.body, call.field("expect")) for call in node.requests] == [(b"abc", None)]


def test_a_client_that_does_not_wait_for_leave_gets_no_interim_answer(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    balancer.add_node(new_node(always(200, b"ok")).uri)
    assert connect(balancer).ask(post(b"abc", "Expect: 100-continue")).status == 200


def test_an_answer_that_breaks_off_is_not_taken_for_complete(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    call.close()
    with pytest.raises(CUT):
        client.receive()
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    call.close()
    with pytest.raises(CUT):
        client.receive()


def test_an_answer_that_breaks_off_is_a_reset_for_a_client_that_knows_no_other_sign(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    """To a client of HTTP/1.0 without Content-Length the end of the connection is the end of the body."""
    client = connect(balancer)
    client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    client.receive_head()
    assert client.read_exactly(4) == b"half"
    call.close()
    with pytest.raises(ConnectionResetError):
        client.read_to_end()


def test_a_body_longer_than_announced_is_cut_and_its_connection_not_used_again(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(reply(200, b"right") + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    assert client.receive().body == b"right"
    client.send(post())
    call.wait_left()
    node.next_call().answer(200, b"clean")
    assert client.receive().body == b"clean"
    assert len(node.connections) == 3, "the health check, the one with too much, a fresh one"
