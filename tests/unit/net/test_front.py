"""Client connections: what they send, byte for byte, and what they get."""

import pytest

from support.messages import (
    ANSWER,
    CLOSE,
    POST,
    POST_AT_NODE,
    answer_at_client,
    timings,
)
from support.rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: balancer\r\n\r\n"
GET_AT_NODE = b"GET /%d HTTP/1.1\r\nHost: node-1\r\nVia: 1.1 lb\r\n\r\n"


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
        assert client.take() == answer_at_client(is_json=False)
        assert call.take() == POST_AT_NODE
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
        assert client.take() == answer_at_client(b"two")
        assert call.take() == GET_AT_NODE % 3
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)
        assert node.is_quiet()


def test_a_short_head_behind_a_long_one_that_came_in_parts_is_seen_at_once() -> None:
    long = b"GET /1 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 100)
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(long[:50])
        client.send(long[50:-1])
        client.send(long[-1:] + GET % 2)
        call = node.accept()
        call.take()
        call.send(ANSWER)
        assert call.take() == GET_AT_NODE % 2
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False) * 2


def test_empty_lines_before_a_request_are_passed_over() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"\r\n\r\n\r")
        client.send(b"\n" + POST)
        call = node.accept()
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take() == answer_at_client()


@pytest.mark.parametrize("is_split", [False, True])
def test_an_empty_line_behind_a_body_does_not_start_the_clock_of_the_next_head(is_split: bool) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST + (b"" if is_split else b"\r\n"))
        node.accept().send(ANSWER)
        if is_split:
            client.send(b"\r")
            client.send(b"\n")
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
        assert call.take() == (GET_AT_NODE % 1).replace(b"Via: 1.1", b"Via: 1.0")
        call.send(ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE, is_json=False)
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
            assert client.take() == answer_at_client(connection=b"Connection: keep-alive\r\n", is_json=False)


def test_http_1_1_that_asks_for_it_is_closed_after_its_answer() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /1 HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE, is_json=False)
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


def test_a_client_that_waits_for_its_answer_is_not_idle() -> None:
    with Rig(try_timeout_s=1000) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        rig.advance(500)
        call.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(0, 500_000_000, 500_000_000))
