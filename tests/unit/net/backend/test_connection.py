"""Connections to nodes: when one is used again, when it is given up, and what it passes on."""

from collections.abc import Callable

import pytest

from priolb.http.parser import HeadLimits
from support.memory import MemoryTransport
from support.messages import (
    ANSWER,
    BAD_ANSWER,
    CLOSE,
    POST,
    POST_AT_NODE,
    UNREACHABLE,
    answer_at_client,
    timings,
)
from support.rig import Rig, serve_one

Leaving = Callable[[MemoryTransport], None]


# Used again


def test_a_connection_is_used_again() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        for _ in range(3):
            client.send(POST)
            assert call.take() == POST_AT_NODE
            call.send(ANSWER)
            assert client.take() == answer_at_client()
        assert node.is_quiet()


@pytest.mark.parametrize("size", range(1, len(ANSWER)))
def test_an_answer_like_the_one_before_may_come_in_parts(size: int) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        for _ in range(2):
            client.send(POST)
            call.send(ANSWER[:size])
            call.send(ANSWER[size:])
            assert client.take() == answer_at_client()
        assert node.is_quiet()


def test_heads_too_long_to_be_remembered_are_read_each_time() -> None:
    long = b"HTTP/1.1 20%d OK\r\nContent-Length: 2\r\nX: " + b"y" * 1100 + b"\r\n\r\n[]"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        for status in (0, 1, 1):
            client.send(POST)
            call.send(long % status)
            assert client.take().startswith(b"HTTP/1.1 20%d OK\r\n" % status)


def test_an_answer_is_read_by_its_own_head_when_that_begins_like_the_one_before() -> None:
    longer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n[]"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        for answer, is_longer in ((longer, True), (ANSWER, False), (longer, True), (longer, True)):
            client.send(POST)
            call.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer)
            assert (b"X: y\r\n" in client.take()) is is_longer
        client.send(POST)
        call.send(longer.replace(b"[]", b"{}"))
        assert client.take().endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_a_connection_that_the_node_will_close_is_not_used_again(answer: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node, answer)
        assert call.calls == ["abort"]
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_node_of_http_1_0_may_ask_for_the_connection_to_stay() -> None:
    with Rig() as rig:
        node = rig.node()
        call = serve_one(
            rig, node, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]"
        )
        assert rig.engine.idle.count == 1
        assert call.calls == []


# Stale


@pytest.mark.parametrize("leave", [MemoryTransport.end, MemoryTransport.break_off])
def test_a_connection_that_was_closed_before_it_saw_the_request_costs_no_try(leave: Leaving) -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        stale = serve_one(rig, node)
        rig.notes.take()
        client.send(POST)
        assert stale.take() == POST_AT_NODE
        leave(stale)
        fresh = node.accept()
        assert fresh.take() == POST_AT_NODE
        fresh.send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.notes.take() == [
            ("queued", b"", 2, 2, (0, 0, 1)),
            ("completed", b"", 200, "http://node-1", 1),
        ]


def test_a_fresh_connection_that_is_closed_without_an_answer_is_a_failed_try() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        stale = serve_one(rig, node)
        client.send(POST)
        stale.end()
        node.accept().end()
        rig.run()
        assert client.take() == UNREACHABLE
        assert node.is_quiet()
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_unreachable", "the node closed the connection", 1)
        ]


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_used_connection_that_is_closed_after_the_first_byte_of_an_answer_is_a_failed_try(
    start: bytes,
) -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        client.send(POST)
        call.send(start)
        call.break_off()
        rig.run()
        assert client.take() == UNREACHABLE
        assert node.is_quiet()


# Given up


