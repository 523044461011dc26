"""Bodies that pass through: when they flow, how fast, and what becomes of them when somebody leaves."""

import tracemalloc

import pytest

from priolb.core.byte_budget import ByteBudget
from priolb.http.body import body_reader
from priolb.http.framing import CHUNKED as CHUNKED_BODY
from priolb.net.exchange.upload import Upload
from priolb.net.flushing import LONG_READ_BYTES
from priolb.net.front.connection import FrontConnection
from support.memory import CLOSE as RESET
from support.memory import CLOSE_WAIT, HIGH_WATER_BYTES, MemoryTransport
from support.messages import (
    ANSWER,
    CLOSE,
    FAILURE,
    POST,
    POST_AT_NODE,
    VIA,
    answer_at_client,
    problem,
    timings,
)
from support.rig import MemoryNode, Rig

HOST = b"Host: balancer\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
GET_AT_NODE = b"GET /a HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"\r\n"
REPLAY = 100
# What has to be there of a longer body before it passes through.
START = b"s" * (REPLAY + 1)
STOPPED = "the body of the request stopped coming"


def rig(**settings: object) -> Rig:
    return Rig(replay_max_bytes=REPLAY, **settings)  # type: ignore[arg-type]


def upload(size_bytes: int, method: bytes = b"PUT") -> bytes:
    """The head of a request with a body of this length."""
    return b"%s /a HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (method, HOST, size_bytes)


CHUNKED = b"PUT /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def head_at_node(size_bytes: int) -> bytes:
    return b"PUT /a HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"Content-Length: %d\r\n\r\n" % size_bytes


def begun(rig: Rig, left_bytes: int) -> tuple[MemoryNode, MemoryTransport, MemoryTransport]:
    """Return a node and both ends of an upload that has begun to pass through, all but so many bytes."""
    node, client = rig.node(), rig.client()
    client.send(upload(len(START) + left_bytes) + START)
    call = node.accept()
    assert call.take() == head_at_node(len(START) + left_bytes) + START
    return node, client, call


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


# How long it is waited for

IN_A_SECOND = CHUNKED.replace(HOST, HOST + b"X-Request-Timeout: 1\r\n")
LATE = b"HTTP/1.1 504 Gateway Timeout\r\n"


@pytest.mark.parametrize("rest", [b"", b"X-T: 1\r\n"], ids=["long", "with a trailer"])
def test_the_time_of_a_client_ends_a_try_whose_body_is_complete(rest: bytes) -> None:
    body = b"2\r\n{}\r\n" if rest else b"65\r\n%s\r\n" % START
    with rig(max_tries=1) as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(IN_A_SECOND + body + b"0\r\n%s\r\n" % rest)
        call = node.accept()
        rig_.advance(0.9)
        assert client.take() == b""
        rig_.advance(0.2)
        assert client.take().startswith(LATE)
        assert call.was_aborted
        assert node.state.record.failed == 0


def test_a_body_that_still_comes_is_not_interrupted_and_its_end_is() -> None:
    with rig(max_tries=1) as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(IN_A_SECOND + b"65\r\n%s\r\n" % START)
        call = node.accept()
        rig_.advance(1.5)
        assert not call.is_closing()
        client.send(b"0\r\n\r\n")
        rig_.advance(0.1)
        assert client.take().startswith(LATE)
        assert call.was_aborted


# What passes through, and how


@pytest.mark.parametrize(
    ("size_bytes", "passes"), [(REPLAY - 1, False), (REPLAY, False), (REPLAY + 1, True), (1000, True)]
)
@pytest.mark.parametrize("is_whole", [False, True])
def test_a_body_of_known_length_passes_through_when_it_is_longer_than_what_is_held(
    size_bytes: int, passes: bool, is_whole: bool
) -> None:
    """Even when all of it came with the head: whether a request can be sent again must not hang on chance."""
    with rig() as rig_:
        node, other, client = rig_.node(), rig_.node(), rig_.client()
        body = b"x" * size_bytes
        if is_whole:
            client.send(upload(size_bytes) + body)
        else:
            client.send(upload(size_bytes) + body[:REPLAY])
            assert node.is_quiet() is passes
            client.send(body[REPLAY:])
        call = node.accept()
        assert call.take() == head_at_node(size_bytes) + body
        call.send(FAILURE)
        assert other.is_quiet() is passes, "only what is held can be sent again"
        if passes:
            assert client.take().startswith(b"HTTP/1.1 500 Broken\r\n")
        else:
            other.accept().send(ANSWER)
            assert client.take() == answer_at_client(is_json=False)


