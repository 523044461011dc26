"""What an answer tells its client of the time it took and of the way it came."""

import pytest

from support.messages import ANSWER, FAILURE, POST, answer_at_client, timings
from support.rig import Rig


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


@pytest.mark.parametrize("length", [999, 1000, 1001])
def test_long_lanes_are_told_in_full(length: int) -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(length + 1)]
        for client in clients:
            client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        assert clients[0].take() == answer_at_client(times=timings(start=1, end=length))
        rig.run()
        for client in clients[1:]:
            assert client.is_ended is False
            call.send(ANSWER)
        assert clients[-1].take() == answer_at_client(times=timings(start=length))


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
