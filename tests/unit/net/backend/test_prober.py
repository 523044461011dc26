"""Health probes: what is asked, what counts as an answer, and that a probe keeps to itself."""

import asyncio
from collections.abc import Callable

import pytest

from priolb.attest.context import NotAttestedError
from priolb.core.nodes.health_check import HealthCheck
from priolb.errors import NodeError, UnaskedError, UnattestedError
from priolb.net.backend.traffic import NodeTraffic
from support.memory import MemoryTransport
from support.messages import ANSWER, POST, POST_AT_NODE, answer_at_client
from support.rig import MemoryNode, Rig

PROBE = (
    b"POST / HTTP/1.1\r\nHost: node-1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: 60\r\n\r\n"
    b'{"jsonrpc":"2.0","method":"net_version","params":[],"id":123}'
)


def start(rig: Rig, node: MemoryNode, timeout_s: float = 5.0) -> asyncio.Task[None]:
    task = rig.loop.create_task(rig.traffic.probe(node.state, timeout_s))
    rig.run()
    return task


def failure_of(task: asyncio.Task[None]) -> str:
    error = task.exception()
    assert isinstance(error, NodeError)
    return str(error)


def test_a_probe_asks_for_the_net_version_at_the_nodes_own_path() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        call = node.accept()
        assert call.take() == PROBE.replace(b"60", b"%d" % (len(PROBE) - PROBE.index(b"{")))
        call.send(ANSWER)
        rig.run()
        assert task.result() is None
        assert call.is_lost


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n[",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n",
    ],
)
def test_a_status_below_400_is_enough_whatever_the_body(answer: bytes) -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        call = node.accept()
        call.send(answer)
        rig.run()
        assert task.result() is None
        assert call.is_lost


