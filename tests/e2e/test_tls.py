"""Nodes behind https."""

import queue
import random
import threading
from collections.abc import Callable

import pytest

from support.certificates import Authority
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, always
from support.wire import PATIENCE_S, Client, post


def test_a_node_with_a_trusted_certificate_serves_over_connections_that_stay_open(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority
) -> None:
    node = new_node(always(200, b"secret"), tls=authority.server_context("localhost"))
    balancer = launch(**authority.settings)
    balancer.add_node(node.uri)
    client = connect(balancer)
    assert [client.ask(post()).body for _ in range(3)] == [b"secret"] * 3
    assert {call.field("host") for call in node.requests} == {f"localhost:{node.port}"}
    assert len(node.connections) == 2, "one for the health check, one for all requests"


def test_large_bodies_pass_whole_in_both_directions(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority
) -> None:
    node = new_node(lambda call: call.answer(200, call.body), tls=authority.server_context("localhost"))
    balancer = launch("-nodes", node.uri, **authority.settings)
    body = bytes(range(256)) * 16_384
    assert connect(balancer).ask(post(body)).body == body


@pytest.mark.parametrize("flaw", ["stranger", "another name"])
def test_a_node_whose_certificate_is_not_good_is_not_added_and_gets_no_request(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority, flaw: str
) -> None:
    certificate = authority.server_context("localhost" if flaw == "stranger" else "elsewhere.example")
    node = new_node(always(), tls=certificate)
    balancer = launch(REQUEST_TIMEOUT="0.2", **({} if flaw == "stranger" else authority.settings))
    reason = balancer.refused_node(node.uri)
    assert reason.startswith(f"health check of {node.uri} failed: ")
    assert "certificate" in reason.lower()
    assert balancer.nodes() == []
    assert node.health_checks.empty()


def test_a_node_that_speaks_no_tls_is_not_added(launch: Launch, new_node: NewNode) -> None:
    node = new_node(always())
    reason = launch().refused_node(f"https://127.0.0.1:{node.port}")
    assert reason.startswith("health check of https://127.0.0.1:")
    assert node.requests == []
    node.faults.clear()  # what it saw was no HTTP indeed


LARGE = 8_000_000
ENDINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "length": (f"Content-Length: {LARGE}", lambda body: body),
    "chunks": ("Transfer-Encoding: chunked", lambda body: b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
    "end": ("Connection: close", lambda body: body),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_node_that_closes_behind_its_answer_takes_none_of_it_back(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority, ending: str
) -> None:
    """What had been read while reading was paused was thrown away, mostly without a sign for the client."""
    field, framed = ENDINGS[ending]
    body = random.Random(7).randbytes(LARGE)

    def script(call: Call) -> None:
        call.send(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{field}\r\n\r\n".encode() + framed(body))
        call.say_goodbye()

    node = new_node(script, tls=authority.server_context("localhost"))
    balancer = launch("-nodes", node.uri, RETRIES_MAX="1", **authority.settings)
    for _ in range(5):
        assert connect(balancer).ask(post()).body == body


@pytest.mark.parametrize("wish", [(), ("Connection: upgrade", "Upgrade: raw")], ids=["", "upgrade"])
def test_an_answer_that_ends_without_a_goodbye_is_cut_off(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority, wish: tuple[str, ...]
) -> None:
    """RFC 9112, section 9.8: anybody could have cut it off."""

    def script(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        call.close()

    node = new_node(script, tls=authority.server_context("localhost"))
    balancer = launch("-nodes", node.uri, **authority.settings)
    client = connect(balancer)
    client.send(post(b"{}", *wish))
    received = client.read_to_end()
    assert received.endswith(b"half of it\r\n")


def send_all(client: Client, data: bytes) -> None:
    client.send(data)
    client.half_close()


def test_what_a_client_of_a_tunnel_sent_last_reaches_the_node(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority
) -> None:
    """A part of it was still on its way through TLS when the connection was taken for done."""
    sent = random.Random(7).randbytes(12_000_000)
    may_read, received = threading.Event(), queue.Queue[bytes]()

    def script(call: Call) -> None:
        call.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
        assert may_read.wait(PATIENCE_S)
        parts = []
        while part := call.connection.socket.recv(65_536):
            parts.append(part)
        received.put(b"".join(parts))

    node = new_node(script, tls=authority.server_context("localhost"))
    balancer = launch("-nodes", node.uri, **authority.settings)
    for _ in range(5):
        client = connect(balancer)
        client.send(b"GET /raw HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
        client.receive_head()
        sending = threading.Thread(target=send_all, args=(client, sent))
        sending.start()
        may_read.set()
        assert received.get(timeout=PATIENCE_S) == sent
        sending.join()


def test_a_reused_connection_that_the_node_ends_is_replaced_unnoticed(
    launch: Launch, new_node: NewNode, connect: Connect, authority: Authority
) -> None:
    def script(call: Call) -> None:
        if len(node.requests) == 2:
            call.close()
        else:
            call.answer(200, b"ok")

    node = new_node(script, tls=authority.server_context("localhost"))
    balancer = launch("-nodes", node.uri, RETRIES_MAX="1", **authority.settings)
    client = connect(balancer)
    assert [client.ask(post()).status for _ in range(2)] == [200, 200]
    assert len(node.requests) == 3
