"""An aiohttp server as a node: it has an HTTP parser, a writer of chunks and a WebSocket of its own."""

import asyncio
import hashlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from support.wire import PATIENCE_S


class AiohttpNode:
    """Serves on loopback, in a thread of its own, as long as it is used as a context.

    - `POST /` is answered, as a health check wants it
    - `/digest` tells length and hash of the body, which it reads part by part
    - `/echo` sends each part of the body back as it comes
    - `/early` answers 413 and reads nothing
    - `/events` sends one event, and another one whenever `go_on` is called, until `finish`
    - `/hints` sends 103 before its answer
    - `/socket` is a WebSocket that sends back what comes; `close CODE REASON` lets it close
    """

    def __init__(self) -> None:
        self.sockets = 0
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aiohttp node", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port: int = self._call(self._start())
        self.uri = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def go_on(self, event: bytes) -> None:
        """Let `/events` send another event."""
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def finish(self) -> None:
        """Let `/events` end."""
        self._loop.call_soon_threadsafe(self._events.put_nowait, None)

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    async def _start(self) -> int:
        app = web.Application(client_max_size=0)
        app.router.add_post("/", self._health)
        app.router.add_route("*", "/digest", self._digest)
        app.router.add_route("*", "/echo", self._echo)
        app.router.add_route("*", "/early", self._early)
        app.router.add_get("/events", self._send_events)
        app.router.add_get("/hints", self._hints)
        app.router.add_get("/socket", self._socket)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": 123, "result": "1"})

    async def _digest(self, request: web.Request) -> web.Response:
        digest, size = hashlib.sha256(), 0
        async for part in request.content.iter_any():
            digest.update(part)
            size += len(part)
        return web.Response(text=f"{size} {digest.hexdigest()}")

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for part in request.content.iter_any():
            await response.write(part)
        await response.write_eof()
        return response

    async def _early(self, request: web.Request) -> web.Response:
        return web.Response(status=413, text="too much of it")

    async def _send_events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        event: bytes | None = b"first"
        while event is not None:
            await response.write(b"data: %s\n\n" % event)
            event = await self._events.get()
        await response.write_eof()
        return response

    async def _hints(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        return web.Response(text="page")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["two", "one"], max_msg_size=0)
        await socket.prepare(request)
        self.sockets += 1
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.data.startswith("close "):
                _, code, reason = message.data.split(" ", 2)
                await socket.close(code=int(code), message=reason.encode())
            else:
                await socket.send_str(message.data)
        self.sockets -= 1
        return socket
