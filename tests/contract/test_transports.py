"""What connections rely on of the event loop's transports."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.certificates import Authority


class Greeted(asyncio.Protocol):
    """Waits for the first bytes of the other end, which is there then."""

    def __init__(self) -> None:
        self.greeting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.greeting.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_what_is_written_to_one_that_is_closing_is_let_go(how: str, is_tls: bool, tmp_path: Path) -> None:
    """A connection does not ask before it writes, and one that raised would keep others from writing."""
    authority = Authority(tmp_path)
    faults: list[dict[str, Any]] = []

    async def write_too_late() -> bytes:
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            try:
                received.set_result(await reader.read())
            except OSError:  # a connection with TLS that was cut
                received.set_result(b"")
            writer.close()

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
        server = await asyncio.start_server(
            serve, "127.0.0.1", 0, ssl=authority.server_context("127.0.0.1") if is_tls else None
        )
        transport, client = await loop.create_connection(
            Greeted,
            *server.sockets[0].getsockname(),
            ssl=authority.client_context() if is_tls else None,
        )
        await client.greeting
        getattr(transport, how)()
        transport.write(b"too late")
        transport.writelines([b"too ", b"late"])
        await client.lost
        server.close()
        return await received

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(write_too_late()) == b""
    assert faults == []
