"""A request through its tries: its answer, its time, its end, and what it gives back."""

from collections.abc import Callable

import pytest

from priolb.core.ticket import ENDED, WAITING
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
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

DEADLINE = problem(b"504 Gateway Timeout", "request timeout hit before processing")
NODE_TIMEOUT = problem(b"504 Gateway Timeout", "node timeout")
UNREACHABLE = problem(b"502 Bad Gateway", "node unreachable")
BAD_ANSWER = problem(b"502 Bad Gateway", "bad answer from node")
FAILURE = b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops"
REFUSED = ConnectionRefusedError(111, "Connection refused")

Leaving = Callable[[MemoryTransport], None]
either_way = pytest.mark.parametrize("leave", [MemoryTransport.end, MemoryTransport.break_off])


def failure_at_client(times: bytes = timings()) -> bytes:
    return answer_at_client(b"oops", times, b"500 Broken")


# What the client is told of time and place


def test_the_fields_tell_the_time_in_line_the_time_at_the_node_and_the_length_of_the_lane() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(4)]
        for client in clients[:3]:
            client.send(POST)
        clients[3].send(POST.replace(b"Host", b"X-High-Priority: true\r\nHost"))
        call = node.accept()
        rig.advance(0.5)
        call.send(ANSWER)
        rig.advance(0.25)
        call.send(ANSWER)
        rig.advance(0.125)
        call.send(ANSWER)
        rig.advance(1)
        call.send(ANSWER)
        assert [client.take() for client in clients] == [
            answer_at_client(times=timings(0, 500_000, 500_000, start=1, end=2)),
            answer_at_client(times=timings(750_000, 125_000, 875_000, start=1, end=1)),
            answer_at_client(times=timings(875_000, 1_000_000, 1_875_000, start=2, end=0)),
            answer_at_client(times=timings(500_000, 250_000, 750_000, start=1, end=0)),
        ]


def test_the_time_at_the_node_is_that_of_the_last_try() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        rig.advance(1)
        call.send(FAILURE)
        retry = second.accept()
        rig.advance(0.5)
        retry.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(1_000_000, 500_000, 1_500_000))


def test_who_asked_and_what_was_answered_is_noted() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST.replace(b"Host", b"X-Request-ID: r7\r\nX-Fast-Track: true\r\nHost"))
        node.accept().send(ANSWER)
        assert rig.notes.take() == [
            ("queued", b"r7", 0, 2, (1, 0, 0)),
            ("completed", b"r7", 200, "http://node-1", 1),
        ]


def test_of_a_long_request_id_512_bytes_are_remembered() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(POST.replace(b"Host", b"X-Request-ID: %s\r\nHost" % (b"r" * 1000)))
        assert rig.notes.take() == [("refused", b"r" * 512, "no_nodes", 503)]


# What the node is sent


@pytest.mark.parametrize(
    ("target", "at_node"),
    [
        (b"/", b"/rpc?key=1"),
        (b"/sim", b"/rpc?key=1"),
        (b"/sim?a=b", b"/rpc?key=1&a=b"),
        (b"/a/b", b"/rpc/a/b?key=1"),
        (b"/a/b?c=d", b"/rpc/a/b?key=1&c=d"),
        (b"http://elsewhere/a", b"/rpc/a?key=1"),
    ],
)
def test_a_path_of_the_client_is_appended_to_that_of_the_node_but_for_its_own_two(
    target: bytes, at_node: bytes
) -> None:
    with Rig() as rig:
        node, client = rig.node(path="/rpc", query="key=1"), rig.client()
        client.send(b"GET %s HTTP/1.1\r\nHost: balancer\r\n\r\n" % target)
        call = node.accept()
        assert call.take() == b"GET %s HTTP/1.1\r\nHost: node-1\r\n\r\n" % at_node
        call.send(ANSWER)


