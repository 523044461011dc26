"""The life of a node in the list: checked, resized, cordoned, drained, and shown."""

import json
import time

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, ScriptedNode, always, reply
from support.wire import post

DOWN = "Node is unhealthy and will be checked again"


def patch(balancer: Balancer, document: object) -> tuple[int, bytes]:
    answer = balancer.ask("PATCH", "/nodes", json.dumps(document).encode())
    return answer.status, answer.body


# Checks


def health(status: int, body: bytes = b"") -> ScriptedNode:
    """A node whose checks are a path; other requests are answered `ok`."""

    def script(call: Call) -> None:
        call.send(reply(status, body) if call.target == "/up" else reply(200, b"ok"))

    return ScriptedNode(script)


@pytest.mark.parametrize(
    ("result", "is_added", "reason"),
    [
        ('{"status":"UP"}', True, ""),
        ('{"status":"DOWN"}', False, 'it was answered with {"status": "DOWN"} instead of {"status": "UP"}'),
        ("fine", False, "the answer is no JSON, so that HEALTH_CHECK_RESULT never fits it"),
    ],
)
def test_a_check_may_be_a_path_with_an_expected_status_and_result(
    launch: Launch, result: str, is_added: bool, reason: str
) -> None:
    node = health(200, result.encode())
    balancer = launch(HEALTH_CHECK="/up", HEALTH_CHECK_STATUS="200", HEALTH_CHECK_RESULT='{"status":"UP"}')
    if is_added:
        balancer.add_node(node.uri)
    else:
        assert balancer.refused_node(node.uri) == f"health check of {node.uri} failed: {reason}\n"
    assert [(call.method, call.target) for call in node.requests] == [("GET", "/up")]
    balancer.stop()
    node.stop()


def test_a_check_that_cannot_pass_because_of_its_own_configuration_says_so_in_the_detail(
    launch: Launch, new_node: NewNode
) -> None:
    node = new_node(always(404))
    balancer = launch("-nodes", node.uri, HEALTH_CHECK="/nowhere")
    line = balancer.wait_for(DOWN, nodeURI=node.uri)
    reason = f"health check of {node.uri} failed: it was answered with status 404: "
    reason += "HEALTH_CHECK=/nowhere does not fit this node"
    assert line["err"] == reason
    detail = balancer.detail(node.uri)
    assert (detail["state"], detail["reason"], detail["last_error"]) == ("down", reason, reason)


def test_a_node_is_checked_for_as_long_as_it_is_there(launch: Launch, new_node: NewNode) -> None:
    node = new_node(always(200, b"ok"))
    balancer = launch("-nodes", node.uri, HEALTH_CHECK_INTERVAL="0.05", HEALTH_CHECK_FALL="2")
    for _ in range(3):
        node.health_checks.get(timeout=5)
    node.health_status = 503
    line = balancer.wait_for(DOWN, nodeURI=node.uri)
    assert line["err"] == f"health check of {node.uri} failed: it was answered with status 503"
    node.health_status = 200
    balancer.wait_for_line(lambda _: [line["msg"] for line in balancer.lines].count("Node is healthy") == 2)
    changes = balancer.detail(node.uri)["changes"]
    assert (changes["down"], changes["up"]) == (1, 2)


