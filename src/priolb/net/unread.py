"""What was sent and has not been read."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from typing import Final

_ROOM: Final = bytes(4)


def unread_bytes(transport: asyncio.Transport) -> int:
    """Return how much of what was written the system of the other side has not taken yet.

    That is what waits in this program and, as Linux tells it (SIOCOUTQ, tcp(7)), what its system holds:
    several megabytes with a peer that reads slowly. What the system of the peer holds nobody can tell.

    Args:
        transport: a TCP connection.
    """
    waiting: int = transport.get_write_buffer_size()
    try:
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, _ROOM)
    except OSError:
        return waiting  # closed, or another system than Linux
    return waiting + int(struct.unpack("i", queued)[0])
