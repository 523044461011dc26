"""Client connections: what they send, byte for byte, and what they get."""

import pytest

from support.messages import ANSWER, CLOSE, GET, GET_AT_NODE, POST, POST_AT_NODE, answer_at_client, timings
from support.rig import Rig

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
        assert client.is_ended
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