def test_a_node_that_is_busy_may_be_late_with_its_checks(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    times = {"HEALTH_CHECK_INTERVAL": "0.05", "HEALTH_CHECK_TIMEOUT": "0.1", "HEALTH_CHECK_FALL": "1"}
    node = new_node()
    balancer = launch(REQUEST_PROXY_TIMEOUT="60", **times)
    balancer.add_node(node.uri)
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    node.health_status = 0
    while node.health_checks.qsize():
        node.health_checks.get()
    for _ in range(4):
        node.health_checks.get(timeout=5)
    detail = balancer.detail(node.uri)
    assert (detail["state"], detail["in_flight"]) == ("up", 1)
    assert detail["last_error"] == f"health check of {node.uri} failed: no answer in time"
    call.answer(200, b"at last")
    assert client.receive().body == b"at last"
    balancer.wait_for(DOWN, nodeURI=node.uri)


# Orders


def test_a_drained_node_finishes_what_it_has_and_gets_nothing_more(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    leaving, staying = new_node(), new_node(always(200, b"staying"))
    balancer.add_node(leaving.uri)
    balancer.add_node(staying.uri)
    client = connect(balancer)
    client.send(post())
    call = leaving.next_call()
    balancer.change_node(leaving.uri, state="drained")
    assert balancer.detail(leaving.uri)["state"] == "draining"
    assert {connect(balancer).ask(post()).body for _ in range(4)} == {b"staying"}
    call.answer(200, b"finished")
    assert client.receive().body == b"finished"
    balancer.wait_for("Node is drained", nodeURI=leaving.uri)
    assert balancer.nodes() == [leaving.uri, staying.uri]
    balancer.change_node(leaving.uri, state="active")
    assert balancer.detail(leaving.uri)["state"] == "up"


def test_what_a_drained_node_does_not_finish_in_time_is_tried_elsewhere(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    leaving, staying = new_node(), new_node(always(200, b"staying"))
    balancer.add_node(leaving.uri)
    balancer.add_node(staying.uri)
    client = connect(balancer)
    client.send(post())
    call = leaving.next_call()
    began = time.monotonic()
    balancer.change_node(leaving.uri, state="drained", hard_stop_after=0.2)
    call.wait_left()
    assert client.receive().body == b"staying"
    assert time.monotonic() - began >= 0.2


def test_a_cordoned_node_gets_nothing_and_what_waits_for_it_is_served_when_it_is_back(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok"))
    balancer = launch(REQUEST_TIMEOUT="60")
    balancer.add_node(node.uri)
    balancer.change_node(node.uri, state="cordoned")
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: waits"))
    balancer.wait_queued("waits")
    assert node.requests == []
    balancer.change_node(node.uri, state="active")
    assert client.receive().body == b"ok"


def test_workers_change_while_requests_wait(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    clients = [connect(balancer) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(post(b"{}", f"X-Request-ID: resize-{number}"))
        balancer.wait_queued(f"resize-{number}")
    calls = [node.next_call()]
    assert node.is_quiet()
    balancer.change_node(f"{node.uri}?_workers=1", workers=3)
    calls += [node.next_call(), node.next_call()]
    assert balancer.detail(f"{node.uri}?_workers=1")["slots"] == 3
    for call in calls:
        call.answer()
    assert [client.receive().status for client in clients] == [200] * 3


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"workers": 0}, "workers must be a number from 1 to 10000, or auto"),
        ({"workers": 200}, "workers must not be more than 100 (ProxyMaxConnsPerHost)"),
        ({"weight": "heavy"}, "weight must be a number from 1 to 100"),
        ({"wait": 1}, "unknown parameter wait; did you mean weight?"),
        ({"state": "cordoned", "hard_stop_after": 1}, "hard_stop_after goes only with state drained"),
        ({}, "nothing to change: none of state, workers, weight, hard_stop_after is given"),
    ],
)
def test_an_order_that_cannot_be_is_400_and_names_the_parameter(
    balancer: Balancer, new_node: NewNode, order: dict[str, object], reason: str
) -> None:
    node = new_node()
    balancer.add_node(node.uri)
    before = balancer.detail(node.uri)
    assert patch(balancer, {"uri": node.uri, "weight": 7, **order} if order else {"uri": node.uri}) == (
        400,
        f"{reason}\n".encode(),
    )
    after = balancer.detail(node.uri)
    assert {**after, "since": ""} == {**before, "since": ""}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"uri": "http://foo", "weight": 2}, b"node not found\n"),
        ({"weight": 2}, b'"uri" is missing\n'),
        ([], b'the body is not a JSON object like {"uri": "http://host:port"}\n'),
    ],
)
def test_an_order_for_no_node_is_400(balancer: Balancer, document: object, reason: bytes) -> None:
    assert patch(balancer, document) == (400, reason)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("_weight=0", "_weight must be a number from 1 to 100"),
        ("_tier=x", "_tier must be a number from 0 to 9"),
        ("_workers=many", "_workers must be a number from 1 to 10000, or auto"),
        ("_weight=1&_weight=1", "_weight is given twice"),
        ("_weigth=1", "unknown parameter _weigth; did you mean _weight?"),
    ],
)
def test_a_parameter_of_a_uri_that_cannot_be_is_400_and_named(
    balancer: Balancer, query: str, reason: str
) -> None:
    assert balancer.refused_node(f"http://foo?{query}") == f"node URI 'http://foo': {reason}\n"
    assert balancer.nodes() == []


def test_the_command_line_changes_and_shows_nodes(balancer: Balancer, new_node: NewNode) -> None:
    node = new_node()
    balancer.add_node(node.uri)
    url = f"http://127.0.0.1:{balancer.port}"
    for words, line, state in (
        (("drain", "--hard-stop-after", "1"), "draining", "drained"),
        (("uncordon",), "uncordoned", "up"),
        (("set", "--workers", "3", "--weight", "2"), "changed", "up"),
        (("cordon",), "cordoned", "cordoned"),
    ):
        done = run_program("nodes", words[0], node.uri, *words[1:], "--url", url)
        assert (done.returncode, done.stdout) == (0, f"{line} {node.uri}\n"), done.stderr
        assert balancer.detail(node.uri)["state"] == state
    assert (balancer.detail(node.uri)["workers"], balancer.detail(node.uri)["weight"]) == (3, 2)
    shown = run_program("nodes", "show", PRIOLB_URL=url)
    assert shown.returncode == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()] == [
        ["uri", "state"],
        [node.uri, "cordoned"],
    ]
    done = run_program("nodes", "set", node.uri, "--weight", "0", "--url", url)
    assert (done.returncode, done.stderr) == (
        1,
        f"prio-load-balancer: {url} refused: weight must be a number from 1 to 100 (400)\n",
    )


def test_details_are_for_those_who_may_change_nodes(launch: Launch) -> None:
    balancer = launch(ADMIN_ALLOW="192.0.2.0/24")
    assert balancer.ask("GET", "/nodes?detail=1").status == 403
    assert balancer.ask("GET", "/nodes").status == 200


def test_slots_grow_by_themselves_when_a_node_is_told_to_find_them(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200))
    balancer = launch("-nodes", node.uri, ADAPTIVE_WORKERS="1", ADAPTIVE_WORKERS_MAX="6")
    balancer.wait_for("Node is healthy", nodeURI=node.uri)
    detail = balancer.detail(node.uri)
    assert (detail["slots"], detail["workers"]) == (4, "auto")
    assert connect(balancer).ask(post()).status == 200
    balancer.change_node(node.uri, workers=2)
    assert (balancer.detail(node.uri)["slots"], balancer.detail(node.uri)["workers"]) == (2, 2)
