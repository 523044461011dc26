"""A store that speaks Redis just enough to hold a list of nodes, and falls silent, or ends, when told."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import BinaryIO, Final, Self

_ACCEPT_POLL_S: Final = 0.05
_ANSWERS: Final = {b"SET": b"+QUEUED\r\n", b"EXEC": b"*1\r\n+OK\r\n"}


class MuteStore:
    """A context manager: a server on loopback in threads of its own; it has one key and no transactions."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_ACCEPT_POLL_S)
        self.uri = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._value = b""
        self._is_silent = threading.Event()
        self._has_ended = threading.Event()
        self._clients: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, name="store", daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def fall_silent(self) -> None:
        """Take connections and commands from now on, and answer none of them."""
        self._is_silent.set()

    def end(self) -> None:
        """Close every connection, and refuse new ones."""
        self._has_ended.set()
        self._accepting.join()
        self._listener.close()
        for client in self._clients:
            with contextlib.suppress(OSError):  # the other side has closed it
                client.shutdown(socket.SHUT_RDWR)
            client.close()
        self._clients.clear()

    def _accept(self) -> None:
        while not self._has_ended.is_set():
            try:
                client, _address = self._listener.accept()
            except TimeoutError:
                continue
            client.settimeout(None)
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), name="store client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client.makefile("rb") as commands:
                while command := _next_command(commands):
                    if not self._is_silent.is_set():
                        client.sendall(self._answer(command))
        except OSError:
            return  # the connection was closed by `end`, or by the other side

    def _answer(self, command: list[bytes]) -> bytes:
        name = command[0].upper()
        if name == b"SET":
            self._value = command[2]
        if name == b"GET":
            return b"$%d\r\n%b\r\n" % (len(self._value), self._value) if self._value else b"$-1\r\n"
        return _ANSWERS.get(name, b"+OK\r\n")


def _next_command(commands: BinaryIO) -> list[bytes]:
    """Read a command, and return its words; none at the end of the connection."""
    words = []
    for _ in range(int(commands.readline()[1:] or 0)):
        size_bytes = int(commands.readline()[1:])
        words.append(commands.read(size_bytes))
        commands.readline()
    return words
