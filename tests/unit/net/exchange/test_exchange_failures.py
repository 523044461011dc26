"""Tries that fail: what is tried again, where, and what the client gets when nothing helps."""

import pytest

from support.manual_loop import TICK_S
from support.messages import (
    ANSWER,
    BAD_ANSWER,
    FAILURE,
    POST,
    POST_AT_NODE,
    RETRY_AFTER,
    UNREACHABLE,
    answer_at_client,
    problem,
    timings,
)
from support.rig import Rig

REFUSED = ConnectionRefusedError(111, "Connection refused")


def failure_at_client(times: bytes = timings()) -> bytes:
    return answer_at_client(b"oops", times, b"500 Broken")


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
        client.send(POST)
        call = first.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\n2\r\noo\r\n")
        call.send(b"2\r\nps\r\n0\r\n\r\n")
        assert client.take() == b""
        second.accept().break_off()
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
        client.send(POST)
        first.accept().send(b"HTTP/1.1 500 Broken\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537)
        second.accept().break_off()
        rig.run()
        assert client.take() == UNREACHABLE


def test_a_failing_answer_of_64_kb_is_kept() -> None:
    body = b"x" * 65536
    with Rig(max_tries=2) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        first.accept().send(b"HTTP/1.1 500 Broken\r\nContent-Length: 65536\r\n\r\n" + body)
        second.accept().break_off()
        rig.run()
        assert client.take() == answer_at_client(body, status=b"500 Broken")


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_failing_answer_over_64_kb_is_given_when_its_node_wants_a_longer_rest_than_there_is_time(
    is_whole: bool,
) -> None:
    body = b"x" * 65537
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 65537\r\n\r\n"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(head + body if is_whole else head)
        if not is_whole:
            call.send(body)
        rig.run()
        answer = client.take()
        assert (answer[:17], answer[-65541:]) == (b"HTTP/1.1 503 Busy", b"\r\n\r\n" + body)
        assert b"\r\nRetry-After: 60\r\n" in answer
        assert call.take() == POST_AT_NODE
        assert rig.notes.take("completed") == [("completed", b"", 503, "http://node-1", 1)]


@pytest.mark.parametrize("how", ["short", "whole", "in parts"])
def test_a_node_that_asks_for_a_pause_gets_it_however_long_its_answer_is(how: str) -> None:
    size = 4 if how == "short" else 65537
    head, body = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        assert call.take() == POST_AT_NODE
        call.send(head if how == "in parts" else head + body)
        if how == "in parts":
            call.send(body)
        rig.advance(1.9)
        assert (rig.counts()[:2], call.take()) == ((1, 0), b"")
        rig.advance(0.2)
        again = node.connections[-1]
        assert again.take() == POST_AT_NODE
        again.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")


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


def test_a_node_that_refuses_the_connection_is_down_and_another_is_tried() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        first.fault = REFUSED
        client.send(POST)
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client()
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_unreachable", "Connection refused", 1)
        ]


@pytest.mark.parametrize(
    ("code", "words"), [(24, "Too many open files"), (99, "Cannot assign requested address")]
)
def test_that_there_is_no_socket_left_costs_a_try_and_says_nothing_of_the_node(code: int, words: str) -> None:
    """Or none with a port of its own: those of connections that have ended are not free at once."""
    with Rig(max_tries=2) as rig:
        node, client = rig.node(), rig.client()
        node.fault = OSError(code, words)
        client.send(POST)
        rig.run()
        assert client.take() == problem(b"503 Service Unavailable", "no socket left", RETRY_AFTER)
        assert (node.attempts, node.state.status.value, node.state.record.failed) == (2, "up", 0)
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "no_socket", words, tries) for tries in (1, 2)
        ]
        node.fault = None
        client.send(POST)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_node_whose_name_cannot_be_looked_up_is_down() -> None:
    """The codec for names raises no OSError."""
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        node.fault = UnicodeError("label empty or too long")
        client.send(POST)
        rig.run()
        assert (client.take(), node.attempts, node.state.status.value) == (b"", 1, "down")
        client.end()
        assert rig.notes.take("node_failed") == [
            ("node_failed", b"", "http://node-1", "node_unreachable", "label empty or too long", 1)
        ]


def test_after_three_nodes_that_close_without_an_answer_the_client_is_told() -> None:
    with Rig() as rig:
        nodes, client = [rig.node() for _ in range(4)], rig.client()
        client.send(POST)
        for node in nodes[:3]:
            node.accept().break_off()
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
        assert client.take() == answer_at_client(is_json=False)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "an answer that switches protocols unasked",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "an answer in a transfer coding other than chunked",
        ),
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
