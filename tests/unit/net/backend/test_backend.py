"""Idle connections of nodes: how many, how long, and which one is next."""

import pytest

from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import ANSWER, POST, POST_AT_NODE, answer_at_client
from support.rig import MemoryNode, Rig


def serve_at_once(rig: Rig, node: MemoryNode, count: int) -> list[MemoryTransport]:
    """Serve so many requests at the same time, and return the node's ends in the order of their answers."""
    calls = []
    for _ in range(count):
        client = rig.client()
        client.send(POST)
        calls.append(node.accept())
        assert calls[-1].take()
    for call in calls:
        call.send(ANSWER)
    return calls


def test_the_connection_used_last_is_used_next() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        calls = serve_at_once(rig, node, 3)
        for _ in range(2):
            client.send(POST)
            assert [call.take() for call in calls] == [b"", b"", POST_AT_NODE]
            calls[2].send(ANSWER)
        client.send(POST)
        other = rig.client()
        other.send(POST)
        assert [call.take() for call in calls] == [b"", POST_AT_NODE, POST_AT_NODE]
        calls[2].send(ANSWER)
        calls[1].send(ANSWER)
        assert node.is_quiet()


def test_an_idle_connection_is_closed_after_its_time() -> None:
    with Rig(idle_timeout_s=90) as rig:
        node, client = rig.node(), rig.client()
        first, second = serve_at_once(rig, node, 2)
        rig.advance(50)
        client.send(POST)
        second.send(ANSWER)
        rig.advance(40)
        assert not first.is_closing()
        rig.advance(2 * TICK_S)
        assert (first.is_lost, second.is_lost) == (True, False)
        assert rig.engine.idle.count == 1
        rig.advance(50)
        assert second.is_lost
        assert rig.engine.idle.count == 0


def test_the_time_of_a_connection_in_use_does_not_run() -> None:
    with Rig(idle_timeout_s=1, try_timeout_s=60, request_timeout_s=60) as rig:
        node, client = rig.node(), rig.client()
        [call] = serve_at_once(rig, node, 1)
        client.send(POST)
        rig.advance(50)
        call.send(ANSWER)
        assert client.take().endswith(b"[]")


def test_without_a_limit_of_time_an_idle_connection_stays() -> None:
    with Rig(idle_timeout_s=0) as rig:
        node = rig.node()
        [call] = serve_at_once(rig, node, 1)
        rig.advance(100_000)
        assert not call.is_closing()


@pytest.mark.parametrize(
    ("total", "per_node", "kept"),
    [(100, 2, [2, 2]), (3, 100, [3, 0]), (0, 0, [4, 4]), (0, 1, [1, 1]), (5, 0, [4, 1])],
)
def test_no_more_idle_connections_are_kept_than_allowed(total: int, per_node: int, kept: list[int]) -> None:
    with Rig(max_idle=total, max_idle_per_node=per_node) as rig:
        first, second = rig.node(), rig.node()
        calls = []
        for index in range(8):
            client = rig.client()
            client.send(POST)
            calls.append((first, second)[index % 2].accept())
        for call in calls[::2] + calls[1::2]:
            call.send(ANSWER)
        assert rig.engine.idle.count == sum(kept)
        assert [sum(not call.is_closing() for call in node.connections) for node in (first, second)] == kept


def test_a_closed_idle_connection_makes_room_for_another() -> None:
    with Rig(max_idle=1) as rig:
        node = rig.node()
        first, second = serve_at_once(rig, node, 2)
        assert (first.is_closing(), second.is_closing()) == (False, True)
        first.break_off()
        assert rig.engine.idle.count == 0
        [third] = serve_at_once(rig, node, 1)
        assert not third.is_closing()
        assert rig.engine.idle.count == 1


def test_a_connection_that_is_closing_is_passed_over() -> None:
    """The transport knows, but has not told yet."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        first, second = serve_at_once(rig, node, 2)
        second.close()
        client.send(POST)
        assert first.take() == POST_AT_NODE
        first.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.engine.idle.count == 1
        assert second.calls == ["close", "abort"]


def test_the_idle_connections_of_a_removed_node_are_closed_and_those_of_others_stay() -> None:
    with Rig() as rig:
        first, second = rig.node(), rig.node()
        clients = [rig.client(), rig.client()]
        for client in clients:
            client.send(POST)
        calls = [first.accept(), second.accept()]
        for call in calls:
            call.send(ANSWER)
        rig.traffic.detach(first.state)
        assert [call.is_closing() for call in calls] == [True, False]
        assert rig.engine.idle.count == 1


def test_what_a_removed_node_has_in_flight_goes_on_and_its_connection_is_not_kept() -> None:
    with Rig() as rig:
        node, other, client = rig.node(), rig.node(is_healthy=False), rig.client()
        client.send(POST)
        call = node.accept()
        rig.traffic.detach(node.state)
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert call.is_closing()
        assert other.is_quiet()


def test_a_cut_ends_everything_under_way_and_leaves_idle_connections_alone() -> None:
    with Rig() as rig:
        node, other = rig.node(), rig.node()
        clients = [rig.client() for _ in range(2)]
        for client in clients:
            client.send(POST)
        idle, busy = node.accept(), other.accept()
        idle.send(ANSWER)
        rig.engine.backends[node.state].cut()
        assert not idle.is_closing()
        rig.engine.backends[other.state].cut()
        rig.run()
        assert busy.is_lost
        assert idle.take() == POST_AT_NODE * 2, "what was under way is tried elsewhere"
        idle.send(ANSWER)
        assert [client.take() for client in clients] == [answer_at_client()] * 2
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-2", "node_drained", "cut off at the end of its drain", 1)
        ]


def test_no_more_connections_of_a_node_are_open_than_may_be() -> None:
    """A method that may not be repeated takes a new one each time, however many are idle."""
    with Rig(max_open_per_node=2) as rig:
        node, client = rig.node(), rig.client()
        for _ in range(4):
            client.send(POST.replace(b"POST", b"PATCH"))
            node.accept().send(ANSWER)
        rig.run()
        assert [call.is_lost for call in node.connections] == [True, True, False, False]


def test_a_connection_that_is_closed_is_not_remembered() -> None:
    with Rig() as rig:
        node = rig.node()
        [call] = serve_at_once(rig, node, 1)
        backend = rig.engine.backends[node.state]
        assert len(backend._connections) == 1
        call.break_off()
        rig.run()
        assert backend._connections == {}
