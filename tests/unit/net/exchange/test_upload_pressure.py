"""Bodies that pass through: how fast, and what becomes of them when one side is slower than the other."""

import pytest

from priolb.net.flushing import LONG_READ_BYTES
from priolb.net.front.connection import FrontConnection
from support.memory import CLOSE as RESET
from support.memory import CLOSE_WAIT, HIGH_WATER_BYTES
from support.messages import ANSWER, CLOSE, NODE_TIMEOUT, problem
from support.rig import Rig
from support.uploads import CHUNKED, GET, GET_AT_NODE, REPLAY, START, begun, head_at_node, rig, upload

STOPPED = "the body of the request stopped coming"


def test_a_client_of_whom_much_came_at_once_is_read_on_in_the_next_turn() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1_000_000)
        before = list(client.calls)
        client.send(b"x" * (LONG_READ_BYTES - 1))
        assert client.calls == before
        client.send(b"x" * LONG_READ_BYTES)
        assert client.calls == [*before, "pause_reading"]
        rig_.run()
        assert client.calls == [*before, "pause_reading", "resume_reading"]
        client.send(b"x" * (1_000_001 - 2 * LONG_READ_BYTES))
        assert call.take() == b"x" * 1_000_000
        call.send(ANSWER)


def test_a_client_that_rests_when_its_node_stops_reading_is_not_read_on() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1_000_000)
        before = list(client.calls)
        call.stop_reading()
        client.send(b"x" * LONG_READ_BYTES)
        rig_.run()
        assert client.calls == [*before, "pause_reading"]
        call.read()
        rig_.run()
        assert client.calls == [*before, "pause_reading", "resume_reading"]
        client.break_off()


def test_a_client_that_is_held_while_it_rests_is_not_read_on_at_the_end_of_the_turn() -> None:
    with rig() as rig_:
        _, client, _ = begun(rig_, 1_000_000)
        before = list(client.calls)
        connection = client._protocol
        assert isinstance(connection, FrontConnection)
        connection.data_received(b"x" * LONG_READ_BYTES)
        connection.hold_body()
        rig_.run()
        assert client.calls == [*before, "pause_reading"]
        connection.read_body_on()
        assert client.calls == [*before, "pause_reading", "resume_reading"]
        client.break_off()


@pytest.mark.parametrize("extension", [b"", b";a=b"])
@pytest.mark.parametrize("replay_max_bytes", [100, 1_000_000], ids=["passes through", "collected"])
def test_of_thousands_of_chunks_that_come_at_once_each_turn_takes_some(
    extension: bytes, replay_max_bytes: int
) -> None:
    with Rig(replay_max_bytes=replay_max_bytes) as rig_:
        node, client = rig_.node(), rig_.client()
        connection = client._protocol
        assert isinstance(connection, FrontConnection)
        client.send(CHUNKED)
        read = []
        client.send((b"1" + extension + b"\r\nx\r\n") * 3000 + b"0\r\n\r\n" + GET)
        while connection._upload is not None and not connection._upload.is_complete:
            read.append((connection._upload.received_bytes, client.is_reading()))
            rig_.loop.turn()
        assert read == [(1024, False), (2048, False)]
        assert client.is_reading()
        call = node.accept()
        assert call.take().count(b"x") >= 3000
        call.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        rig_.run()
        assert node.connections[-1].take() == GET_AT_NODE
        client.break_off()


def test_who_leaves_while_the_rest_of_its_chunks_waits_is_gone_with_them() -> None:
    with rig() as rig_:
        rig_.node()
        client = rig_.client()
        client.send(CHUNKED + b"1\r\nx\r\n" * 3000)
        client.break_off()
        rig_.run()
        rig_.check_nothing_held()


@pytest.mark.parametrize("state", [RESET, CLOSE_WAIT])
def test_a_client_that_leaves_while_its_node_does_not_read_is_gone_within_a_second(state: int) -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1_000_000)
        call.stop_reading()
        client.send(b"x" * (HIGH_WATER_BYTES + 1))
        assert not client.is_reading()
        rig_.advance(1.5)
        assert rig_.counts() == (0, 1, 0)
        client.leave_unnoticed(state)
        rig_.advance(1.1)
        assert rig_.counts() == (0, 0, 0)
        assert call.was_aborted
        assert rig_.notes.take("node_failed") == []


@pytest.mark.parametrize("state", [RESET, CLOSE_WAIT])
def test_what_a_client_has_sent_into_a_tunnel_before_it_closed_is_waited_for_and_a_reset_is_not(
    state: int,
) -> None:
    with Rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(b"GET /ws HTTP/1.1\r\nHost: balancer\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        call = node.accept()
        call.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        call.take()
        call.stop_reading()
        client.send(b"x" * (HIGH_WATER_BYTES + 1))
        assert not client.is_reading()
        client.leave_unnoticed(state)
        rig_.advance(2.5)
        if state == RESET:
            assert rig_.counts() == (0, 0, 0)
            assert call.is_closing()
            call.read()  # what it has been sent, behind which the connection is closed
        else:
            assert rig_.counts() == (0, 1, 0)
            call.read()
            rig_.run()
            assert call.take() == b"x" * (HIGH_WATER_BYTES + 1)
            assert client.is_reading(), "now its end is read, too"
            client.break_off()


# Pressure


def test_a_node_that_reads_slowly_slows_the_client_down() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 10**6)
        call.stop_reading()
        client.send(b"x" * 1000)
        assert client.is_reading()
        client.send(b"x" * HIGH_WATER_BYTES)
        assert not client.is_reading()
        client.send(b"y" * 5)
        call.read(1000)
        assert not client.is_reading()
        call.read()
        rig_.run()
        assert client.is_reading()
        assert call.take() == b"x" * (1000 + HIGH_WATER_BYTES) + b"y" * 5
        client.end()