@pytest.mark.parametrize(
    ("target", "body", "type_at_node"),
    [
        (b"/", b" [1]", b"Content-Type: application/json\r\n"),
        (b"/sim", b"{}", b"Content-Type: application/json\r\n"),
        (b"/", b"text", b""),
        (b"/other", b"{}", b""),
    ],
)
def test_json_that_nobody_typed_is_typed_on_the_nodes_own_path(
    target: bytes, body: bytes, type_at_node: bytes
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(
            b"PUT %s HTTP/1.1\r\nHost: balancer\r\nContent-Length: %d\r\n\r\n%s" % (target, len(body), body)
        )
        call = node.accept()
        path = b"/" if type_at_node or body == b"text" else target
        assert call.take() == (
            b"PUT %s HTTP/1.1\r\nHost: node-1\r\n%sContent-Length: %d\r\n\r\n%s"
            % (path, type_at_node, len(body), body)
        )
        call.send(ANSWER)


# Answers in parts


def test_an_answer_in_parts_reaches_the_client_part_by_part() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for part in (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r\n", b"a", b"bc", b"d"):
            call.send(part)
        head = answer_at_client(b"abcd")[:-4]
        assert client.writes == [head, b"a", b"bc", b"d"]
        client.send(POST)
        call.send(ANSWER)
        assert client.writes[-1] == answer_at_client()


def test_chunks_reach_the_client_as_chunks_of_ours() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n1\r\nx\r\n2;e=f\r\nyz")
        call.send(b"\r\n0\r\nTrailer: dropped\r\n\r\n")
        assert client.writes == [
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n" + timings() + b"\r\n",
            b"3\r\nxyz\r\n",
            b"0\r\n\r\n",
        ]
        client.send(POST)
        call.send(ANSWER)
        assert client.writes[-1] == answer_at_client()


def test_chunks_reach_a_client_of_http_1_0_bare_and_end_with_the_connection() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        node.accept().send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        rig.run()
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + timings() + CLOSE + b"\r\nx"
        )
        assert client.is_lost and not client.was_reset


def test_an_answer_until_the_end_of_the_connection_is_chunked_for_http_1_1() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\n\r\nab")
        call.send(b"c")
        assert rig.counts() == (0, 1, 2)
        call.end()
        assert rig.counts() == (0, 0, 0)
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
            + timings()
            + b"\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        assert not client.is_closing()


def test_an_answer_until_the_end_of_the_connection_is_the_same_for_http_1_0() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        call = node.accept()
        call.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
        call.end()
        rig.run()
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + timings() + CLOSE + b"\r\nabc"
        )
        assert client.is_lost and not client.was_reset


def test_the_answer_to_head_has_the_length_that_the_body_would_have() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: balancer\r\n\r\n" * 2)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" + timings() + b"\r\n"
            b"HTTP/1.1 200 OK\r\n" + timings() + b"\r\n"
        )


# Back-pressure


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


# The client leaves


@either_way
def test_who_leaves_while_in_line_gives_up_its_place_in_the_same_turn(leave: Leaving) -> None:
    with Rig() as rig:
        node, first, second, third = rig.node(slots=1), rig.client(), rig.client(), rig.client()
        for client in (first, second, third):
            client.send(POST)
        call = node.accept()
        assert rig.counts() == (2, 1, 6)
        rig.notes.take()
        leave(second)
        assert rig.counts() == (1, 1, 4)
        assert rig.notes.take() == [("client_left", b"", 0, 2)]
        call.send(ANSWER)
        call.send(ANSWER)
        assert second.take() == b""
        assert third.take() == answer_at_client(times=timings(start=2))
        assert call.take() == POST_AT_NODE * 2


@either_way
def test_who_leaves_while_its_node_is_being_connected_frees_the_slot_in_the_same_turn(leave: Leaving) -> None:
    with Rig() as rig:
        node, first, second = rig.node(slots=1), rig.client(), rig.client()
        node.is_silent = True
        first.send(POST)
        second.send(POST)
        rig.run()
        assert rig.counts() == (1, 1, 4)
        leave(first)
        assert rig.counts() == (0, 1, 2)
        node.is_silent = False
        node.accept().send(ANSWER)
        assert (node.attempts, node.given_up) == (2, 1)
        assert second.take() == answer_at_client()


@either_way
def test_who_leaves_while_its_node_works_drops_that_connection_in_the_same_turn(leave: Leaving) -> None:
    with Rig() as rig:
        node, first, second = rig.node(slots=1), rig.client(), rig.client()
        first.send(POST)
        second.send(POST)
        call = node.accept()
        leave(first)
        assert call.calls == ["abort"]
        assert rig.counts() == (0, 1, 2)
        node.accept().send(ANSWER)
        assert second.take() == answer_at_client()
        assert rig.notes.take("client_left", "node_failed") == [("client_left", b"", 1, 2)]


