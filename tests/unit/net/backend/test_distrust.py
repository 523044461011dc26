"""Nodes that stop proving what they run: nothing more is sent, and what they have got whole is waited for."""

from collections.abc import Callable

import pytest

from priolb.attest.context import NotAttestedError
from support.memory import HIGH_WATER_BYTES
from support.messages import ANSWER, POST, POST_AT_NODE, answer_at_client, problem
from support.rig import MemoryNode, Rig, serve_one

WHY = "measurements: PCR 4 is another"
REFUSED = "not attested: measurements: PCR 4 is another"
UPLOAD = b"PUT /a HTTP/1.1\r\nHost: balancer\r\nContent-Length: 1000\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: balancer\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
NOT_ATTESTED = problem(b"502 Bad Gateway", "node not attested", b"Connection: close\r\n")


def distrust(rig: Rig, node: MemoryNode) -> None:
    rig.traffic.attested(node.state, WHY)


def refusing(rig: Rig, node: MemoryNode) -> None:
    """Let the next handshakes with `node` end as those with a node do that proves something else."""
    node.on_dial = lambda: distrust(rig, node)
    node.fault = NotAttestedError(1, REFUSED)


# What is sent


def test_idle_connections_are_closed_and_the_next_request_after_the_next_proof_has_one_of_its_own() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        distrust(rig, node)
        assert (call.was_aborted, rig.engine.idle.count, node.state.status.value) == (True, 0, "unattested")
        client.send(POST)
        assert (call.take(), node.is_quiet(), rig.counts()) == (b"", True, (1, 0, 2))
        rig.traffic.attested(node.state, "")
        fresh = node.accept()
        assert fresh.take() == POST_AT_NODE
        fresh.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.engine.idle.count == 1


