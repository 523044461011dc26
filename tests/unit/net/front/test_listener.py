"""The listener: how it drains, refuses what is left, and ends; and that it really listens."""

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from priolb.core.byte_budget import ByteBudget
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.timers import AT_ONCE
from priolb.http.forwarding import Forwarding
from priolb.http.parser import HeadLimits
from priolb.net.backend.backend import IdleBudget
from priolb.net.engine import Engine
from priolb.net.front.listener import Listener
from support.manual_loop import TICK_S
from support.messages import (
    ANSWER,
    CLOSE,
    NO_NODES,
    NOON,
    POST,
    RETRY_AFTER,
    VIA_NAME,
    answer_at_client,
    problem,
    timings,
)
from support.rig import RETRY_METHODS, Notes, Rig
from support.tickets import new_queue

SHUTTING_DOWN = problem(b"503 Service Unavailable", "shutting down", RETRY_AFTER + CLOSE)
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 4\r\n\r\n[]"


# Draining


def test_draining_closes_idle_connections_at_once() -> None:
    with Rig() as rig:
        node, fresh, used = rig.node(), rig.client(), rig.client()
        used.send(POST)
        node.accept().send(ANSWER)
        rig.listener.drain()
        rig.run()
        assert fresh.is_lost and used.is_lost
        assert used.take() == answer_at_client()


def test_draining_closes_a_connection_in_the_middle_of_a_head() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(POST[:10])
        rig.listener.drain()
        rig.run()
        assert client.is_lost
        assert client.take() == b""


def test_draining_lets_what_waits_and_what_runs_finish_and_closes_with_the_answer() -> None:
    with Rig() as rig:
        node, running, waiting = rig.node(slots=1), rig.client(), rig.client()
        running.send(POST)
        waiting.send(POST + POST)
        rig.listener.drain()
        call = node.accept()
        call.send(ANSWER)
        rig.run()
        assert running.take() == answer_at_client(times=timings(end=1), connection=CLOSE)
        assert running.is_lost
        call.send(ANSWER)
        rig.run()
        assert waiting.take() == answer_at_client(connection=CLOSE)
        assert waiting.is_ended


