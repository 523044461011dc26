"""A node that does what a test tells it, when the test tells it."""

import contextlib
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final

import h11

from support.wire import PATIENCE_S

HEALTH_ANSWER: Final = b'{"jsonrpc":"2.0","id":123,"result":"1"}'
_READ_BYTES: Final = 65536

Script = Callable[["Call"], None]


def reply(status: int = 200, body: bytes = b"", *fields: str, phrase: str = "Fine") -> bytes:
    """Return a whole answer with these further header lines."""
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always(status: int = 200, body: bytes = b"", *fields: str) -> Script:
    """Return a script that gives every request the same answer at once."""
    return lambda call: call.send(reply(status, body, *fields))


class Call:
    """A request at the node, which holds its answer until told.

    Args:
        connection: where it came.
        raw: its bytes.
        head: its head, as h11 reads it.
        body: its body.
    """

    def __init__(self, connection: "Connection", raw: bytes, head: h11.Request, body: bytes) -> None:
        self.connection = connection
        self.raw = raw
        self.method = head.method.decode()
        self.target = head.target.decode()
        self.lines = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
        self.body = body

    def field(self, name: str) -> str | None:
        """Return the value of a field that may stand there once, or None; `name` in lower case."""
        values = [value for key, value in self.lines if key == name]
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    def answer(self, status: int = 200, body: bytes = b"", *fields: str) -> None:
        self.send(reply(status, body, *fields))

    def send(self, data: bytes) -> None:
        """Send a part of the answer, raw."""
        self.connection.socket.sendall(data)

    def close(self) -> None:
        self.connection.close()

    def say_goodbye(self) -> None:
        """End the connection in order, with TLS too: only from the script, while nothing is read."""
        self.connection.say_goodbye()

    def reset(self) -> None:
        self.connection.reset()

    def wait_left(self) -> None:
        """Return when the balancer has ended the connection of this request."""
        self.connection.wait_ended()


class Connection:
    """One connection of the balancer."""

    def __init__(self, node: "ScriptedNode", connected: socket.socket) -> None:
        self.socket = connected
        self._node = node
        self._ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name="scripted node connection", daemon=True)

    def close(self) -> None:
        """End the connection in order."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def say_goodbye(self) -> None:
        """End the connection in order, with TLS too."""
        connected = self.socket
        assert isinstance(connected, ssl.SSLSocket)
        connected.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):  # it is not waited for that the peer does the same
            connected.unwrap()
        self.close()

    def reset(self) -> None:
        """End the connection as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closed by the reading thread alone: a number closed here could be another socket's by then.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def wait_ended(self) -> None:
        """Return when the connection has ended, by whomever."""
        assert self._ended.wait(PATIENCE_S), "the connection goes on"

    def _run(self) -> None:
        try:
            if self._node.tls is not None:
                self.socket = self._node.tls.wrap_socket(self.socket, server_side=True)
            data = b""
            while (received := self._receive(data)) is not None:
                call, data = received
                self._node.take(call)
        except OSError:
            pass  # a reset: the end, as any other
        except (AssertionError, h11.RemoteProtocolError) as fault:
            self._node.faults.append(fault)
        finally:
            self.socket.close()
            self._ended.set()

    def _receive(self, data: bytes) -> tuple[Call, bytes] | None:
        """Read one request; return it and what came behind it, or None at the end."""
        judge = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        raw = data
        if data:
            judge.receive_data(data)
        head: h11.Request | None = None
        body: list[bytes] = []
        while True:
            event = judge.next_event()
            if event is h11.NEED_DATA:
                part = self.socket.recv(_READ_BYTES)
                self._node.count(len(part))
                if not part:
                    return None
                raw += part
                judge.receive_data(part)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            else:
                assert isinstance(event, h11.EndOfMessage) and head is not None
                rest, _ = judge.trailing_data
                return Call(self, raw[: len(raw) - len(rest)], head, b"".join(body)), rest


class ScriptedNode:
    """A node on loopback whose answers are in the hands of a test.

    Health checks are answered at once with `health_status`, and are neither calls nor counted as requests;
    with a status of 0 they are never answered. Whatever the balancer sends is judged by h11, and counted in
    `received_bytes`; of TLS what it says inside.

    Args:
        script: what happens to each request, in the thread of its connection; None leaves each to
            `next_call`.
        health_status: status of the answer to health checks.
        tls: certificate of an https node, None for http.
        port: where it listens; 0 for wherever the system lets it.
    """

    def __init__(
        self,
        script: Script | None = None,
        health_status: int = 200,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.script = script
        self.tls = tls
        self.health_status = health_status
        self.health_checks: queue.Queue[Call] = queue.Queue()
        self.requests: list[Call] = []
        self.connections: list[Connection] = []
        self.received_bytes = 0
        self._received = threading.Condition()
        self.faults: list[BaseException] = []
        self._calls: queue.Queue[Call] = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}" if tls is None else f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=self._accept, name="scripted node", daemon=True)
        self._thread.start()

    def next_call(self, timeout_s: float = PATIENCE_S) -> Call:
        """Wait for the next request that no script has answered."""
        try:
            return self._calls.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError("no request came to the node") from None

    def is_quiet(self) -> bool:
        """Whether every request that has come was fetched by `next_call`."""
        return self._calls.empty()

    def count(self, received_bytes: int) -> None:
        """Count what has come over a connection."""
        with self._received:
            self.received_bytes += received_bytes
            self._received.notify_all()

    def wait_received(self, count_bytes: int) -> None:
        """Return when so many bytes have come, over all connections."""
        with self._received:
            assert self._received.wait_for(lambda: self.received_bytes >= count_bytes, PATIENCE_S)

    def take(self, call: Call) -> None:
        """Take a request from its connection."""
        if b'"net_version"' in call.body and b'"id":123' in call.body:
            self.health_checks.put(call)
            if self.health_status:
                call.answer(self.health_status, HEALTH_ANSWER)
            return
        self.requests.append(call)
        if self.script is None:
            self._calls.put(call)
        else:
            self.script(call)

    def stop(self) -> None:
        """Refuse new connections, end the others, and check that the balancer has kept to HTTP."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)
        for connection in self.connections:
            connection.close()
            connection.thread.join(PATIENCE_S)
        assert self.faults == []

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return  # stopped
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, connected)
            self.connections.append(connection)
            connection.thread.start()