def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        call.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert call.was_aborted
        assert rig.engine.idle.count == 0
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_the_end_of_an_idle_connection_is_seen() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        call.end()
        client.send(POST)
        assert rig.engine.idle.count == 0
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_node_that_answers_before_it_has_read_the_request_is_not_sent_another_over_that_connection() -> (
    None
):
    """What is left of the request would be read as the next one."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        call = serve_one(rig, node)
        call.stop_reading(after_bytes=1000)
        client.send(b"PUT / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
        call.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)
        assert call.was_aborted
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


@pytest.mark.parametrize(
    "answer",
    [
        [ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"],
        [ANSWER[:-1], b"]secret"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\n[]\r\n0\r\n\r\nsecret"],
        [b"HTTP/1.1 204 No Content\r\n\r\nsecret"],
    ],
)
def test_what_comes_behind_an_answer_reaches_nobody_and_ends_the_connection(answer: list[bytes]) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for part in answer:
            call.send(part)
        assert call.was_aborted
        assert b"secret" not in client.take()
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_body_behind_the_answer_to_head_reaches_nobody() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: balancer\r\n\r\n")
        call = node.accept()
        call.send(ANSWER)
        assert client.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + timings() + b"\r\n"
        assert call.was_aborted


# Heads


def test_an_answer_byte_by_byte_reaches_the_client() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for position in range(len(ANSWER)):
            call.send(ANSWER[position : position + 1])
        assert client.take() == answer_at_client()


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_interim_answers_are_passed_on_but_for_100_which_nobody_asked_the_node_for() -> None:
    """RFC 9110, section 15.2."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS[:30])
        call.send(HINTS[30:] + b"HTTP/1.1 102 Processing\r\nConnection: x\r\nX: y\r\n\r\n" + ANSWER)
        assert client.take() == HINTS + b"HTTP/1.1 102 Processing\r\n\r\n" + answer_at_client()
        assert rig.engine.idle.count == 1


def test_a_client_of_http_1_0_sees_no_interim_answers() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        node.accept().send(HINTS + ANSWER)
        assert client.take() == answer_at_client(connection=CLOSE)


def test_a_node_that_never_ends_its_interim_answers_is_dropped_after_32() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(HINTS * 32)
        assert client.take() == HINTS * 32
        call.send(HINTS)
        assert client.take() == BAD_ANSWER
        assert call.was_aborted
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_bad_answer", "too many interim answers", 1)
        ]


def test_interim_answers_are_counted_for_each_request() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(HINTS * 32 + ANSWER)
        client.send(POST)
        call.send(HINTS * 32 + ANSWER)
        assert client.take() == (HINTS * 32 + answer_at_client()) * 2


@pytest.mark.parametrize("size", [50, 1000])
def test_a_head_over_the_bound_is_a_failed_try(size: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %s\r\n\r\n" % (b"x" * 214)
    assert len(answer) == 257
    with Rig(head_limits=HeadLimits(256, 100), max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for start in range(0, len(answer), size):
            call.send(answer[start : start + size])
        assert client.take() == BAD_ANSWER
        assert call.was_aborted


def test_a_head_at_the_bound_is_taken() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %s\r\n\r\n" % (b"x" * 213)
    assert len(answer) == 256
    with Rig(head_limits=HeadLimits(256, 100), max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(answer)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\nX: xxx")


def test_what_the_node_says_of_its_connection_and_of_our_fields_stays_here() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(
            b"HTTP/1.1 201 Made\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
            b"X-PrioLB-SimDurationUs: 7\r\nContent-Type: a/b\r\nX-End: 2\r\nContent-Length: 2\r\n\r\n[]"
        )
        assert client.take() == (
            b"HTTP/1.1 201 Made\r\nContent-Type: a/b\r\nX-End: 2\r\nContent-Length: 2\r\n"
            + timings()
            + b"\r\n[]"
        )


# Ends


def test_bytes_that_arrive_for_a_connection_just_dropped_are_thrown_away() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        protocol = call._protocol
        client.end()
        protocol.data_received(ANSWER)
        assert client.take() == b""


def test_interim_answers_are_together_no_longer_than_a_head_may_be() -> None:
    long = b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n" % (b"x" * 30_000)
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(long * 2)
        assert client.take() == long * 2
        call.send(long)
        assert client.take() == BAD_ANSWER
        assert call.was_aborted


def test_the_head_of_an_answer_that_comes_byte_by_byte_is_found_each_time() -> None:
    """Its end is looked for where it was not before; of the next one anew."""
    first = b"HTTP/1.1 200 OK\r\nX-Long: %s\r\nContent-Length: 2\r\n\r\n[]" % (b"x" * 50)
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for answer in (first, first, ANSWER, HINTS + first, ANSWER):
            call.take()
            for position in range(len(answer)):
                call.send(answer[position : position + 1])
            assert client.take().endswith(b"\r\n\r\n[]")
            client.send(POST)
        assert len(node.connections) == 1
        call.send(ANSWER)
