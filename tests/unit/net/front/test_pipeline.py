"""Requests one behind the other: in which order they are taken up, and how much is taken in meanwhile."""

import pytest

from priolb.net.flushing import LONG_READ_BYTES
from priolb.net.front.connection import FrontConnection
from support.memory import CLOSE as RESET
from support.messages import ANSWER, GET, GET_AT_NODE, NO_NODES, POST, POST_AT_NODE, answer_at_client, timings
from support.rig import Rig

# Order


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


def test_so_it_is_when_the_long_one_has_been_seen_before() -> None:
    long = b"GET /1 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 100)
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(long)
        call = node.accept()
        call.take()
        call.send(ANSWER)
        client.send(long[:-1])
        client.send(long[-1:] + GET % 2)
        call.take()
        call.send(ANSWER)
        assert call.take() == GET_AT_NODE % 2
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False) * 3


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


# How much


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
        assert client.take() == answer_at_client(is_json=False) * 5
        assert call.writes[-1] == GET_AT_NODE % 5


def test_a_client_that_leaves_while_too_much_waits_to_be_read_on_is_gone_within_a_second() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        long_request = b"GET /2 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 30000)
        client.send(GET % 1 + long_request * 4)
        call = node.accept()
        call.send(ANSWER)
        rig.run()
        assert not client.is_reading(), "the second one is under way, and too much still waits"
        rig.advance(1.5)
        assert rig.running == 1
        client.leave_unnoticed(RESET)
        rig.advance(1.1)
        assert rig.counts() == (0, 0, 0)
        assert client.is_lost and call.was_aborted


def test_so_it_is_when_it_has_read_an_answer_slowly_before() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
        client.send(POST * 1500)
        assert not client.is_reading()
        client.read(200_000)
        rig.run()
        assert not client.is_reading(), "the answer is not complete, and too much still waits"
        client.leave_unnoticed(RESET)
        rig.advance(1.1)
        assert rig.counts() == (0, 0, 0)
        assert client.is_lost and call.was_aborted


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
        rig.engine.flush()
        assert client.take() == NO_NODES * 16
        assert not client.is_reading()
        rig.run()
        assert client.take() == NO_NODES * (10001 - 32)
        assert client.is_reading()


def test_of_long_heads_one_is_read_in_a_turn() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"GET / HTTP/1.1\r\nHost: balancer\r\nConnection: %s\r\n\r\n" % (b"," * 30_000) * 3)
        for _ in range(2):
            assert client.take() == NO_NODES
            rig.loop.turn()
            rig.engine.flush()
        assert client.take() == NO_NODES


def test_a_long_head_counts_three_times_in_the_budget_until_its_answer_is_complete() -> None:
    long = b"GET /1 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 30_000)
    with Rig(body_budget_bytes=5 * len(long)) as rig:
        node, client, other = rig.node(), rig.client(), rig.client()
        client.send(long)
        call = node.accept()
        assert rig.counts() == (0, 1, 3 * len(long))
        other.send(long)
        assert b"HTTP/1.1 503 Service Unavailable" in other.take()
        [rejected] = rig.notes.take("rejected")
        assert "no room for the head of the request" in rejected
        call.send(ANSWER)
        assert client.take().endswith(b"[]")
        rig.check_nothing_held()


def test_who_asks_for_leave_to_send_while_it_does_not_read_is_not_read_either() -> None:
    """Else a request could start whose answer nobody holds back."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1)
        head_bytes = len(answer_at_client(b"x" * 65000, is_json=False)) - 65000
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


@pytest.mark.parametrize("what", [b"\r\n", b"OPTIONS /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"])
def test_who_sends_much_that_goes_to_no_node_lets_others_have_their_turn(what: bytes) -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(what)
        assert client.calls == []
        client.send(what * (LONG_READ_BYTES // len(what) + 1))
        rig.run()
        assert client.calls == ["pause_reading", "resume_reading"]
        client.break_off()


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_long_head_is_not_kept_behind_its_request(is_refused: bool) -> None:
    with Rig() as rig:
        client = rig.client()
        long = b"GET /1 HTTP/1.1\r\nHost: balancer\r\nX: %s\r\n\r\n" % (b"x" * 30_000)
        if is_refused:
            client.send(long)
            assert client.take() == NO_NODES
        else:
            node = rig.node()
            client.send(long)
            call = node.accept()
            assert b"x" * 30_000 in call.take()
            call.send(ANSWER)
            assert client.take() == answer_at_client(is_json=False)
        connection = client._protocol
        assert isinstance(connection, FrontConnection)
        assert (connection._last_head, connection._last_fields, connection._last_refused) == (None, b"", None)
