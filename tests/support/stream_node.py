"""A node that deals with a request before all of it is there."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Final

from support.scripted_node import HEALTH_ANSWER, reply
from support.wire import PATIENCE_S

_READ_BYTES: Final = 1 << 20


class Stream:
    """A request whose head is there, and whose body comes as fast as it is read."""

    def __init__(self, connected: socket.socket, head: bytes, start: bytes) -> None:
        self.socket = connected
        self.head = head
        self._start = start

    @property
    def length(self) -> int:
        """Length of the body, as the head tells it."""
        [length] = [line for line in self.head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return int(length.partition(b":")[2])

    def read(self, limit: int = _READ_BYTES) -> bytes:
        """Return the next bytes, none at the end of the connection; the framing is still on them."""
        if self._start:
            data, self._start = self._start[:limit], self._start[limit:]
            return data
        return self.socket.recv(limit)

    def read_exactly(self, count: int) -> bytes:
        """Return so many bytes, in however many parts they come; fewer only at the end of the connection."""
        data = b""
        while len(data) < count and (part := self.read(count - len(data))):
            data += part
        return data

    def read_to_end(self) -> bytes:
        """Return everything up to the end of the connection, be it in order or not."""
        parts: list[bytes] = []
        with contextlib.suppress(ConnectionResetError):
            while part := self.read():
                parts.append(part)
        return b"".join(parts)

    def skip(self, count: int) -> int:
        """Read so many bytes without keeping them; return how many came before the end."""
        skipped = 0
        while skipped < count and (part := self.read(min(_READ_BYTES, count - skipped))):
            skipped += len(part)
        return skipped

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        """End the connection, in order."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class StreamNode:
    """A node on loopback; health checks are answered.

    Args:
        script: what happens to each request, in the thread of its connection, which ends with it. None leaves
            each request to `next_stream`, and its connection to the test.
        receive_bytes: size of the receive buffers in the kernel, 0 for the system's own choice.
    """

    def __init__(self, script: Callable[[Stream], None] | None = None, receive_bytes: int = 0) -> None:
        self._script = script
        self._streams: queue.Queue[Stream] = queue.Queue()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.faults: list[Exception] = []
        self._listener = socket.socket()
        if receive_bytes:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name="stream node", daemon=True)
        self._acceptor.start()

    def next_stream(self) -> Stream:
        """Wait for the next request."""
        try:
            return self._streams.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise AssertionError("no request came to the node") from None

    def stop(self) -> None:
        """Refuse new connections, end the others, and check that no script has failed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(PATIENCE_S)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for connection in self._connections:
            connection.close()
        assert self.faults == []

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return  # stopped
            self._connections.append(connected)
            thread = threading.Thread(target=self._serve, args=(connected,), name="stream", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connected: socket.socket) -> None:
        connected.settimeout(3 * PATIENCE_S)
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                part = connected.recv(65536)
                if not part:
                    return
                data += part
        except ConnectionResetError:
            return
        head, _, start = data.partition(b"\r\n\r\n")
        stream = Stream(connected, head, start)
        if head.startswith(b"POST / "):
            start = stream.read_exactly(stream.length)
            stream = Stream(connected, head, start)
        if b'"net_version"' in start:
            stream.send(reply(200, HEALTH_ANSWER, "Connection: close"))
        elif self._script is None:
            self._streams.put(stream)
            return
        else:
            try:
                self._script(stream)
            except Exception as fault:  # noqa: BLE001 - told when the node is stopped
                self.faults.append(fault)
        with contextlib.suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)