def test_a_chunked_body_passes_through_as_soon_as_it_is_longer_than_what_is_held() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n")
        assert node.is_quiet()
        client.send(b"1\r\ny\r\n")
        call = node.accept()
        start = b"PUT /a HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"Transfer-Encoding: chunked\r\n\r\n"
        assert call.take() == start + b"65\r\n" + b"x" * 100 + b"y\r\n"
        client.send(b"A;ext\r\n01234")
        assert call.take() == b"5\r\n01234\r\n"
        client.send(b"56789\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert call.take() == b"5\r\n56789\r\n0\r\nX-Sum: 1\r\n\r\n"
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)
        client.send(POST)
        assert node.accept() is not call, "its framing was the client's: it serves no other request"
        node.connections[1].send(ANSWER)
        assert client.take() == answer_at_client()


@pytest.mark.parametrize(
    ("line", "fields", "type_at_node"),
    [
        (b"POST /", b"", b"application/json"),
        (b"POST /sim", b"Content-Type: application/x-www-form-urlencoded\r\n", b"application/json"),
        (b"POST /", b"Content-Type: a/b\r\n", b"a/b"),
        (b"PUT /", b"", None),
        (b"POST /a", b"", None),
    ],
)
@pytest.mark.parametrize("start", [b"{", b"x"])
def test_a_post_that_nobody_typed_and_that_passes_through_is_json(
    line: bytes, fields: bytes, type_at_node: bytes | None, start: bytes
) -> None:
    """Whatever it begins with."""
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        head = line + b" HTTP/1.1\r\n" + HOST + fields + b"Content-Length: 200\r\n\r\n"
        client.send(head + start + START)
        head = node.accept().take()
        if type_at_node is None:
            assert b"Content-Type" not in head
        else:
            assert b"\r\nContent-Type: %s\r\n" % type_at_node in head
        client.end()


@pytest.mark.parametrize(
    ("body", "type_at_node"), [(b"a=b", b"application/x-www-form-urlencoded"), (b"{ }", b"application/json")]
)
def test_a_form_with_trailers_is_told_from_json_rpc_as_all_of_it_is_there(
    body: bytes, type_at_node: bytes
) -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        fields = b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(b"POST / HTTP/1.1\r\n" + HOST + fields + b"3\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % body)
        call = node.accept()
        head, _, rest = call.take().partition(b"\r\n\r\n")
        assert b"\r\nContent-Type: %s\r\n" % type_at_node in head
        assert rest == b"3\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % body
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_refused_call_gets_its_id_back_if_its_start_tells_it() -> None:
    with rig() as rig_:
        client = rig_.client()
        body = b'{"jsonrpc":"2.0","id":7,"method":"a","params":["' + b"0" * 70000
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 200000\r\n\r\n" + body)
        assert b'"id":7' in client.take()
        assert client.is_ended


def test_what_follows_a_body_that_passed_through_is_the_next_request() -> None:
    with rig() as rig_:
        node, client, call = begun(rig_, 200)
        client.send(b"x" * 200 + POST)
        assert call.take() == b"x" * 200
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)
        second = node.accept()
        assert second.take() == POST_AT_NODE
        second.send(ANSWER)
        assert client.take() == answer_at_client()


def test_what_is_logged_is_how_much_has_come() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        assert rig_.notes.take() == [("queued", b"", 2, len(START), (0, 0, 1))]
        client.send(b"x" * 150)
        client.end()
        assert rig_.notes.take() == [("client_left", b"", 1, len(START) + 150)]
        rig_.run()
        assert call.is_lost


# Waiting for a slot


def test_a_client_takes_no_slot_before_it_has_sent_what_is_held() -> None:
    """So thousands that announce much and send little take nothing from the others."""
    with rig() as rig_:
        node, client = rig_.node(slots=1), rig_.client()
        client.send(upload(1000) + START[:REPLAY])
        assert rig_.counts() == (0, 0, REPLAY)
        assert node.is_quiet()
        client.send(START[REPLAY:])
        assert node.accept().take() == head_at_node(1000) + START
        client.end()


def test_a_body_that_waits_for_a_slot_is_held_back_and_only_what_has_come_is_in_memory() -> None:
    with rig() as rig_:
        node, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(POST)
        call = node.accept()
        client.send(upload(1000) + START)
        assert not client.is_reading()
        assert rig_.counts() == (1, 1, 2 + len(START))
        client.send(b"y" * (1000 - len(START)))
        assert rig_.counts() == (1, 1, 2 + len(START))
        call.send(ANSWER)
        second = node.accept()
        assert second.take() == head_at_node(1000) + START + b"y" * (1000 - len(START))
        assert rig_.counts() == (0, 1, 0)
        second.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


