"""What comes in one turn of the loop: slots that come free, and requests, in whatever order they are read."""

from typing import Any

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.queueing.classify import FAST_TRACK, LOW_PRIORITY
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.discipline import FastHighLow, Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import ANSWER, FULL, POST
from support.rig import MemoryNode, Rig

FAST = b"POST /fast HTTP/1.1\r\nHost: balancer\r\nX-Fast-Track: true\r\nContent-Length: 2\r\n\r\n{}"
EXPECTING = b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"


def read(connection: MemoryTransport, data: bytes) -> None:
    """Let something be read in a turn that goes on."""
    connection._protocol.data_received(data)


def come(rig: Rig, count: int, request: bytes = POST) -> list[MemoryTransport]:
    """Return so many new clients who have sent a request, in a turn that goes on."""
    clients = [rig.client() for _ in range(count)]
    for client in clients:
        read(client, request)
    return clients


def busy(rig: Rig, slots: int) -> MemoryNode:
    """Return a node all of whose slots are taken, and behind it one request that waits."""
    node = rig.node(slots=slots)
    for _ in range(slots + 1):
        rig.client().send(POST)
    rig.run()
    for call in node.connections:
        call.take()
    return node


def serve_all(rig: Rig, node: MemoryNode) -> list[bytes]:
    """Answer everything, and return with what each client was answered."""
    rig.run()
    while rig.running:
        for call in node.connections:
            if call.take():
                call.send(ANSWER)
        rig.run()
    return [client.take()[9:12] for client in rig.clients]


def test_a_better_request_gets_the_slot_that_came_free_before_it_was_read() -> None:
    with Rig() as rig:
        node = busy(rig, slots=1)
        call = node.connections[0]
        read(call, ANSWER)
        come(rig, 1, FAST)
        assert (call.take(), rig.counts()[:2]) == (b"", (2, 0)), "the turn goes on"
        rig.engine.flush()
        assert call.take().startswith(b"POST /fast HTTP/1.1\r\n")
        call.send(ANSWER)
        assert serve_all(rig, node) == [b"200"] * 3


def test_the_next_request_leaves_before_the_answer_whose_slot_it_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Rig() as rig:
        node = busy(rig, slots=1)
        call, answered = node.connections[0], rig.clients[0]
        answered_by_then: list[bytes] = []
        write = call.write

        def note_and_write(data: bytes) -> None:
            answered_by_then.append(answered.take())
            write(data)

        monkeypatch.setattr(call, "write", note_and_write)
        read(call, ANSWER)
        rig.engine.flush()
        assert answered_by_then == [b""]
        assert answered.take()[9:12] == b"200"
        call.send(ANSWER)
        assert serve_all(rig, node) == [b"", b"200"]


def test_what_loses_its_slot_in_the_turn_in_which_it_got_it_is_not_sent() -> None:
    """The turn is the low lane's, and the urgent request takes the slot from it at once."""
    lanes = [Lane(name, max_wait_s=5.0) for name in ("fast", "high", "low")]
    preemption = Preemption(frozenset({FAST_TRACK}), frozenset({LOW_PRIORITY}), 10, 0.0)
    with Rig(queue=PriorityQueue(lanes, Weighted([1, 1, 3])), preemption=preemption) as rig:
        node = busy(rig, slots=1)
        [call] = node.connections
        read(call, ANSWER)
        come(rig, 1, FAST)
        rig.engine.flush()
        rig.run()
        assert call.take() == b"", "nothing of the low request"
        assert rig.notes.take("preempted") == [("preempted", b"", LOW_PRIORITY, "http://node-1", b"")]
        assert node.connections[1].take().startswith(b"POST /fast HTTP/1.1\r\n")
        node.connections[1].send(ANSWER)
        assert serve_all(rig, node) == [b"200"] * 3


def test_a_lane_is_not_full_because_of_one_that_has_a_slot() -> None:
    with Rig(lane_limits=(1, 1, 1)) as rig:
        node = busy(rig, slots=4)
        for call in node.connections:
            read(call, ANSWER)
        come(rig, 5)
        rig.engine.flush()
        assert rig.clients[-1].take() == FULL, "with three slots for four new ones, one may wait, and one not"
        assert serve_all(rig, node) == [b"200"] * 9 + [b""]


