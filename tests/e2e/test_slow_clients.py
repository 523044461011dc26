"""Clients that dribble: however many there are, the others do not notice."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import post

HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\n"

DRIBBLERS: Final = 2000
REQUESTS: Final = 1500

# A request takes about half a millisecond, and on a busy machine some times that. One that had to wait for a
# dribbler, or for the work that one makes, would take seconds.
MEDIAN_MAX_S: Final = 0.025
P99_MAX_S: Final = 0.25


class Dribblers:
    """Connections that each send `start`, and then a byte of `rest` now and then, as long as this lasts."""

    def __init__(self, balancer: Balancer, count: int, start: bytes, rest: bytes) -> None:
        self._address = ("127.0.0.1", balancer.port)
        self._count = count
        self._start = start
        self._rest = rest
        self._sockets: list[socket.socket] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._dribble, name="dribblers", daemon=True)

    def __enter__(self) -> None:
        for _ in range(self._count):
            connected = socket.create_connection(self._address)
            self._sockets.append(connected)
            connected.sendall(self._start)
            connected.setblocking(False)
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def _dribble(self) -> None:
        for position in range(len(self._rest)):
            for each in self._sockets:
                with contextlib.suppress(OSError):  # who was cut off meanwhile dribbles no more
                    each.send(self._rest[position : position + 1])
                if self._is_over.wait(0.0005):
                    return


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Let this process have as many open files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (b"", b""),
        (HEAD, b"X-Filler: " + b"x" * 1000),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x" * 1000),
        (HEAD + b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n", b"x" * 1000),
        (HEAD + b"Content-Length: 5000000\r\n\r\n", b"x" * 1000),
        (HEAD + b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n", b"x" * 1000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 200 + b"\r\nx\r\n" * 100),
    ],
    ids=["silent", "head", "body", "body with leave", "long body", "long body with leave", "chunks"],
)
def test_they_do_not_hold_the_others_up(
    launch: Launch, new_node: NewNode, connect: Connect, start: bytes, rest: bytes
) -> None:
    balancer = launch("-nodes", new_node(always(200, b"ok")).uri)
    client = connect(balancer)
    times: list[float] = []
    with Dribblers(balancer, DRIBBLERS, start, rest):
        for _ in range(REQUESTS):
            began = time.monotonic()
            assert client.ask(post()).body == b"ok"
            times.append(time.monotonic() - began)
    times.sort()
    assert times[REQUESTS // 2] < MEDIAN_MAX_S
    assert times[REQUESTS * 99 // 100] < P99_MAX_S
