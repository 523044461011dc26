"""Nodes behind https."""

import json
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.certificates import Authority
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, always
from support.wire import post


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def add(balancer: Balancer, uri: str) -> tuple[int, str]:
    answer = balancer.ask("POST", "/nodes", json.dumps({"uri": uri}).encode())
    return answer.status, answer.body.decode()


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
    status, reason = add(balancer, node.uri)
    assert status == 400
    assert reason.startswith(f"health check of {node.uri} failed: ")
    assert "certificate" in reason.lower()
    assert balancer.nodes() == []
    assert node.health_checks.empty()


def test_a_node_that_speaks_no_tls_is_not_added(launch: Launch, new_node: NewNode) -> None:
    node = new_node(always())
    status, reason = add(launch(), f"https://127.0.0.1:{node.port}")
    assert (status, reason.startswith("health check of https://127.0.0.1:")) == (400, True)
    assert node.requests == []
    node.faults.clear()  # what it saw was no HTTP indeed


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
