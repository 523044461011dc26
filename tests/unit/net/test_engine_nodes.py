"""The engine: nodes that fail, rest and come back, are drained and go."""

from math import inf

from priolb.core.timers import NO_SLOT
from support.manual_loop import TICK_S
from support.messages import ANSWER, POST, POST_AT_NODE, answer_at_client, timings
from support.rig import Rig

FAILURE = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"


def changes_of(rig: Rig) -> list[str]:
    """Return a list that grows with every change of a node."""
    told: list[str] = []
    rig.traffic.report_to(
        lambda change: told.append(f"{change.node.name[7:]}: {change.before.value} -> {change.status.value}")
    )
    return told


def judging(rig: Rig, **policy: float) -> None:
    for name, value in policy.items():
        setattr(rig.traffic.fleet.policy, name, value)


def test_a_node_that_fails_what_another_answers_rests_and_is_tried_with_one_request() -> None:
    with Rig() as rig:
        judging(rig, eject_after=1, rest_s=2.0)
        first, second, clients = rig.node(slots=8), rig.node(slots=8), [rig.client() for _ in range(3)]
        told = changes_of(rig)
        clients[0].send(POST)
        bad = first.accept()
        bad.send(FAILURE)
        good = second.accept()
        good.send(ANSWER)
        assert told == ["node-1: up -> ejected"]
        for client in clients:
            client.send(POST)
        rig.run()
        assert len(second.connections) == 3
        for call in second.connections:
            call.send(ANSWER)
        rig.advance(2.1)
        assert told[1:] == ["node-1: ejected -> probing"]
        for client in clients:
            client.send(POST)
        rig.run()
        assert bad.take() == POST_AT_NODE * 2, "the first one, and the one that decides"
        bad.send(ANSWER)
        for call in second.connections:
            call.send(ANSWER)
        assert told[2:] == ["node-1: probing -> up"]


def test_a_request_that_rests_is_tried_again_when_its_time_has_come() -> None:
    with Rig() as rig:
        rig.scheduler._retries._policy.backoff_s = 1.0
        rig.scheduler._retries._policy.backoff_max_s = 1.0
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(FAILURE)
        call.send(FAILURE)
        assert call.take() == POST_AT_NODE * 2
        rig.advance(0.5)
        assert call.take() == b""
        rig.advance(TICK_S)
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(515_625, 0, 515_625))


def test_a_node_that_refuses_connections_is_down_and_its_requests_wait_for_a_check_to_pass() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        told = changes_of(rig)
        node.fault = ConnectionRefusedError(111, "Connection refused")
        client.send(POST)
        rig.run()
        assert (told, node.attempts, client.take()) == (["node-1: up -> down"], 1, b"")
        rig.traffic.checked(node.state, "still refused", is_late=False)
        rig.advance(1)
        node.fault = None
        rig.traffic.checked(node.state, None, is_late=False)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(times=timings(1_000_000, 0, 1_000_000))
        assert told[1:] == ["node-1: down -> up"]


def test_a_node_that_is_attached_after_its_check_serves_at_once() -> None:
    with Rig() as rig:
        node, client = rig.node(is_healthy=False), rig.client()
        client.send(POST)
        rig.traffic.fleet.remove(node.state, rig.clock.now)
        rig.traffic.attach(node.state, passed=True)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_an_answer_on_its_way_from_a_drained_node_is_cut_off_after_its_time() -> None:
    with Rig() as rig:
        leaving, client = rig.node(), rig.client()
        client.send(POST)
        call = leaving.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npa")
        rig.traffic.fleet.drain(leaving.state, 2.0, rig.clock.now)
        rig.traffic.settle()
        rig.advance(1.9)
        assert (call.is_lost, client.is_closing(), leaving.state.status.value) == (False, False, "draining")
        rig.advance(0.2)
        assert (call.is_lost, client.is_closing(), leaving.state.status.value) == (True, True, "drained")


def test_a_request_that_waits_for_a_drained_node_is_tried_elsewhere_at_its_end() -> None:
    with Rig() as rig:
        leaving, staying, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = leaving.accept()
        rig.traffic.fleet.drain(leaving.state, 1.0, rig.clock.now)
        rig.traffic.settle()
        rig.advance(1.1)
        assert call.is_lost
        staying.accept().send(ANSWER)
        assert client.take()[-7:] == answer_at_client()[-7:]
        assert leaving.state.record.failed == 0, "we have ended it, and not the node"
        assert leaving.state.status.value == "drained"


def test_what_a_node_that_is_removed_while_it_is_drained_has_in_flight_is_cut_off_as_well() -> None:
    with Rig() as rig:
        leaving, staying, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = leaving.accept()
        rig.traffic.fleet.drain(leaving.state, 1.0, rig.clock.now)
        rig.traffic.settle()
        rig.traffic.detach(leaving.state)
        rig.advance(0.9)
        was_lost_before = call.is_lost
        rig.advance(0.2)
        assert (was_lost_before, call.is_lost) == (False, True)
        staying.accept().send(ANSWER)
        assert client.take()[-7:] == answer_at_client()[-7:]


def test_a_node_that_is_removed_while_nobody_drains_it_is_not_cut_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        rig.traffic.fleet.drain(node.state, 1.0, rig.clock.now)
        rig.traffic.fleet.cordon(node.state, rig.clock.now)
        rig.traffic.settle()
        rig.traffic.detach(node.state)
        rig.advance(2)
        call.send(ANSWER)
        assert client.take()[:15] == b"HTTP/1.1 200 OK"


def test_nothing_of_a_node_that_is_removed_while_it_is_drained_is_kept_once_nothing_is_in_flight() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        rig.traffic.fleet.drain(node.state, 3600.0, rig.clock.now)
        rig.traffic.settle()
        backend = rig.engine.backends[node.state]
        rig.traffic.detach(node.state)
        rig.advance(1)
        assert (backend.lapses_at, rig.scheduler.fleet.next_due()) == (rig.clock.now - 1 + 3600, inf)
        call.send(ANSWER)
        rig.advance(2 * TICK_S)
        assert (backend.wheel_slot, backend.watched_at) == (NO_SLOT, inf)


def test_a_second_connection_to_a_node_that_is_removed_while_it_is_drained_is_cut_off_as_the_first() -> None:
    """The one that was kept turns out to be closed, and the request goes out anew."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        kept = node.accept()
        kept.send(ANSWER)
        client.take()
        client.send(POST)
        rig.run()
        rig.traffic.fleet.drain(node.state, 1.0, rig.clock.now)
        rig.traffic.settle()
        rig.traffic.detach(node.state)
        kept.end()
        call = node.accept()
        rig.advance(0.9)
        was_lost_before = call.is_lost
        rig.advance(0.2)
        assert (was_lost_before, call.is_lost) == (False, True)
        client.end()
        rig.run()
