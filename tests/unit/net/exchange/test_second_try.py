"""Second tries beside slow first ones: when they begin, who wins, and what becomes of the other."""

import pytest

from priolb.core.retries.hedge import Hedging
from support.manual_loop import TICK_S
from support.messages import (
    ANSWER,
    FAILURE,
    POST,
    POST_AT_NODE,
    UNREACHABLE,
    answer_at_client,
    problem,
    timings,
)
from support.rig import Rig
from support.second_tries import AT_SECOND, DELAY_S, LOW, hedged, hedging

GET = b"GET /a HTTP/1.1\r\nHost: balancer\r\n\r\n"


# When


def test_a_second_try_begins_when_the_first_has_taken_unusually_long() -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        first = first_node.accept()
        rig.advance(DELAY_S - 0.001)
        assert second_node.is_quiet()
        rig.advance(2 * TICK_S)
        assert second_node.accept().take() == AT_SECOND
        assert [node.state.in_flight for node in (first_node, second_node)] == [1, 1]
        first.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


def test_an_answer_in_time_needs_none() -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        rig.advance(DELAY_S / 2)
        first_node.accept().send(ANSWER)
        rig.advance(1)
        assert second_node.is_quiet()
        assert client.take().endswith(b"\r\n\r\n[]")


@pytest.mark.parametrize(
    "request_",
    [
        POST.replace(b"Host", b"X-High-Priority: true\r\nHost"),
        POST.replace(b"POST", b"PATCH"),
        GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: x\r\nHost"),
    ],
    ids=["another lane", "a method that must not be repeated", "another protocol"],
)
def test_others_get_none(request_: bytes) -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(request_)
        call = first_node.accept()
        rig.advance(1)
        assert second_node.is_quiet()
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_passes_through_gets_none() -> None:
    with Rig(hedging=hedging(), replay_max_bytes=1) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first_node.accept()
        rig.advance(1)
        assert second_node.is_quiet()
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")


def test_nobody_gets_one_while_others_wait_and_the_time_comes_round_again() -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node = rig.node(slots=1), rig.node(slots=1)
        slow, other, waiting = rig.client(), rig.client(), rig.client()
        slow.send(POST)
        other.send(GET)
        waiting.send(GET)
        first = first_node.accept()
        second = second_node.accept()
        rig.advance(DELAY_S + 2 * TICK_S)
        assert rig.counts()[:2] == (1, 2)
        second.send(ANSWER)
        second.send(ANSWER)
        assert rig.counts()[:2] == (0, 1)
        second.take()
        rig.advance(DELAY_S + 2 * TICK_S)
        assert second.take() == AT_SECOND
        second.send(ANSWER)
        assert slow.take().endswith(b"\r\n\r\n[]")
        assert first.was_aborted


def test_there_are_no_more_than_the_budget_allows() -> None:
    with Rig(hedging=hedging(percent=5.0)) as rig:
        _, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        rig.advance(1)
        assert second_node.is_quiet()
        client.end()


def test_without_another_node_there_is_none() -> None:
    with Rig(hedging=hedging()) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        rig.advance(1)
        assert node.is_quiet()
        call.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


# Who wins


def test_the_second_answer_wins_when_it_is_first_and_the_other_try_is_given_up() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        rig.advance(0.125)
        second.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(265_625, 140_625, 406_250))
        assert first.was_aborted
        assert rig.notes.take("completed", "node_failed") == [("completed", b"", 200, "http://node-2", 2)]
        assert [node.state.record.failed for node in rig.nodes.values()] == [0, 0]


def test_the_first_answer_wins_when_it_is_first_and_the_second_try_is_given_up() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        first.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert second.was_aborted
        assert rig.notes.take("completed", "node_failed") == [("completed", b"", 200, "http://node-1", 2)]
        assert [node.state.record.failed for node in rig.nodes.values()] == [0, 0]


def test_a_stream_of_the_second_node_wins_with_its_head() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert first.was_aborted
        second.send(b"cd")
        assert client.take().endswith(b"\r\n\r\nabcd")
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


def test_a_stream_of_the_first_node_wins_with_its_head() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        second.send(ANSWER)
        first.send(b"cd")
        assert client.take().endswith(b"\r\n\r\nabcd")
        assert second.was_aborted


def test_a_stream_that_began_before_its_time_needs_no_second_try() -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first_node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        rig.advance(1)
        assert second_node.is_quiet()
        call.send(b"cd")
        assert client.take().endswith(b"\r\n\r\nabcd")


