"""Clients that leave: what they wanted ends in the same turn, wherever it is."""

from collections.abc import Callable

import pytest

from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import (
    ANSWER,
    POST,
    POST_AT_NODE,
    answer_at_client,
    problem,
    timings,
)
from support.rig import Rig

DEADLINE = problem(b"504 Gateway Timeout", "request timeout hit before processing")
FAILURE = b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops"

Leaving = Callable[[MemoryTransport], None]
either_way = pytest.mark.parametrize("leave", [MemoryTransport.end, MemoryTransport.break_off])


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