def test_time_in_line_is_not_the_clients_silence() -> None:
    with rig(request_timeout_s=1000.0) as rig_:
        _, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(upload(1000) + START)
        rig_.run()
        client.send(upload(1000) + START)
        for _ in range(10):
            rig_.advance(20)
            first.send(b"x" * 10)
        assert client.take() == b""
        first.end()
        client.break_off()


def test_a_body_whose_time_in_line_is_over_is_refused_and_not_read() -> None:
    with rig() as rig_:
        node, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(upload(1000) + START)
        node.accept()
        client.send(upload(1000) + START)
        rig_.advance(5.1)
        assert client.take() == problem(
            b"504 Gateway Timeout", "request timeout hit before processing", CLOSE
        )
        assert client.is_ended and client.is_reading(), "what still comes is thrown away"
        client.send(b"y" * 500 + POST)
        rig_.advance(5.1)
        assert client.take() == b"" and client.is_lost
        assert node.is_quiet()
        first.end()


@pytest.mark.parametrize("state", [CLOSE_WAIT, RESET])
def test_a_client_that_leaves_while_its_body_is_held_back_is_out_of_line_within_a_second(state: int) -> None:
    with rig() as rig_:
        node, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(GET)
        call = node.accept()
        client.send(upload(1000) + START)
        rig_.advance(1.5)
        assert rig_.counts() == (1, 1, len(START))
        client.leave_unnoticed(state)
        rig_.advance(1.1)
        assert rig_.counts() == (0, 1, 0)
        assert client.is_lost
        assert rig_.notes.take("client_left") == [("client_left", b"", 0, len(START))]
        call.send(ANSWER)
        assert node.is_quiet() and call.take() == GET_AT_NODE


def test_a_body_that_no_node_has_seen_is_sent_to_another() -> None:
    with rig() as rig_:
        first, second, client = rig_.node(), rig_.node(), rig_.client()
        first.fault = ConnectionRefusedError(111, "Connection refused")
        client.send(upload(len(START) + 150) + START)
        call = second.accept()
        client.send(b"y" * 150)
        assert call.take().endswith(b"\r\n\r\n" + START + b"y" * 150)
        call.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


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
        assert client.take() == problem(b"504 Gateway Timeout", "node timeout")


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
        assert client.take() == problem(b"504 Gateway Timeout", "node timeout")


def test_a_node_that_still_reads_the_end_of_a_body_is_cut_off_by_the_end_of_its_drain() -> None:
    with rig() as rig_:
        node, client, call = begun(rig_, 60_000)
        call.stop_reading()
        client.send(b"x" * 60_000)
        call.read(20_000)
        rig_.traffic.fleet.drain(node.state, 1.0, rig_.clock.now)
        rig_.traffic.settle()
        rig_.advance(1.1)
        assert client.take() == problem(b"504 Gateway Timeout", "node timeout")
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
        assert client.take() == problem(b"504 Gateway Timeout", "node timeout")
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


# Ends before the end


@pytest.mark.parametrize("leaves", [MemoryTransport.end, MemoryTransport.break_off])
def test_a_client_that_leaves_in_the_middle_frees_the_slot_and_the_node_sees_a_broken_request(
    leaves: object,
) -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        leaves(client)  # type: ignore[operator]
        assert rig_.counts() == (0, 0, 0)
        assert call.was_aborted
        assert call.take() == b"x" * 500


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_an_answer_before_the_body_is_complete_reaches_the_client_and_ends_both_connections(
    connection: bytes,
) -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        call.send(b"HTTP/1.1 413 Too Much\r\n%sContent-Length: 2\r\n\r\nno" % connection)
        rig_.run()
        assert client.take() == (
            b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n" + timings() + CLOSE + b"\r\nno"
        )
        assert call.was_aborted and rig_.engine.idle.count == 0
        assert client.is_ended and not client.is_lost
        client.send(b"y" * 500 + POST)
        assert client.take() == b"", "what comes behind an answer like that is not looked at"
        rig_.advance(5.1)
        assert client.is_lost