@pytest.mark.parametrize("begun", [b"", ANSWER[:20], ANSWER[:-1]])
def test_a_request_that_has_left_whole_is_answered_and_its_connection_serves_no_other(begun: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        if begun:
            call.send(begun)
        distrust(rig, node)
        call.send(ANSWER[len(begun) :])
        assert client.take() == answer_at_client()
        assert (call.was_aborted, rig.engine.idle.count) == (True, 0)


def test_a_request_that_was_put_off_to_the_end_of_the_turn_goes_elsewhere() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        used = serve_one(rig, node)
        rig.notes.take()
        other = rig.node()
        rig.set_healthy(other.state, False)
        client._protocol.data_received(POST)
        distrust(rig, node)
        rig.engine.flush()
        assert (used.take(), used.was_aborted) == (b"", True)
        rig.set_healthy(other.state, True)
        call = other.accept()
        assert call.take() == POST_AT_NODE.replace(b"node-1", b"node-2")
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.notes.take("node_failed", "completed") == [
            (
                "node_failed",
                b"",
                "http://node-1",
                "node_unattested",
                "the node has stopped proving what it runs",
                1,
            ),
            ("completed", b"", 200, "http://node-2", 1),
        ]
        assert node.state.healthy is True


def test_a_body_on_its_way_is_cut_off_and_its_client_told() -> None:
    with Rig(replay_max_bytes=100) as rig:
        node, client = rig.node(), rig.client()
        client.send(UPLOAD + b"x" * 500)
        call = node.accept()
        assert call.take().endswith(b"x" * 500)
        distrust(rig, node)
        client.send(b"y" * 500)
        assert (call.take(), call.was_aborted) == (b"", True)
        assert client.take() == NOT_ATTESTED
        rig.advance(5.1)
        assert client.is_lost


def test_a_body_whose_answer_has_begun_is_cut_off_with_it() -> None:
    with Rig(replay_max_bytes=100) as rig:
        node, client = rig.node(), rig.client()
        client.send(UPLOAD + b"x" * 500)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        distrust(rig, node)
        rig.run()
        assert (call.was_aborted, client.is_lost) == (True, True)
        assert client.take().endswith(b"1\r\na\r\n")


def test_a_connection_that_has_switched_protocols_ends() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(UPGRADE)
        call = node.accept()
        call.send(SWITCHED)
        client.send(b"hello")
        assert call.take().endswith(b"hello")
        distrust(rig, node)
        rig.run()
        assert (call.was_aborted, client.is_lost) == (True, True)


def test_a_request_to_switch_protocols_that_has_left_whole_is_not_waited_for() -> None:
    """Were it granted, what the client sends then would go to the node."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(UPGRADE)
        call = node.accept()
        call.take()
        other = rig.node()
        distrust(rig, node)
        assert call.was_aborted
        switched = other.accept()
        assert switched.take().startswith(b"GET /ws HTTP/1.1\r\n")
        switched.send(SWITCHED)
        assert client.take().startswith(b"HTTP/1.1 101 ")
        switched.end()
        client.end()
        rig.run()


def test_a_request_that_the_node_has_not_read_to_its_end_is_tried_elsewhere() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        node.is_busy = True
        client.send(b"PUT / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
        call = node.accept()
        other = rig.node()
        distrust(rig, node)
        assert call.was_aborted
        other.accept().send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)


def test_the_last_bytes_of_a_client_that_is_gone_do_not_leave_either() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(UPGRADE)
        call = node.accept()
        call.send(SWITCHED)
        call.stop_reading(after_bytes=0)
        client.send(b"x" * HIGH_WATER_BYTES)
        client.end()
        rig.run()
        assert not call.was_aborted
        distrust(rig, node)
        assert call.was_aborted


# Handshakes


def test_a_handshake_that_goes_on_is_judged_by_itself() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        node.is_silent = True
        client.send(POST)
        rig.run()
        distrust(rig, node)
        node.let_in()
        call = node.accept()
        rig.traffic.attested(node.state, "")
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.engine.idle.count == 1


def test_a_handshake_without_proof_is_no_try_and_the_request_goes_elsewhere() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        refusing(rig, node)
        other = rig.node()
        client.send(POST)
        rig.run()
        call = other.accept()
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.notes.take("node_failed", "completed") == [
            ("node_failed", b"", "http://node-1", "node_unattested", REFUSED, 1),
            ("completed", b"", 200, "http://node-2", 1),
        ]
        assert (node.state.status.value, node.state.healthy, node.state.reason) == ("unattested", True, WHY)


def test_when_no_other_node_is_there_it_waits_for_the_next_proof() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        refusing(rig, node)
        client.send(POST)
        rig.advance(1)
        assert (node.attempts, rig.counts(), client.take()) == (1, (1, 0, 2), b"")
        node.fault, node.on_dial = None, lambda: None
        rig.traffic.attested(node.state, "")
        call = node.accept()
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take().endswith(b"[]")


def test_a_handshake_that_is_refused_without_a_verdict_takes_the_node_down_as_any_that_fails() -> None:
    """Else nothing would take it out of use, and the request would knock again at once, for ever."""
    with Rig(max_tries=2) as rig:
        node, client = rig.node(), rig.client()
        node.fault = NotAttestedError(1, "not attested: TypeError: a bug")
        client.send(POST)
        rig.run()
        assert (client.take(), node.attempts, node.state.status.value) == (b"", 1, "down")
        client.end()


# The engine


@pytest.mark.parametrize(
    "out", [lambda rig, node: rig.traffic.fleet.remove(node.state, rig.clock.now), lambda rig, node: None]
)
def test_a_verdict_on_a_node_that_takes_no_part_changes_what_is_known_of_it(
    out: Callable[[Rig, MemoryNode], None],
) -> None:
    with Rig() as rig:
        node = rig.node()
        out(rig, node)
        distrust(rig, node)
        assert (node.state.attested, node.state.usable) == (False, False)
        rig.traffic.attested(node.state, "")
        assert node.state.attested is True


def test_a_verdict_on_a_node_that_is_gone_does_nothing() -> None:
    with Rig() as rig:
        node = rig.node()
        rig.traffic.detach(node.state)
        distrust(rig, node)
        assert node.state.usable is False
