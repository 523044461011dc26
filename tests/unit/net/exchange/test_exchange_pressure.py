"""Back-pressure: a node is read no faster than its client reads."""

import pytest

from priolb.net.backend.connection import BackendConnection
from priolb.net.flushing import LONG_READ_BYTES
from support.memory import MemoryTransport
from support.messages import (
    ANSWER,
    POST,
    answer_at_client,
)
from support.rig import Rig


def test_a_client_that_does_not_read_pauses_its_own_node_connection_and_no_other() -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with Rig() as rig:
        node, slow, quick = rig.node(), rig.client(), rig.client()
        slow.stop_reading()
        slow.send(POST)
        to_slow = node.accept()
        quick.send(POST)
        to_quick = node.accept()
        for call in (to_slow, to_quick):
            call.send(big + b"x" * 100_000)
        assert to_slow.calls == ["pause_reading"]
        assert to_quick.calls == []
        for call in (to_slow, to_quick):
            call.send(b"x" * 900_000)
        assert quick.take() == answer_at_client(b"x" * 1_000_000)
        assert slow.get_write_buffer_size() < 101_000
        slow.read(80_000)
        rig.run()
        assert to_slow.calls == ["pause_reading"]
        slow.read()
        rig.run()
        assert to_slow.calls == ["pause_reading", "resume_reading"]
        assert slow.take() == answer_at_client(b"x" * 1_000_000)
        assert slow.calls == []


def test_the_silence_of_a_node_does_not_count_while_its_client_does_not_read() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
        for _ in range(10):
            client.read(10)
            rig.advance(29)
        assert not call.is_closing()
        client.read()
        rig.advance(29.9)
        assert not call.is_closing()
        call.send(b"x")
        assert client.take() == answer_at_client(b"x" * 100_001)


def test_a_node_that_falls_silent_after_the_pause_is_given_30_seconds_from_its_end() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
        rig.advance(20)
        client.read()
        rig.advance(29.9)
        assert not call.is_closing()
        rig.advance(0.2)
        assert call.is_lost
        assert client.is_lost


def test_an_answer_that_ends_while_the_client_does_not_read_leaves_a_connection_that_reads() -> None:
    with Rig() as rig:
        node, slow, quick = rig.node(), rig.client(), rig.client()
        slow.stop_reading()
        slow.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1)
        call.send(b"x" * 99_999)
        assert call.is_reading()
        quick.send(POST)
        call.send(ANSWER)
        assert quick.take() == answer_at_client()
        assert node.is_quiet()


def stopped_reader(rig: Rig, other: MemoryTransport | None = None) -> MemoryTransport:
    """Return a client that asks three times and takes nothing of its answers.

    Two have come: with the end of the second more waits for it than may, when its third request is on its
    way, or in line behind that of `other`.
    """
    client = rig.client()
    client.stop_reading()
    client.send(3 * POST)
    [node] = rig.nodes.values()
    call = node.accept()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
    if other is not None:
        other.send(POST)
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n" + b"x" * 8_000)
    return client


def test_a_node_that_does_not_begin_to_answer_is_late_even_if_its_client_does_not_read() -> None:
    with Rig(max_tries=1) as rig:
        node = rig.node()
        client = stopped_reader(rig)
        [call] = node.connections
        rig.advance(2.9)
        assert not call.is_closing()
        rig.advance(0.2)
        assert call.is_lost
        client.read()
        assert b"HTTP/1.1 504 Gateway Timeout" in client.take()


@pytest.mark.parametrize("waits", [False, True], ids=["at its node", "in line"])
def test_a_client_that_stopped_reading_before_its_answer_began_pauses_its_node(waits: bool) -> None:
    with Rig() as rig:
        node, other = rig.node(slots=1), rig.client()
        client = stopped_reader(rig, other if waits else None)
        [call] = node.connections
        if waits:
            call.send(ANSWER)
            assert other.take().endswith(b"\r\n\r\n[]")
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        assert call.calls == ["pause_reading"]
        call.send(b"x" * 999_000)
        assert client.get_write_buffer_size() < 80_000
        client.read()
        rig.run()
        assert call.calls == ["pause_reading", "resume_reading"]
        assert client.take().endswith(b"x" * 1_000_000)


@pytest.mark.parametrize(
    ("size_bytes", "calls"),
    [(LONG_READ_BYTES - 1, []), (LONG_READ_BYTES, ["pause_reading", "resume_reading"])],
)
def test_a_node_of_which_much_came_at_once_is_read_on_in_the_next_turn(
    size_bytes: int, calls: list[str]
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        call.send(b"x" * size_bytes)
        rig.run()
        assert call.calls == calls
        call.send(b"x" * (999_999 - size_bytes))
        assert call.calls == calls
        assert client.take() == answer_at_client(b"x" * 1_000_000)


def chunks_at_once(rig: Rig) -> tuple[MemoryTransport, MemoryTransport]:
    """Return both ends of an answer of 3000 chunks that has come in one read."""
    node, client = rig.node(), rig.client()
    client.send(POST)
    call = node.accept()
    call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.take()
    call.send(b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n")
    return client, call


def test_of_thousands_of_chunks_that_come_at_once_each_turn_takes_some() -> None:
    with Rig() as rig:
        client, call = chunks_at_once(rig)
        assert client.take() == b"400\r\n" + b"x" * 1024 + b"\r\n"
        rig.loop.turn()
        assert not call.is_reading()
        rig.engine.flush()
        assert client.take() == b"400\r\n" + b"x" * 1024 + b"\r\n"
        rig.run()
        assert client.take() == b"3b8\r\n" + b"x" * 952 + b"\r\n0\r\n\r\n"
        assert call.is_reading()
        assert rig.engine.idle.count == 1


def test_a_client_that_stops_reading_gets_the_rest_of_chunks_that_had_come() -> None:
    with Rig() as rig:
        client, call = chunks_at_once(rig)
        connection = call._protocol
        assert isinstance(connection, BackendConnection)
        connection.pause()
        rig.run()
        assert client.take().endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_node_is_heard_out_that_is_lost_while_the_rest_of_its_chunks_waits(is_reset: bool) -> None:
    with Rig() as rig:
        client, call = chunks_at_once(rig)
        call.break_off() if is_reset else call.abort()
        rig.run()
        assert client.take().endswith(b"\r\n0\r\n\r\n")
        assert rig.notes.take("node_failed") == []


def test_a_node_that_rests_when_its_client_stops_reading_is_not_read_on() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        client.stop_reading()
        call.send(b"x" * LONG_READ_BYTES)
        rig.run()
        assert call.calls == ["pause_reading"]
        client.read()
        rig.run()
        assert call.calls == ["pause_reading", "resume_reading"]
        client.break_off()


def test_a_node_that_is_paused_while_it_rests_is_not_read_on_at_the_end_of_the_turn() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx")
        connection = call._protocol
        assert isinstance(connection, BackendConnection)
        connection.data_received(b"x" * LONG_READ_BYTES)
        connection.pause()
        rig.run()
        assert call.calls == ["pause_reading"]
        connection.resume(rig.clock.now)
        assert call.calls == ["pause_reading", "resume_reading"]
        client.break_off()
