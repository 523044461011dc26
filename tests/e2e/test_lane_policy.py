"""Lanes that a configuration file describes: weights, fair shares, slots that are kept, own waits."""

from pathlib import Path

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode
from support.wire import Client, post

FAST = "X-Fast-Track: true"
HIGH = "X-High-Priority: true"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lanes.toml"


class Desk:
    """Clients of a balancer, each of which waits for its answer."""

    def __init__(self, balancer: Balancer, connect: Connect) -> None:
        self._balancer = balancer
        self._connect = connect
        self.clients: list[Client] = []

    def send(self, name: str, *fields: str, address: str = "") -> Client:
        """Send a request to the path `name`; return when it is in line, or at a node."""
        self.clients.append(self._connect(self._balancer, address=address))
        self.clients[-1].send(post(b"{}", f"X-Request-ID: {name}", *fields, target=f"/{name}"))
        self._balancer.wait_for("Request added to queue", reqID=name)
        return self.clients[-1]

    def served(self, node: ScriptedNode, count: int) -> list[str]:
        """Answer requests one after the other; return their names in that order."""
        names = []
        for _ in range(count):
            call = node.next_call()
            names.append(call.target.removeprefix("/"))
            call.answer()
        return names


def test_weighted_lanes_take_turns_behind_strict_ones(
    file: Path, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    file.write_text("""
        discipline = "weighted"
        [[lane]]
        name = "urgent"
        strict = true
        [[lane]]
        name = "normal"
        weight = 3
        [[lane]]
        name = "batch"
        weight = 1
        [[rule]]
        header = "X-Fast-Track"
        lane = "urgent"
        [[rule]]
        header = "X-High-Priority"
        lane = "normal"
    """)
    node = new_node()
    desk = Desk(launch("-config", str(file), "-nodes", node.uri, NUM_NODE_WORKERS="1"), connect)
    desk.send("holds", FAST)
    call = node.next_call()
    for name, fields in (("b1", ()), ("b2", ()), *((f"n{number}", (HIGH,)) for number in range(1, 5))):
        desk.send(name, *fields)
    desk.send("u1", FAST)
    call.answer()
    assert desk.served(node, 7) == ["u1", "n1", "n2", "n3", "b1", "n4", "b2"]
    assert [client.receive().status for client in desk.clients] == [200] * 8


def test_one_setting_makes_the_lanes_of_the_original_fair_to_tenants(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    desk = Desk(launch("-nodes", node.uri, NUM_NODE_WORKERS="1", LANE_ORDER="fair"), connect)
    desk.send("holds")
    call = node.next_call()
    for number in range(1, 4):
        desk.send(f"greedy-{number}", address="127.0.0.2")
    desk.send("modest", address="127.0.0.3")
    call.answer()
    assert desk.served(node, 4) == ["greedy-1", "modest", "greedy-2", "greedy-3"]


def test_a_lane_takes_no_more_than_its_share_and_nobody_what_is_kept_for_another(
    file: Path, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    file.write_text("""
        discipline = "strict"
        [[lane]]
        name = "urgent"
        reserved = 1
        [[lane]]
        name = "normal"
        [[lane]]
        name = "batch"
        max_share = 50
        [[rule]]
        header = "X-Fast-Track"
        lane = "urgent"
        [[rule]]
        header = "X-High-Priority"
        lane = "normal"
    """)
    node = new_node()
    desk = Desk(launch("-config", str(file), "-nodes", node.uri, NUM_NODE_WORKERS="4"), connect)
    calls = []
    for name in ("b1", "b2"):
        desk.send(name)
        calls.append(node.next_call())
    desk.send("b3")  # waits: 2 of 4 slots
    desk.send("n1", HIGH)
    calls.append(node.next_call())
    desk.send("n2", HIGH)  # waits: the last slot is kept
    desk.send("u1", FAST)
    calls.append(node.next_call())
    assert [call.target for call in calls] == ["/b1", "/b2", "/n1", "/u1"]
    calls[0].answer()
    calls[3].answer()
    last = [node.next_call()]
    assert last[0].target == "/n2"
    calls[1].answer()
    last.append(node.next_call())
    assert last[1].target == "/b3"
    for call in (calls[2], *last):
        call.answer()
    assert [client.receive().status for client in desk.clients] == [200] * 6


def test_a_lane_waits_for_as_long_as_it_may_and_no_longer(
    file: Path, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    file.write_text("""
        REQUEST_TIMEOUT = 60
        REQUEST_PROXY_TIMEOUT = 60
        [[lane]]
        name = "urgent"
        [[lane]]
        name = "normal"
        [[lane]]
        name = "batch"
        max_wait = 0.05
    """)
    node = new_node()
    desk = Desk(launch("-config", str(file), "-nodes", node.uri, NUM_NODE_WORKERS="1"), connect)
    desk.send("holds", FAST)
    call = node.next_call()
    waits = desk.send("n1", HIGH)
    late = desk.send("b1")
    assert late.receive().status == 504
    call.answer()
    assert desk.served(node, 1) == ["n1"]
    assert waits.receive().status == 200
