"""What transports do not tell by themselves."""

import asyncio
import contextlib
import socket

from priolb.net.transports import unread_bytes


class Told(asyncio.Transport):
    """A transport that holds 7 bytes, over some socket."""

    def __init__(self, connected: socket.socket | None) -> None:
        super().__init__({"socket": connected})

    def get_write_buffer_size(self) -> int:
        return 7


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def test_what_the_system_holds_counts_and_what_the_peer_has_does_not() -> None:
    one, other = pair()
    with one, other:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while one.send(bytes(1 << 20)):
                pass
        assert unread_bytes(Told(one)) > 100_000


def test_a_socket_that_is_closed_holds_nothing() -> None:
    one, other = pair()
    one.close()
    other.close()
    assert unread_bytes(Told(one)) == 7


def test_a_transport_with_tls_that_was_lost_a_moment_ago_has_no_socket() -> None:
    """That raised, and in the middle of a round of time-outs."""
    assert unread_bytes(Told(None)) == 7
