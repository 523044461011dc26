"""A gigabyte in either direction, and what it costs in memory."""

import threading
from typing import Final

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode, NewStreamNode
from support.scripted_node import always, reply
from support.stream_node import Stream
from support.wire import PATIENCE_S, Client, post, request

MB: Final = 1024 * 1024
GB: Final = 1024 * MB
BLOCK: Final = bytes(MB)
WARM_UP_BYTES: Final = 32 * MB
COST_MAX_BYTES: Final = 2 * MB


def count(stream: Stream) -> None:
    """Answer with the number of bytes that came."""
    stream.send(reply(200, b"%d" % stream.skip(stream.length), "Connection: close"))


def sip(stream: Stream, slowly_bytes: int, pause_s: float) -> None:
    """Read so much of a body 16 KB at a time, with pauses, and the rest at once; answer as `count`."""
    size, is_over = 0, threading.Event()
    while size < stream.length:
        size += len(stream.read(16_384))
        if size < slowly_bytes:
            is_over.wait(pause_s)
    stream.send(reply(200, b"%d" % size, "Connection: close"))


def upload(client: Client, size_bytes: int) -> None:
    client.send(request("PUT", "/up", b"", f"Content-Length: {size_bytes}"))
    for _ in range(size_bytes // MB):
        client.send(BLOCK)


def warmed_up(balancer: Balancer, connect: Connect) -> int:
    """Let one body pass, so that what is allocated once is there; return the memory in use then."""
    client = connect(balancer)
    upload(client, WARM_UP_BYTES)
    assert client.receive("PUT").body == b"%d" % WARM_UP_BYTES
    balancer.forget_peak()
    return balancer.resident_bytes()


def test_a_gigabyte_goes_up_in_no_memory(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    balancer = launch("-nodes", new_stream_node(count).uri, PAYLOAD_MAX_KB="0")
    before = warmed_up(balancer, connect)
    client = connect(balancer)
    upload(client, GB)
    assert client.receive("PUT").body == b"%d" % GB
    assert balancer.peak_bytes() - before < COST_MAX_BYTES


def test_a_slow_node_makes_the_client_wait_rather_than_the_balancer_hold(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    """The node takes 8 KB at a time; whoever sends is held up by that, and nothing piles up between them."""

    def sip(stream: Stream) -> None:
        if stream.length == WARM_UP_BYTES:
            count(stream)
            return
        size = 0
        while size < stream.length:
            size += len(stream.read(8192))
        stream.send(reply(200, b"%d" % size, "Connection: close"))

    balancer = launch("-nodes", new_stream_node(sip, receive_bytes=16_384).uri, PAYLOAD_MAX_KB="0")
    before = warmed_up(balancer, connect)
    client = connect(balancer)
    upload(client, 64 * MB)
    assert client.receive("PUT").body == b"%d" % (64 * MB)
    assert balancer.peak_bytes() - before < COST_MAX_BYTES


def test_a_node_is_waited_for_as_long_as_it_reads_what_the_system_holds(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    """The client has sent all of it in a moment; the node takes far longer than it has for its answer."""
    node = new_stream_node(lambda stream: sip(stream, stream.length, 0.01), receive_bytes=16_384)
    balancer = launch("-nodes", node.uri, REQUEST_PROXY_TIMEOUT="1", REPLAY_MAX_KB="64", RETRIES_MAX="1")
    client = connect(balancer)
    upload(client, 4 * MB)
    assert client.receive("PUT").body == b"%d" % (4 * MB)


def test_a_node_that_reads_on_slowly_is_not_taken_for_one_that_has_stopped(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    """It takes 0.8 MB a second, and the system asks for more only when it has let go of more than that."""
    node = new_stream_node(lambda stream: sip(stream, 4 * MB, 0.02), receive_bytes=16_384)
    balancer = launch("-nodes", node.uri, NODE_IDLE_TIMEOUT="1", PAYLOAD_MAX_KB="0", RETRIES_MAX="1")
    client = connect(balancer)
    upload(client, 16 * MB)
    assert client.receive("PUT").body == b"%d" % (16 * MB)


def test_a_client_that_reads_on_slowly_is_not_taken_for_one_that_has_stopped(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    balancer = launch("-nodes", new_node(always(200, bytes(16 * MB))).uri, CLIENT_STALL_TIMEOUT="1")
    client = connect(balancer, receive_bytes=16_384)
    client.send(post())
    client.receive_head()
    is_over = threading.Event()
    for _ in range(256):
        assert client.skip(16_384) == 16_384
        is_over.wait(0.02)
    assert client.skip(12 * MB) == 12 * MB


def test_a_node_that_stops_reading_stops_the_client(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    def stop(stream: Stream) -> None:
        if stream.length == WARM_UP_BYTES:
            count(stream)
        else:
            assert is_over.wait(3 * PATIENCE_S)

    is_over = threading.Event()
    balancer = launch("-nodes", new_stream_node(stop, receive_bytes=16_384).uri, PAYLOAD_MAX_KB="0")
    before = warmed_up(balancer, connect)
    client = connect(balancer)
    client.send(request("PUT", "/up", b"", f"Content-Length: {GB}"))
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.send(bytes(32 * MB))
    assert balancer.peak_bytes() - before < COST_MAX_BYTES
    is_over.set()


def test_a_gigabyte_comes_down_in_no_memory(
    launch: Launch, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    def serve(stream: Stream) -> None:
        if stream.head.startswith(b"PUT"):
            count(stream)
            return
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GB)
        for _ in range(1024):
            stream.send(BLOCK)

    balancer = launch("-nodes", new_stream_node(serve).uri, PAYLOAD_MAX_KB="0")
    warmed_up(balancer, connect)
    client = connect(balancer)
    client.send(request("GET", "/warm"))
    client.receive_head()
    client.skip(GB)
    balancer.forget_peak()
    before = balancer.resident_bytes()
    client.send(request("GET", "/down"))
    client.receive_head()
    assert client.skip(GB) == GB, "every byte is the zero that was sent"
    assert balancer.peak_bytes() - before < COST_MAX_BYTES
