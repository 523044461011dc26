"""The engine: who is served when a node comes, recovers or goes, and the one timer."""

from functools import partial
from math import inf

import pytest

from priolb.core.queueing.discipline import FastHighLow
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.net.front.connection import FrontConnection
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import (
    ANSWER,
    CLOSE,
    DATE,
    NO_NODES,
    POST,
    POST_AT_NODE,
    answer_at_client,
    post,
    timings,
)
from support.rig import Rig


def lapse_in(rig: Rig, client: MemoryTransport, seconds: float) -> FrontConnection:
    """Let an idle client lapse, which closes it, and return its connection."""
    connection = client._protocol
    assert isinstance(connection, FrontConnection)
    connection.lapses_at = rig.clock.now + seconds
    rig.engine.watch(connection)
    return connection


def test_requests_that_wait_go_by_priority_as_slots_become_free() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(4)]
        clients[0].send(post(b"X-Request-ID: busy"))
        clients[1].send(post(b"X-Request-ID: low"))
        clients[2].send(post(b"X-Request-ID: high", b"high_prio: true"))
        clients[3].send(post(b"X-Request-ID: fast", b"X-Fast-Track: true"))
        call = node.accept()
        order = []
        for _ in range(4):
            order.append(call.take().split(b"X-Request-ID: ")[1][:4].strip())
            call.send(ANSWER)
        assert order == [b"busy", b"fast", b"high", b"low"]


def test_a_request_that_starts_at_once_is_told_as_alone_in_line_whatever_the_number_of_lanes() -> None:
    names = ("a", "b", "c", "d")
    with Rig(queue=PriorityQueue([Lane(name) for name in names], FastHighLow(2))) as rig:
        node, client = rig.node(), rig.client()
        client.send(post(b"X-Fast-Track: true"))
        call = node.accept()
        call.send(ANSWER)
        client.send(POST)
        call.send(ANSWER)
        assert rig.notes.take("queued") == [
            ("queued", b"", 0, 2, (1, 0, 0, 0)),
            ("queued", b"", 2, 2, (0, 0, 1, 0)),
        ]


def test_a_node_gets_no_more_than_its_slots() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=2), [rig.client() for _ in range(5)]
        for client in clients:
            client.send(POST)
        rig.run()
        assert len(node.connections) == 2
        assert rig.counts() == (3, 2, 10)
        for index in (0, 1, 0, 1, 0):
            node.connections[index].send(ANSWER)
        assert len(node.connections) == 2


def test_requests_go_to_the_node_with_the_fewest_in_flight() -> None:
    with Rig() as rig:
        first, second, clients = rig.node(), rig.node(), [rig.client() for _ in range(4)]
        for client in clients:
            client.send(POST)
        rig.run()
        assert [len(first.connections), len(second.connections)] == [2, 2]
        for call in first.connections + second.connections:
            call.send(ANSWER)


def test_a_node_that_passes_its_health_check_is_given_what_waits_at_once() -> None:
    with Rig() as rig:
        node, client = rig.node(is_healthy=False), rig.client()
        client.send(POST)
        rig.advance(2)
        assert node.attempts == 0
        rig.set_healthy(node.state, True)
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client(times=timings(2_000_000, 0, 2_000_000))


def test_of_many_who_may_start_on_new_connections_sixteen_do_in_each_turn_of_the_loop() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=40, is_healthy=False), [rig.client() for _ in range(41)]
        for client in clients:
            client.send(POST)
        rig.run()
        rig.set_healthy(node.state, True)
        started = [rig.running]
        for _ in range(3):
            rig.loop.turn()
            started.append(rig.running)
        assert started == [16, 32, 40, 40]
        rig.run()
        for call in node.connections:
            call.send(ANSWER)
        node.connections[0].send(ANSWER)
        assert [len(client.take()) > 0 for client in clients] == [True] * 41


def test_of_many_who_may_start_on_open_connections_sixty_four_do_in_each_turn() -> None:
    with Rig(max_idle=100) as rig:
        node, clients = rig.node(slots=100), [rig.client() for _ in range(200)]
        for client in clients:
            client.send(POST)
        rig.run()
        assert rig.running == len(node.connections) == 100
        for call in node.connections:
            call._protocol.data_received(ANSWER)
        started = [rig.running]
        for _ in range(3):
            rig.loop.turn()
            started.append(rig.running)
        assert started == [0, 64, 100, 100]
        assert len(node.connections) == 100
        for call in node.connections:
            call.send(ANSWER)
        assert [len(client.take()) > 0 for client in clients] == [True] * 200