def test_a_lane_that_is_full_refuses_though_something_was_put_off() -> None:
    with Rig(lane_limits=(0, 1, 1)) as rig:
        node = busy(rig, slots=1)
        come(rig, 1, FAST)
        [client] = come(rig, 1)
        rig.engine.flush()
        assert client.take() == FULL
        node.connections[0].send(ANSWER)
        assert serve_all(rig, node) == [b"200"] * 3 + [b""]


def test_nobody_is_displaced_for_one_that_has_a_slot() -> None:
    with Rig(queue_max=1) as rig:
        node = busy(rig, slots=2)
        for call in node.connections:
            read(call, ANSWER)
        come(rig, 1, FAST)
        rig.engine.flush()
        assert rig.running == 2
        assert serve_all(rig, node) == [b"200"] * 4


def test_an_upload_is_not_refused_because_of_one_that_has_a_slot() -> None:
    with Rig(lane_limits=(1, 1, 1)) as rig:
        node = busy(rig, slots=1)
        read(node.connections[0], ANSWER)
        [client] = come(rig, 1, EXPECTING)
        rig.engine.flush()
        assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        node.connections[0].send(ANSWER)
        client.send(b"{}")
        assert serve_all(rig, node) == [b"200"] * 3


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_slot_that_has_come_free_makes_no_wait_shorter_than_it_is(is_read_first: bool) -> None:
    """A request is served in a second, and may wait for two: so with one in line, one more may join it."""
    with Rig(estimate=WaitEstimate(3), request_timeout_s=2.0, try_timeout_s=100.0) as rig:
        node, client = rig.node(slots=1), rig.client()
        client.send(POST)
        call = node.accept()
        rig.advance(1.0)
        call.send(ANSWER)
        for _ in range(3):
            rig.client().send(POST)
        rig.advance(1.0)
        if is_read_first:
            read(call, ANSWER)
            new = come(rig, 3)
            rig.engine.flush()
        else:
            call.send(ANSWER)
            new = [rig.client() for _ in range(3)]
            for each in new:
                each.send(POST)
        assert [each.take()[9:12] for each in new] == [b"", b"503", b"503"]
        for each in rig.clients:
            each.break_off()
        rig.run()


def test_urgent_requests_of_one_turn_all_take_slots_of_others() -> None:
    preemption = Preemption(frozenset({FAST_TRACK}), frozenset({LOW_PRIORITY}), 10, 0.0)
    with Rig(
        preemption=preemption, estimate=WaitEstimate(3), request_timeout_s=1.0, try_timeout_s=100.0
    ) as rig:
        node = rig.node(slots=2)
        for _ in range(4):
            rig.client().send(POST)
            rig.run()
            rig.advance(4.0)
            for call in node.connections:
                if call.take():
                    call.send(ANSWER)
        for _ in range(2):
            rig.client().send(POST)
        rig.run()
        rig.advance(0.5)
        rig.notes.take()
        urgent = come(rig, 2, FAST)
        rig.engine.flush()
        rig.run()
        assert [note[0] for note in rig.notes.take("refused", "preempted")] == ["preempted"] * 2
        assert [client.take() for client in urgent] == [b"", b""]
        for each in rig.clients:
            each.break_off()
        rig.run()


@pytest.mark.parametrize("bounds", [{"lane_limits": (1, 1, 1)}, {"queue_max": 1}])
def test_the_next_request_of_a_client_is_not_refused_because_of_one_that_has_its_slot(
    bounds: dict[str, Any],
) -> None:
    with Rig(**bounds) as rig:
        node, client, other = rig.node(slots=1), rig.client(), rig.client()
        client.send(POST)
        call = node.accept()
        client.send(POST)  # it is read once the first one is answered
        other.send(POST)
        call.send(ANSWER)
        assert (client.take()[:12], rig.counts()[:2]) == (b"HTTP/1.1 200", (1, 1))
        call.take()
        call.send(ANSWER)
        call.send(ANSWER)
        assert (client.take()[:12], other.take()[:12]) == (b"HTTP/1.1 200", b"HTTP/1.1 200")


