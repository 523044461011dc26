"""TLS servers that make their certificate as attested nodes do: anew for each handshake, or once for all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.der_build import PrivateKey

Certify = Callable[[bytes], bytes]


class NodeServer:
    """Keeps what comes over each connection, and answers it with `pong`.

    Args:
        folder: for certificates; of this server alone.
        key: of the server.
        certify: gives the certificate in DER for the nonce of a handshake, empty when the name was no base64.
    """

    def __init__(self, folder: Path, key: PrivateKey, certify: Certify) -> None:
        self.names: list[str | None] = []
        self._context = certifying_context(folder, key, certify, self.names)
        self.received: list[bytes] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # a client that only looks ends without a word
            data = await reader.read(100)
            self.received.append(data)
            writer.write(b"pong")
            await reader.read()
        writer.close()


def certifying_context(
    folder: Path, key: PrivateKey, certify: Certify, names: list[str | None]
) -> ssl.SSLContext:
    """Return a server's context that makes its certificate anew for each handshake, in whatever thread.

    Args:
        folder: for certificates; of this server alone.
        key: of the server.
        certify: gives the certificate in DER for the nonce of a handshake, empty when the name was no base64.
        names: gets the server name of each handshake.
    """
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    lock = threading.Lock()

    def load(context: ssl.SSLContext, nonce: bytes) -> ssl.SSLContext:
        with lock:
            file = folder / "node.pem"
            file.write_text(key_pem + ssl.DER_cert_to_PEM_cert(certify(nonce)))
            context.load_cert_chain(file)
        return context

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)
        connection.context = load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), nonce_of(name))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = choose
    # A name that is an address is not sent, and then nobody chooses.
    return load(context, b"")


def nonce_of(name: str | None) -> bytes:
    """Return the nonce in a server name, empty when it is none."""
    try:
        return base64.b64decode(name or "", validate=True)
    except ValueError:
        return b""


async def ping(context: ssl.SSLContext, port: int, host: str = "localhost") -> bytes:
    """Connect, send `ping`, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    try:
        writer.write(b"ping")
        return await reader.read(4)
    finally:
        writer.transport.abort()


def run_on(loop_factory: Callable[[], asyncio.AbstractEventLoop], main: Awaitable[Any]) -> Any:
    """Run a coroutine on a loop of this kind."""

    async def awaiting() -> Any:
        return await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(awaiting())
