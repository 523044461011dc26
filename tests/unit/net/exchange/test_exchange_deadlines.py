"""Requests that run out of time, in line and at a node."""

from priolb.core.ticket import ENDED, WAITING
from priolb.core.timers import AT_ONCE
from support.manual_loop import TICK_S
from support.messages import ANSWER, DEADLINE, FULL, NO_NODES, NODE_TIMEOUT, POST, answer_at_client, timings
from support.rig import Rig


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


def test_those_whose_time_is_over_at_one_moment_are_refused_in_parts_between_turns_of_others() -> None:
    with Rig() as rig:
        rig.node(is_healthy=False)
        clients = [rig.client() for _ in range(AT_ONCE + 1)]
        for client in clients:
            client.send(POST)
        rig.advance(5 + TICK_S)
        assert [client.take() for client in clients] == [DEADLINE] * AT_ONCE + [b""]
        rig.advance(TICK_S)
        assert clients[-1].take() == DEADLINE


def test_without_a_node_a_request_is_refused_at_once() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(POST)
        assert client.take() == NO_NODES


def test_a_full_lane_refuses_at_once() -> None:
    with Rig(lane_limits=(0, 0, 1)) as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(3)]
        for client in clients:
            client.send(POST)
        assert clients[2].take() == FULL
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
        rig.set_healthy(node.state, True)
        assert client.take() == DEADLINE
        assert rig.notes.take("client_left", "refused") == [("refused", b"", "deadline", 504)]