def test_nobody_is_shed_who_has_a_slot() -> None:
    lanes = [Lane("fast"), Lane("high"), CodelLane("low", 0, 0, 5.0)]
    with Rig(queue=PriorityQueue(lanes, FastHighLow(2, False)), try_timeout_s=100.0) as rig:
        node, clients = rig.node(slots=2), [rig.client() for _ in range(4)]
        for client in clients:
            client.send(POST)
        rig.run()
        shed_in_s = rig.scheduler.next_refusal() - rig.clock()
        assert 0.0 < shed_in_s < 1.0
        for call in node.connections:
            call.take()
            read(call, ANSWER)
        rig.clock.now += shed_in_s + TICK_S
        rig.engine._on_alarm()  # loops look at their timers before the end of the turn
        assert rig.counts()[:2] == (0, 2)
        assert serve_all(rig, node) == [b"200"] * 4


@pytest.mark.parametrize("queue_max", [0, 1])
def test_who_comes_when_nobody_may_have_a_slot_that_is_free_starts_though_the_line_is_full(
    queue_max: int,
) -> None:
    """Who waits has failed on that node, and rests; and there was another, whom the slot was for."""
    with Rig(lane_limits=(0, 0, 0 if queue_max else 1), queue_max=queue_max) as rig:
        node = rig.node(slots=2)
        [resting, running] = come(rig, 2)
        rig.run()
        first = node.connections[0]
        read(first, b"HTTP/1.1 503 Busy\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n")
        rig.run()
        assert rig.counts()[:2] == (1, 1)
        newcomers = come(rig, 2)
        rig.run()
        assert rig.counts()[:2] == (1, 2)
        assert [each.take()[9:12] for each in (resting, running, *newcomers)] == [b"", b"", b"", b"503"]
        rig.advance(4 + TICK_S)
        serve_all(rig, node)


def test_all_whose_time_is_over_are_told_whatever_is_wrong_with_one() -> None:
    with Rig() as rig:
        node = busy(rig, 1)
        first = come(rig, 1)
        assert rig.scheduler.submit(Ticket(LOW_PRIORITY, rig.clock(), rig.clock() + 5.0)) is None  # nobody's
        clients = [*first, *come(rig, 2)]
        rig.clock.now += 5.0 + TICK_S
        with pytest.raises(AssertionError):
            rig.engine._on_alarm()
        rig.run()
        assert [client.take()[9:12] for client in clients] == [b"504"] * 3
        assert rig.counts()[0] == 0
        node.connections[0].send(ANSWER)


def test_a_node_that_is_found_well_by_the_start_of_an_answer_gets_more_at_once() -> None:
    fleet = Fleet(policy=HealthPolicy(ejected_max_percent=100, eject_after=5))
    with Rig(fleet=fleet, try_timeout_s=100.0) as rig:
        node = rig.node(slots=3)
        node.state.breaker.open(rig.clock(), 1.0, 10.0)
        fleet.rest(node.state, "x", rig.clock())
        rig.traffic.settle()
        clients = [rig.client() for _ in range(3)]
        for client in clients:
            client.send(POST)
        rig.advance(1.5)
        assert rig.counts()[:2] == (2, 1), "one of them decides"
        node.connections[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        rig.run()
        assert rig.counts()[:2] == (0, 3)
        for client in clients:
            client.break_off()
        rig.run()


def test_what_others_have_to_send_leaves_though_a_start_goes_wrong() -> None:
    def broken() -> float:
        raise RuntimeError("once")

    with Rig() as rig:
        node = busy(rig, slots=1)
        [call], answered = node.connections, rig.clients[0]
        read(call, ANSWER)
        rig.engine.clock = broken
        rig.loop.turn()
        rig.engine.clock = rig.clock
        assert [str(error["exception"]) for error in rig.loop.errors] == ["once"]
        rig.loop.errors.clear()
        assert answered.take().startswith(b"HTTP/1.1 200 OK\r\n")
        rig.loop.turn()
        assert call.take().startswith(b"POST / HTTP/1.1\r\n")
        call.send(ANSWER)