@either_way
def test_who_leaves_in_the_middle_of_its_answer_drops_the_node_connection_in_the_same_turn(
    leave: Leaving,
) -> None:
    with Rig() as rig:
        node, first, second = rig.node(slots=1), rig.client(), rig.client()
        first.send(POST)
        second.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        leave(first)
        assert call.calls == ["abort"]
        assert rig.counts() == (0, 1, 2)
        node.accept().send(ANSWER)
        assert second.take() == answer_at_client()


def test_who_leaves_between_two_tries_is_not_tried_again() -> None:
    with Rig() as rig:
        node, busy, first, second = rig.node(slots=1), rig.node(slots=1), rig.client(), rig.client()
        first.send(POST)
        second.send(POST)
        call, other = node.accept(), busy.accept()
        call.send(FAILURE)
        assert rig.counts() == (1, 1, 4)
        first.end()
        assert rig.counts() == (0, 1, 2)
        other.send(ANSWER)
        assert node.is_quiet() and busy.is_quiet()
        assert other.take() == POST_AT_NODE.replace(b"node-1", b"node-2")


def test_who_leaves_in_the_middle_of_its_body_gives_back_its_bytes() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 10\r\n\r\nabc")
        assert rig.counts() == (0, 0, 3)
        client.end()
        assert rig.counts() == (0, 0, 0)
        assert rig.notes.take() == []


def test_who_was_found_expired_and_leaves_before_the_timer_is_left_in_peace() -> None:
    """A dispatch finds the first two too late, a moment before the timer does, and one of them leaves."""
    with Rig() as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(4)]
        clients[0].send(POST)
        call = node.accept()
        for client in clients[1:3]:
            client.send(POST)
        rig.advance(1)
        clients[3].send(POST)
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
        rig.advance(3)
        rig.clock.now += 1
        call.send(b"]")
        clients[1].end()
        assert rig.counts() == (0, 1, 4)
        rig.advance(TICK_S)
        assert clients[1].take() == b""
        assert clients[2].take() == DEADLINE
        call.send(ANSWER)
        assert clients[3].take() == answer_at_client(times=timings(4_000_000, 15_625, 4_015_625, start=3))


# Out of time


def test_a_request_in_line_is_refused_when_its_time_to_start_is_over() -> None:
    with Rig() as rig:
        node, client = rig.node(is_healthy=False), rig.client()
        client.send(POST)
        rig.advance(5)
        assert client.take() == b""
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert not client.is_closing()
        assert node.attempts == 0
        assert rig.notes.take() == [("queued", b"", 2, 2, (0, 0, 1)), ("refused", b"", "deadline", 504)]


def test_without_a_node_a_request_is_refused_at_once() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(POST)
        assert client.take() == problem(b"503 Service Unavailable", "no nodes available", RETRY_AFTER)


def test_a_full_lane_refuses_at_once() -> None:
    with Rig(lane_limits=(0, 0, 1)) as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(3)]
        for client in clients:
            client.send(POST)
        assert clients[2].take() == problem(b"503 Service Unavailable", "queue full", RETRY_AFTER)
        call = node.accept()
        call.send(ANSWER)
        call.send(ANSWER)
        assert clients[1].take() == answer_at_client()


def test_a_node_that_does_not_answer_for_3_seconds_has_failed_and_the_next_one_is_tried() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        rig.advance(3)
        assert second.is_quiet()
        rig.advance(TICK_S)
        assert call.is_lost
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client(times=timings(3_015_625, 0, 3_015_625))
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_timeout", "no answer in time", 1)
        ]


def test_a_node_that_sends_half_a_head_has_no_longer_than_one_that_is_silent() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for _ in range(3):
            rig.advance(0.99)
            call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        rig.advance(0.05)
        assert client.take() == NODE_TIMEOUT


def test_a_node_that_cannot_be_connected_in_3_seconds_has_failed() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        node.is_silent = True
        client.send(POST)
        rig.advance(3)
        assert (node.given_up, client.take()) == (0, b"")
        rig.advance(TICK_S)
        assert (node.given_up, client.take()) == (1, NODE_TIMEOUT)
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_timeout", "not connected in time", 1)
        ]


