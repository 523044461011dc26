"""What a client may send, how much of it, and how long it may take."""

import json
import time

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import post, request


def padded(total_bytes: int) -> bytes:
    """Return a request for a node whose head has exactly this length."""
    empty = request("GET", "/thing", b"", "X-Pad: ")
    return request("GET", "/thing", b"", "X-Pad: " + "x" * (total_bytes - len(empty)))


def test_a_head_of_64_kb_is_served_and_one_byte_more_is_431(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always())
    balancer.add_node(node.uri)
    assert connect(balancer).ask(padded(65536), "GET").status == 200
    client = connect(balancer)
    answer = client.ask(padded(65537), "GET")
    assert (answer.status, answer.field("Connection")) == (431, "close")
    assert client.is_ended()
    assert len(node.requests) == 1


def test_a_head_without_an_end_is_431_as_soon_as_it_is_too_long(balancer: Balancer, connect: Connect) -> None:
    client = connect(balancer)
    client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 65536)
    answer = client.receive()
    assert answer.status == 431
    assert json.loads(answer.body)["detail"] == "bad request: the head of the request is too large"


def test_a_hundred_fields_are_served_and_one_more_is_431(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always())
    balancer.add_node(node.uri)
    fields = [f"X-{number}: y" for number in range(99)]
    assert connect(balancer).ask(request("GET", "/thing", b"", *fields), "GET").status == 200
    answer = connect(balancer).ask(request("GET", "/thing", b"", *fields, "X-More: y"), "GET")
    assert answer.status == 431
    assert json.loads(answer.body)["detail"] == "bad request: more than 100 header fields"
    assert len(node.requests) == 1


def test_the_bounds_of_a_head_are_settings(launch: Launch, connect: Connect) -> None:
    balancer = launch(HEAD_MAX_KB="1", HEAD_MAX_FIELDS="2")
    assert connect(balancer).ask(padded(1025), "GET").status == 431
    assert connect(balancer).ask(request("GET", "/healthz", b"", "A: b"), "GET").status == 200
    assert connect(balancer).ask(request("GET", "/healthz", b"", "A: b", "C: d"), "GET").status == 431


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_in_time_is_408(launch: Launch, connect: Connect, start: bytes) -> None:
    balancer = launch(HEAD_TIMEOUT="0.2")
    client = connect(balancer)
    began = time.monotonic()
    client.send(start)
    answer = client.receive()
    assert time.monotonic() - began >= 0.2
    assert (answer.status, answer.field("Connection")) == (408, "close")
    assert client.is_ended()
    assert balancer.wait_for("Connection rejected")["statusCode"] == 408


def test_the_time_of_a_head_is_not_prolonged_by_single_bytes(launch: Launch, connect: Connect) -> None:
    balancer = launch(HEAD_TIMEOUT="0.3")
    client = connect(balancer)
    client.socket.settimeout(0.05)
    began = time.monotonic()
    while time.monotonic() - began < 5:
        try:
            client.send(b"x")
            assert client.receive().status == 408
            break
        except TimeoutError:
            continue
    else:
        raise AssertionError("still waiting for the end of the head")


def test_a_connection_without_a_request_is_closed_after_its_time(launch: Launch, connect: Connect) -> None:
    """Without a word: there is nothing to answer."""
    balancer = launch(KEEPALIVE_TIMEOUT="0.2")
    fresh, used = connect(balancer), connect(balancer)
    began = time.monotonic()
    assert used.ask(request("GET", "/"), "GET").status == 200
    assert fresh.is_ended()
    assert used.is_ended()
    assert time.monotonic() - began >= 0.2


def test_a_body_that_stops_coming_is_408(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always())
    balancer = launch("-nodes", node.uri, CLIENT_STALL_TIMEOUT="0.2")
    client = connect(balancer)
    client.send(request("POST", "/", b"", "Content-Length: 10") + b"half")
    answer = client.receive()
    assert answer.status == 408
    assert json.loads(answer.body)["detail"] == "bad request: the body of the request stopped coming"
    assert client.is_ended()
    assert node.requests == []


def test_a_client_that_does_not_read_its_answer_is_cut_off(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"x" * 32_000_000))
    balancer = launch("-nodes", node.uri, CLIENT_STALL_TIMEOUT="0.2")
    client = connect(balancer, receive_bytes=4096)
    client.send(post())
    line = balancer.wait_for("Connection rejected")
    assert line["err"] == "a client that does not read its answer"
    node.requests[0].wait_left()


def test_bodies_held_are_bounded_over_all_lanes_and_uploads(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", QUEUE_MAX_MB="1")
    clients = [connect(balancer) for _ in range(3)]
    lanes = ("X-Fast-Track: true", "X-High-Priority: true", "X-Neither: true")
    for number, (client, lane) in enumerate(zip(clients, lanes, strict=True)):
        client.send(post(b"x" * 349_525, lane, f"X-Request-ID: {number}"))
        balancer.wait_queued(str(number))
    late = connect(balancer)
    answer = late.ask(post(b"xx"))
    assert (answer.status, answer.field("Retry-After")) == (503, "1")
    assert json.loads(answer.body)["detail"] == "queue full: no room for the body of the request"
    assert late.is_ended()
    assert connect(balancer).ask(request("GET", "/healthz"), "GET").status == 200
    node.next_call().answer()
    assert clients[0].receive().status == 200
    connect(balancer).send(post(b"xx", "X-Request-ID: room"))
    balancer.wait_queued("room")


def test_the_body_of_an_admin_call_is_bounded_too(balancer: Balancer, connect: Connect) -> None:
    answer = connect(balancer).ask(request("POST", "/nodes", b"", "Content-Length: 65537"))
    assert answer.status == 413
