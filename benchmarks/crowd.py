"""Many client connections at once, idle or each with a request that waits."""

from __future__ import annotations

import select
import socket
import time
from types import TracebackType
from typing import Final, Self

from benchmarks.child import BenchmarkError
from benchmarks.cpu import cpu_time, open_files
from benchmarks.peers import Peer

SETTLE_TIMEOUT_S: Final = 30.0
# More than a balancer uses that has nothing to do but to look at its clock a hundred times a second.
IDLE_NS_PER_S: Final = 80_000_000


class Crowd:
    """A context manager: leaving it closes every connection.

    Args:
        peer: the balancer that all connect to.
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._clients: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()

    def join(self, number: int, request: bytes = b"") -> None:
        """Connect so many clients more, each of which sends `request`, and wait until all are taken in."""
        for _ in range(number):
            client = socket.create_connection(("127.0.0.1", self._peer.port), timeout=10)
            self._clients.append(client)
            if request:
                client.sendall(request)
        self._settle()

    def check_silent(self) -> None:
        """Check that the balancer holds every connection: accepted, nothing answered, none closed.

        Raises:
            BenchmarkError: it does not.
        """
        name, number = self._peer.name, len(self._clients)
        accepted = open_files(self._peer.child.pid)
        if accepted < number:
            raise BenchmarkError(f"{name} accepted only about {accepted} of {number} connections")
        poll = select.poll()
        for client in self._clients:
            poll.register(client, select.POLLIN)
        ready = poll.poll(0)
        if ready:
            raise BenchmarkError(f"{name} did not hold {len(ready)} of {number} connections")
        self._peer.child.check_running()

    def _settle(self) -> None:
        """Wait until the balancer has read all it was sent: it has used next to no CPU for half a second."""
        give_up_at = time.monotonic() + SETTLE_TIMEOUT_S
        used_ns, before_ns = cpu_time(self._peer.child.pid).used_ns, 0
        while used_ns - before_ns > IDLE_NS_PER_S / 2:
            if time.monotonic() > give_up_at:
                raise BenchmarkError(f"{self._peer.name} is still busy after {SETTLE_TIMEOUT_S:.0f} s")
            time.sleep(0.5)
            used_ns, before_ns = cpu_time(self._peer.child.pid).used_ns, used_ns
