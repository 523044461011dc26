"""A client that sends what it is told, byte for byte, and reads one answer at a time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

PATIENCE_S = 30


@dataclass
class Answer:
    """An answer: its status, its fields by lower-case name, and its body."""

    status: int
    fields: dict[str, str]
    body: bytes


class RawClient:
    """One connection to a server on loopback."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.port: int = writer.get_extra_info("peername")[1]
        """Port of the server."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, to: str = "POST") -> Answer:
        """Read one answer, with a body of its Content-Length."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if to == "HEAD" else int(fields.get("content-length", "0"))
            return Answer(int(first.split()[1]), fields, await self._reader.readexactly(length))

    async def ask(self, data: bytes, to: str = "POST") -> Answer:
        await self.send(data)
        return await self.answer(to)

    async def end(self) -> bytes:
        """Read up to the end of the connection, be it a close or a reset."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionResetError):
            await self._writer.wait_closed()


def http_request(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    """Return a whole request with these further header lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: node", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


async def eventually(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until a condition holds; TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0)
