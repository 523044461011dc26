"""Clients that leave before they have their answer."""

from collections.abc import Callable

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always
from support.wire import Client, post, request

LEFT = "Client closed the connection prematurely"

WAYS = pytest.mark.parametrize("leave", [Client.close, Client.reset, Client.half_close])


@WAYS
def test_a_client_that_leaves_while_queued_frees_its_place_and_is_never_sent(
    launch: Launch, new_node: NewNode, connect: Connect, leave: Callable[[Client], None]
) -> None:
    """Also one that only says that it will send no more, as in the original."""
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", ITEMS_LOWPRIO_MAX="1")
    holder, leaver, other = [connect(balancer) for _ in range(3)]
    holder.send(post(b"holder"))
    call = node.next_call()
    leaver.send(post(b"leaver", "X-Request-ID: leaver"))
    balancer.wait_queued("leaver")
    assert other.ask(post(b"other")).status == 503, "the only place in line is taken"
    leave(leaver)
    line = balancer.wait_for(LEFT, reqID="leaver")
    assert line["requestTries"] == 0
    other.send(post(b"other", "X-Request-ID: other"))
    queued = balancer.wait_for("Request added to queue", reqID="other")
    assert queued["startQueueSize"] == 1, "its place is free"
    call.answer()
    following = node.next_call()
    assert following.body == b"other"
    following.answer(200, b"ok")
    assert other.receive().body == b"ok"
    assert [each.body for each in node.requests] == [b"holder", b"other"]


@WAYS
def test_a_client_that_leaves_while_its_long_body_waits_is_never_sent(
    launch: Launch, new_node: NewNode, connect: Connect, leave: Callable[[Client], None]
) -> None:
    """Nothing is read of it then, so that its end has to be looked for."""
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", REPLAY_MAX_KB="1")
    holder, leaver = connect(balancer), connect(balancer)
    holder.send(post(b"holder"))
    call = node.next_call()
    whole = post(b"x" * 30_000, "X-Request-ID: leaver")
    leaver.send(whole[:2000])
    balancer.wait_queued("leaver")
    leaver.send(whole[2000:])
    leave(leaver)
    assert balancer.wait_for(LEFT, reqID="leaver")["requestTries"] == 0
    holder.send(post(b"next"))
    call.answer()
    assert node.next_call().body == b"next"


@WAYS
def test_a_client_that_leaves_while_its_request_runs_ends_the_connection_to_the_node(
    balancer: Balancer, new_node: NewNode, connect: Connect, leave: Callable[[Client], None]
) -> None:
    """And its slot goes to the next one; the node is not to blame."""
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    leaver, other = connect(balancer), connect(balancer)
    leaver.send(post(b"leaver"))
    call = node.next_call()
    other.send(post(b"other"))
    leave(leaver)
    call.wait_left()
    following = node.next_call()
    assert following.body == b"other"
    following.answer(200, b"ok")
    assert other.receive().body == b"ok"


def test_a_client_that_leaves_in_the_middle_of_its_answer_ends_the_connection_to_the_node(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: middle"))
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
    client.receive_head()
    client.close()
    call.wait_left()
    assert balancer.wait_for(LEFT, reqID="middle")["requestTries"] == 1


def test_a_client_that_leaves_between_two_tries_gets_no_further_one(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    first, second = new_node(), new_node()
    balancer = launch("-node-workers", "1")
    balancer.add_node(first.uri)
    balancer.add_node(second.uri)
    leaver, holder, third = [connect(balancer) for _ in range(3)]
    leaver.send(post(b"leaver", "X-Request-ID: between"))
    failing = first.next_call()
    holder.send(post(b"holder"))
    busy = second.next_call()
    failing.answer(500)
    third.send(post(b"third"))
    first.next_call().answer()
    assert third.receive().status == 200, "so the failed try has been dealt with"
    leaver.close()
    balancer.wait_for(LEFT, reqID="between")
    busy.answer()
    assert holder.receive().status == 200
    assert [call.body for call in second.requests] == [b"holder"]


def test_a_client_that_leaves_while_it_sends_its_body_leaves_nothing_behind(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """As soon as the balancer has seen it leave, the bytes held for it are free for others."""
    node = new_node(always(200, b"ok"))
    balancer = launch("-nodes", node.uri, QUEUE_MAX_MB="1")
    client = connect(balancer)
    client.send(request("POST", "/", b"", "Content-Length: 1000000") + b"x" * 900_000)
    client.close()
    # Who is read first is up to the system, so a few may be refused until the end of the first is read.
    statuses = [connect(balancer).ask(post(b"x" * 1_000_000)).status for _ in range(20)]
    assert statuses[-1] == 200
    assert {len(call.body) for call in node.requests} == {1_000_000}


def test_a_client_that_leaves_during_an_admin_call_ends_it(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(health_status=0)
    client = connect(balancer)
    client.send(request("POST", "/nodes", b'{"uri":"%s"}' % node.uri.encode()))
    check = node.health_checks.get(timeout=10)
    client.close()
    check.wait_left()
    assert balancer.nodes() == []
