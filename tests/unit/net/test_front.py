"""Client connections: what they send, byte for byte, and what they get."""

import pytest

from priolb.http.parser import HeadLimits
from support.messages import (
    ANSWER,
    CLOSE,
    POST,
    POST_AT_NODE,
    RETRY_AFTER,
    answer_at_client,
    problem,
    timings,
)
from support.rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: balancer\r\n\r\n"
GET_AT_NODE = b"GET /%d HTTP/1.1\r\nHost: node-1\r\n\r\n"

SLOW_HEAD = problem(
    b"408 Request Timeout", "bad request: the head of the request did not come in time", CLOSE
)
SLOW_BODY = problem(b"408 Request Timeout", "bad request: the body of the request stopped coming", CLOSE)
NO_NODES = problem(b"503 Service Unavailable", "no nodes available", RETRY_AFTER)


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


# Requests


def test_a_request_in_one_read_is_one_write_to_the_node_and_its_answer_one_write_to_the_client() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        assert call.writes == [POST_AT_NODE]
        call.send(ANSWER)
        assert client.writes == [answer_at_client()]


def test_a_request_byte_by_byte_reaches_the_node_as_one_write() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        for position in range(len(POST)):
            assert node.is_quiet()
            client.send(POST[position : position + 1])
        call = node.accept()
        assert call.writes == [POST_AT_NODE]
        call.send(ANSWER)
        assert client.take() == answer_at_client()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_chunked_body_reaches_the_node_with_its_length(size: int) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'1;a="b"\r\n{\r\n001\r\n}\r\n0\r\nTrailer: dropped\r\n\r\n'
    )
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        for start in range(0, len(request), size):
            client.send(request[start : start + size])
        call = node.accept()
        assert call.writes == [POST_AT_NODE]
        call.send(ANSWER)
        assert client.take() == answer_at_client()


def test_pipelined_requests_in_one_read_are_answered_one_at_a_time_and_in_order() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(GET % 1 + POST + GET % 3)
        call = node.accept()
        assert call.take() == GET_AT_NODE % 1
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert call.take() == POST_AT_NODE
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
        assert client.take() == answer_at_client(b"two")
        assert call.take() == GET_AT_NODE % 3
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        assert node.is_quiet()


def test_empty_lines_before_a_request_are_passed_over() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"\r\n\r\n\r")
        client.send(b"\n" + POST)
        call = node.accept()
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take() == answer_at_client()


def test_an_empty_line_behind_a_body_does_not_start_the_clock_of_the_next_head() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST + b"\r\n")
        node.accept().send(ANSWER)
        rig.advance(9)
        client.send(POST[:10])
        rig.advance(9)
        client.send(POST[10:])
        node.connections[0].send(ANSWER)
        assert client.take() == answer_at_client() + answer_at_client(times=timings())


