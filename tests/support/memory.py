"""Connections in memory: a transport for the code under test, and the peer's end for a test."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Protocol

# What asyncio and uvloop begin with.
HIGH_WATER_BYTES = 65536
LOW_WATER_BYTES = 16384

# States of a connection as Linux numbers them (linux/tcp_states.h).
ESTABLISHED = 1
CLOSE = 7
CLOSE_WAIT = 8


class Spoken(Protocol):
    """What speaks over a connection; it is an `asyncio.Protocol` in all but name."""

    def connection_made(self, transport: asyncio.Transport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, error: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class MemorySocket:
    """Remembers the options that are set, and knows of its connection what Linux would tell (TCP_INFO).

    `state` is that of the connection, `heard_at` when something has come last, by the clock of `loop`. One
    that `is_mute` tells nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.options: dict[tuple[int, int], int | bytes] = {}
        self.state = ESTABLISHED
        self.heard_at = loop.time()
        self.is_mute = False
        self._loop = loop

    def fileno(self) -> int:
        raise OSError("in memory")

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int, size_bytes: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        if self.is_mute:
            raise OSError("on another system")
        silence_ms = round(1000 * (self._loop.time() - self.heard_at))
        return struct.pack("B51xI", self.state, silence_ms).ljust(size_bytes, b"\0")


class MemoryTransport(asyncio.Transport):
    """One connection, both ends in one object.

    The upper part is what a transport of asyncio or uvloop does, the lower part what its peer does. What is
    written reaches the peer at once, as far as it reads; `connection_lost` comes a turn after the cause.

    Args:
        loop: who calls the protocol.
        protocol: who speaks over it.
        peername: address of the peer.
        can_half_close: whether one direction can be closed alone; not so with TLS, where a transport that is
            closed waits for the peer to end, too.
        end_turn: does what the protocol puts off to the end of a turn of the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Spoken,
        peername: Any = ("192.0.2.1", 50000),
        can_half_close: bool = True,
        end_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self.socket = MemorySocket(loop)
        super().__init__({"peername": peername, "socket": self.socket})
        self.calls: list[str] = []
        self.writes: list[bytes] = []
        self.was_aborted = False
        self.is_lost = False
        self._loop = loop
        self._protocol = protocol
        self._can_half_close = can_half_close
        self._end_turn = end_turn
        self._is_reading = True
        self._is_closing = False
        self._is_eof_sent = False
        self._is_protocol_paused = False
        self._undelivered = b""
        self._unsent = b""
        self._received = bytearray()
        self._window_bytes: int | None = None

    # The transport

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        if self.is_reading():
            self.calls.append("pause_reading")
            self._is_reading = False

    def resume_reading(self) -> None:
        if not self._is_closing and not self._is_reading:
            self.calls.append("resume_reading")
            self._is_reading = True
            self._loop.call_soon(self._deliver)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert isinstance(data, bytes)
        assert not self.is_lost, "written after the end"
        assert not self._is_eof_sent, "written after write_eof"
        if self.was_aborted or (self._is_closing and not self._unsent):
            return
        self.writes.append(data)
        self._unsent += data
        self._flush()
        if len(self._unsent) > HIGH_WATER_BYTES and not self._is_protocol_paused:
            self._is_protocol_paused = True
            self._protocol.pause_writing()

    def writelines(self, parts: Iterable[bytes | bytearray | memoryview]) -> None:
        for part in parts:  # each apart in `writes`, where the base class would copy them together
            self.write(part)

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def can_write_eof(self) -> bool:
        return self._can_half_close

    def write_eof(self) -> None:
        assert self._can_half_close
        if not self._is_closing:
            self.calls.append("write_eof")
            self._is_eof_sent = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self.calls.append("close")
            self._is_closing = True
            if not self._unsent and self._can_half_close:
                self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self.was_aborted and not self.is_lost:
            self.calls.append("abort")
            self.was_aborted = self._is_closing = True
            self._unsent = b""
            self._loop.call_soon(self._lose, None)

    # The peer

    @property
    def is_ended(self) -> bool:
        """Whether the peer has been told that no more comes, in order or by a reset."""
        return self.is_lost or (self._is_eof_sent and not self._unsent)

    @property
    def was_reset(self) -> bool:
        """Whether the peer saw a reset rather than the end of a stream."""
        return self.was_aborted and (socket.SOL_SOCKET, socket.SO_LINGER) in self.socket.options

    def send(self, data: bytes) -> None:
        """Send bytes; they are read at once, unless reading is paused."""
        self.socket.heard_at = self._loop.time()
        self._undelivered += data
        self._deliver()

    def take(self) -> bytes:
        """Return the bytes that have come since the last call."""
        received = bytes(self._received)
        self._received.clear()
        return received

    def stop_reading(self, after_bytes: int = 0) -> None:
        """Take no more than so many bytes from now on, until `read`."""
        self._window_bytes = after_bytes

    def read(self, size_bytes: int | None = None) -> None:
        """Take so many bytes more; None for all that is there and that will come."""
        self._window_bytes = size_bytes
        self._flush()
        self._end_turn()

    def end(self) -> None:
        """Close the peer's direction, or both: one cannot be told from the other."""
        if self._is_closing:
            if not self._can_half_close:
                self._lose(None)
            return
        assert self._is_reading, "nobody would notice"
        if not self._protocol.eof_received():
            self.close()
        self._end_turn()

    def break_off(self, error: Exception | None = None) -> None:
        """End the connection with a reset."""
        if not self.is_lost:
            self._is_closing = True
            self._unsent = b""
            self._lose(error or ConnectionResetError("Connection reset by peer"))
            self._end_turn()

    def leave_unnoticed(self, state: int) -> None:
        """Close or reset while nothing is read: only the system knows of it."""
        assert not self._is_reading
        self.socket.state = state

    # Inside

    def _deliver(self) -> None:
        if self._undelivered and self.is_reading():
            data, self._undelivered = self._undelivered, b""
            self._protocol.data_received(data)
            self._end_turn()

    def _flush(self) -> None:
        size_bytes = len(self._unsent) if self._window_bytes is None else self._window_bytes
        sent, self._unsent = self._unsent[:size_bytes], self._unsent[size_bytes:]
        self._received += sent
        if self._window_bytes is not None:
            self._window_bytes -= len(sent)
        if self._is_protocol_paused and len(self._unsent) <= LOW_WATER_BYTES:
            self._is_protocol_paused = False
            self._protocol.resume_writing()
        if self._is_closing and self._can_half_close and not self._unsent and sent:
            self._loop.call_soon(self._lose, None)

    def _lose(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = True
            self._protocol.connection_lost(error)