@pytest.mark.parametrize("body", [b"oops", b"o"])
def test_a_status_of_400_and_above_fails(body: bytes) -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        call = node.accept()
        call.send(b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\n" + body)
        rig.run()
        assert failure_of(task) == "health check of http://node-1 failed: it was answered with status 400"
        assert call.is_lost


def test_a_node_that_cannot_be_reached_fails() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        node.fault = ConnectionRefusedError(111, "Connection refused")
        assert failure_of(start(rig, node)) == "health check of http://node-1 failed: Connection refused"


def test_a_node_that_is_silent_for_the_whole_time_fails() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        rig.advance(5)
        assert not task.done()
        rig.advance(0.1)
        assert failure_of(task) == "health check of http://node-1 failed: no answer in time"


def test_a_node_that_cannot_be_connected_in_time_fails() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        node.is_silent = True
        task = start(rig, node)
        rig.advance(5.1)
        assert failure_of(task) == "health check of http://node-1 failed: not connected in time"
        assert node.given_up == 1


@pytest.mark.parametrize("leave", [MemoryTransport.end, MemoryTransport.break_off])
def test_a_node_that_hangs_up_fails(leave: Callable[[MemoryTransport], None]) -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        leave(node.accept())
        rig.run()
        assert failure_of(task).startswith("health check of http://node-1 failed: ")


def test_a_probe_that_is_cancelled_drops_its_connection() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        call = node.accept()
        task.cancel()
        rig.run()
        assert task.cancelled()
        assert call.is_lost


@pytest.mark.parametrize("status", [b"200 OK", b"500 Broken"])
def test_a_probe_that_is_cancelled_in_the_turn_of_its_answer_ends_as_cancelled(status: bytes) -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start(rig, node)
        call = node.accept()
        task.cancel()
        call.send(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)
        rig.run()
        assert task.cancelled()
        assert call.is_lost


def test_a_probe_takes_no_slot_and_no_connection_of_a_request() -> None:
    with Rig() as rig:
        node, client = rig.node(slots=1), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        task = start(rig, node)
        probe = node.accept()
        client.send(POST)
        assert call.take() == POST_AT_NODE * 2
        call.send(ANSWER)
        probe.send(ANSWER)
        rig.run()
        assert task.result() is None
        assert client.take() == answer_at_client() * 2


def test_a_request_never_gets_the_connection_of_a_probe() -> None:
    """A node that keeps it open although told not to; the probe drops it a turn after its answer."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        task = start(rig, node)
        probe = node.accept()
        probe.take()
        probe.send(ANSWER)
        client.send(POST)
        assert probe.take() == b""
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()
        assert task.result() is None


def test_a_node_that_has_not_proven_itself_is_not_asked_and_that_is_no_failed_check() -> None:
    with Rig() as rig:
        node = rig.node()

        def refuse() -> None:
            rig.traffic.attested(node.state, "mrenclave: another")
            raise NotAttestedError(1, "not attested: mrenclave: another")

        node.on_dial = refuse
        task = start(rig, node)
        error = task.exception()
        assert isinstance(error, UnattestedError)
        assert str(error) == "http://node-1: not attested: mrenclave: another"
        assert node.connections == []


def test_without_a_socket_nothing_was_asked() -> None:
    with Rig() as rig:
        node = rig.node()
        node.fault = OSError(24, "Too many open files")
        error = start(rig, node).exception()
        assert isinstance(error, UnaskedError) and not isinstance(error, UnattestedError)
        assert str(error) == "health check of http://node-1 failed: Too many open files"


def test_a_node_that_is_not_there_is_down_whatever_it_has_proven() -> None:
    with Rig() as rig:
        node = rig.node()
        rig.traffic.attested(node.state, "nothing was asked of it yet")
        node.fault = ConnectionRefusedError(111, "Connection refused")
        task = start(rig, node)
        assert failure_of(task) == "health check of http://node-1 failed: Connection refused"
        assert not isinstance(task.exception(), UnattestedError)


def start_with(rig: Rig, node: MemoryNode, check: HealthCheck, timeout_s: float = 5.0) -> asyncio.Task[None]:
    rig.traffic = NodeTraffic(rig.engine, check)
    return start(rig, node, timeout_s)


def test_a_path_is_read_below_that_of_the_node() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False, path="/rpc", query="key=1")
        task = start_with(rig, node, HealthCheck("/health?full=1"))
        call = node.accept()
        assert call.take() == (
            b"GET /rpc/health?key=1&full=1 HTTP/1.1\r\nHost: node-1\r\n"
            b"Accept: */*\r\nConnection: close\r\n\r\n"
        )
        call.send(ANSWER)
        rig.run()
        assert task.result() is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"result":false}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"result\r\n8\r\n":false}\r\n0\r\n\r\n',
    ],
)
@pytest.mark.parametrize("is_in_parts", [True, False])
def test_a_result_that_is_expected_is_waited_for(answer: bytes, is_in_parts: bool) -> None:
    for expected, is_passed in (("false", True), ("true", False)):
        with Rig() as rig:
            node = rig.node(is_healthy=False)
            task = start_with(rig, node, HealthCheck("eth_syncing", result=expected))
            call = node.accept()
            for part in [answer[:50], answer[50:]] if is_in_parts else [answer]:
                assert not task.done()
                call.send(part)
            rig.run()
            assert call.is_lost
            if is_passed:
                assert task.result() is None
            else:
                assert failure_of(task).endswith("it was answered with false instead of true")


def test_a_result_that_has_no_end_is_given_up_at_64_kb() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start_with(rig, node, HealthCheck("/x", result="1"))
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"1" * 65_536)
        assert not task.done()
        call.send(b"1")
        rig.run()
        assert call.is_lost
        assert failure_of(task).endswith("larger than 65536 bytes, which HEALTH_CHECK_RESULT never is")


def test_a_result_that_does_not_come_in_time_is_late() -> None:
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start_with(rig, node, HealthCheck("/x", result="1"))
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(10):
            rig.advance(0.5)
            call.send(b"1")
        assert not task.done()
        rig.advance(0.1)
        assert failure_of(task).endswith("the answer stopped coming")
        assert is_late(task) is True


def test_one_that_stops_coming_is_not_waited_for_as_long_as_a_check_may_take() -> None:
    """30 seconds without a byte are enough, as with any body."""
    with Rig() as rig:
        node = rig.node(is_healthy=False)
        task = start_with(rig, node, HealthCheck("/x", result="1"), timeout_s=300.0)
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        rig.advance(30)
        assert not task.done()
        rig.advance(0.1)
        assert failure_of(task).endswith("the answer stopped coming")


def is_late(task: asyncio.Task[None]) -> bool:
    error = task.exception()
    assert isinstance(error, NodeError)
    return error.is_late


def test_only_a_node_that_took_the_question_and_does_not_answer_is_late() -> None:
    for is_silent, fault, status, expected in (
        (False, None, None, True),
        (True, None, None, False),
        (False, ConnectionRefusedError(111, "Connection refused"), None, False),
        (False, None, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", False),
    ):
        with Rig() as rig:
            node = rig.node(is_healthy=False)
            node.is_silent, node.fault = is_silent, fault
            task = start(rig, node)
            if status is not None:
                node.accept().send(status)
            rig.advance(5.1)
            assert is_late(task) is expected


def test_a_probe_that_the_end_of_a_drain_cuts_off_is_late_at_most() -> None:
    with Rig() as rig:
        node = rig.node()
        task = start(rig, node)
        call = node.accept()
        rig.traffic.fleet.drain(node.state, 0.0, rig.clock.now)
        rig.engine.backends[node.state].cut()
        rig.run()
        assert call.is_lost
        assert is_late(task)