def test_draining_in_the_middle_of_an_answer_closes_with_its_end() -> None:
    """Its head has already promised that the connection stays."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER[:-1])
        rig.listener.drain()
        call.send(ANSWER[-1:])
        rig.run()
        assert client.take() == answer_at_client()
        assert client.is_lost
        assert rig.loop.complete(rig.listener.wait_closed(1.0)) is True


def test_a_body_that_is_complete_only_after_the_drain_is_refused() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(HALF_A_BODY)
        rig.listener.drain()
        rig.run()
        assert not client.is_closing()
        client.send(b"{}")
        rig.run()
        assert client.take() == SHUTTING_DOWN
        assert client.is_lost
        assert node.is_quiet()


def test_so_it_is_when_its_lane_is_full_as_well() -> None:
    """To be told that the queue is full, it would be invited to come again, on a connection that stays."""
    with Rig(lane_limits=(0, 0, 1)) as rig:
        node, running, waiting, late = rig.node(slots=1), rig.client(), rig.client(), rig.client()
        late.send(HALF_A_BODY)
        for client in (running, waiting):
            client.send(POST)
        call = node.accept()
        rig.listener.drain()
        late.send(b"{}")
        rig.run()
        assert late.take() == SHUTTING_DOWN
        assert late.is_lost
        for client in (running, waiting):
            call.send(ANSWER)
            assert client.take().endswith(b"\r\n\r\n[]")


def test_a_connection_that_was_accepted_before_the_drain_but_told_after_it_is_closed() -> None:
    with Rig() as rig:
        rig.listener.drain()
        client = rig.client()
        rig.run()
        assert client.is_lost


def test_a_client_that_reads_slowly_gets_its_last_answer_whole() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        node.accept().send(ANSWER)
        rig.listener.drain()
        rig.advance(29)
        client.send(POST)
        client.read()
        rig.run()
        assert client.take() == answer_at_client()
        assert client.is_ended and not client.is_closing(), "what it has said meanwhile would have reset it"
        client.end()
        rig.run()
        assert client.is_lost and not client.was_aborted


def test_draining_closes_many_idle_connections_in_portions() -> None:
    with Rig() as rig:
        idle = [rig.client() for _ in range(2 * AT_ONCE + 10)]
        waiting = rig.loop.create_task(rig.listener.wait_closed(60.0))
        rig.listener.drain()
        closing = [sum(client.is_closing() for client in idle)]
        for _ in range(2):
            rig.loop.turn()
            closing.append(sum(client.is_closing() for client in idle))
        assert closing == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 10]
        rig.run()
        assert all(client.is_lost for client in idle)
        assert waiting.result() is True


def test_what_is_under_way_is_answered_while_many_are_still_to_be_closed() -> None:
    with Rig() as rig:
        node, busy = rig.node(), rig.client()
        busy.send(POST)
        call = node.accept()
        idle = [rig.client() for _ in range(3 * AT_ONCE)]
        rig.listener.drain()
        call.send(ANSWER)
        assert busy.take() == answer_at_client(connection=CLOSE)
        assert sum(client.is_closing() for client in idle) == AT_ONCE
        rig.run()
        assert busy.is_lost and all(client.is_lost for client in idle)


def test_a_request_that_comes_before_its_connection_is_closed_in_a_drain_is_refused() -> None:
    with Rig() as rig:
        idle = [rig.client() for _ in range(2 * AT_ONCE)]
        rig.listener.drain()
        late = next(client for client in idle if not client.is_closing())
        late.send(HALF_A_BODY)
        rig.run()
        assert [client for client in idle if not client.is_lost] == [late]
        late.send(b"{}")
        rig.run()
        assert late.take() == SHUTTING_DOWN
        assert late.is_lost


# Waiting


def test_waiting_ends_with_the_last_connection() -> None:
    with Rig() as rig:
        clients = [rig.client(), rig.client()]
        waiting = rig.loop.create_task(rig.listener.wait_closed(60.0))
        for client in clients:
            rig.advance(10)
            assert not waiting.done()
            client.end()
        rig.run()
        assert waiting.result() is True


def test_waiting_ends_with_its_time() -> None:
    with Rig() as rig:
        rig.client()
        waiting = rig.loop.create_task(rig.listener.wait_closed(15.0))
        rig.advance(15 - TICK_S)
        assert not waiting.done()
        rig.advance(TICK_S)
        assert waiting.result() is False


def test_without_a_connection_nothing_is_waited_for() -> None:
    with Rig() as rig:
        assert rig.loop.complete(rig.listener.wait_closed(15.0)) is True


# Shutting down what is left


def test_what_is_left_is_refused_wherever_it_is() -> None:
    with Rig() as rig:
        node = rig.node(slots=2)
        running, connecting, waiting, sending = [rig.client() for _ in range(4)]
        running.send(POST)
        call = node.accept()
        node.is_silent = True
        for client in (connecting, waiting):
            client.send(POST)
        sending.send(HALF_A_BODY)
        rig.run()
        assert rig.counts() == (1, 2, 8)
        rig.listener.drain()
        rig.listener.shut_down()
        assert rig.counts() == (0, 0, 0)
        rig.run()
        assert [client.take() for client in (running, connecting, waiting)] == [SHUTTING_DOWN] * 3
        assert sending.take() == SHUTTING_DOWN
        assert all(client.is_lost for client in (running, connecting, waiting))
        assert sending.is_ended
        assert call.is_lost
        assert (node.attempts, node.given_up) == (2, 1)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_answer_that_has_begun_is_cut_so_that_it_is_not_taken_for_complete(version: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/%s\r\nHost: balancer\r\n\r\n" % version)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        rig.listener.drain()
        rig.listener.shut_down()
        rig.run()
        assert call.was_aborted
        assert client.is_lost
        assert client.was_reset == (version == b"1.0")
        assert not client.take().endswith(b"0\r\n\r\n")


def test_what_is_refused_at_the_end_does_not_start_what_waits_behind_it() -> None:
    with Rig() as rig:
        node, running, waiting = rig.node(slots=1), rig.client(), rig.client()
        running.send(POST + POST)
        waiting.send(POST)
        rig.listener.drain()
        rig.listener.shut_down()
        rig.run()
        assert node.attempts == 0
        assert running.take() == waiting.take() == SHUTTING_DOWN


def test_closing_aborts_every_connection() -> None:
    with Rig() as rig:
        node, idle, running = rig.node(), rig.client(), rig.client()
        running.send(POST)
        call = node.accept()
        rig.loop.complete(rig.listener.close())
        rig.run()
        assert idle.is_lost and running.is_lost and call.is_lost
        assert running.take() == b""


# Real sockets


def real_listener(notes: Notes) -> Listener:
    """Return a listener without nodes on the running loop and the real clock."""
    limits = HeadLimits(65536, 100)
    engine = Engine(
        Scheduler(new_queue(), RetryPolicy(3)),
        ByteBudget(1 << 20),
        IdleBudget(1, 1, 1.0),
        notes,
        time.monotonic,
        lambda: NOON,
        try_timeout_s=3.0,
        node_idle_timeout_s=30.0,
        upgrade_idle_timeout_s=600.0,
        upgrades_max=0,
        head_limits=limits,
        retry_methods=RETRY_METHODS,
        via_name=VIA_NAME,
        legacy_errors=False,
    )
    return Listener(
        engine,
        None,
        forwards=True,
        head_limits=limits,
        forwarding=Forwarding(VIA_NAME, "http", tells_client=True, trusted=()),
        max_body_bytes=1024,
        replay_max_bytes=1024,
        body_min_bytes_per_s=0,
        connections_max=0,
        connections_per_peer=0,
        head_timeout_s=10.0,
        keepalive_timeout_s=75.0,
        stall_timeout_s=30.0,
    )


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_it_serves_who_came_early_and_listens_until_it_drains(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Over loopback, with the event loop of asyncio and with that of uvloop; no node is there."""

    async def main() -> None:
        notes = Notes()
        listener = real_listener(notes)
        port = listener.open("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST)
        await listener.accept()
        answer = await reader.readuntil(b"}\n")
        assert answer == NO_NODES
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert notes.take("refused", "rejected") == [
            ("refused", b"", "no_nodes", 503),
            ("rejected", "127.0.0.1", 400, "malformed request: the request line"),
        ]
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        listener.drain()
        assert await reader.read() == b""
        assert await listener.wait_closed(20.0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await listener.close()
        await listener.engine.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def test_a_port_that_was_taken_in_vain_is_given_back() -> None:
    async def main() -> None:
        listener = real_listener(Notes())
        port = listener.open("127.0.0.1", 0)
        await listener.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await listener.engine.close()

    asyncio.run(main())
