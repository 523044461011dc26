"""Requests in lanes that differ: in how long they may wait, how much, in which order, and in which slots."""

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.overload.shares import Shares
from priolb.core.queueing.discipline import Discipline, Strict
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.http.callers import Callers
from priolb.http.rules import NO_LANE, Rules
from priolb.net.front.door import Door
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import ANSWER, DEADLINE, FULL
from support.rig import Rig


def post(target: str, lane: str = "", body: bytes = b"{}") -> bytes:
    fields = {"": b"", "high": b"X-High-Priority: true\r\n", "fast": b"X-Fast-Track: true\r\n"}[lane]
    return b"POST /%s HTTP/1.1\r\nHost: balancer\r\n%sContent-Length: %d\r\n\r\n%s" % (
        target.encode(),
        fields,
        len(body),
        body,
    )


def three(low: Lane, high: Lane | None = None, discipline: Discipline | None = None) -> PriorityQueue:
    lanes = [Lane("fast", max_wait_s=5.0), high or Lane("high", max_wait_s=5.0), low]
    return PriorityQueue(lanes, discipline or Strict())


def target(call: MemoryTransport) -> str:
    """Return what the node is asked for next."""
    return call.take().split(b" ", 2)[1].decode().removeprefix("/")


def test_each_lane_waits_for_as_long_as_it_may() -> None:
    with Rig(queue=three(Lane("low", max_wait_s=0.5), Lane("high", max_wait_s=2.0))) as rig:
        rig.node(is_healthy=False)
        low, high = rig.client(), rig.client()
        low.send(post("low"))
        high.send(post("high", "high"))
        rig.advance(0.5 + TICK_S)
        assert (low.take(), high.take()) == (DEADLINE, b"")
        rig.advance(1.5)
        assert high.take() == DEADLINE


def test_bodies_that_wait_are_bounded_lane_by_lane() -> None:
    with Rig(queue=three(Lane("low", limit_bytes=10))) as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(5)]
        clients[0].send(post("runs", body=b"0" * 100))
        call = node.accept()
        assert target(call) == "runs"
        clients[1].send(post("waits", body=b"0" * 6))
        clients[2].send(post("refused", body=b"0" * 5))
        clients[3].send(post("other-lane", "high", body=b"0" * 100))
        clients[4].send(post("fits", body=b"0" * 4))
        assert [client.take() != b"" for client in clients] == [False, False, True, False, False]
        assert rig.scheduler.queue.lanes[2].held_bytes == 10
        order = []
        for _ in range(3):
            call.send(ANSWER)
            order.append(target(call))
        call.send(ANSWER)
        assert order == ["other-lane", "waits", "fits"]
        assert rig.scheduler.queue.lanes[2].held_bytes == 0


def test_what_is_going_to_be_refused_for_its_length_is_not_uploaded_first() -> None:
    with Rig(queue=three(Lane("low", limit_bytes=10)), replay_max_bytes=20) as rig:
        node, runs = rig.node(slots=1), rig.client()
        runs.send(post("runs"))
        call = node.accept()
        client = rig.client()
        head = b"POST / HTTP/1.1\r\nHost: balancer\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        client.send(head % 11)
        assert client.take().startswith(b"HTTP/1.1 503 ")
        fits = rig.client()
        fits.send(head % 10)
        assert fits.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        fits.send(b"0123456789")
        call.send(ANSWER)
        assert call.take() != b""
        call.send(ANSWER)


def test_of_a_body_that_passes_through_only_what_is_held_counts() -> None:
    with Rig(queue=three(Lane("low", limit_bytes=30)), replay_max_bytes=20) as rig:
        node, runs, long = rig.node(slots=1), rig.client(), rig.client()
        runs.send(post("runs"))
        call = node.accept()
        long.send(b"POST /long HTTP/1.1\r\nHost: balancer\r\nContent-Length: 1000\r\n\r\n" + b"0" * 25)
        assert rig.scheduler.queue.lanes[2].held_bytes == 25
        refused = rig.client()
        refused.send(post("refused", body=b"0" * 6))
        assert refused.take() == FULL
        long.break_off()
        rig.run()
        assert rig.scheduler.queue.lanes[2].held_bytes == 0
        call.send(ANSWER)


@pytest.mark.parametrize(
    ("greedy", "modest"),
    [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")],
    ids=["IPv4", "IPv6"],
)
def test_a_fair_lane_is_shared_by_networks(greedy: str, modest: str) -> None:
    fleet = Fleet()
    queue = three(FairLane("low", max_wait_s=5.0, seed=b"seed"))
    shares = Shares(queue.lanes, fleet, [0] * 3, [100] * 3)
    with Rig(queue=queue, fleet=fleet, shares=shares, door=Door(Callers(), Rules([], NO_LANE))) as rig:
        node = rig.node(slots=1)
        for number in range(4):
            rig.client(greedy).send(post(f"greedy-{number}"))
        call = node.accept()
        assert target(call) == "greedy-0"
        for number in range(2):
            rig.client(modest).send(post(f"modest-{number}"))
        order = []
        for _ in range(5):
            rig.advance(0.5)
            call.send(ANSWER)
            order.append(target(call))
        rig.advance(0.5)
        call.send(ANSWER)
    assert order == ["modest-0", "greedy-1", "modest-1", "greedy-2", "greedy-3"]


def test_connections_of_one_network_are_one_tenant() -> None:
    fleet = Fleet()
    queue = three(FairLane("low", max_wait_s=5.0, seed=b"seed"))
    shares = Shares(queue.lanes, fleet, [0] * 3, [100] * 3)
    with Rig(queue=queue, fleet=fleet, shares=shares, door=Door(Callers(), Rules([], NO_LANE))) as rig:
        node = rig.node(slots=1)
        for number in range(3):
            rig.client(f"2001:db8::{number}").send(post(str(number)))
        call = node.accept()
        order = [target(call)]
        for _ in range(2):
            rig.advance(0.5)
            call.send(ANSWER)
            order.append(target(call))
        call.send(ANSWER)
        assert order == ["0", "1", "2"]


def test_a_slot_that_is_kept_for_a_lane_serves_it_at_once_whoever_waits() -> None:
    fleet = Fleet()
    queue = three(Lane("low", max_wait_s=5.0))
    with Rig(queue=queue, fleet=fleet, shares=Shares(queue.lanes, fleet, [1, 0, 0], [100] * 3)) as rig:
        node, clients = rig.node(slots=2), [rig.client() for _ in range(3)]
        clients[0].send(post("first"))
        call = node.accept()
        assert target(call) == "first"
        clients[1].send(post("second"))
        assert node.is_quiet()
        assert rig.counts()[:2] == (1, 1)
        clients[2].send(post("urgent", "fast"))
        urgent = node.accept()
        assert target(urgent) == "urgent"
        urgent.send(ANSWER)
        rig.run()
        assert rig.counts()[:2] == (1, 1)
        call.send(ANSWER)
        served = next(each for each in (call, urgent) if each.take().startswith(b"POST /second "))
        served.send(ANSWER)
