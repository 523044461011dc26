"""Connections that begin with a TLS handshake, over real sockets."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from priolb.net.front.sockets import listen
from priolb.net.front.tls_server import Accepted, TlsServer
from priolb.tasks import Tasks
from support.certificates import Authority

PATIENCE_S = 20.0
HANDSHAKE_TIMEOUT_S = 5.0


class Scarce:
    """A listening socket that finds for some time that it lacks something."""

    def __init__(self, listening: socket.socket, *errors: int) -> None:
        self._listening = listening
        self._errors = list(errors)
        self.fileno = listening.fileno
        self.close = listening.close
        self.was_short = asyncio.Event()

    def accept(self) -> tuple[socket.socket, Any]:
        if self._errors:
            self.was_short.set()
            raise OSError(self._errors.pop(0), "for the test")
        return self._listening.accept()


class Hall(asyncio.Protocol):
    """Where connections are handed on to; greets each of them."""

    def __init__(self, events: asyncio.Queue[str]) -> None:
        self._events = events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"welcome")
        self._events.put_nowait("made")

    def connection_lost(self, error: Exception | None) -> None:
        self._events.put_nowait("closed")


class Stage:
    """A server, and what happened to its connections."""

    def __init__(self, authority: Authority, timeout_s: float, may_accept: bool, *errors: int) -> None:
        [listening] = listen("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.tasks = Tasks()
        self._may_accept = may_accept
        self.listening = Scarce(listening, *errors)
        context = authority.server_context("localhost")
        as_socket = cast(socket.socket, self.listening)
        self.server = TlsServer(as_socket, lambda: context, timeout_s, self._accept, self.tasks)

    def _accept(self, address: str) -> Accepted | None:
        self.events.put_nowait(f"accepted {address}")
        return Accepted(Hall(self.events), self._lost) if self._may_accept else None

    def _lost(self) -> None:
        self.events.put_nowait("lost")

    async def happened(self, count: int) -> list[str]:
        return [await self.events.get() for _ in range(count)]


@pytest.fixture
def on_stage(tmp_path: Path) -> Callable[..., None]:
    authority = Authority(tmp_path)

    def run(
        play: Callable[[Stage, ssl.SSLContext], Coroutine[Any, Any, None]],
        *errors: int,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
        may_accept: bool = True,
    ) -> None:
        async def on_loop() -> None:
            stage = Stage(authority, timeout_s, may_accept, *errors)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await play(stage, authority.client_context())
            finally:
                stage.server.close()
                stage.server.close()  # which may come twice
                await stage.tasks.cancel()
            assert stage.events.empty()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(on_loop())

    return run


async def greeted(stage: Stage, context: ssl.SSLContext) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", stage.port, ssl=context, server_hostname="localhost"
    )
    assert await reader.readexactly(7) == b"welcome"
    return writer


async def a_visit(stage: Stage, context: ssl.SSLContext) -> None:
    writer = await greeted(stage, context)
    assert await stage.happened(2) == ["accepted 127.0.0.1", "made"]
    writer.close()
    assert await stage.happened(1) == ["closed"]


def test_a_connection_is_handed_on_after_its_handshake(on_stage: Callable[..., None]) -> None:
    on_stage(a_visit)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_who_comes_in_a_shortage_is_accepted_after_it(on_stage: Callable[..., None], error: int) -> None:
    on_stage(a_visit, error, error)


def test_a_peer_that_has_left_before_it_was_accepted_keeps_nobody_out(on_stage: Callable[..., None]) -> None:
    on_stage(a_visit, errno.ECONNABORTED)


def test_a_server_may_be_closed_in_a_shortage(on_stage: Callable[..., None]) -> None:
    async def play(stage: Stage, context: ssl.SSLContext) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        await stage.listening.was_short.wait()
        writer.close()

    on_stage(play, *[errno.EMFILE] * 1000)


def test_who_may_not_be_accepted_is_shown_the_door(on_stage: Callable[..., None]) -> None:
    async def play(stage: Stage, context: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        assert await reader.read() == b""
        writer.close()
        assert await stage.happened(1) == ["accepted 127.0.0.1"]

    on_stage(play, may_accept=False)


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\n\r\n", b""])
def test_who_speaks_no_tls_is_told_as_lost(on_stage: Callable[..., None], hello: bytes) -> None:
    async def play(stage: Stage, context: ssl.SSLContext) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(hello)
        assert await stage.happened(2) == ["accepted 127.0.0.1", "lost"]
        writer.close()

    on_stage(play, timeout_s=HANDSHAKE_TIMEOUT_S if hello else 0.05)


def test_who_leaves_in_the_middle_of_a_handshake_is_told_as_lost(on_stage: Callable[..., None]) -> None:
    async def play(stage: Stage, context: ssl.SSLContext) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        assert await stage.happened(1) == ["accepted 127.0.0.1"]
        writer.close()
        assert await stage.happened(1) == ["lost"]

    on_stage(play)


def test_handshakes_end_with_their_owner(on_stage: Callable[..., None]) -> None:
    async def play(stage: Stage, context: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        assert await stage.happened(1) == ["accepted 127.0.0.1"]
        await stage.tasks.cancel()
        assert await stage.happened(1) == ["lost"]
        assert await reader.read() == b""
        writer.close()

    on_stage(play)
