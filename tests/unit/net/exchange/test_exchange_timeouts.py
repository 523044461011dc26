"""Requests whose clients say how long they wait."""

from math import inf

import pytest

from priolb.core.nodes.status import NodeStatus
from priolb.core.retries.hedge import Hedging
from support.manual_loop import TICK_S
from support.messages import ANSWER, DEADLINE, POST, answer_at_client, post, timings
from support.rig import Rig

HALF = post(b"X-Request-Timeout: 0.5")


def test_in_line_it_is_refused_when_its_own_time_is_over() -> None:
    with Rig() as rig:
        node, client = rig.node(is_healthy=False), rig.client()
        client.send(HALF)
        rig.advance(0.5)
        assert client.take() == b""
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert not client.is_closing()
        assert node.attempts == 0
        assert rig.notes.take() == [("queued", b"", 2, 2, (0, 0, 1)), ("refused", b"", "deadline", 504)]


def test_a_longer_time_than_ours_changes_nothing() -> None:
    with Rig() as rig:
        client = rig.client()
        rig.node(is_healthy=False)
        client.send(post(b"X-Request-Timeout: 60"))
        rig.advance(5 + TICK_S)
        assert client.take() == DEADLINE


def test_at_a_node_it_is_refused_when_its_time_is_over_and_the_node_is_not_to_blame() -> None:
    with Rig() as rig:
        node, other, client = rig.node(), rig.node(), rig.client()
        client.send(HALF)
        call = node.accept()
        rig.advance(0.5)
        assert client.take() == b""
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert call.is_lost and other.is_quiet()
        assert node.state.record.failed == 0
        assert rig.notes.take() == [("queued", b"", 2, 2, (0, 0, 1)), ("refused", b"", "deadline", 504)]


def test_the_field_travels_on_as_it_came() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(post(b"grpc-timeout: 500m"))
        call = node.accept()
        assert b"\r\ngrpc-timeout: 500m\r\n" in call.take()
        call.send(ANSWER)
        assert client.take() == answer_at_client()


def test_an_answer_that_has_begun_may_take_longer() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(HALF)
        call = node.accept()
        rig.advance(0.375)
        call.send(ANSWER[:-1])
        rig.advance(10)
        call.send(ANSWER[-1:])
        assert client.take() == answer_at_client(times=timings(0, 375_000, 375_000))


def test_one_that_a_node_has_failed_gets_that_answer_when_its_time_is_over() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(HALF)
        first.accept().send(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")
        second.accept()
        rig.advance(0.5 + TICK_S)
        assert client.take() == answer_at_client(b"no", timings(0, 515_625, 515_625), status=b"500 No")


def test_a_failing_answer_that_takes_too_long_is_no_reason_to_blame_the_node() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(HALF)
        node.accept().send(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nn")
        rig.advance(0.5 + TICK_S)
        assert client.take() == DEADLINE
        assert node.state.record.failed == 0


def test_a_try_that_is_late_before_that_is_the_nodes_fault() -> None:
    with Rig(try_timeout_s=0.25) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(HALF)
        first.accept()
        rig.advance(0.25 + TICK_S)
        assert first.state.record.failed == 1
        second.accept().send(ANSWER)
        assert client.take() == answer_at_client(times=timings(265_625, 0, 265_625))


def test_no_try_starts_after_it() -> None:
    with Rig() as rig:
        node, holder, client = rig.node(slots=1), rig.client(), rig.client()
        holder.send(POST)
        call = node.accept()
        client.send(HALF)
        rig.advance(0.5)
        rig.clock.now += TICK_S / 2
        call.send(ANSWER)
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert node.is_quiet()


@pytest.mark.parametrize("is_first_gone", [False, True])
def test_it_ends_a_second_try_too_and_neither_node_is_to_blame(is_first_gone: bool) -> None:
    hedging = Hedging(frozenset({2}), 100, 0.0)
    for _ in range(64):
        hedging.answered(2, 0.1)
    hedging.budget._floor = inf
    with Rig(hedging=hedging) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(HALF)
        call = first.accept()
        rig.advance(0.1 + TICK_S)
        second.accept()
        if is_first_gone:
            call.send(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno")
        rig.advance(0.5)
        taken = client.take()
        assert taken.startswith(b"HTTP/1.1 500 No\r\n") if is_first_gone else taken == DEADLINE
        assert [node.state.record.failed for node in (first, second)] == [int(is_first_gone), 0]
        assert [node.state.status for node in (first, second)] == [NodeStatus.UP] * 2


def test_a_time_that_is_malformed_is_refused_before_anything_else() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(post(b"X-Request-Timeout: soon"))
        assert client.take().startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert node.is_quiet()
