"""Long bodies: they reach the other side whole, and are not copied behind what leaves before them."""

import pytest

from priolb.core.overload.preemption import Preemption
from priolb.core.retries.hedge import Hedging
from support.manual_loop import TICK_S
from support.messages import POST, answer_at_client, post
from support.rig import Rig

_SHORT = b"x" * 16_384
_LONG = b"x" * 16_385


def _head_at_node(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: node-1\r\nVia: 1.1 lb\r\nContent-Length: %d\r\n\r\n" % len(body)


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def test_a_long_body_leaves_behind_its_head_over_a_new_connection_and_over_a_used_one() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(post(body=_LONG))
        call = node.accept()
        assert call.writes == [_head_at_node(_LONG), _LONG]
        call.send(_answer(b"1"))
        client.send(post(body=_LONG))
        assert call.writes == [_head_at_node(_LONG), _LONG] * 2
        call.send(_answer(b"1"))
        client.send(post(body=_SHORT))
        assert call.writes[4:] == [_head_at_node(_SHORT) + _SHORT]
        call.send(_answer(b"1"))


@pytest.mark.parametrize("body", [_SHORT, _LONG])
def test_what_a_node_said_before_it_was_asked_is_no_answer(body: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(post(body=b"x"))
        used = node.accept()
        used.send(_answer(b"1"))
        client.take()
        # Both are there when the loop looks: the request is read first, and then what the node says.
        client._protocol.data_received(post(body=body))
        used._protocol.data_received(_answer(b"unasked"))
        rig.engine.flush()
        call = node.accept()
        assert b"".join(call.writes) == _head_at_node(body) + body
        call.send(_answer(b"2"))
        assert client.take() == answer_at_client(b"2")


@pytest.mark.parametrize("is_second_better", [True, False])
def test_a_long_body_goes_with_a_second_try_too(is_second_better: bool) -> None:
    hedging = Hedging(frozenset({2}), 100, 0.0)
    hedging.budget._floor = 100.0
    for _ in range(64):
        hedging.answered(2, 0.1)
    with Rig(hedging=hedging) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(post(body=_LONG))
        calls = [first.accept()]
        rig.advance(0.1 + TICK_S)
        calls.append(second.accept())
        for number, call in enumerate(calls, start=1):
            assert call.writes == [_head_at_node(_LONG).replace(b"node-1", b"node-%d" % number), _LONG]
        calls[is_second_better].send(_answer(b"1"))
        assert client.take().endswith(b"\r\n\r\n1")


def test_a_long_body_is_sent_again_by_one_that_lost_its_slot() -> None:
    with Rig(preemption=Preemption(frozenset({0}), frozenset({2}), 10, 0.0)) as rig:
        node, low, fast = rig.node(slots=1), rig.client(), rig.client()
        low.send(post(body=_LONG))
        lost = node.accept()
        fast.send(post(b"X-Fast-Track: true", body=b"x"))
        call = node.accept()
        assert lost.is_lost
        call.writes.clear()
        call.send(_answer(b"1"))
        assert fast.take().endswith(b"\r\n\r\n1")
        assert call.writes == [_head_at_node(_LONG), _LONG]
        call.send(_answer(b"2"))
        assert low.take().endswith(b"\r\n\r\n2")


def test_a_long_body_goes_with_its_own_request_alone() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(post(body=_LONG))
        call = node.accept()
        call.send(_answer(b"1"))
        client.send(post(body=b"x"))
        assert call.writes[2:] == [_head_at_node(b"x") + b"x"]
        call.send(_answer(b"1"))


def test_a_long_body_is_sent_again_to_the_next_node() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(post(body=_LONG))
        first.accept().send(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        call = second.accept()
        assert call.writes == [_head_at_node(_LONG).replace(b"node-1", b"node-2"), _LONG]
        call.send(_answer(b"1"))


def test_a_long_body_is_sent_again_when_a_used_connection_turns_out_to_be_closed() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        stale = node.accept()
        stale.send(_answer(b"1"))
        client.send(post(body=_LONG))
        stale.end()
        rig.run()
        call = node.accept()
        assert call.writes == [_head_at_node(_LONG), _LONG]
        call.send(_answer(b"1"))


@pytest.mark.parametrize(("body", "writes"), [(_SHORT, 1), (_LONG, 2)])
def test_a_long_answer_leaves_behind_its_head(body: bytes, writes: int) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(_answer(body))
        assert len(client.writes) == writes
        assert client.take() == answer_at_client(body)


def test_a_long_part_leaves_behind_a_head_that_was_put_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(_answer(_LONG + b"y")[:-1])
        assert client.writes[1:] == [_LONG]
        call.send(b"y")
        assert client.take() == answer_at_client(_LONG + b"y")
