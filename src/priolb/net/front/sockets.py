"""Listening sockets."""

from __future__ import annotations

import errno
import socket
from typing import Final

from priolb.errors import ConfigError

BACKLOG: Final = 4096

# The name stands for an address family that this machine does not have: another one may do.
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of `host`, or on all interfaces when it is empty.

    Args:
        host: name or address; empty for all interfaces.
        port: TCP port; 0 lets the system choose, the same for all addresses.

    Raises:
        ConfigError: no address of `host` can be listened on; the text names host, port and cause.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    except UnicodeError as error:  # from the codec for names
        raise ConfigError(f"cannot listen on {host}:{port}: {error}") from None
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, kind, protocol, _name, address in dict.fromkeys(found):
        try:
            sockets.append(_listen_on(family, kind, protocol, address, port))
        except OSError as error:
            failure = error
            if error.errno in _NOT_HERE:
                continue
            break
        port = sockets[-1].getsockname()[1]
    if not sockets or (failure is not None and failure.errno not in _NOT_HERE):
        for each in sockets:
            each.close()
        cause = failure.strerror if failure is not None else "no address"
        raise ConfigError(f"cannot listen on {host}:{port}: {cause}")
    return sockets


def _listen_on(
    family: int, kind: int, protocol: int, address: tuple[str | int, ...] | tuple[int, bytes], port: int
) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own, so that peers show their plain addresses.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address[0], port, *address[2:]))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
