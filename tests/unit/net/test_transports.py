"""What transports do not tell by themselves."""

import asyncio
import contextlib
import select
import socket
import struct
from math import inf
from typing import Any

import pytest
import uvloop

from priolb.net.transports import has_left, last_words, report_but_lookups, silence_s, unread_bytes

# Longer than a name can be: the system refuses it without asking anybody.
NO_NAME = ".".join(["x" * 60] * 5)


class Told(asyncio.Transport):
    """A transport that holds 7 bytes, over some socket."""

    def __init__(self, connected: socket.socket | None) -> None:
        super().__init__({"socket": connected})

    def get_write_buffer_size(self) -> int:
        return 7


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def test_what_the_system_holds_counts_and_what_the_peer_has_does_not() -> None:
    one, other = pair()
    with one, other:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while one.send(bytes(1 << 20)):
                pass
        assert unread_bytes(Told(one)) > 100_000


def test_a_socket_that_is_closed_holds_nothing() -> None:
    one, other = pair()
    one.close()
    other.close()
    assert unread_bytes(Told(one)) == 7


def test_a_transport_with_tls_that_was_lost_a_moment_ago_has_no_socket() -> None:
    """That raised, and in the middle of a round of time-outs."""
    assert unread_bytes(Told(None)) == 7


def test_a_lookup_that_was_given_up_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """The handler of errors is told of it by uvloop, some time after the connection was cancelled."""
    contexts: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            report_but_lookups(loop, context)
            contexts.append(context)
            told.set()

        loop.set_exception_handler(report)
        connecting = loop.create_task(loop.create_connection(asyncio.Protocol, NO_NAME, 80))
        loop.call_soon(connecting.cancel)  # in the same turn: no answer can be there before
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        del connecting
        await told.wait()

    uvloop.run(main())
    assert [type(context["exception"]) for context in contexts] == [socket.gaierror]
    assert caplog.records == []


def test_every_other_error_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        report_but_lookups(loop, {"message": "a callback failed", "exception": ValueError("why")})
        report_but_lookups(loop, {"message": "no exception at all"})

    uvloop.run(main())
    assert [record.message for record in caplog.records] == ["a callback failed", "no exception at all"]


def test_the_system_knows_for_how_long_a_peer_is_silent() -> None:
    one, other = pair()
    with one, other:
        one.send(b"x")
        while silence_s(Told(other)) < 0.05:
            pass  # the clock of the system, which no test can set
        other.send(b"y")
        before = silence_s(Told(other))
        one.send(b"x")
        assert 0.05 <= before < inf and silence_s(Told(other)) < before


def test_of_a_socket_that_is_closed_or_was_lost_nothing_is_known() -> None:
    one, other = pair()
    one.close()
    other.close()
    for told in (Told(one), Told(None)):
        assert (silence_s(told), has_left(told)) == (inf, False)


def test_the_system_sees_a_peer_leave_though_nobody_reads() -> None:
    one, other = pair()
    with one, other:
        one.send(b"x")
        assert not has_left(Told(other))
        one.shutdown(socket.SHUT_WR)
        assert has_left(Told(other))


def test_the_system_sees_a_reset_though_nobody_reads() -> None:
    one, other = pair()
    with other:
        one.send(b"x")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        assert has_left(Told(other))


def test_what_was_said_before_a_reset_can_be_read_behind_it() -> None:
    one, other = pair()
    with one:
        one.sendall(bytes(10))
        other.sendall(b"enough")
        other.close()  # with something unread: a reset
        reset = select.poll()
        reset.register(one, 0)
        assert reset.poll()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            one.send(bytes(1))
        assert last_words(Told(one)) == b"enough"
        assert last_words(Told(one)) == b""


def test_of_a_socket_that_is_closed_there_is_nothing_to_read() -> None:
    one, other = pair()
    one.close()
    other.close()
    assert (last_words(Told(one)), last_words(Told(None))) == (b"", b"")