def test_a_connection_that_is_open_does_not_hide_those_that_are_made() -> None:
    """What must not be sent twice goes out on a new connection, though another one is idle."""
    patch = POST.replace(b"POST", b"PATCH")
    with Rig() as rig:
        node, clients = rig.node(slots=100), [rig.client() for _ in range(41)]
        clients[0].send(POST)
        node.accept().send(ANSWER)
        rig.set_healthy(node.state, False)
        for client in clients[1:]:
            client.send(patch)
        rig.run()
        rig.set_healthy(node.state, True)
        assert rig.running == 16
        rig.run()
        assert (node.attempts, rig.running) == (41, 40)
        for call in node.connections[1:]:
            call.send(ANSWER)
        assert [len(client.take()) > 0 for client in clients] == [True] * 41


def test_more_starts_are_put_off_once_a_turn_however_often_that_is_asked_for() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=64, is_healthy=False), [rig.client() for _ in range(100)]
        for client in clients:
            client.send(POST)
        rig.run()
        rig.set_healthy(node.state, True)
        rig.traffic.settle()
        assert rig.running == 32
        rig.loop.turn()
        assert rig.running == 48
        rig.run()
        assert rig.counts() == (36, 64, 200)
        for client in clients:
            client.break_off()
        rig.run()  # so many do not leave in one turn


def test_a_node_that_fails_its_health_check_gets_no_new_request() -> None:
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        rig.set_healthy(first.state, False)
        for _ in range(3):
            client.send(POST)
            rig.run()
            second.connections[0].send(ANSWER)
        assert first.attempts == 0


def test_a_node_that_is_only_known_takes_no_part() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        rig.traffic.detach(node.state)
        client.send(POST)
        assert client.take() == NO_NODES