def test_no_try_starts_later_than_5_seconds_after_the_arrival() -> None:
    """The second try starts at 3 seconds and may last until 6; there is no third."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept()
        rig.advance(3 + TICK_S)
        node.accept()
        rig.advance(3)
        assert client.take() == b""
        rig.advance(2 * TICK_S)
        assert client.take() == NODE_TIMEOUT
        assert node.is_quiet()


def test_a_request_that_waits_for_its_next_try_is_refused_at_its_own_deadline() -> None:
    """The time-outs of tries are longer here, so that no timer of a try wakes anybody up."""
    with Rig(try_timeout_s=60) as rig:
        node, busy, first, second = rig.node(slots=1), rig.node(slots=1), rig.client(), rig.client()
        first.send(POST)
        second.send(POST)
        call, other = node.accept(), busy.accept()
        rig.advance(1)
        call.break_off()
        rig.advance(4)
        assert first.take() == b""
        rig.advance(TICK_S)
        assert first.take() == DEADLINE
        other.send(ANSWER)
        assert second.take() == answer_at_client(times=timings(0, 5_015_625, 5_015_625))


def test_an_answer_whose_body_pauses_for_30_seconds_is_cut() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        rig.advance(29.9)
        call.send(b"d")
        rig.advance(29.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert call.is_lost and client.is_lost
        assert client.take() == answer_at_client(b"0123456789")[:-10] + b"abcd"
        assert rig.notes.take("node_failed", "completed") == [
            ("node_failed", b"", "http://node-1", "node_timeout", "the answer stopped coming", 1),
            ("completed", b"", 200, "http://node-1", 1),
        ]


# Failing tries


def test_a_failing_answer_is_kept_from_the_client_and_another_node_is_tried() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        call.send(FAILURE)
        assert client.take() == b""
        retry = second.accept()
        assert retry.take() == POST_AT_NODE.replace(b"node-1", b"node-2")
        retry.send(ANSWER)
        assert client.take() == answer_at_client()
        assert not call.is_closing()
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


def test_the_last_failing_answer_goes_to_the_client_after_three_tries() -> None:
    with Rig() as rig:
        nodes, client = [rig.node() for _ in range(3)], rig.client()
        client.send(POST)
        for index, node in enumerate(nodes):
            assert client.take() == b""
            node.accept().send(b"HTTP/1.1 50%d Broken\r\nContent-Length: 4\r\n\r\noops" % index)
        assert client.take() == answer_at_client(b"oops", status=b"502 Broken")
        assert not client.is_closing()


def test_with_one_node_all_tries_go_to_it_over_the_same_connection() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for _ in range(3):
            assert call.take() == POST_AT_NODE
            call.send(FAILURE)
        assert client.take() == failure_at_client()
        assert node.is_quiet()


def test_a_failing_answer_in_parts_is_collected_and_given_when_the_other_nodes_bring_nothing() -> None:
    with Rig(max_tries=2) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        second.fault = REFUSED
        client.send(POST)
        call = first.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n2\r\noo\r\n")
        call.send(b"2\r\nps\r\n0\r\n\r\n")
        assert client.take() == b""
        rig.run()
        assert client.take() == failure_at_client()
        assert not call.is_closing()
        assert rig.notes.take("completed") == [("completed", b"", 500, "http://node-1", 2)]


def test_a_failing_answer_is_given_at_the_deadline() -> None:
    with Rig() as rig:
        first, busy, client, other = rig.node(slots=1), rig.node(slots=1), rig.client(), rig.client()
        client.send(POST)
        other.send(POST)
        call, elsewhere = first.accept(), busy.accept()
        elsewhere.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
        call.send(FAILURE)
        rig.advance(5)
        assert client.take() == b""
        rig.advance(TICK_S)
        assert client.take() == failure_at_client(timings(0, 5_015_625, 5_015_625))
        elsewhere.send(b"]")


def test_a_failing_answer_over_64_kb_is_not_kept() -> None:
    with Rig(max_tries=2) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        second.fault = REFUSED
        client.send(POST)
        first.accept().send(b"HTTP/1.1 500 Broken\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537)
        rig.run()
        assert client.take() == UNREACHABLE


def test_a_failing_answer_of_64_kb_is_kept() -> None:
    body = b"x" * 65536
    with Rig(max_tries=2) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        second.fault = REFUSED
        client.send(POST)
        first.accept().send(b"HTTP/1.1 500 Broken\r\nContent-Length: 65536\r\n\r\n" + body)
        rig.run()
        assert client.take() == answer_at_client(body, status=b"500 Broken")


def test_a_failing_answer_in_parts_that_grows_over_64_kb_is_dropped_with_its_connection() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 65536)
        assert second.is_quiet()
        call.send(b"x")
        assert call.was_aborted
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_the_answer_of_the_last_try_is_not_collected_however_it_ends() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\no")
        assert client.take() == failure_at_client()[:-3]
        call.send(b"ops")
        assert client.take() == b"ops"


def test_a_connection_that_carried_a_failing_answer_in_parts_carries_the_next_one_without_haste() -> None:
    """The time of a failing answer is that of its try; it must not bound the answers that follow."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\no")
        call.send(b"ops")
        rig.advance(2)
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
        rig.advance(20)
        call.send(b"b")
        rig.advance(20)
        call.send(b"c")
        assert client.take() == answer_at_client(b"abc", timings(0, 2_000_000, 2_000_000))
        assert node.is_quiet()


