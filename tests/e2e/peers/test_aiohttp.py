"""aiohttp as client and as node, with its own HTTP and its own WebSocket."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import ClientSession, WSMsgType

from support.aiohttp_node import AiohttpNode
from support.balancer import Balancer
from support.wire import PATIENCE_S

MB = 1024 * 1024


@pytest.fixture
def talk(balancer: Balancer, aiohttp_node: AiohttpNode) -> "Talk":
    """Return what runs a conversation of an aiohttp client with the balancer."""

    def run(conversation: Callable[[ClientSession], Awaitable[None]]) -> None:
        async def session() -> None:
            url = f"http://127.0.0.1:{balancer.port}"
            time = aiohttp.ClientTimeout(total=2 * PATIENCE_S)
            async with ClientSession(url, timeout=time, auto_decompress=False) as client:
                await conversation(client)

        asyncio.run(session())

    return run


Talk = Callable[[Callable[[ClientSession], Awaitable[None]]], None]


def test_an_upload_in_parts_arrives_whole(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        digest = hashlib.sha256()

        async def parts() -> AsyncIterator[bytes]:
            for number in range(128):
                part = bytes([number]) * 65_536
                digest.update(part)
                yield part

        async with client.put("/digest", data=parts()) as answer:
            assert await answer.text() == f"{8 * MB} {digest.hexdigest()}"

    talk(conversation)


def test_both_directions_flow_at_the_same_time(talk: Talk) -> None:
    """Each part is sent only after the one before has come back."""

    async def conversation(client: ClientSession) -> None:
        came_back: asyncio.Queue[bytes] = asyncio.Queue()

        async def parts() -> AsyncIterator[bytes]:
            yield bytes(1_100_000)  # more than is held for a retry: from here on it passes through
            for number in range(20):
                part = b"part %02d" % number
                yield part
                while not (await came_back.get()).endswith(part):
                    pass

        async with client.post("/echo", data=parts()) as answer:
            size = 0
            async for part in answer.content.iter_any():
                size += len(part)
                came_back.put_nowait(part)
        assert size == 1_100_000 + 20 * len(b"part 00")

    talk(conversation)


def test_an_upload_that_is_refused_early_ends_with_the_answer(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.put("/early", data=io.BytesIO(bytes(7 * MB))) as answer:
            assert (answer.status, await answer.text()) == (413, "too much of it")

    talk(conversation)


def test_hints_are_no_answer(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.get("/hints") as answer:
            assert (answer.status, await answer.text()) == (200, "page")

    talk(conversation)


def test_a_websocket_echoes_text_and_bytes_of_any_length(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.ws_connect("/socket", max_msg_size=0) as socket:
            await socket.send_str("text \N{GRINNING FACE}")
            assert await socket.receive_str() == "text \N{GRINNING FACE}"
            for size in (0, 1, 125, 126, 65_535, 65_536, 5 * MB):
                await socket.send_bytes(b"\xa5" * size)
                assert await socket.receive_bytes() == b"\xa5" * size

    talk(conversation)


def test_a_websocket_closes_with_the_code_and_the_reason_of_the_node(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.ws_connect("/socket") as socket:
            await socket.send_str("close 4001 that is enough")
            message = await socket.receive()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4001, "that is enough")

    talk(conversation)


def test_a_websocket_agrees_on_a_protocol(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.ws_connect("/socket", protocols=["none", "one", "two"]) as socket:
            assert socket.protocol == "one"

    talk(conversation)


def test_a_compressed_websocket(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.ws_connect("/socket", compress=15) as socket:
            assert socket.compress == 15
            await socket.send_str("again and " * 10_000)
            assert await socket.receive_str() == "again and " * 10_000

    talk(conversation)


def test_an_idle_websocket_is_kept_alive_by_pings(talk: Talk) -> None:
    async def conversation(client: ClientSession) -> None:
        async with client.ws_connect("/socket", autoping=False) as socket:
            await socket.ping(b"are you there")
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.PONG, b"are you there")

    talk(conversation)
