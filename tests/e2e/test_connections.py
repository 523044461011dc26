"""Connections that stay open: of clients, and to nodes."""

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode, NewStreamNode
from support.scripted_node import Call, ScriptedNode, always, reply
from support.wire import post, request


def test_a_connection_of_a_client_carries_request_after_request(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    balancer.add_node(new_node(always(200, b"ok")).uri)
    client = connect(balancer)
    for _ in range(3):
        assert client.ask(post()).body == b"ok"
    assert client.ask(request("GET", "/"), "GET").body == b"prio-load-balancer\n"
    answer = client.ask(post(b"{}", "Connection: close"))
    assert (answer.body, answer.field("Connection")) == (b"ok", "close")
    assert client.is_ended()


def test_pipelined_requests_are_answered_in_order_one_at_a_time(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    """Also those that a node has no part in."""
    client = connect(balancer)
    client.send(post(b"1") + request("GET", "/") + post(b"2") + post(b"3"))
    for number in (b"1", b"2", b"3"):
        call = node.next_call()
        assert call.body == number
        assert node.is_quiet(), "the next one waits for this one's answer"
        call.answer(200, b"answer " + number)
    assert [client.receive().body for _ in range(4)] == [
        b"answer 1",
        b"prio-load-balancer\n",
        b"answer 2",
        b"answer 3",
    ]


@pytest.mark.parametrize("more", [b"\r\n", request("GET", "/")], ids=["an empty line", "another request"])
def test_who_says_more_while_its_last_answer_is_on_its_way_gets_that_whole(
    balancer: Balancer, new_node: NewNode, connect: Connect, more: bytes
) -> None:
    """It has all left the balancer, but not come to the client: a reset would take the rest with it."""
    body = b"x" * 1_000_000
    balancer.add_node(new_node(always(200, body)).uri)
    client = connect(balancer, receive_bytes=8192)
    client.send(post(b"{}", "Connection: close", "X-Request-ID: last"))
    balancer.wait_for("Request completed", reqID="last")
    client.send(more)
    assert client.receive().body == body
    assert client.is_ended()


def test_a_hundred_pipelined_requests_are_all_answered(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(lambda call: call.answer(200, call.body))
    balancer.add_node(node.uri)
    client = connect(balancer)
    client.send(b"".join(post(b"%d" % number) for number in range(100)))
    assert [client.receive().body for _ in range(100)] == [b"%d" % number for number in range(100)]


def test_a_connection_to_a_node_is_used_again(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok"))
    balancer.add_node(node.uri)
    for _ in range(5):
        assert connect(balancer).ask(post()).body == b"ok"
    assert len(node.requests) == 5
    assert len(node.connections) == 2, "one for the health check, one for all requests"


def test_a_node_that_wants_its_connection_closed_gets_a_new_one(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok", "Connection: close"))
    balancer.add_node(node.uri)
    client = connect(balancer)
    answers = [client.ask(post()) for _ in range(3)]
    assert [(answer.status, answer.field("Connection")) for answer in answers] == [(200, None)] * 3
    assert len(node.connections) == 4


@pytest.mark.parametrize("end", [Call.close, Call.reset])
def test_a_reused_connection_that_the_node_ends_under_a_request_is_replaced_unnoticed(
    launch: Launch, new_node: NewNode, connect: Connect, end: object
) -> None:
    """It costs no try: even with a single one the client gets its answer."""
    node = new_node()
    balancer = launch(RETRIES_MAX="1")
    balancer.add_node(node.uri)
    client = connect(balancer)
    client.send(post(b"1"))
    first = node.next_call()
    first.answer(200, b"one")
    assert client.receive().body == b"one"
    client.send(post(b"2", "X-Request-ID: r2"))
    second = node.next_call()
    assert second.connection is first.connection
    if end is Call.close:
        second.close()
    else:
        second.reset()
    third = node.next_call()
    assert third.raw == second.raw
    third.answer(200, b"two")
    assert client.receive().body == b"two"
    assert balancer.wait_for("Request completed", reqID="r2")["requestTries"] == 1


def test_a_fresh_connection_that_ends_under_a_request_is_a_failed_try(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(Call.close)
    balancer = launch(RETRIES_MAX="1")
    balancer.add_node(node.uri)
    assert connect(balancer).ask(post()).status == 502
    assert len(node.requests) == 1


def test_an_idle_connection_that_the_node_closes_is_not_used(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    first = node.next_call()
    first.answer(200, b"one")
    assert client.receive().body == b"one"
    first.close()
    first.wait_left()
    client.send(post())
    second = node.next_call()
    assert second.connection is not first.connection
    second.answer(200, b"two")
    assert client.receive().body == b"two"


def test_bytes_that_nobody_asked_for_are_not_taken_for_the_next_answer(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    first = node.next_call()
    first.answer(200, b"one")
    assert client.receive().body == b"one"
    first.send(reply(200, b"poison"))
    first.wait_left()
    client.send(post())
    second = node.next_call()
    second.answer(200, b"two")
    assert client.receive().body == b"two"


@pytest.mark.parametrize("setting", ["ProxyMaxIdleConns", "ProxyMaxIdleConnsPerHost"])
def test_no_more_idle_connections_are_kept_than_allowed(
    launch: Launch, new_node: NewNode, connect: Connect, setting: str
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, **{setting: "1"})
    clients = [connect(balancer) for _ in range(2)]
    for client in clients:
        client.send(post())
    calls = [node.next_call() for _ in clients]
    for call in calls:
        call.answer()
    for client in clients:
        assert client.receive().status == 200
    clients[0].send(post())
    kept = node.next_call().connection
    [other] = [call for call in calls if call.connection is not kept]
    other.wait_left()


def test_an_idle_connection_to_a_node_is_closed_after_its_time(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, ProxyIdleConnTimeout="0.1")
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.answer()
    assert client.receive().status == 200
    call.wait_left()


def test_a_node_that_answers_before_it_has_read_the_request_is_believed_and_not_used_again(
    balancer: Balancer, new_stream_node: NewStreamNode, connect: Connect
) -> None:
    """What it has not read of the request it would read as the next one, and answer that to somebody else.

    The request has left the balancer by then: the system has it, as the node's has no room.
    """
    node = new_stream_node(receive_bytes=4096)
    balancer.add_node(node.uri)
    client, other = connect(balancer), connect(balancer)
    client.send(request("PUT", "/early", request("GET", "/mine") * 10_000))
    early = node.next_stream()
    early.send(reply(200, b"early"))
    assert client.receive("PUT").body == b"early"
    other.send(request("PUT", "/theirs"))
    later = node.next_stream()
    assert later.head.startswith(b"PUT /theirs ")
    later.send(reply(200, b"theirs"))
    assert other.receive("PUT").body == b"theirs"
    assert b"/theirs" not in early.read_to_end()


def test_a_connection_is_used_again_for_a_long_request_that_the_node_has_read(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok"))
    balancer.add_node(node.uri)
    client = connect(balancer)
    for size in (1_000_000, 1, 1_000_000):
        assert client.ask(post(b"x" * size)).body == b"ok"
    assert len(node.connections) == 2, "one for the health check, one for all requests"
