"""One client and one node in memory, between which requests go as fast as the program lets them.

Nothing but the program costs anything here that would matter: what stands for sockets, for the loop and for
the log's descriptor does nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from ipaddress import ip_network
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, Self, cast

from priolb.core.queueing.queue import PriorityQueue
from priolb.http.forwarding import Forwarding
from priolb.net.front.connection import FrontConnection
from priolb.net.front.door import Door
from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger, LogWriter
from priolb.telemetry.requests import RequestLog
from support.messages import NOON, VIA_NAME
from support.rig import Rig

BODY = b'{"jsonrpc":"2.0","id":1,"method":"eth_sim","params":["0x0"]}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":"0x0000000000000000000000"}'

# The longest wait of a request, and who may say for whom it asks.
MAX_WAIT_S = 1e6
TRUSTED = (ip_network("127.0.0.0/8"),)

_NOON_NS = int(NOON * 1e9)


class _Transport(asyncio.Transport):
    """A connection on which everything leaves at once."""

    __slots__ = ("sent",)

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


class _ToNode(_Transport):
    """A connection to a node, which notes that its node was asked.

    Args:
        connection: who answers for the node.
        asked: where that is noted.
        wire: where all connections to nodes lead, so that none keeps what it was last sent.
    """

    __slots__ = ("_asked", "_connection", "_wire")

    def __init__(self, connection: Any, asked: deque[Any], wire: _Transport) -> None:
        super().__init__()
        self._connection = connection
        self._asked = asked
        self._wire = wire

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self._asked.append(self._connection)
        self._wire.write(data)


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

    def take_from(self, lines: list[bytes]) -> None:
        """Nobody reads them."""
        lines.clear()


class LeanPath:
    """A context in which `exchange` brings one request to a node and its answer back.

    Args:
        repeats: the heads are the same each time, as most clients and nodes have them; else each has an id
            that no other has had.
        clock: monotonic seconds; None for a time that stands still, in the log too.
        nodes: how many nodes take turns. One client asks them, as it asks a single one.
        waiting: how many clients stand in line; 0 for one whose requests go at once. As many others rest, in
            no order: the one that has rested longest takes the place of whoever has got an answer, so that
            what is in line lies anywhere in memory, as it does in a program that has run for long.
        queue: where requests wait, None for the original's lanes.
        door: looks at every request, None for none.
        callers: for how many callers the client asks, a proxy that is trusted: each time for one of them, at
            random; 0 for a client that asks for itself. Only with `repeats`.
    """

    def __init__(
        self,
        repeats: bool,
        clock: Callable[[], float] | None = None,
        nodes: int = 1,
        waiting: int = 0,
        queue: PriorityQueue | None = None,
        door: Door | None = None,
        callers: int = 0,
    ) -> None:
        self._repeats = repeats
        self._callers = callers
        self._random = _SEED
        self._rig = Rig(
            queue=queue,
            forwarding=Forwarding(VIA_NAME, "http", tells_client=True, trusted=TRUSTED if callers else ()),
            max_idle=0,
            request_timeout_s=MAX_WAIT_S,
            door=door,
        )
        engine = self._rig.engine
        writer = cast(LogWriter, _NoWriter())
        clock_ns = time.time_ns if clock else lambda: _NOON_NS
        words = None if queue is None else LaneWords([lane.name for lane in queue.lanes])
        log = Logger(writer, json=True, service="", clock_ns=clock_ns)
        log.requests.call_later = lambda _delay_s, _callback: None  # they go when they are many
        engine.instrument = RequestLog(log, words)
        engine.clock = clock or self._rig.clock
        self._turn = _Turn()
        # Whose answer is next, of the clients and of the nodes.
        self._asking: deque[FrontConnection] = deque()
        self._asked: deque[Any] = deque()
        self._to_client = _Transport()
        self._to_nodes = _Transport()
        slots = 1 if waiting else 64
        for _ in range(nodes):
            self._rig.node(slots=slots)
        clients = [self._connected() for _ in range(max(nodes, waiting + 1) + waiting)]
        Random(_SEED).shuffle(clients)
        for _ in range(len(clients) - waiting):
            self._asking.append(clients.pop())
            self._asking[-1].data_received(self._request())
        self._rig.run()  # connects to every node
        engine._loop = cast(asyncio.AbstractEventLoop, self._turn)
        for node in self._rig.nodes.values():
            connection = node.connections[0]._protocol
            connection.connection_made(_ToNode(connection, self._asked, self._to_nodes))
            self._asked.append(connection)
        self._resting = clients
        self._longest_resting = 0
        if not self._resting:
            while self._asked:
                self._answer_next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio._set_running_loop(None)

    def exchange(self) -> None:
        """Bring one request to a node, and the answer of one to its client."""
        if self._resting:
            place = self._longest_resting
            self._longest_resting = (place + 1) % len(self._resting)
            answered, client = self._asking.popleft(), self._resting[place]
            self._asking.append(client)
            self._resting[place] = answered
            self._asked.popleft().data_received(self._answer())
            self._turn.end()
            self._ask(client)
        else:
            self._ask(self._asking[0])
            self._answer_next()

    def last_sent(self) -> tuple[bytes, bytes]:
        """Return what was last sent to a node, and to a client."""
        return self._to_nodes.sent, self._to_client.sent

    def _connected(self) -> FrontConnection:
        client = FrontConnection(self._rig.listener)
        client.connection_made(self._to_client)
        return client

    def _ask(self, client: FrontConnection) -> None:
        client.data_received(self._request())
        self._turn.end()

    def _answer_next(self) -> None:
        self._asked.popleft().data_received(self._answer())
        self._turn.end()

    def _any_of(self, count: int) -> int:
        self._random = (_FACTOR * self._random + _SUMMAND) % _MODULUS
        return (self._random >> 8) % count

    def _request(self) -> bytes:
        if self._callers:
            return _REQUEST_OF % caller_address(self._any_of(self._callers))
        return _REQUEST if self._repeats else _OWN_REQUEST % next(_ids)

    def _answer(self) -> bytes:
        return _ANSWER if self._repeats else _OWN_ANSWER % next(_ids)


def caller_address(number: int) -> bytes:
    """Return the address of a caller for whom a proxy asks, by its number."""
    return b"10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)


# Random numbers that cost next to nothing (Numerical Recipes, 2nd edition, chapter 7.1).
_FACTOR, _SUMMAND, _MODULUS, _SEED = 1664525, 1013904223, 2**32, 1

_ids = count()  # over all paths, as the program remembers heads for as long as it runs
_REQUEST = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
_REQUEST_OF = _REQUEST.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: %s\r\n\r\n")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(RESULT),
    RESULT,
)
_OWN_REQUEST = _REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-ID: 6f8e5c1a-%08d\r\n\r\n")
_OWN_ANSWER = _ANSWER.replace(b"\r\n\r\n", b"\r\nX-Trace: 6f8e5c1a-%08d\r\n\r\n")
