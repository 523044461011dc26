"""Nodes that fail, hang, go and come back, while there is a good one, and while there is none."""

import threading
from collections.abc import Callable

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, ScriptedNode, always, reply
from support.wire import Client, post

DOWN = "Node is unhealthy and will be checked again"
EJECTED = "Node is ejected for a while"


def ask_many(balancer: Balancer, count: int, clients: int = 4) -> list[tuple[int, bytes]]:
    """Ask over some connections at once, each one request after the other; return all answers."""
    answers: list[tuple[int, bytes]] = []

    def run() -> None:
        with Client(balancer.port) as client:
            for _ in range(count // clients):
                answer = client.ask(post())
                answers.append((answer.status, answer.body))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def once(node: ScriptedNode, script: Callable[[Call], None]) -> None:
    """Let a node do something else from now on."""
    node.script = script


def test_a_node_that_fails_fast_is_ejected_and_nobody_notices(launch: Launch, new_node: NewNode) -> None:
    """It fails faster than the other one answers, and so would attract most of the work."""
    bad, good = new_node(always(500, b"bad")), new_node(always(200, b"good"))
    balancer = launch(EJECT_TIME="60", RETRY_BUDGET_MIN="1000")
    balancer.add_node(bad.uri)
    balancer.add_node(good.uri)
    assert ask_many(balancer, 200) == [(200, b"good")] * 200
    assert len(bad.requests) < 15
    line = balancer.wait_for(EJECTED, nodeURI=bad.uri)
    assert line["err"] == "failed too often; the last time: status 500"
    detail = balancer.detail(bad.uri)
    assert (detail["state"], detail["in_flight"], detail["last_error"]) == ("ejected", 0, "status 500")
    assert detail["success_ratio"] < 1
    assert balancer.detail(good.uri)["state"] == "up"


def test_an_ejected_node_gets_one_request_and_is_back_when_it_answers(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    bad, good = new_node(always(500, b"bad")), new_node(always(200, b"good"))
    balancer = launch(EJECT_AFTER="1", EJECT_TIME="0.2", SLOW_START="0")
    balancer.add_node(bad.uri)
    balancer.add_node(good.uri)
    assert connect(balancer).ask(post()).body == b"good"
    balancer.wait_for(EJECTED, nodeURI=bad.uri)
    once(bad, always(200, b"recovered"))
    balancer.wait_for("Node has rested and gets one request", nodeURI=bad.uri)
    assert {connect(balancer).ask(post()).body for _ in range(4)} == {b"good", b"recovered"}
    balancer.wait_for("Node is healthy", reason="answered the request that decided", nodeURI=bad.uri)


def test_a_node_that_hangs_costs_its_requests_one_try_and_is_ejected(
    launch: Launch, new_node: NewNode
) -> None:
    hanging, good = new_node(lambda call: None), new_node(always(200, b"good"))
    balancer = launch("-node-workers", "4", REQUEST_PROXY_TIMEOUT="0.3", EJECT_AFTER="3", EJECT_TIME="60")
    balancer.add_node(hanging.uri)
    balancer.add_node(good.uri)
    assert ask_many(balancer, 100, clients=10) == [(200, b"good")] * 100
    balancer.wait_for(EJECTED, nodeURI=hanging.uri)
    assert len(hanging.requests) <= 2 * 4


def test_a_node_that_hangs_with_its_checks_is_down_though_all_clients_have_little_time(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """It always had something in flight, for which its checks were excused, and no client blames a node."""
    node = new_node(always(200, b"well"))
    balancer = launch(
        "-node-workers", "2", "-nodes", node.uri, HEALTH_CHECK_INTERVAL="0.1", HEALTH_CHECK_TIMEOUT="0.1"
    )
    assert connect(balancer).ask(post()).body == b"well"
    node.script = lambda call: None
    node.health_status = 0
    patient, hurried = connect(balancer), connect(balancer)
    patient.send(post(b"{}", "X-Request-Timeout: 0.9"))
    for number in range(1, 21):  # one of them is always at the node
        assert hurried.ask(post(b"{}", "X-Request-Timeout: 0.2")).status == 504
        if number % 4 == 0:
            assert patient.receive().status == 504
            patient.send(post(b"{}", "X-Request-Timeout: 0.9"))
    detail = balancer.detail(node.uri)
    assert (detail["state"], detail["reason"][-17:]) == ("down", "no answer in time")
    node.script = always(200, b"recovered")
    node.health_status = 200
    balancer.wait_for("Node is healthy", nodeURI=node.uri)
    assert hurried.ask(post()).body == b"recovered"


def test_a_node_that_is_killed_and_comes_back_costs_no_request(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    killed, good = new_node(), new_node()
    balancer = launch(SLOW_START="0")
    balancer.add_node(killed.uri)
    balancer.add_node(good.uri)
    clients = [connect(balancer) for _ in range(4)]
    for client in clients:
        client.send(post())
    for _ in range(2):
        killed.next_call()
        good.next_call().answer(200, b"good")
    once(good, always(200, b"good"))
    killed.stop()
    assert [client.receive().body for client in clients] == [b"good"] * 4
    assert ask_many(balancer, 20) == [(200, b"good")] * 20
    line = balancer.wait_for(DOWN, nodeURI=killed.uri)
    assert "refused" in line["err"]
    assert balancer.detail(killed.uri)["state"] == "down"
    new_node(always(200, b"back"), port=killed.port)
    balancer.wait_for("Node is healthy", nodeURI=killed.uri)
    assert {body for _, body in ask_many(balancer, 20)} == {b"good", b"back"}


def test_while_all_nodes_are_gone_requests_wait_and_none_fails(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Not even those that were at a node when it went, whatever the number of tries."""
    nodes = [new_node(), new_node()]
    balancer = launch("-node-workers", "4", REQUEST_TIMEOUT="60")
    for node in nodes:
        balancer.add_node(node.uri)
    clients = [connect(balancer) for _ in range(12)]
    for number, client in enumerate(clients[:4]):
        client.send(post(b"{}", f"X-Request-ID: early-{number}"))
    for node in nodes:
        node.next_call()
        node.next_call()
    for node in nodes:
        node.stop()
    for number, client in enumerate(clients[4:]):
        client.send(post(b"{}", f"X-Request-ID: late-{number}"))
    for node in nodes:
        balancer.wait_for(DOWN, nodeURI=node.uri)
    for node in nodes:
        new_node(always(200, b"back"), port=node.port)
    answers = [client.receive() for client in clients]
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"back")] * 12


def test_in_panic_mode_a_node_whose_check_fails_is_used_when_there_is_no_other(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    sick = new_node(always(200, b"sick but working"), health_status=500)
    balancer = launch("-nodes", sick.uri, PANIC_MODE="1")
    assert connect(balancer).ask(post()).body == b"sick but working"
    assert balancer.detail(sick.uri)["state"] == "last-resort"


def test_a_request_that_every_node_fails_is_not_held_against_them(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    def script(call: Call) -> None:
        call.send(reply(500, b"no") if call.body == b"poison" else reply(200, b"ok"))

    nodes = [new_node(script) for _ in range(3)]
    balancer = launch(EJECT_AFTER="2", RETRY_BUDGET_MIN="1000")
    for node in nodes:
        balancer.add_node(node.uri)
    client = connect(balancer)
    for _ in range(20):
        assert client.ask(post(b"poison")).status == 500
        assert client.ask(post()).body == b"ok"
    assert [balancer.detail(node.uri)["state"] for node in nodes] == ["up"] * 3


def test_a_node_that_comes_back_starts_slowly_beside_others(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    back, good = new_node(), new_node(always(200))
    balancer = launch("-node-workers", "4", SLOW_START="60")
    balancer.add_node(back.uri)
    balancer.add_node(good.uri)
    assert balancer.detail(back.uri)["slots"] == 4
    back.stop()
    ask_many(balancer, 8)
    balancer.wait_for(DOWN, nodeURI=back.uri)
    new_node(always(200), port=back.port)
    balancer.wait_for("Node is healthy and starts slowly", nodeURI=back.uri)
    detail = balancer.detail(back.uri)
    assert (detail["state"], detail["slots"], detail["workers"]) == ("warming", 1, 4)


def test_retries_end_with_their_budget(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always(500, b"no"))
    balancer = launch("-nodes", node.uri, RETRY_BUDGET="0", RETRY_BUDGET_MIN="0")
    balancer.wait_for("Node is healthy", nodeURI=node.uri)
    client = connect(balancer)
    assert [client.ask(post()).status for _ in range(5)] == [500] * 5
    assert len(node.requests) == 5


def test_nodes_take_turns_by_weight_and_tier(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    light, heavy, backup = (new_node(always(200, body)) for body in (b"light", b"heavy", b"backup"))
    balancer = launch(NODE_SELECTION="round-robin")
    balancer.add_node(light.uri)
    balancer.add_node(f"{heavy.uri}?_weight=3")
    balancer.add_node(f"{backup.uri}?_tier=1")
    client = connect(balancer)
    bodies = [client.ask(post()).body for _ in range(40)]
    assert sorted(set(bodies)) == [b"heavy", b"light"]
    assert bodies.count(b"heavy") == 30
    balancer.change_node(light.uri, state="cordoned")
    balancer.change_node(f"{heavy.uri}?_weight=3", state="cordoned")
    assert client.ask(post()).body == b"backup"


def test_the_faster_of_two_nodes_gets_most_of_the_work(launch: Launch, new_node: NewNode) -> None:
    pause = threading.Event()

    def slow(call: Call) -> None:
        pause.wait(0.2)
        call.answer(200, b"slow")

    nodes = [new_node(slow), new_node(always(200, b"fast"))]
    balancer = launch(NODE_SELECTION="peak-ewma")
    for node in nodes:
        balancer.add_node(node.uri)
    bodies = [body for _, body in ask_many(balancer, 100, clients=2)]
    assert bodies.count(b"slow") < 10
