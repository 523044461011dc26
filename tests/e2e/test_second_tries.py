"""What the balancer does beside plain retries: second tries, errors that mean the node, rests, affinity."""

import queue
import time

from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, always
from support.wire import Client, post

# So many answers teach how long is unusual.
ENOUGH = 64
URGENT = post(b"{}", "X-High-Priority: true")


def teach(client: Client) -> None:
    for _ in range(ENOUGH):
        assert client.ask(URGENT).status == 200


def test_a_request_that_takes_unusually_long_gets_a_second_try_and_the_first_is_given_up(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    one, other = new_node(always(200)), new_node(always(200))
    balancer = launch(HEDGE_LANES="high-priority")
    balancer.add_node(one.uri)
    balancer.add_node(other.uri)
    client = connect(balancer)
    teach(client)
    calls: queue.Queue[Call] = queue.Queue()
    one.script = other.script = calls.put
    client.send(URGENT)
    first, second = calls.get(timeout=10), calls.get(timeout=10)
    assert first.connection in one.connections or second.connection in one.connections
    assert first.connection in other.connections or second.connection in other.connections
    second.answer(200, b"second")
    assert client.receive().body == b"second"
    first.wait_left()
    for node in (one, other):
        detail = balancer.detail(node.uri)
        assert (detail["state"], detail["in_flight"], detail["failed"]) == ("up", 0, 0)


def test_a_node_that_hangs_is_ejected_though_no_client_waits_for_it(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    hanging, good = new_node(always(200)), new_node(always(200))
    balancer = launch(HEDGE_LANES="high-priority", HEDGE_MAX_PERCENT="100")
    balancer.add_node(hanging.uri)
    balancer.add_node(good.uri)
    client = connect(balancer)
    teach(client)
    unanswered: queue.Queue[Call] = queue.Queue()
    hanging.script = unanswered.put
    until = time.monotonic() + 10
    while (detail := balancer.detail(hanging.uri))["state"] == "up" and time.monotonic() < until:
        assert client.ask(URGENT).status == 200
    assert (detail["state"], detail["failed"]) == ("ejected", 0)
    assert unanswered.qsize() >= 5


def test_an_error_that_means_the_node_is_not_seen_by_the_client(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    limited = new_node(
        always(200, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}')
    )
    reverted = b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}}'
    good = new_node(always(200, reverted))
    balancer = launch(RETRY_BUDGET_MIN="1000")
    balancer.add_node(limited.uri)
    balancer.add_node(good.uri)
    client = connect(balancer)
    assert [client.ask(post()).body for _ in range(20)] == [reverted] * 20
    assert len(good.requests) == 20
    detail = balancer.detail(limited.uri)
    assert (detail["state"], detail["failed"]) == ("ejected", len(limited.requests))
    assert balancer.detail(good.uri)["failed"] == 0


def test_such_an_error_is_seen_when_it_comes_in_chunks(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    def script(call: Call) -> None:
        call.send(
            b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}'
        call.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    limited, good = new_node(script), new_node(always(200, b"good"))
    balancer = launch(RETRY_BUDGET_MIN="1000")
    balancer.add_node(limited.uri)
    balancer.add_node(good.uri)
    client = connect(balancer)
    assert [client.ask(post()).body for _ in range(10)] == [b"good"] * 10
    assert limited.requests != []


def test_a_node_gets_the_rest_that_it_asks_for(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    moments: list[float] = []

    def script(call: Call) -> None:
        moments.append(time.monotonic())
        if len(moments) == 1:
            call.answer(503, b"busy", "Retry-After: 1")
        else:
            call.answer(200, b"rested")

    balancer = launch("-nodes", new_node(script).uri)
    assert connect(balancer).ask(post()).body == b"rested"
    assert moments[1] - moments[0] >= 1.0


def test_a_rest_that_is_too_long_for_the_request_is_told_to_the_client(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(429, b"slow down", "Retry-After: 3600"))
    balancer = launch("-nodes", node.uri)
    answer = connect(balancer).ask(post())
    assert (answer.status, answer.body, answer.field("retry-after")) == (429, b"slow down", "3600")
    assert len(node.requests) == 1


def test_requests_with_the_same_value_of_a_header_keep_to_their_node(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    nodes = {name: new_node(always(200, name)) for name in (b"a", b"b", b"c")}
    balancer = launch(AFFINITY_HEADER="X-Session")
    for node in nodes.values():
        balancer.add_node(node.uri)
    client = connect(balancer)

    def owners() -> dict[int, bytes]:
        return {user: client.ask(post(b"{}", f"X-Session: user-{user}")).body for user in range(60)}

    before = owners()
    assert set(before.values()) == set(nodes)
    assert owners() == before
    balancer.remove_node(nodes[b"c"].uri)
    after = owners()
    assert b"c" not in after.values()
    assert {user for user in before if after[user] != before[user]} == {
        user for user, owner in before.items() if owner == b"c"
    }
