"""Bodies that pass through: which do, how they wait for a slot, and how long they are waited for."""

import tracemalloc

import pytest

from priolb.core.byte_budget import ByteBudget
from priolb.http.body import body_reader
from priolb.http.framing import CHUNKED as CHUNKED_BODY
from priolb.net.exchange.upload import Upload
from support.memory import CLOSE as RESET
from support.memory import CLOSE_WAIT
from support.messages import ANSWER, CLOSE, FAILURE, HOST, POST, POST_AT_NODE, VIA, answer_at_client, problem
from support.uploads import CHUNKED, GET, GET_AT_NODE, REPLAY, START, begun, head_at_node, rig, upload

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
