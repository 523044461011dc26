"""Clients that leave: what they wanted ends in the same turn, wherever it is; of thousands, that of some."""

from collections.abc import Callable

import pytest

from priolb.core.timers import AT_ONCE
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import ANSWER, DEADLINE, FAILURE, POST, POST_AT_NODE, answer_at_client, timings
from support.rig import Rig

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


# Many at once


@either_way
def test_many_who_leave_at_once_leave_the_line_at_once_and_the_rest_is_done_in_portions(
    leave: Leaving,
) -> None:
    """What is held for them is given back, and logged, for so many in each turn of the loop."""
    many = 2 * AT_ONCE + 10
    with Rig() as rig:
        rig.node(is_healthy=False)
        clients = [rig.client() for _ in range(many)]
        for client in clients:
            client.send(POST)
        rig.notes.take()
        for client in clients:
            leave(client)
        portions = [(rig.counts(), len(rig.notes.take("client_left")))]
        for _ in range(3):
            rig.loop.turn()
            portions.append((rig.counts(), len(rig.notes.take("client_left"))))
        assert portions == [
            ((0, 0, 2 * (many - AT_ONCE)), AT_ONCE),
            ((0, 0, 2 * 10), AT_ONCE),
            ((0, 0, 0), 10),
            ((0, 0, 0), 0),
        ]
        assert all(client.is_lost for client in clients)


def test_many_connections_are_closed_in_portions() -> None:
    """To close a socket is most of what there is to do for a client that leaves."""
    with Rig() as rig:
        clients = [rig.client() for _ in range(2 * AT_ONCE + 10)]
        for client in clients:
            client.end()
        closing = [sum(client.is_closing() for client in clients)]
        for _ in range(2):
            rig.loop.turn()
            closing.append(sum(client.is_closing() for client in clients))
        assert closing == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 10]


@either_way
def test_of_many_who_leave_at_once_those_at_a_node_free_it_in_their_portion(leave: Leaving) -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=AT_ONCE + 10), [rig.client() for _ in range(AT_ONCE + 10)]
        for client in clients:
            client.send(POST)
        rig.run()
        for client in clients:
            leave(client)
        assert rig.counts() == (0, 10, 2 * 10)
        rig.loop.turn()
        assert rig.counts() == (0, 0, 0)
        assert all(call.was_aborted for call in node.connections)


def test_who_waits_to_be_let_go_gets_no_more_requests_through() -> None:
    """Its answer comes in the same turn as its end, and another request of it is there already."""
    with Rig() as rig:
        node, others, client = rig.node(slots=1), [rig.client() for _ in range(AT_ONCE)], rig.client()
        client.send(POST + POST)
        call = node.accept()
        for other in others:
            other.end()
        client.end()
        call.send(ANSWER)
        rig.run()
        assert client.take() == answer_at_client()
        assert client.is_lost
        assert call.take() == POST_AT_NODE


def test_with_tls_which_cannot_stay_open_a_connection_ends_by_itself() -> None:
    with Rig() as rig:
        for _ in range(AT_ONCE):
            rig.client().end()
        rig.node(is_healthy=False)
        client = rig.client(can_half_close=False)
        client.send(POST)
        client.end()
        assert client.is_closing()
        rig.run()
        assert rig.notes.take("client_left") == [("client_left", b"", 0, 2)]