def test_an_answer_may_stream_while_the_body_still_does() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"x" * 100)
        assert call.take() == b"x" * 100
        call.send(b"3\r\nabc\r\n")
        client.send(b"y" * 100)
        assert call.take() == b"y" * 100
        call.send(b"0\r\n\r\n")
        rig_.run()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + timings() + CLOSE + b"\r\n"
        assert client.take() == head + b"3\r\nabc\r\n0\r\n\r\n"
        assert client.is_lost


def test_a_node_that_answers_while_the_client_is_slow_waits_for_the_client() -> None:
    """Its silence is for want of the body, as long as that comes."""
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        for _ in range(20):
            rig_.advance(20)
            client.send(b"x" * 10)
        call.send(b"0\r\n\r\n")
        assert client.take().endswith(b"1\r\na\r\n0\r\n\r\n")


def test_a_node_that_closes_in_the_middle_of_the_body_is_502() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        call.end()
        rig_.run()
        assert client.take() == problem(b"502 Bad Gateway", "node unreachable", CLOSE)
        assert client.is_ended


BAD_CHUNK = "malformed request: a chunk size that is not a hexadecimal number"


def test_a_body_that_breaks_its_framing_is_refused_and_the_node_sees_no_end_of_it() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        call.take()
        client.send(b"bad\n")
        assert client.take() == problem(
            b"400 Bad Request",
            "bad request: malformed request: a line of a chunked body that does not end in CR LF",
            CLOSE,
        )
        assert call.was_aborted and call.take() == b""


def test_a_body_that_breaks_its_framing_while_the_answer_streams_resets_the_client() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client.send(b"x\r\n")
        rig_.run()
        assert client.was_reset and call.was_aborted
        assert rig_.notes.take("rejected") == [("rejected", "192.0.2.1", 400, BAD_CHUNK)]


def test_a_chunked_body_that_grows_too_large_is_refused_on_the_way() -> None:
    with rig(max_body_bytes=300) as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        client.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        assert client.take() == b""
        client.send(b"1\r\nx\r\n")
        assert client.take().startswith(b"HTTP/1.1 413 ")
        assert call.was_aborted


def test_without_a_limit_a_body_may_be_as_long_as_it_likes() -> None:
    with rig(max_body_bytes=0) as rig_:
        _, client, call = begun(rig_, 10**12)
        client.send(b"x" * 100)
        assert call.take() == b"x" * 100
        client.end()


def test_a_body_for_which_there_is_no_room_is_refused() -> None:
    with rig(body_budget_bytes=50) as rig_:
        node, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(POST)
        node.accept()
        client.send(upload(1000) + b"x" * 49)
        assert client.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"queue full: no room for the body of the request" in client.take() or client.is_ended
        first.end()


def test_the_end_of_the_program_refuses_a_body_on_its_way() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        rig_.listener.drain()
        assert not client.is_ended
        rig_.listener.shut_down()
        rig_.run()
        assert client.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert call.was_aborted and client.is_ended


def test_draining_lets_a_body_pass_to_its_end() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        rig_.listener.drain()
        client.send(b"x" * 200)
        call.send(ANSWER)
        rig_.run()
        assert client.take() == answer_at_client(is_json=False, connection=CLOSE)
        assert client.is_lost


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


# What is held of it


class StillClient:
    """A client's connection that does nothing."""

    def hold_body(self) -> None: ...

    def read_body_on(self) -> None: ...


@pytest.mark.parametrize(
    ("length", "piece", "counted"),
    [(200_000, b"ab", 2), (CHUNKED_BODY, b"1\r\na\r\n", 1)],
    ids=["sized", "chunked"],
)
@pytest.mark.parametrize("step", [2, 3])
def test_a_body_in_tiny_pieces_takes_hardly_more_memory_than_it_counts(
    length: int, piece: bytes, counted: int, step: int
) -> None:
    """An object for every two bytes would take thirty times as much, and nobody would count it."""
    budget = ByteBudget(1 << 20)
    upload = Upload(
        StillClient(),
        body_reader(length),
        0,
        budget,
        is_chunked=False,
        max_silence_s=30.0,
        min_bytes_per_s=0,
    )
    count = 50_000
    stream = piece * count
    tracemalloc.start()
    for start in range(0, len(stream), step):
        assert upload.feed(stream[start : start + step]) is None
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert upload.held_bytes == budget.held_bytes == counted * count
    assert taken_bytes < 2 * upload.held_bytes + 10_000
    assert upload.collected() == (piece if length > 0 else b"a") * count
    assert upload.first_part() == upload.collected()[: len(upload.first_part())] != b""
