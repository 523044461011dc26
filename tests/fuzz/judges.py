"""Both ends of the balancer as h11 sees them: a node that serves what reaches it, and a reader of answers."""

from dataclasses import dataclass, field

import h11

from fuzz.reference import Fields, values
from support.memory import MemoryTransport
from support.rig import MemoryNode, Rig

# More than a connection takes before it asks for a pause.
LARGE_BYTES = 100_000

_MAX_EVENT_BYTES = 1 << 20


@dataclass
class Seen:
    """A request as a node has seen it; `is_whole` once all of its body is there."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes = b""
    is_whole: bool = False

    @property
    def wants_upgrade(self) -> bool:
        return bool(values(self.fields, b"upgrade"))


class JudgedNode:
    """Serves each connection of a node as h11 reads it; what h11 refuses is an error of the balancer.

    Args:
        rig: where it is.
        node: the node.
        manner: how it answers: sized, large, chunked, close (delimited), early (before the body), interim, or
            switching (protocols, for whoever asks; sized for others).
    """

    def __init__(self, rig: Rig, node: MemoryNode, manner: str) -> None:
        self.requests: list[Seen] = []
        self.manner = manner
        self._rig = rig
        self._node = node
        self._connections: dict[MemoryTransport, _Served] = {}

    def serve(self, *not_these: MemoryTransport) -> None:
        """Answer everything that has come, and what comes of that."""
        is_busy = True
        while is_busy:
            self._rig.run()
            is_busy = False
            for transport in self._node.connections:
                if transport not in not_these:
                    served = self._connections.setdefault(transport, _Served(self, transport))
                    is_busy |= served.read()


class _Served:
    def __init__(self, node: JudgedNode, transport: MemoryTransport) -> None:
        self._node = node
        self._transport = transport
        self._judge = h11.Connection(h11.SERVER, _MAX_EVENT_BYTES)
        self._is_tunnel = False
        self._request: Seen | None = None

    def read(self) -> bool:
        """Read what has come; False when that is nothing."""
        data = self._transport.take()
        if not data:
            return False
        if self._is_tunnel:
            self._transport.send(data)
            return True
        self._judge.receive_data(data)
        while True:
            event = self._judge.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            self._take(event)
        return True

    def _take(self, event: object) -> None:
        request = self._request
        if isinstance(event, h11.Request):
            self._request = request = Seen(event.method, event.target, list(event.headers))
            self._node.requests.append(request)
            assert len(values(request.fields, b"host")) == 1
            assert not values(request.fields, b"expect")
            framing = values(request.fields, b"content-length") + values(request.fields, b"transfer-encoding")
            assert len(framing) <= 1
            if self._node.manner == "early":
                self._answer(request)
        elif isinstance(event, h11.Data):
            assert request is not None
            request.body += event.data
        else:
            assert isinstance(event, h11.EndOfMessage), event
            assert request is not None
            request.is_whole = True
            rest, _ = self._judge.trailing_data
            assert rest == b"", "more than one request at a time"
            if self._node.manner != "early":
                self._answer(request)
            self._judge = h11.Connection(h11.SERVER, _MAX_EVENT_BYTES)

    def _answer(self, request: Seen) -> None:
        manner = self._node.manner
        send = self._transport.send
        mark = b"X-Seen: %s %s\r\n" % (request.method, request.target)
        body = b"" if request.method == b"HEAD" else b"%d of %s" % (len(request.body), request.target)
        if manner == "large" and body:
            body += bytes(LARGE_BYTES)
        if manner == "switching" and request.wants_upgrade:
            self._is_tunnel = True
            send(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n%s\r\nhello" % mark)
        elif manner == "chunked" and request.method != b"HEAD":
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n" % mark)
            send(b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(body), body))
        elif manner == "close":
            send(b"HTTP/1.1 200 OK\r\n%s\r\n%s" % (mark, body))
            if self._transport.is_reading():
                self._transport.end()
        else:
            if manner == "interim":
                send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), mark, body))


@dataclass
class Received:
    """An answer as a client has got it.

    Args:
        status: its status.
        fields: its fields, names in lower case.
        body: as much of its body as came.
        is_whole: whether its end came.
        interim: statuses of the interim answers in front of it.
    """

    status: int
    fields: Fields
    body: bytes = b""
    is_whole: bool = False
    interim: list[int] = field(default_factory=list)

    @property
    def seen(self) -> bytes:
        """Return what the node that gave it saw; empty for an answer of the balancer's own."""
        return b"".join(values(self.fields, b"x-seen"))

    @property
    def is_of_node(self) -> bool:
        return bool(values(self.fields, b"x-priolb-queuesizeend"))


def read_answer(data: bytes, method: bytes, is_ended: bool) -> tuple[Received | None, bytes]:
    """Return one answer, None when not even its head is there, and what follows it.

    Args:
        data: where it starts.
        method: what was asked.
        is_ended: whether the connection was ended, in order, behind `data`.

    Raises:
        h11.RemoteProtocolError: it is none.
    """
    judge = h11.Connection(h11.CLIENT, _MAX_EVENT_BYTES)
    upgrade = [("Host", "a"), ("Connection", "upgrade"), ("Upgrade", "websocket")]  # allows a 101, or none
    judge.send(h11.Request(method=method, target="/", headers=upgrade))
    judge.send(h11.EndOfMessage())
    if data:
        judge.receive_data(data)
    if is_ended:
        judge.receive_data(b"")
    interim: list[int] = []
    found: Received | None = None
    while True:
        try:
            event = judge.next_event()
        except h11.RemoteProtocolError as error:
            if is_ended and "closed" in str(error).lower():
                break
            raise
        if isinstance(event, h11.InformationalResponse):
            interim.append(event.status_code)
            if event.status_code == 101:
                found = Received(101, list(event.headers), interim=interim)
                break
        elif isinstance(event, h11.Response):
            found = Received(event.status_code, list(event.headers), interim=interim)
        elif isinstance(event, h11.Data):
            assert found is not None
            found.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert found is not None
            found.is_whole = True
            break
        else:
            break
    return found, judge.trailing_data[0]