def test_a_flood_of_empty_lines_is_passed_over_in_one_sweep() -> None:
    """A quarter of a megabyte of them; line by line, each with a copy of the rest, it would take seconds."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"\r\n" * 131072 + POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


# Expect


def test_who_asks_for_leave_to_send_a_body_gets_it() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        head = b"POST / HTTP/1.1\r\nHost: balancer\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
        client.send(head)
        assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert node.is_quiet()
        client.send(b"{}")
        call = node.accept()
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take() == answer_at_client()


def test_who_sends_the_body_without_waiting_gets_no_leave_for_it() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(
            b"POST / HTTP/1.1\r\nHost: balancer\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{"
        )
        client.send(b"}")
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_http_1_0_knows_no_leave_to_send() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.take() == b""
        client.send(b"{}")
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE)


# Staying and leaving


def test_http_1_0_is_closed_after_its_answer() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /1 HTTP/1.0\r\n\r\n" + GET % 2)
        call = node.accept()
        assert call.take() == GET_AT_NODE % 1
        call.send(ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE)
        rig.run()
        assert client.is_lost
        assert call.take() == b""


def test_http_1_0_that_asks_for_it_stays() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        for _ in range(2):
            client.send(b"GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            rig.run()
            node.connections[0].send(ANSWER)
            assert client.take() == answer_at_client(connection=b"Connection: keep-alive\r\n")


def test_http_1_1_that_asks_for_it_is_closed_after_its_answer() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /1 HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE)
        rig.run()
        assert client.is_lost


def test_an_idle_connection_is_closed_after_75_seconds_without_a_word() -> None:
    with Rig() as rig:
        client = rig.client()
        rig.advance(74.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.is_lost
        assert client.take() == b""
        assert rig.notes.take() == []


def test_the_idle_time_starts_anew_with_each_answer() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        rig.advance(60)
        client.send(POST)
        node.accept().send(ANSWER)
        rig.advance(74.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.is_lost


# Refusals


def test_a_body_over_the_bound_is_refused_before_it_is_read() -> None:
    with Rig(max_body_bytes=1024) as rig:
        node, client = rig.node(), rig.client()
        client.send(
            b"POST / HTTP/1.1\r\nHost: balancer\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n"
        )
        assert client.writes == [problem(b"413 Request Entity Too Large", "Payload too large", CLOSE)]
        assert client.calls == ["write_eof"]
        assert rig.counts() == (0, 0, 0)
        assert rig.notes.take() == [("rejected", "192.0.2.1", 413, "payload_too_large")]
        assert node.is_quiet()


def test_a_body_at_the_bound_is_served() -> None:
    with Rig(max_body_bytes=1024) as rig:
        node, client = rig.node(), rig.client()
        client.send(post(b"x" * 1024))
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_chunked_body_is_refused_as_soon_as_it_is_over_the_bound() -> None:
    with Rig(max_body_bytes=4) as rig:
        rig.node()
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n")
        assert rig.counts() == (0, 0, 4)
        assert client.take() == b""
        client.send(b"1\r\n")
        assert client.take() == b""
        client.send(b"e")
        assert client.take() == problem(b"413 Request Entity Too Large", "Payload too large", CLOSE)
        assert rig.counts() == (0, 0, 0)


def test_a_chunked_body_that_breaks_its_framing_is_refused() -> None:
    with Rig() as rig:
        rig.node()
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab")
        client.send(b"c")
        assert client.take() == problem(
            b"400 Bad Request", "bad request: malformed request: a chunk longer than its size", CLOSE
        )
        assert client.calls == ["write_eof"]


def test_a_head_that_is_no_http_is_refused() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert client.take() == problem(
            b"400 Bad Request", "bad request: malformed request: Invalid method encountered", CLOSE
        )
        assert rig.notes.take() == [
            ("rejected", "192.0.2.1", 400, "malformed request: Invalid method encountered")
        ]


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_a_head_over_the_bound_is_refused_whether_or_not_its_end_is_there(size: int) -> None:
    too_large = b"GET / HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 218)
    assert len(too_large) == 257
    with Rig(head_limits=HeadLimits(256, 100)) as rig:
        client = rig.client()
        for start in range(0, len(too_large), size):
            client.send(too_large[start : start + size])
        assert client.take() == problem(
            b"431 Request Header Fields Too Large", "bad request: the head of the request is too large", CLOSE
        )


def test_a_head_at_the_bounds_is_served() -> None:
    head = b"GET / HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 217)
    assert len(head) == 256
    with Rig(head_limits=HeadLimits(256, 2)) as rig:
        node, client = rig.node(), rig.client()
        client.send(head)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_too_many_fields_are_refused() -> None:
    with Rig(head_limits=HeadLimits(256, 2)) as rig:
        client = rig.client()
        client.send(b"GET / HTTP/1.1\r\nHost: balancer\r\nA: 1\r\nB: 2\r\n\r\n")
        assert client.take() == problem(
            b"431 Request Header Fields Too Large", "bad request: more than 2 header fields", CLOSE
        )


def test_a_refused_head_request_gets_no_body() -> None:
    with Rig(max_body_bytes=4) as rig:
        client = rig.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 5\r\n\r\n")
        whole = problem(b"413 Request Entity Too Large", "Payload too large", CLOSE)
        assert client.take() == whole[: whole.index(b"\r\n\r\n") + 4]


def test_a_body_that_the_budget_has_no_room_for_is_refused() -> None:
    with Rig(body_budget_bytes=5) as rig:
        node, first, second = rig.node(), rig.client(), rig.client()
        first.send(post(b"abcd"))
        assert rig.counts() == (0, 1, 4)
        second.send(post(b"ef"))
        assert second.take() == problem(
            b"503 Service Unavailable",
            "queue full: no room for the body of the request",
            RETRY_AFTER + CLOSE,
        )
        node.accept().send(ANSWER)
        assert first.take() == answer_at_client()


# Lingering close


def test_after_a_refusal_what_still_comes_is_thrown_away_until_the_client_leaves() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"nonsense\r\n\r\n")
        assert client.is_ended
        refusal = client.take()
        client.send(POST * 100)
        assert client.take() == b""
        assert refusal.startswith(b"HTTP/1.1 400 ")
        client.end()
        rig.run()
        assert client.calls == ["write_eof", "close"]
        assert node.is_quiet()


def test_a_refused_client_that_does_not_leave_is_let_go_after_2_seconds() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"nonsense\r\n\r\n")
        for _ in range(19):
            client.send(b"more")
            rig.advance(0.1)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.is_lost
        assert client.calls == ["write_eof", "abort"]


def test_a_refused_client_of_a_transport_without_half_close_is_closed() -> None:
    with Rig() as rig:
        client = rig.client()
        client._can_half_close = False
        client.send(b"nonsense\r\n\r\n")
        rig.run()
        assert client.calls == ["close"]


# Slow clients


def test_a_head_that_takes_more_than_10_seconds_is_refused() -> None:
    with Rig() as rig:
        client = rig.client()
        rig.advance(60)
        for position in range(10):
            client.send(POST[position : position + 1])
            rig.advance(0.99)
        assert client.take() == b""
        rig.advance(0.15)
        assert client.take() == SLOW_HEAD
        assert rig.notes.take() == [
            ("rejected", "192.0.2.1", 408, "the head of the request did not come in time")
        ]


def test_the_time_of_a_head_that_was_there_during_an_answer_starts_with_the_end_of_that_answer() -> None:
    with Rig(request_timeout_s=60, try_timeout_s=60) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST + POST[:10])
        call = node.accept()
        rig.advance(50)
        call.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(0, 50_000_000, 50_000_000))
        rig.advance(9.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_HEAD


def test_a_body_that_stops_for_30_seconds_is_refused_and_its_bytes_are_free() -> None:
    with Rig() as rig:
        rig.node()
        client = rig.client()
        client.send(post(b"x" * 100)[:-50])
        rig.advance(29)
        client.send(b"y")
        assert rig.counts() == (0, 0, 51)
        rig.advance(29.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_BODY
        assert rig.counts() == (0, 0, 0)


def test_a_body_that_never_starts_is_refused_after_30_seconds() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(post(b"{}")[:-2])
        rig.advance(29.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_BODY


def test_a_client_that_reads_nothing_for_30_seconds_is_cut_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
        rig.advance(29.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.was_reset
        assert call.is_lost
        assert rig.notes.take("rejected") == [("rejected", "192.0.2.1", 0, "a client that does not read its answer")]


def test_a_client_that_reads_a_little_now_and_then_is_not_cut_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        body = b"x" * 100000
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        for _ in range(20):
            client.read(1000)
            rig.advance(29)
        client.read()
        assert client.take() == answer_at_client(body)
        assert not client.is_closing()


def test_a_slow_reader_of_its_last_answer_is_not_cut_off_while_it_reads() -> None:
    """The last 16 KB, for which nobody is held back any more, may take their time as well."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        body = b"x" * 100000
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        for _ in range(100):
            client.read(1000)
            rig.advance(29)
        assert not client.is_lost
        client.read()
        rig.run()
        assert client.is_lost
        assert client.take() == answer_at_client(body, connection=CLOSE)


