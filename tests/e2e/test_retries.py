"""Tries that fail, and what comes after them."""

import socket
from typing import Final

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, ScriptedNode, always, reply
from support.wire import CUT, post, request

BIG: Final = b"x" * 70_000
ANSWER: Final = b"HTTP/1.1 200 OK\r\n"
FAILURE: Final = b"HTTP/1.1 500 No\r\nConnection: close\r\n"


def pair(balancer: Balancer, first: ScriptedNode, second: ScriptedNode) -> None:
    """Add two nodes; the one added first is the longest untouched and so gets the first request."""
    balancer.add_node(first.uri)
    balancer.add_node(second.uri)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_answer_of_400_and_above_is_tried_again_on_another_node(
    balancer: Balancer, new_node: NewNode, connect: Connect, status: int
) -> None:
    bad, good = new_node(always(status, b"bad")), new_node(always(200, b"good"))
    pair(balancer, bad, good)
    answer = connect(balancer).ask(post(b"{}", f"X-Request-ID: retry-{status}"))
    assert (answer.status, answer.body) == (200, b"good")
    assert [call.raw for call in bad.requests] == [
        call.raw.replace(b":%d\r\n" % good.port, b":%d\r\n" % bad.port) for call in good.requests
    ]
    done = balancer.wait_for("Request completed", reqID=f"retry-{status}")
    assert (done["requestTries"], done["statusCode"], done["nodeURI"]) == (2, 200, good.uri)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closes without an answer"),
        pytest.param(ANSWER + b"Content-Le", id="closes in the middle of the head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="speaks something else"),
        pytest.param(ANSWER + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="two framings"),
        pytest.param(ANSWER + b"Content-Length: many\r\n\r\n", id="a length that is none"),
        pytest.param(ANSWER + b"Transfer-Encoding: gzip\r\n\r\n", id="another coding"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", id="switches protocols"),
        pytest.param(ANSWER + b"X: " + b"x" * 70_000 + b"\r\n\r\n", id="a head too large"),
        pytest.param(ANSWER + b"X: y\r\n" * 101 + b"\r\n", id="too many fields"),
    ],
)
def test_a_node_that_does_not_answer_well_is_a_failed_try(
    balancer: Balancer, new_node: NewNode, connect: Connect, answer: bytes
) -> None:
    def fail(call: Call) -> None:
        call.send(answer)
        call.close()

    bad, good = new_node(fail), new_node(always(200, b"good"))
    pair(balancer, bad, good)
    assert connect(balancer).ask(post()).body == b"good"
    assert (len(bad.requests), len(good.requests)) == (1, 1)


def test_a_node_that_cannot_be_reached_is_a_failed_try(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    gone, good = new_node(), new_node(always(200, b"good"))
    pair(balancer, gone, good)
    gone.stop()
    assert connect(balancer).ask(post(b"{}", "X-Request-ID: gone")).body == b"good"
    failed = balancer.wait_for("Request proxying failed", reqID="gone")
    assert (failed["nodeURI"], failed["reason"], failed["requestTries"]) == (gone.uri, "node_unreachable", 1)


def test_retries_max_counts_the_first_try_and_the_same_node_serves_again_when_it_is_alone(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(500, b"no"))
    balancer = launch("-nodes", node.uri, RETRIES_MAX="4")
    answer = connect(balancer).ask(post(b"{}", "X-Request-ID: all"))
    assert (answer.status, answer.body) == (500, b"no")
    assert len(node.requests) == 4
    assert balancer.wait_for("Request completed", reqID="all")["requestTries"] == 4


def test_by_default_there_are_three_tries(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always(500, b"no"))
    balancer.add_node(node.uri)
    assert connect(balancer).ask(post()).status == 500
    assert len(node.requests) == 3


@pytest.mark.parametrize(("tries", "sent"), [("0", 1), ("1", 1)])
def test_retries_max_of_one_or_none_means_one_try(
    launch: Launch, new_node: NewNode, connect: Connect, tries: str, sent: int
) -> None:
    node = new_node(always(500, b"no"))
    balancer = launch("-nodes", node.uri, RETRIES_MAX=tries)
    assert connect(balancer).ask(post()).status == 500
    assert len(node.requests) == sent


def test_the_last_failing_status_fields_and_body_of_a_node_reach_the_client(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    for number in (b"1", b"2", b"3"):
        node.next_call().answer(500 + int(number), b"failure " + number, "Content-Type: text/plain")
    answer = client.receive()
    assert (answer.status, answer.body, answer.field("Content-Type")) == (503, b"failure 3", "text/plain")
    assert answer.field("X-PrioLB-TotalDurationUs") is not None


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(FAILURE + b"Content-Length: 4\r\n\r\nkept", id="with a length"),
        pytest.param(FAILURE + b"Transfer-Encoding: chunked\r\n\r\n4\r\nkept\r\n0\r\n\r\n", id="chunked"),
        pytest.param(FAILURE + b"\r\nkept", id="until the end"),
    ],
)
def test_what_a_node_last_said_is_kept_when_later_tries_get_no_answer(
    balancer: Balancer, node: ScriptedNode, connect: Connect, failure: bytes
) -> None:
    client = connect(balancer)
    client.send(post())
    first = node.next_call()
    first.send(failure)
    first.close()
    node.next_call().close()
    node.next_call().close()
    answer = client.receive()
    assert (answer.status, answer.body, answer.field("Content-Length")) == (500, b"kept", "4")
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(FAILURE + b"Content-Length: 0\r\n\r\n", id="with a length"),
        pytest.param(
            FAILURE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(FAILURE + b"\r\n", id="until the end"),
    ],
)
def test_a_kept_answer_without_a_body_says_so(
    balancer: Balancer, node: ScriptedNode, connect: Connect, failure: bytes
) -> None:
    client = connect(balancer)
    client.send(post())
    first = node.next_call()
    first.send(failure)
    first.close()
    node.next_call().close()
    node.next_call().close()
    answer = client.receive()
    assert (answer.status, answer.body, answer.field("Content-Length")) == (500, b"", "0")
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_a_failing_answer_too_large_to_be_kept_is_still_delivered_when_it_is_the_last(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(500, BIG))
    balancer = launch("-nodes", node.uri, RETRIES_MAX="2")
    answer = connect(balancer).ask(post())
    assert (answer.status, answer.body) == (500, BIG)
    assert len(node.requests) == 2


