"""TLS in front of a plain server on loopback: not every Redis binary is built with it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def tls_relay(context: ssl.SSLContext, target_port: int) -> AsyncIterator[int]:
    """Pass what comes over TLS on to a plain port, both ways; gives the port to connect to."""

    async def relay(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", target_port)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(client, to_server))
                pumps.create_task(_pump(server, to_client))
        finally:
            to_client.close()

    listener = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except ConnectionError:
        return  # one side is gone: the other learns it from the close below
    finally:
        sink.close()
