"""One client and one node in memory, between which requests go as fast as the program lets them.

Nothing but the program costs anything here that would matter: what stands for sockets, for the loop and for
the log's descriptor does nothing.
"""

import asyncio
import time
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Self, cast

from priolb.http.forwarding import Forwarding
from priolb.net.front import FrontConnection
from priolb.telemetry.logs import Logger, LogWriter
from priolb.telemetry.requests import RequestLog
from support.messages import NOON, VIA_NAME
from support.rig import Rig

BODY = b'{"jsonrpc":"2.0","id":1,"method":"eth_sim","params":["0x0"]}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000"}'

_NOON_NS = int(NOON * 1e9)


class _Transport(asyncio.Transport):
    """A connection on which everything leaves at once."""

    def __init__(self) -> None:
        self.sent = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent = bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0


class _Turn:
    """As much of an event loop as a request uses: keeps what is to be done at the end of the turn."""

    def __init__(self) -> None:
        self._due: Callable[[], object] | None = None

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._due = callback

    def end(self) -> None:
        due, self._due = self._due, None
        if due is not None:
            due()


class _NoWriter:
    """Takes lines of the log and leaves it at that."""

    is_tty = False

    def set_notice(self, notice: Callable[[int], bytes]) -> None:
        """No line is ever lost."""

    def write(self, line: bytes) -> None:
        """Nobody reads it."""


class LeanPath:
    """A context in which `exchange` brings one request to the node and its answer back.

    Args:
        repeats: the heads are the same each time, as most clients and nodes have them; else each has an id
            that no other has had.
        clock: monotonic seconds; None for a time that stands still, in the log too.
    """

    def __init__(self, repeats: bool, clock: Callable[[], float] | None = None) -> None:
        self._repeats = repeats
        self._rig = Rig(forwarding=Forwarding(VIA_NAME, "http", tells_client=True, trusted=()))
        engine = self._rig.engine
        writer = cast(LogWriter, _NoWriter())
        clock_ns = time.time_ns if clock else lambda: _NOON_NS
        engine.instrument = RequestLog(Logger(writer, json=True, service="", clock_ns=clock_ns))
        self._turn = _Turn()
        engine.clock = clock or self._rig.clock
        node = self._rig.node(slots=64)
        self._client = FrontConnection(self._rig.listener)
        self._to_client, self._to_node = _Transport(), _Transport()
        self._client.connection_made(self._to_client)
        self._client.data_received(self._request())
        self._rig.run()  # connects
        self._node = node.connections[0]._protocol
        self._node.connection_made(self._to_node)
        engine._loop = cast(asyncio.AbstractEventLoop, self._turn)
        self._answer_request()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio._set_running_loop(None)

    def exchange(self) -> None:
        """Bring one request to the node, and its answer to the client."""
        self._client.data_received(self._request())
        self._turn.end()
        self._answer_request()

    def last_sent(self) -> tuple[bytes, bytes]:
        """Return what was last sent to the node, and to the client."""
        return self._to_node.sent, self._to_client.sent

    def _answer_request(self) -> None:
        self._node.data_received(self._answer())
        self._turn.end()

    def _request(self) -> bytes:
        return _REQUEST if self._repeats else _OWN_REQUEST % next(_ids)

    def _answer(self) -> bytes:
        return _ANSWER if self._repeats else _OWN_ANSWER % next(_ids)


_ids = count()  # over all paths, as the program remembers heads for as long as it runs
_REQUEST = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(RESULT),
    RESULT,
)
_OWN_REQUEST = _REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-ID: 6f8e5c1a-%08d\r\n\r\n")
_OWN_ANSWER = _ANSWER.replace(b"\r\n\r\n", b"\r\nX-Trace: 6f8e5c1a-%08d\r\n\r\n")