def test_a_failing_answer_that_does_not_end_has_no_longer_than_its_try() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 1000\r\n\r\no")
        for _ in range(24):
            rig.advance(0.125)
            call.send(b"o")
        assert second.is_quiet()
        rig.advance(TICK_S)
        assert call.is_lost
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client(times=timings(3_015_625, 0, 3_015_625))


def test_a_node_that_refuses_the_connection_costs_a_try() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        first.fault = REFUSED
        client.send(POST)
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_unreachable", "Connection refused", 1)
        ]


def test_a_node_whose_name_cannot_be_looked_up_costs_a_try() -> None:
    """The codec for names raises no OSError."""
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        node.fault = UnicodeError("label empty or too long")
        client.send(POST)
        rig.run()
        assert client.take() == UNREACHABLE
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_unreachable", "label empty or too long", 1)
        ]


def test_after_three_nodes_that_cannot_be_reached_the_client_is_told() -> None:
    with Rig() as rig:
        nodes, client = [rig.node() for _ in range(4)], rig.client()
        for node in nodes:
            node.fault = REFUSED
        client.send(POST)
        rig.run()
        assert client.take() == UNREACHABLE
        assert [node.attempts for node in nodes] == [1, 1, 1, 0]


def test_a_method_that_must_not_be_sent_twice_is_not_tried_again_once_a_node_may_have_seen_it() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST.replace(b"POST", b"PATCH"))
        first.accept().break_off()
        rig.run()
        assert client.take() == UNREACHABLE
        assert second.attempts == 0


def test_a_method_that_must_not_be_sent_twice_is_tried_again_when_no_node_has_seen_it() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        first.fault = REFUSED
        client.send(POST.replace(b"POST", b"PATCH"))
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client()


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "an answer that switches protocols unasked",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "an answer in a transfer coding other than chunked"),
    ],
)
def test_a_node_that_does_not_keep_to_http_has_failed(answer: bytes, detail: str) -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(answer)
        assert call.was_aborted
        assert client.take() == BAD_ANSWER
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_bad_answer", detail, 1)
        ]


# Answers that break off


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete_by_its_length() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        call.end()
        rig.run()
        assert client.take() == answer_at_client(b"0123456789")[:-10] + b"abc"
        assert client.is_lost and not client.was_reset


@pytest.mark.parametrize("broken", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
def test_an_answer_in_chunks_that_breaks_off_has_no_last_chunk(broken: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(broken)
        call.end()
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost


def test_an_answer_in_chunks_that_breaks_its_framing_has_no_last_chunk() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        call.send(b"nonsense\r\n")
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost
        assert rig.notes.take("node_failed") == [
            (
                "node_failed",
                b"",
                "http://node-1",
                "node_bad_answer",
                "a chunk size that is not a hexadecimal number",
                1,
            )
        ]


def test_an_answer_until_the_end_that_ends_in_a_reset_has_no_last_chunk() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        call.break_off()
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ],
)
def test_an_answer_that_only_the_end_of_the_connection_delimits_ends_in_a_reset_when_it_breaks_off(
    answer: bytes,
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        call = node.accept()
        call.send(answer)
        call.break_off()
        rig.run()
        assert client.was_reset


def test_an_ended_request_is_neither_cancelled_nor_refused_a_second_time() -> None:
    """What the states of a ticket promise to whoever holds one."""
    with Rig() as rig:
        node, client = rig.node(is_healthy=False), rig.client()
        client.send(POST)
        waiting = rig.scheduler.queue.lanes[2].oldest()
        assert waiting is not None and waiting.state == WAITING
        rig.advance(5.1)
        assert waiting.state == ENDED
        client.end()
        rig.engine.set_healthy(node.state, True)
        assert client.take() == DEADLINE
        assert rig.notes.take("client_left", "refused") == [("refused", b"", "deadline", 504)]