def test_a_retry_that_waited_for_a_node_which_is_removed_goes_elsewhere() -> None:
    with Rig() as rig:
        first, second = rig.node(slots=1), rig.node(slots=1)
        retried, other = rig.client(), rig.client()
        retried.send(POST)
        other.send(POST)
        call, busy = first.accept(), second.accept()
        call.send(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
        assert call.take() == POST_AT_NODE
        assert rig.counts() == (1, 1, 4)
        rig.traffic.detach(second.state)
        rig.run()
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert retried.take() == answer_at_client()
        busy.send(ANSWER)
        assert other.take() == answer_at_client()


# Time


def test_whatever_is_watched_lapses_once_at_its_time() -> None:
    with Rig() as rig:
        clients = {seconds: rig.client() for seconds in (3.0, 1.0, 2.0, 0.5)}
        for seconds, client in clients.items():
            lapse_in(rig, client, seconds)
        start = rig.clock.now
        for seconds in (0.5, 1.0, 2.0, 3.0):
            rig.advance(start + seconds - rig.clock.now)
            assert clients[seconds].calls == []
            rig.advance(2 * TICK_S)
            assert clients[seconds].calls == ["close"]
        rig.advance(100)
        assert [client.calls for client in clients.values()] == [["close"]] * 4


def test_what_is_forgotten_or_put_off_does_not_lapse() -> None:
    with Rig() as rig:
        forgotten, put_off = rig.client(), rig.client()
        rig.engine.forget(lapse_in(rig, forgotten, 1))
        lapse_in(rig, put_off, 1).lapses_at += 1
        rig.advance(1.9)
        assert put_off.calls == []
        rig.advance(0.2)
        assert (forgotten.calls, put_off.calls) == ([], ["close"])


def test_what_is_ended_by_the_lapse_of_another_at_the_same_time_does_not_lapse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Rig() as rig:
        clients = [rig.client(), rig.client()]
        connections = [lapse_in(rig, client, 1) for client in clients]
        lapsed = []

        def end_the_other(own: int) -> None:
            lapsed.append(own)
            rig.engine.forget(connections[1 - own])

        for own, client in enumerate(clients):
            monkeypatch.setattr(client, "close", partial(end_the_other, own))
        rig.advance(2)
        assert len(lapsed) == 1


def test_an_error_in_one_lapse_does_not_stop_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("broken")

    with Rig() as rig:
        broken, later = rig.client(), rig.client()
        monkeypatch.setattr(broken, "close", fail)
        lapse_in(rig, broken, 1)
        lapse_in(rig, later, 2)
        rig.advance(3)
        assert later.calls == ["close"]
        assert [str(error["exception"]) for error in rig.loop.errors] == ["broken"]
        rig.loop.errors.clear()


def test_the_engine_never_has_more_than_one_timer() -> None:
    with Rig() as rig:
        node, clients = rig.node(slots=1), [rig.client() for _ in range(5)]
        for client in clients:
            client.send(POST)
            rig.advance(0.5)
        timers = [timer for timer in rig.loop._timers if not timer.cancelled()]
        assert len(timers) == 1
        call = node.connections[0]
        for _ in clients:
            call.send(ANSWER)


def test_everything_that_is_late_is_refused_in_the_order_of_its_arrival() -> None:
    with Rig() as rig:
        rig.node(is_healthy=False)
        clients = [rig.client() for _ in range(3)]
        for client in clients:
            client.send(post(b"X-Request-ID: r%d" % clients.index(client)))
            rig.advance(0.25)
        rig.advance(10)
        refused = [note[1] for note in rig.notes.take("refused")]
        assert refused == [b"r0", b"r1", b"r2"]


# The end


def test_closing_the_engine_ends_its_timer_its_connections_and_those_under_way() -> None:
    with Rig() as rig:
        node, client, other = rig.node(), rig.client(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        node.is_silent = True
        client.send(POST)
        other.send(POST)
        call.send(ANSWER)
        rig.run()
        rig.loop.complete(rig.engine.close())
        assert call.is_lost
        assert node.given_up == 1
        assert [timer for timer in rig.loop._timers if not timer.cancelled()] == []
        assert rig.engine._alarm_at == inf
        other.end()


def test_legacy_answers_are_those_of_the_original() -> None:
    with Rig(legacy_errors=True) as rig:
        client = rig.client()
        client.send(POST)
        assert client.take() == (
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 19\r\n" + DATE + b"\r\nno nodes available\n"
        )
        client.send(b"nonsense\r\n\r\n")
        assert client.take() == (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\n"
            + DATE
            + CLOSE
            + b"\r\nbad request: malformed request: the request line\n"
        )


def test_the_date_of_answers_is_read_off_the_clock_on_the_wall_once_a_second() -> None:
    with Rig() as rig:
        assert rig.engine.date(10.0) == DATE
        rig.wall_s += 1.5
        assert rig.engine.date(10.99) == DATE
        assert rig.engine.date(11.0) == DATE.replace(b"12:00:00", b"12:00:01")


# Writes


def test_writes_of_one_turn_leave_together_at_its_end() -> None:
    with Rig() as rig:
        node = rig.node(slots=2)
        first, second = rig.client(), rig.client()
        first.send(POST)
        second.send(POST)
        rig.run()
        for call in node.connections:
            call._protocol.data_received(ANSWER)
        assert (first.take(), second.take()) == (b"", b"")
        rig.engine.flush()
        assert (first.take(), second.take()) == (answer_at_client(), answer_at_client())


def test_an_answer_that_ends_its_connection_leaves_before_the_end() -> None:
    with Rig() as rig:
        client = rig.client()
        client._protocol.data_received(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (client.calls, client.take()[:12]) == ([], b"HTTP/1.1 503")
        rig.run()
        assert client.calls == ["close"]


def test_what_was_put_off_for_a_connection_that_broke_is_dropped() -> None:
    with Rig() as rig:
        client = rig.client()
        client._protocol.data_received(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        client.break_off()
        rig.run()
        assert client.writes == []


def test_a_large_part_of_an_answer_is_not_put_off() -> None:
    """The loop may read from a node many times in a turn: a slow client has to be noticed at the first."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call._protocol.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 19999)
        assert len(client.take()) > 19999
        call._protocol.data_received(b"y")
        assert client.take() == b""
        rig.run()
        assert client.take() == b"y"


def test_what_a_node_says_before_a_request_has_left_is_no_answer_to_it() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        assert client.take() == answer_at_client()
        client._protocol.data_received(POST)
        call._protocol.data_received(ANSWER)
        fresh = node.accept()
        assert (client.take(), fresh.take()) == (b"", POST_AT_NODE)
        fresh.send(ANSWER)
        assert client.take() == answer_at_client()


def test_a_time_out_that_goes_wrong_takes_no_other_with_it() -> None:
    """Those of the same round were never told."""

    def fail() -> None:
        raise ZeroDivisionError

    with Rig() as rig:
        ill, *well, ill_too = clients = [rig.client() for _ in range(7)]
        for client in (ill, ill_too):
            client.close = fail  # type: ignore[method-assign]
        rig.advance(rig.listener.keepalive_timeout_s + 2 * TICK_S)
        rig.advance(TICK_S)
        rig.advance(TICK_S)
        assert [client.is_lost for client in clients] == [False, *[True for _ in well], False]
        assert [type(error["exception"]) for error in rig.loop.errors] == [ZeroDivisionError] * 2
        rig.loop.errors.clear()