@pytest.mark.parametrize(("size_bytes", "status"), [(65_536, 404), (65_537, 502)])
def test_a_failing_answer_of_up_to_64_kb_is_kept_while_another_try_gets_none(
    launch: Launch, new_node: NewNode, connect: Connect, size_bytes: int, status: int
) -> None:
    node = new_node()
    client = connect(launch("-nodes", node.uri, RETRIES_MAX="2"))
    client.send(post())
    node.next_call().answer(404, bytes(size_bytes), "Connection: close")
    node.next_call().close()
    assert client.receive().status == status


def test_a_try_is_not_repeated_once_the_client_has_seen_a_part_of_its_answer(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    bad, good = new_node(), new_node(always())
    pair(balancer, bad, good)
    client = connect(balancer)
    client.send(post())
    call = bad.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    client.receive_head()
    call.close()
    with pytest.raises(CUT):
        client.read_exactly(10)
    assert good.requests == []


def test_a_method_that_must_not_be_repeated_is_not_when_the_node_may_have_seen_it(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    bad, good = new_node(always(500, b"no")), new_node(always())
    pair(balancer, bad, good)
    answer = connect(balancer).ask(request("PATCH", "/thing", b"x"), "PATCH")
    assert (answer.status, answer.body) == (500, b"no")
    assert good.requests == []


def test_a_retry_has_its_old_place_in_line(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    """The original puts it at the back of the queue."""
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    clients = [connect(balancer) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(post(b"%d" % number, f"X-Request-ID: place-{number}"))
        balancer.wait_queued(f"place-{number}")
    node.next_call().answer(500)
    order = []
    for _ in clients:
        call = node.next_call()
        order.append(call.body)
        call.answer(200)
    assert order == [b"0", b"1", b"2"]


def test_a_retry_waits_for_a_node_it_has_not_tried_while_there_is_one(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    first, second = new_node(), new_node()
    balancer.add_node(f"{first.uri}?_workers=1")
    balancer.add_node(f"{second.uri}?_workers=1")
    clients = [connect(balancer) for _ in range(2)]
    clients[0].send(post(b"a"))
    failing = first.next_call()
    clients[1].send(post(b"b"))
    busy = second.next_call()
    failing.answer(500)
    third = connect(balancer)
    third.send(post(b"c"))
    overtaking = first.next_call()
    assert overtaking.body == b"c", "the node that failed has a free slot, but not for the retry"
    busy.answer()
    retry = second.next_call()
    assert retry.body == b"a"
    retry.answer(200, b"good")
    overtaking.answer()
    assert clients[0].receive().body == b"good"


def test_a_retry_that_waits_for_a_node_goes_back_to_the_first_when_that_node_is_removed(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """At once, not with the next time-out, of which there is none here."""
    first, second = new_node(), new_node()
    balancer = launch(
        "-node-workers", "1", REQUEST_TIMEOUT="60", REQUEST_PROXY_TIMEOUT="60", HEAD_TIMEOUT="60"
    )
    pair(balancer, first, second)
    clients = [connect(balancer) for _ in range(2)]
    clients[0].send(post(b"a"))
    failing = first.next_call()
    clients[1].send(post(b"b"))
    busy = second.next_call()
    failing.answer(500)
    third = connect(balancer)
    third.send(post(b"c"))
    first.next_call().answer()
    assert third.receive().status == 200, "so the failed try has been dealt with"
    balancer.remove_node(second.uri)
    again = first.next_call(timeout_s=2)
    assert again.body == b"a"
    again.answer(200, b"good")
    assert clients[0].receive().body == b"good"
    busy.answer(200, b"late")
    assert clients[1].receive().body == b"late", "what a removed node has in flight goes on"


def test_a_node_whose_name_does_not_resolve_is_a_failed_try(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """It is in the list, as it was healthy once; a name is looked up for each new connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
    node = new_node(lambda call: call.send(reply(200, b"good")))
    balancer = launch("-nodes", f"http://nowhere.invalid,{uri},{node.uri}")
    balancer.wait_for("Node is healthy", nodeURI=node.uri)
    assert connect(balancer).ask(post()).body == b"good"
    balancer.wait_for("Node is unhealthy and will be checked again", nodeURI="http://nowhere.invalid")
