"""A listening socket whose connections begin with a TLS handshake.

asyncio's own servers tell of a connection when its handshake is over. Whoever never begins one could so hold
any number of them until their time is over; here each is known from the moment it is accepted.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from priolb.net.transports import SHORTAGES, TLS_GOODBYE_S
from priolb.tasks import Tasks

# So many connections are accepted in one turn of the loop: a storm of them holds nobody up.
_ACCEPTS_PER_TURN: Final = 16

# For want of what a connection takes, the next attempt to accept one is made after so long.
_ACCEPT_AGAIN_S: Final = 0.1


class Accepted:
    """A connection that was accepted, and waits for its handshake.

    Args:
        protocol: what it is handed on to.
        lost: is called when it ends before it can be handed on.
    """

    __slots__ = ("lost", "protocol")

    def __init__(self, protocol: asyncio.Protocol, lost: Callable[[], None]) -> None:
        self.protocol = protocol
        self.lost = lost


class TlsServer:
    """Accepts the connections of one socket.

    Args:
        listening: the socket; it is closed with the server.
        context: returns the TLS settings of a new connection.
        handshake_timeout_s: longest time that a handshake may take, seconds.
        accept: is asked for every connection, by the address of its peer; None when that has too many.
        tasks: owns the handshakes.
    """

    __slots__ = (
        "_accept",
        "_again",
        "_context",
        "_handshake_timeout_s",
        "_listening",
        "_loop",
        "_tasks",
    )

    def __init__(
        self,
        listening: socket.socket,
        context: Callable[[], ssl.SSLContext],
        handshake_timeout_s: float,
        accept: Callable[[str], Accepted | None],
        tasks: Tasks,
    ) -> None:
        self._listening = listening
        self._context = context
        self._handshake_timeout_s = handshake_timeout_s
        self._accept = accept
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._again: asyncio.TimerHandle | None = None
        self._loop.add_reader(listening.fileno(), self._accept_some)

    def close(self) -> None:
        """Accept no more; handshakes that have begun go on."""
        if self._again is not None:
            self._again.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._listening.close()

    def _accept_some(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                connection, address = self._listening.accept()
            except OSError as error:
                if error.errno in SHORTAGES:
                    self._rest()
                    return
                if isinstance(error, BlockingIOError):
                    return
                continue  # that peer has left already
            accepted = self._accept(str(address[0]))
            if accepted is None:
                connection.close()
            else:
                self._tasks.spawn(self._shake_hands(connection, accepted), "TLS handshake")

    def _rest(self) -> None:
        """Accept nothing for a while: the socket would go on telling that somebody is there."""
        self._loop.remove_reader(self._listening.fileno())
        self._again = self._loop.call_later(_ACCEPT_AGAIN_S, self._go_on)

    def _go_on(self) -> None:
        self._again = None
        self._loop.add_reader(self._listening.fileno(), self._accept_some)

    async def _shake_hands(self, connection: socket.socket, accepted: Accepted) -> None:
        is_handed_on = False
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: accepted.protocol,
                connection,
                ssl=self._context(),
                ssl_handshake_timeout=self._handshake_timeout_s,
                ssl_shutdown_timeout=TLS_GOODBYE_S,
            )
            is_handed_on = True
        except OSError:  # of which TimeoutError and ssl.SSLError are: it spoke no TLS, was late, or has left
            connection.close()
        finally:
            if not is_handed_on:
                accepted.lost()
