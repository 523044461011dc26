"""How long a request may take, whatever happens to it."""

import threading
import time

import pytest

from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, Script, always
from support.wire import CUT, post

# Far above what a loaded machine adds, far below every time-out that is not meant.
SOON_S = 4.0
LONG = "60"


def test_without_a_node_a_request_is_refused_at_once(launch: Launch, connect: Connect) -> None:
    balancer = launch(REQUEST_TIMEOUT=LONG)
    answer = connect(balancer).ask(post())
    assert (answer.status, answer.field("Retry-After")) == (503, "1")
    assert b"no nodes available" in answer.body


def test_with_no_healthy_node_a_request_is_held_until_its_deadline(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(health_status=500)
    balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT="0.3")
    balancer.wait_for("Node is unhealthy and will be checked again", nodeURI=node.uri)
    began = time.monotonic()
    answer = connect(balancer).ask(post())
    assert 0.3 <= time.monotonic() - began < SOON_S
    assert answer.status == 504
    assert b"request timeout hit before processing" in answer.body
    assert node.requests == []


def test_requests_that_wait_for_a_healthy_node_are_released_as_soon_as_there_is_one(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    sick, well = new_node(health_status=500), new_node(always(200, b"ok"))
    balancer = launch("-nodes", sick.uri, REQUEST_TIMEOUT=LONG)
    clients = [connect(balancer) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(post(b"{}", f"X-Request-ID: {number}"))
    balancer.wait_queued("0", "1", "2")
    balancer.add_node(well.uri)
    assert [client.receive().body for client in clients] == [b"ok"] * 3


def test_a_node_that_recovers_is_used_without_anybody_adding_it_again(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok"), health_status=500)
    balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT=LONG)
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: early"))
    balancer.wait_queued("early")
    balancer.wait_for("Node is unhealthy and will be checked again", nodeURI=node.uri)
    node.health_status = 200
    assert client.receive().body == b"ok"
    balancer.wait_for("Node is healthy", nodeURI=node.uri)


def test_a_slot_that_frees_in_time_serves_and_one_that_frees_late_does_not(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Nothing expired is ever sent."""
    node = new_node()
    balancer = launch(
        "-nodes", node.uri, "-node-workers", "1", REQUEST_TIMEOUT="1", REQUEST_PROXY_TIMEOUT=LONG
    )
    first, second, third = [connect(balancer) for _ in range(3)]
    first.send(post(b"1"))
    holder = node.next_call()
    second.send(post(b"2", "X-Request-ID: second"))
    balancer.wait_queued("second")
    holder.answer()
    holder = node.next_call()
    assert holder.body == b"2", "in time"
    third.send(post(b"3"))
    assert third.receive().status == 504
    holder.answer(200, b"after 1 s, as a try may last longer than that")
    assert second.receive().status == 200
    third.send(post(b"4"))
    assert node.next_call().body == b"4", "the request that expired was never sent"


def test_requests_of_every_lane_expire_and_none_of_them_is_sent(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch(
        "-nodes", node.uri, "-node-workers", "1", REQUEST_TIMEOUT="0.3", REQUEST_PROXY_TIMEOUT=LONG
    )
    holder = connect(balancer)
    holder.send(post(b"holder"))
    call = node.next_call()
    clients = [connect(balancer) for _ in range(30)]
    for number, client in enumerate(clients):
        client.send(post(b"x", ("X-Fast-Track: true", "X-High-Priority: true", "X-No: true")[number % 3]))
    assert [client.receive().status for client in clients] == [504] * 30
    call.answer(200, b"ok")
    assert holder.receive().body == b"ok"
    assert len(node.requests) == 1


def test_a_node_that_hangs_costs_one_try_and_another_node_answers(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    hanging, good = new_node(), new_node(always(200, b"good"))
    balancer = launch(REQUEST_TIMEOUT=LONG, REQUEST_PROXY_TIMEOUT="0.2")
    balancer.add_node(hanging.uri)
    balancer.add_node(good.uri)
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: hang"))
    hanging.next_call().wait_left()
    assert client.receive().body == b"good"
    assert balancer.wait_for("Request proxying failed", reqID="hang")["reason"] == "node_timeout"


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_node_that_hangs_in_every_try_is_504(
    launch: Launch, new_node: NewNode, connect: Connect, part: bytes
) -> None:
    node = new_node(lambda call: call.send(part))
    balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT=LONG, REQUEST_PROXY_TIMEOUT="0.1", RETRIES_MAX="2")
    answer = connect(balancer).ask(post())
    assert answer.status == 504
    assert b"node timeout" in answer.body
    assert len(node.requests) == 2


def test_no_try_starts_after_the_deadline(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT="0.2", REQUEST_PROXY_TIMEOUT="0.4")
    client = connect(balancer)
    client.send(post())
    node.next_call().wait_left()
    answer = client.receive()
    assert answer.status == 504
    assert b"node timeout" in answer.body
    assert len(node.requests) == 1


def test_a_retry_that_waits_for_a_slot_expires_at_its_deadline(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """With what the node last said; the deadline does not wait for any other time-out."""
    first, second = new_node(), new_node()
    balancer = launch("-node-workers", "1", REQUEST_TIMEOUT="0.5", REQUEST_PROXY_TIMEOUT=LONG)
    balancer.add_node(first.uri)
    balancer.add_node(second.uri)
    clients = [connect(balancer) for _ in range(2)]
    clients[0].send(post(b"a"))
    failing = first.next_call()
    clients[1].send(post(b"b"))
    busy = second.next_call()
    began = time.monotonic()
    failing.answer(500, b"failed")
    answer = clients[0].receive()
    assert (answer.status, answer.body) == (500, b"failed")
    assert time.monotonic() - began < SOON_S
    busy.answer()
    assert clients[1].receive().status == 200


def stall(call: Call) -> None:
    call.send(b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\npart")


def drip(call: Call) -> None:
    """Send a byte now and then until the balancer has had enough."""
    stall(call)
    never = threading.Event()
    while not never.wait(0.05):
        call.send(b".")


@pytest.mark.parametrize("script", [stall, drip])
def test_a_failing_answer_that_does_not_end_does_not_hold_the_client_past_its_time(
    launch: Launch, new_node: NewNode, connect: Connect, script: Script
) -> None:
    """The client has seen nothing of it, so the bound on a try still holds."""
    node = new_node(script)
    times = {"REQUEST_TIMEOUT": "0.2", "REQUEST_PROXY_TIMEOUT": "0.5", "NODE_IDLE_TIMEOUT": "5"}
    balancer = launch("-nodes", node.uri, **times)
    began = time.monotonic()
    assert connect(balancer).ask(post()).status in {500, 502, 504}
    assert time.monotonic() - began < SOON_S


def test_a_body_that_stops_coming_from_the_node_is_cut_after_its_time(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, NODE_IDLE_TIMEOUT="0.2")
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    client.receive_head()
    call.wait_left()
    with pytest.raises(CUT):
        client.read_exactly(10)


def test_a_body_may_take_longer_than_a_try_as_long_as_it_comes(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT="0.1", REQUEST_PROXY_TIMEOUT="0.2")
    slow, other = connect(balancer), connect(balancer)
    slow.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    slow.receive_head()
    other.send(post())
    assert other.receive().status == 504, "so the time of a try has passed"
    call.send(b"half")
    assert slow.read_exactly(8) == b"halfhalf"


def test_settings_without_effect_are_accepted_and_said_to_have_none(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """In the original the head of the queue fails when no worker takes it within JOB_SEND_TIMEOUT."""
    node = new_node()
    debug = "RA_TLS_ALLOW_DEBUG_ENCLAVE_INSECURE"
    variables = {"JOB_SEND_TIMEOUT": "0", "JOB_CHAN_BUFFER": "0", debug: "1"}
    balancer = launch("-nodes", node.uri, "-node-workers", "1", **variables)
    for name in ("JOB_SEND_TIMEOUT", "JOB_CHAN_BUFFER"):
        reason = "a request stays in line until a node has a slot"
        balancer.wait_for("Setting has no effect", name=name, reason=reason)
    balancer.wait_for("Setting has no effect", name=debug, reason="debug enclaves are always refused")
    clients = [connect(balancer) for _ in range(2)]
    for number, client in enumerate(clients):
        client.send(post(b"{}", f"X-Request-ID: {number}"))
        balancer.wait_queued(str(number))
    node.next_call().answer()
    node.next_call().answer()
    assert [client.receive().status for client in clients] == [200, 200]
