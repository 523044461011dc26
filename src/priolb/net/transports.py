"""What transports do not do, or tell, by themselves."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
import termios
from math import inf
from typing import Any, Final

_ROOM: Final = bytes(4)
_LAST_WORDS_BYTES: Final = 65536

# What Linux knows of a connection (TCP_INFO, tcp(7); linux/tcp.h): first the state, in one byte, and behind
# eleven numbers of 4 bytes for how long nothing has come, in milliseconds.
_TCP_INFO: Final[int] = getattr(socket, "TCP_INFO", -1)
_SILENCE_AT: Final = 52
_INFO_BYTES: Final = 56
_CLOSE: Final = 7
_CLOSE_WAIT: Final = 8

SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors of the system that say nothing of the other side: there is no socket, or no port for it."""

# After so long a transport with TLS that is closed gives up what it has not sent, and the peer's goodbye. How
# long these may take is for the connection to say, which knows whether its peer reads on: hence never.
TLS_GOODBYE_S: Final = 86_400.0


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return how much of what was written the system of the other side has not taken yet.

    That is what waits in this program and, as Linux tells it (SIOCOUTQ, tcp(7)), what its system holds:
    several megabytes with a peer that reads slowly. What the system of the peer holds nobody can tell.

    Of a transport with TLS, what it has handed on to the one below it is not counted; but as long as anything
    waits there, the system holds something, too.

    Args:
        transport: a TCP connection, with or without TLS.
    """
    waiting: int = transport.get_write_buffer_size()
    connected = transport.get_extra_info("socket")
    if connected is None:
        return waiting  # lost a moment ago, which with TLS is told a turn later
    try:
        queued = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, _ROOM)
    except (OSError, ValueError):
        return waiting  # closed, or another system than Linux
    return waiting + int(struct.unpack("i", queued)[0])


def silence_s(transport: asyncio.Transport) -> float:
    """Return for how long nothing has come from the peer, seconds; infinity when nobody can tell.

    The system knows it also of a transport with TLS that is closed, and throws away what comes.
    """
    info = _tcp_info(transport)
    if not info:
        return inf
    (silence_ms,) = struct.unpack_from("I", info, _SILENCE_AT)
    return float(silence_ms) / 1000


def has_left(transport: asyncio.Transport, is_heard_out: bool = False) -> bool:
    """Return whether the peer has closed or reset the connection, as the system sees also when nobody reads.

    It does not as long as it has no room for what the peer has sent before it closed.

    Args:
        transport: the connection.
        is_heard_out: what the peer has said before it closed is still to be read: only a reset counts.
    """
    info = _tcp_info(transport)
    return info != b"" and (info[0] == _CLOSE or (info[0] == _CLOSE_WAIT and not is_heard_out))


def _tcp_info(transport: asyncio.Transport) -> bytes:
    """Return what the system knows of a connection, empty when it does not tell."""
    connected = transport.get_extra_info("socket")
    if connected is None:
        return b""
    try:
        info: bytes = connected.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
    except (OSError, ValueError):
        return b""  # closed, or another system than Linux
    return info if len(info) == _INFO_BYTES else b""


def last_words(transport: asyncio.Transport) -> bytes:
    """Return what the peer had said that nobody has read, when a connection is lost because a write failed.

    Transports read no more after that, but a peer that closes its socket before it has read all resets the
    connection behind what it had to say, and the system keeps that.

    Args:
        transport: a TCP connection without TLS, whose protocol is being told that it is lost.
    """
    connected = transport.get_extra_info("socket")
    try:
        return b"" if connected is None else os.read(connected.fileno(), _LAST_WORDS_BYTES)
    except (OSError, ValueError):
        return b""  # there was nothing


def stop_when_paused(transport: asyncio.Transport) -> None:
    """Let a transport with TLS read nothing while its reading is paused.

    By itself it reads on and keeps what comes. When the peer then closes the connection, uvloop throws away
    what it keeps: the end of an answer.
    """
    with_tls: Any = transport
    with_tls.set_read_buffer_limits(high=1, low=0)


def report_but_lookups(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error that reached the event loop, unless it is that of a lookup that was given up.

    uvloop looks up the name of a node in a future of its own, and leaves it alone when the connection is
    cancelled. That the name leads nowhere is then no news to anybody.

    Args:
        loop: where it happened.
        context: as event loops describe it to the handler of their errors, which this is.
    """
    if not isinstance(context.get("exception"), socket.gaierror):
        loop.default_exception_handler(context)
