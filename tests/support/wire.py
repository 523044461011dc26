"""A client of raw sockets: it sends what it is told, byte for byte, and reads one answer at a time."""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

PATIENCE_S = 30.0

CUT = (EOFError, ConnectionResetError)
"""How an answer that breaks off shows."""

_READ_BYTES = 65536


@dataclass(frozen=True)
class Answer:
    """An answer as it came: its status line, its header lines in order, and its body without framing."""

    version: str
    status: int
    phrase: str
    lines: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        """Return the value of a field that may stand there once, or None."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Return the values of every line of this name, which is compared without case."""
        return [value for key, value in self.lines if key.lower() == name.lower()]


class Client:
    """One connection to a server on loopback.

    Args:
        port: the server's.
        receive_bytes: size of the receive buffer in the kernel, 0 for the system's own choice; a small one
            makes this a slow reader.
        address: where it connects from, of the loopback network; empty for the usual address.
    """

    def __init__(self, port: int, receive_bytes: int = 0, address: str = "") -> None:
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE_S)
        try:
            if address:
                self.socket.bind((address, 0))
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, data: bytes, to: str = "POST") -> Answer:
        """Send a request and read its answer; `to` is its method, as HEAD has no body in its answer."""
        self.send(data)
        return self.receive(to)

    def receive(self, to: str = "POST") -> Answer:
        """Read one answer, an interim one (1xx) included; one of `CUT` when it breaks off."""
        version, status, phrase, lines = self.receive_head()
        answer = Answer(version, status, phrase, lines, b"")
        return Answer(version, status, phrase, lines, self._body(answer, to))

    def receive_head(self) -> tuple[str, int, str, list[tuple[str, str]]]:
        """Read a head alone; its body stays to be read."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *rest = head.split("\r\n")[:-2]
        version, status, phrase = first.split(" ", 2)
        lines = [(name, value.strip(" ")) for name, _, value in (line.partition(":") for line in rest)]
        return version, int(status), phrase, lines

    def read_exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        while len(self._buffer) < count:
            self._read_more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def skip(self, count: int, on_read: Callable[[int], object] = lambda _skipped: None) -> int:
        """Read so many bytes without keeping them; return how many of them were zero.

        Args:
            on_read: called now and then with the number of bytes read so far.
        """
        skipped, zeros = 0, 0
        while skipped < count:
            if not self._buffer:
                self._read_more(1 << 20)
            data, self._buffer = self._buffer[: count - skipped], self._buffer[count - skipped :]
            skipped += len(data)
            zeros += data.count(b"\x00")
            on_read(skipped)
        return zeros

    def read_to_end(self) -> bytes:
        """Read until the server closes the connection; ConnectionResetError when it resets it."""
        data = [self._buffer]
        self._buffer = b""
        while part := self.socket.recv(_READ_BYTES):
            data.append(part)
        return b"".join(data)

    def is_ended(self) -> bool:
        """Wait for the end of the connection; False when bytes come instead."""
        try:
            return not self._buffer and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def half_close(self) -> None:
        """Say that no more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as a crash does: with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def _body(self, answer: Answer, to: str) -> bytes:
        if to == "HEAD" or answer.status < 200 or answer.status in {204, 304}:
            return b""
        if answer.field("Transfer-Encoding") == "chunked":
            assert answer.field("Content-Length") is None
            return self._chunks()
        length = answer.field("Content-Length")
        return self.read_to_end() if length is None else self.read_exactly(int(length))

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self._until(b"\r\n"), 16):
            parts.append(self.read_exactly(size))
            assert self.read_exactly(2) == b"\r\n"
        assert self.read_exactly(2) == b"\r\n"
        return b"".join(parts)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._read_more()
        data, _, self._buffer = self._buffer.partition(end)
        return data + end

    def _read_more(self, limit: int = _READ_BYTES) -> None:
        part = self.socket.recv(limit)
        if not part:
            raise EOFError(f"the connection ended behind {self._buffer[-200:]!r}")
        self._buffer += part


def request(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    """Return a whole request with these further header lines; no Content-Length without a body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: balancer", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def post(body: bytes = b"{}", *fields: str, target: str = "/") -> bytes:
    """Return a request for a node, as most clients send it."""
    return request("POST", target, body, *fields)