def test_a_slow_reader_of_its_last_answer_that_stops_is_cut_off_after_30_seconds() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
        rig.advance(29.9)
        assert not client.is_lost
        rig.advance(0.2)
        assert client.was_reset
        assert rig.notes.take("rejected") == [("rejected", "192.0.2.1", 0, "a client that does not read its answer")]


def test_what_an_answer_adds_after_the_pause_does_not_hide_that_the_client_reads() -> None:
    """The head of the answer passes the mark, a body much longer than what is read in 30 seconds follows."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1 + GET % 2)
        first = b"x" * 65300
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 65300\r\n\r\n" + first)
        second = b"y" * 200000
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200001\r\n\r\n" + second)
        for _ in range(30):
            rig.advance(29)
            client.read(1000)
        assert not client.is_closing()
        client.read()
        call.resume_reading()
        call.send(b"y")
        assert client.take() == answer_at_client(first) + answer_at_client(second + b"y")


def test_a_client_that_closes_but_does_not_read_its_answer_is_let_go_after_30_seconds() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
        client.end()
        assert rig.counts() == (0, 0, 0)
        rig.advance(29.9)
        assert not client.is_lost
        rig.advance(0.2)
        assert client.is_lost


# Pipelining without end


def test_a_pipeline_is_held_back_above_64_kb_until_the_request_under_way_is_answered() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(GET % 1)
        call = node.accept()
        next_request = b"GET /2 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 30000)
        client.send(next_request * 2)
        assert client.is_reading()
        client.send(next_request)
        assert not client.is_reading()
        client.send(GET % 5)
        call.send(ANSWER)
        rig.run()
        assert client.is_reading()
        for _ in range(4):
            call.send(ANSWER)
        assert client.take() == answer_at_client() * 5
        assert call.writes[-1] == GET_AT_NODE % 5


def test_a_client_that_does_not_read_its_answers_is_not_read_beyond_64_kb() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1)
        body = b"x" * 70000
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + body)
        client.send(GET % 2 + POST * 1500)
        assert not client.is_reading()
        assert call.take() == GET_AT_NODE % 1
        client.read(70000)
        rig.run()
        assert call.take() == GET_AT_NODE % 2
        client.break_off()


def test_requests_that_are_refused_at_once_share_the_loop_and_are_not_read_faster_than_answered() -> None:
    """Sixteen a turn; the bytes of the others stay with the client, rather than pile up here."""
    with Rig() as rig:
        client = rig.client()
        client.send(GET % 1 * 10000)
        assert client.take() == NO_NODES * 16
        assert not client.is_reading()
        client.send(GET % 2)
        rig.loop.turn()
        assert client.take() == NO_NODES * 16
        assert not client.is_reading()
        rig.run()
        assert client.take() == NO_NODES * (10001 - 32)
        assert client.is_reading()


def test_who_asks_for_leave_to_send_while_it_does_not_read_is_not_read_either() -> None:
    """Else a request could start whose answer nobody holds back."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1)
        head_bytes = len(answer_at_client(b"x" * 65000)) - 65000
        body = b"x" * (65536 - head_bytes)
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert client.get_write_buffer_size() == 65536
        client.send(POST[:-6] + b"\r\nExpect: 100-continue\r\n\r\n")
        assert not client.is_reading()
        client.send(b"{}")
        client.read()
        rig.run()
        assert node.connections[0].take() == GET_AT_NODE % 1 + POST_AT_NODE
        node.connections[0].send(ANSWER)
        assert client.take().endswith(b"HTTP/1.1 100 Continue\r\n\r\n" + answer_at_client())