@pytest.mark.parametrize("how", ["a failure", "what may be an error of the node"])
def test_when_an_answer_is_on_its_way_that_is_held_there_is_no_second_try(how: str) -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first_node.accept()
        status = b"500 Broken" if how == "a failure" else b"200 OK"
        call.send(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n[" % status)
        rig.advance(1)
        assert second_node.is_quiet() and client.take() == b""
        call.send(b"]")
        if how == "a failure":
            second_node.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


# When one of them fails


@pytest.mark.parametrize("how", ["status", "long answer", "reset", "refused"])
def test_a_second_try_that_fails_lets_the_first_go_on(how: str) -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        if how == "refused":
            second_node.fault = ConnectionRefusedError(111, "Connection refused")
        client.send(POST)
        first = first_node.accept()
        rig.advance(DELAY_S + 2 * TICK_S)
        if how != "refused":
            second = second_node.accept()
            if how == "status":
                second.send(FAILURE)
            elif how == "long answer":
                second.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 9\r\n\r\noops")
            else:
                second.break_off()
        assert client.take() == b""
        assert rig.counts()[:2] == (0, 1)
        first.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-1", 2)]


@pytest.mark.parametrize("how", ["status", "long answer", "reset", "late"])
def test_a_first_try_that_fails_lets_the_second_go_on(how: str) -> None:
    with Rig(hedging=hedging(), max_tries=1) as rig:
        client, first, second = hedged(rig)
        if how == "status":
            first.send(FAILURE)
        elif how == "long answer":
            first.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 9\r\n\r\noops")
            first.send(b" oops")
        elif how == "reset":
            first.break_off()
        else:
            rig.advance(2.75)
        assert client.take() == b""
        assert rig.counts()[:2] == (0, 1)
        second.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


def test_when_both_fail_the_last_failure_counts() -> None:
    with Rig(hedging=hedging(), max_tries=1) as rig:
        client, first, second = hedged(rig)
        first.break_off()
        second.break_off()
        assert client.take() == UNREACHABLE


def test_when_both_fail_what_a_node_said_is_not_lost() -> None:
    with Rig(hedging=hedging(), max_tries=1) as rig:
        client, first, second = hedged(rig)
        first.send(FAILURE)
        second.break_off()
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 500 Broken\r\n") and answer.endswith(b"\r\n\r\noops")


@pytest.mark.parametrize("how", ["whole", "in parts"])
def test_a_node_whose_second_try_asks_for_a_pause_gets_it(how: str) -> None:
    head = b"HTTP/1.1 503 Busy\r\nRetry-After: %d\r\nContent-Length: 4\r\n\r\n"
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        assert second.take() == AT_SECOND
        second.send(head % 2 + b"oops" if how == "whole" else head % 2)
        first.take()
        first.send(head % 1 + b"oops")
        rig.advance(0.9)
        assert (rig.counts()[:2], first.take(), second.take()) == ((1, 0), b"", b"")
        rig.advance(0.2)
        assert first.take() == POST_AT_NODE
        first.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")


def test_when_both_fail_a_third_node_is_tried() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        third_node = rig.node()
        first.break_off()
        second.break_off()
        third_node.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-3", 3)]


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_kept_connection_that_was_closed_is_replaced_for_a_second_try_as_for_a_first(
    is_removed: bool,
) -> None:
    """Of a node that has been removed meanwhile, too: what it has in flight goes on."""
    with Rig(hedging=hedging()) as rig:
        first_node, second_node = rig.node(), rig.node()
        warm = [rig.client(), rig.client()]
        for client in warm:
            client.send(GET)
        first, second = first_node.accept(), second_node.accept()
        for call in (first, second):
            call.send(ANSWER)
            call.take()
        client = rig.client()
        client.send(POST)
        rig.run()
        slow, other, other_node = (
            (first, second, second_node) if first.take() else (second, first, first_node)
        )
        rig.advance(DELAY_S + 2 * TICK_S)
        assert other.take() != b""
        if is_removed:
            rig.traffic.detach(other_node.state)
        other.end()
        other_node.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert slow.was_aborted


# Who leaves


def test_a_client_that_leaves_ends_both() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        client.end()
        assert rig.counts() == (0, 0, 0)
        assert first.was_aborted and second.was_aborted


def test_a_client_that_leaves_before_its_time_ends_the_waiting_for_it() -> None:
    with Rig(hedging=hedging()) as rig:
        _, second_node, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        rig.run()
        client.end()
        rig.advance(1)
        assert second_node.is_quiet()


def test_the_end_of_the_program_ends_both() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        rig.listener.shut_down()
        rig.run()
        assert client.take() == problem(b"503 Service Unavailable", "shutting down", b"Retry-After: 1\r\n")
        assert first.was_aborted and second.was_aborted


# What is learned


def test_first_tries_teach_how_long_is_unusual() -> None:
    learning = Hedging(frozenset({LOW}), 1000.0, 1000.0)
    with Rig(hedging=learning) as rig:
        node, client = rig.node(), rig.client()
        for _ in range(64):
            client.send(POST)
            rig.run()
            rig.advance(0.5)
            node.connections[0].send(ANSWER)
        assert client.take() == 64 * answer_at_client(times=timings(0, 500_000, 500_000))
        assert learning.delay_s(LOW) == 0.5


def learned(learning: Hedging) -> list[float]:
    """Return how long tries have taken that were told since `hedging`, in seconds."""
    return learning._lanes[LOW]._latencies_s[64:]


@pytest.mark.parametrize("answer", [ANSWER, ANSWER[:-1]], ids=["whole", "stream"])
@pytest.mark.parametrize("is_second_better", [False, True])
def test_a_first_try_beside_which_there_was_a_second_teaches_how_long_it_took_at_least(
    is_second_better: bool, answer: bytes
) -> None:
    """Else all that take long would be left out, and what is unusual would become more and more usual."""
    learning = hedging()
    with Rig(hedging=learning) as rig:
        client, *calls = hedged(rig)
        rig.advance(0.5 - DELAY_S - 2 * TICK_S)
        calls[is_second_better].send(answer)
        if answer != ANSWER:
            calls[is_second_better].send(ANSWER[-1:])
        assert client.take().endswith(b"\r\n\r\n[]")
        assert learned(learning) == [0.5]


@pytest.mark.parametrize(
    "request_",
    [
        POST.replace(b"POST", b"PATCH"),
        GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: x\r\nHost"),
        POST.replace(b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n0\r\nT: 1\r\n\r\n"),
    ],
    ids=["a method that must not be repeated", "another protocol", "a body that passes through"],
)
def test_those_that_get_no_second_try_teach_nothing(request_: bytes) -> None:
    learning = hedging()
    with Rig(hedging=learning) as rig:
        node, client = rig.node(), rig.client()
        client.send(request_)
        call = node.accept()
        rig.advance(1)
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")
        assert learned(learning) == []


@pytest.mark.parametrize("is_second_better", [False, True])
def test_the_slot_of_the_worse_try_serves_who_waits_while_the_answer_streams(is_second_better: bool) -> None:
    with Rig(hedging=hedging()) as rig:
        nodes = [rig.node(slots=1), rig.node(slots=1)]
        hedged_client, waiting = rig.client(), rig.client()
        hedged_client.send(POST)
        calls = [nodes[0].accept()]
        rig.advance(DELAY_S + 2 * TICK_S)
        calls.append(nodes[1].accept())
        waiting.send(POST)
        rig.run()
        assert rig.scheduler.queue.length == 1
        calls[is_second_better].send(ANSWER[:-1])
        rig.run()
        assert rig.scheduler.queue.length == 0
        nodes[not is_second_better].accept().send(ANSWER)
        assert waiting.take().endswith(b"\r\n\r\n[]")
        calls[is_second_better].send(ANSWER[-1:])
        assert hedged_client.take().endswith(b"\r\n\r\n[]")


# A node that hangs


def test_a_first_try_that_is_outrun_before_anything_has_come_is_one_that_was_given_up() -> None:
    with Rig(hedging=hedging()) as rig:
        client, _, second = hedged(rig)
        second.send(ANSWER)
        client.take()
        assert [node.state.unanswered.in_a_row(0) for node in rig.nodes.values()] == [1, 0]


def test_not_so_where_an_answer_has_begun_though_a_bad_one() -> None:
    with Rig(hedging=hedging()) as rig:
        client, first, second = hedged(rig)
        first.send(FAILURE[:-1])
        second.send(ANSWER)
        client.take()
        assert [node.state.unanswered.in_a_row(0) for node in rig.nodes.values()] == [0, 0]


def test_nor_where_the_node_had_not_even_been_reached() -> None:
    with Rig(hedging=hedging()) as rig:
        first_node, second_node, client = rig.node(), rig.node(), rig.client()
        first_node.is_silent = True
        client.send(POST)
        rig.advance(DELAY_S + 2 * TICK_S)
        second_node.accept().send(ANSWER)
        client.take()
        assert [node.state.unanswered.in_a_row(0) for node in rig.nodes.values()] == [0, 0]
