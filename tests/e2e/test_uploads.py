"""Bodies that pass through, and what happens to them on the way."""

import contextlib
import json
import secrets
from typing import Final

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewStreamNode
from support.scripted_node import reply
from support.stream_node import Stream, StreamNode
from support.wire import CUT, Client, post, request

MB: Final = 1024 * 1024


@pytest.fixture
def stream_node(balancer: Balancer, new_stream_node: NewStreamNode) -> StreamNode:
    """The one node of `balancer`; a test reads its requests and answers them."""
    node = new_stream_node()
    balancer.add_node(node.uri)
    return node


@pytest.fixture
def request_id() -> str:
    return secrets.token_hex(4)


@pytest.fixture
def client(balancer: Balancer, connect: Connect, request_id: str) -> Client:
    """A client that has sent 2 of 4 MB."""
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", f"Content-Length: {4 * MB}", f"X-Request-ID: {request_id}"))
    client.send(bytes(2 * MB))
    return client


def test_a_body_reaches_the_node_before_all_of_it_is_there(stream_node: StreamNode, client: Client) -> None:
    stream = stream_node.next_stream()
    assert stream.length == 4 * MB
    assert stream.skip(2 * MB) == 2 * MB
    client.send(bytes(2 * MB))
    assert stream.skip(2 * MB) == 2 * MB
    stream.send(reply(200, b"thanks"))
    assert client.receive("PUT").body == b"thanks"


def test_a_client_that_leaves_ends_the_upload_at_the_node(
    balancer: Balancer, stream_node: StreamNode, client: Client, request_id: str
) -> None:
    """The node sees that something is missing, and is free again."""
    stream = stream_node.next_stream()
    assert stream.skip(2 * MB) == 2 * MB
    client.close()
    assert stream.read_to_end() == b""
    balancer.wait_for("Client closed the connection prematurely", reqID=request_id)


def test_a_client_that_crashes_ends_the_upload_at_the_node(
    balancer: Balancer, stream_node: StreamNode, client: Client, request_id: str
) -> None:
    stream = stream_node.next_stream()
    client.reset()
    assert len(stream.read_to_end()) <= 2 * MB
    balancer.wait_for("Client closed the connection prematurely", reqID=request_id)


def test_a_node_that_dies_during_an_upload_is_told_to_a_client_that_still_sends(
    stream_node: StreamNode, client: Client
) -> None:
    """Part of the body is gone, so there is no other try."""
    stream = stream_node.next_stream()
    assert stream.skip(MB) == MB
    stream.close()
    client.send(bytes(MB))
    answer = client.receive("PUT")
    assert (answer.status, answer.field("Connection")) == (502, "close")
    assert json.loads(answer.body)["title"] in {"node unreachable", "bad answer from node"}
    assert client.is_ended()


@pytest.mark.parametrize("status", [200, 413])
def test_an_answer_before_the_end_of_the_upload_ends_the_connection(
    balancer: Balancer, stream_node: StreamNode, client: Client, connect: Connect, status: int
) -> None:
    """What the client has still to send is not taken for a request, and does not cost it the answer."""
    stream = stream_node.next_stream()
    stream.send(reply(status, b"enough"))
    stream.read_to_end()
    client.send(request("GET", "/smuggled") + bytes(MB))
    answer = client.receive("PUT")
    assert (answer.status, answer.body, answer.field("Connection")) == (status, b"enough", "close")
    assert client.is_ended()
    connect(balancer).send(post())
    later = stream_node.next_stream()
    assert later.head.startswith(b"POST / ")


def test_a_refusal_is_delivered_though_the_node_resets_the_connection_behind_it(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    """Often enough the reset is noticed first, by a part of the body that cannot be sent any more."""

    def refuse(stream: Stream) -> None:
        stream.skip(100_000)
        stream.send(reply(413, b"enough", "Connection: close"))
        stream.socket.close()

    balancer = launch("-nodes", new_stream_node(refuse).uri, PAYLOAD_MAX_KB="0")
    for _ in range(20):
        client = connect(balancer)
        client.send(request("PUT", "/up", b"", f"Content-Length: {8 * MB}"))
        with contextlib.suppress(*CUT, BrokenPipeError):
            for _ in range(100):
                client.send(bytes(8 * MB // 100))
        answer = client.receive("PUT")
        assert (answer.status, answer.body) == (413, b"enough")


def test_an_upload_in_chunks_that_turns_out_too_long_is_refused_and_cut(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    node = new_stream_node()
    client = connect(launch("-nodes", node.uri, PAYLOAD_MAX_KB="2048"))
    client.send(request("PUT", "/up", b"", "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (MB, bytes(MB)))
    client.send(b"%x\r\n%b\r\n" % (MB, bytes(MB)))
    stream = node.next_stream()
    client.send(b"1\r\nx\r\n0\r\n\r\n")
    answer = client.receive("PUT")
    assert (answer.status, answer.field("Connection")) == (413, "close")
    assert client.is_ended()
    assert not stream.read_to_end().endswith(b"0\r\n\r\n")


def test_a_broken_chunk_is_refused_and_what_the_node_got_is_not_whole(
    stream_node: StreamNode, balancer: Balancer, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", "Transfer-Encoding: chunked"))
    client.send(b"%x\r\n%b\r\n" % (2 * MB, bytes(2 * MB)))
    stream = stream_node.next_stream()
    client.send(b"no size\r\n")
    assert client.receive("PUT").status == 400
    assert client.is_ended()
    assert not stream.read_to_end().endswith(b"0\r\n\r\n")


def test_trailers_follow_the_body(stream_node: StreamNode, balancer: Balancer, connect: Connect) -> None:
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", "Transfer-Encoding: chunked", "Trailer: X-Sum"))
    client.send(b"3\r\nabc\r\n0\r\nX-Sum: 6\r\nContent-Length: 3\r\n\r\n")
    stream = stream_node.next_stream()
    assert b"\r\nTrailer: X-Sum" in stream.head
    expected = b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"
    assert stream.read_exactly(len(expected)) == expected
    stream.send(reply(200))
    assert client.receive("PUT").status == 200


def test_an_answer_flows_while_the_upload_flows(
    stream_node: StreamNode, balancer: Balancer, connect: Connect
) -> None:
    """Each part of either is there before the next one of the other is sent."""
    client = connect(balancer)
    client.send(request("POST", "/echo", b"", f"Content-Length: {2 * MB + 10}") + bytes(2 * MB))
    stream = stream_node.next_stream()
    assert stream.skip(2 * MB) == 2 * MB
    stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    assert client.receive_head()[1] == 200
    for number in range(10):
        client.send(b"%d" % number)
        assert stream.read() == b"%d" % number
        stream.send(b"%d" % number)
        assert client.read_exactly(1) == b"%d" % number
    assert client.is_ended(), "as its answer had begun before the request was complete"


def test_a_node_that_dies_behind_the_start_of_its_answer_cuts_it(
    stream_node: StreamNode, client: Client
) -> None:
    stream = stream_node.next_stream()
    stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    client.receive_head()
    assert client.read_exactly(4) == b"half"
    stream.close()
    with pytest.raises(CUT):
        client.read_exactly(6)