def test_a_node_that_does_not_even_read_the_first_part_slows_the_client_down() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        node.is_busy = True
        client.send(upload(10**6) + b"x" * (HIGH_WATER_BYTES + 1))
        call = node.accept()
        assert not client.is_reading()
        call.read()
        rig_.run()
        assert client.is_reading()
        assert call.take() == head_at_node(10**6) + b"x" * (HIGH_WATER_BYTES + 1)
        client.end()


def test_a_node_that_stops_reading_is_given_up_after_30_seconds() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 10**6)
        call.stop_reading()
        client.send(b"x" * 100_000)
        rig_.advance(29.9)
        assert client.take() == b""
        rig_.advance(0.2)
        assert client.take() == problem(b"504 Gateway Timeout", "node timeout", CLOSE)
        assert call.was_aborted
        assert rig_.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_timeout", "the node stopped reading the request", 1)
        ]


def test_a_node_that_still_reads_the_end_of_a_body_is_waited_for_and_then_has_its_time() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 60_000)
        call.stop_reading()
        client.send(b"x" * 60_000)
        for _ in range(3):
            rig_.advance(2.9)
            call.read(20_000)
        rig_.advance(3.2)
        assert client.take() == b""
        rig_.advance(0.4)  # each look may be a tick late
        assert client.take() == NODE_TIMEOUT


def test_a_node_that_has_read_no_more_of_the_end_of_a_body_is_not_waited_for() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 60_000)
        call.stop_reading()
        client.send(b"x" * 60_000)
        rig_.advance(2.9)
        call.read(1)
        rig_.advance(3)
        assert client.take() == b""
        rig_.advance(0.2)
        assert client.take() == NODE_TIMEOUT


def test_a_node_that_still_reads_the_end_of_a_body_is_cut_off_by_the_end_of_its_drain() -> None:
    with rig() as rig_:
        node, client, call = begun(rig_, 60_000)
        call.stop_reading()
        client.send(b"x" * 60_000)
        call.read(20_000)
        rig_.traffic.fleet.drain(node.state, 1.0, rig_.clock.now)
        rig_.traffic.settle()
        rig_.advance(1.1)
        assert client.take() == NODE_TIMEOUT
        assert call.was_aborted


def test_a_node_has_its_time_for_the_answer_from_the_end_of_the_body() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        for _ in range(19):
            rig_.advance(5)
            client.send(b"x" * 10)
        client.send(b"x" * 10)
        rig_.advance(2.9)
        assert client.take() == b""
        rig_.advance(0.2)
        assert client.take() == NODE_TIMEOUT
        assert call.was_aborted


# Slow clients


def test_a_client_that_stops_sending_is_refused_after_30_seconds_and_the_node_is_let_go() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 10)
        rig_.advance(29.9)
        assert client.take() == b""
        rig_.advance(0.2)
        assert client.take() == problem(b"408 Request Timeout", f"bad request: {STOPPED}", CLOSE)
        assert call.was_aborted
        rig_.check_nothing_held()


@pytest.mark.parametrize("size_bytes", [90, 1000], ids=["held", "passing"])
@pytest.mark.parametrize(
    ("part_bytes", "refused_after_s"), [(1, 34), (9, None), (10, None)], ids=["trickle", "slow", "just so"]
)
def test_a_client_that_sends_slower_than_allowed_is_refused(
    size_bytes: int, part_bytes: int, refused_after_s: int | None
) -> None:
    """A byte earns it a second: 10 in the 10 seconds between two parts are enough, as are 9 for a while."""
    with rig(body_min_bytes_per_s=1) as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(upload(size_bytes) + (START if size_bytes > REPLAY else b""))
        rig_.run()
        waited_s = 0
        for _ in range(8):
            client.send(b"x" * part_bytes)
            rig_.advance(10)
            waited_s += 10
            if client.is_ended:
                break
        if refused_after_s is None:
            assert not client.is_ended
        else:
            assert waited_s - 10 < refused_after_s <= waited_s
            assert client.take() == problem(b"408 Request Timeout", f"bad request: {STOPPED}", CLOSE)
        client.break_off()
        assert node.state.in_flight == 0


# Slow readers meanwhile


def test_a_client_that_does_not_read_its_answer_while_it_sends_is_let_go() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 10**6)
        client.stop_reading()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"y" * 100_000)
        assert not call.is_reading()
        for _ in range(3):
            client.send(b"x" * 10)
            rig_.advance(9)
        rig_.advance(5)
        assert client.was_reset and call.was_aborted


def test_a_client_that_reads_again_has_its_time_to_send_anew() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 10**6)
        client.stop_reading()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"y" * 100_000)
        rig_.advance(20)
        client.read()
        rig_.run()
        assert call.is_reading()
        rig_.advance(20)
        assert not client.is_lost
        client.send(b"x")
        assert call.take() == b"x"
        rig_.advance(1)
        call.send(b"y")
        rig_.advance(28.9)
        assert not client.is_lost
        rig_.advance(0.2)
        assert client.was_reset
