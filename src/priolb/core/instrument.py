"""Who is told what becomes of requests: logs and metrics, which are none of the path's business."""

from __future__ import annotations

from typing import Protocol

from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket


class Instrument(Protocol):
    """What is told of requests. Called on the path of a request: it must be cheap and must not raise.

    Whoever derives from it is called directly where both are compiled; else by name, which takes longer.
    """

    __slots__ = ()

    def node_name(self, name: str) -> bytes:
        """Return the name of a node as `completed` takes it; asked once for each node."""

    def queued(
        self, request_id: bytes, lane: int, payload_bytes: int, now: float, queue: PriorityQueue
    ) -> None:
        """A request has joined its lane, or got a slot at once, as nobody waited."""

    def completed(
        self,
        ticket: Ticket,
        request_id: bytes,
        payload_bytes: int,
        status: int,
        node: bytes,
        started_at: float,
        now: float,
        queue: PriorityQueue,
    ) -> None:
        """A request got the answer of a node, in a try that began at `started_at`."""

    def refused(self, request_id: bytes, lane: int, reason: str, status: int, now: float) -> None:
        """A request got an answer of ours, at `now` (monotonic seconds)."""

    def preempted(self, request_id: bytes, lane: int, node: str, by: bytes) -> None:
        """A request is back in line, as its slot of a node is needed for the one with the id `by`."""

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        """A client left before its answer was complete."""

    def node_failed(self, request_id: bytes, node: str, reason: str, detail: str, tries: int) -> None:
        """A try failed without an answer of the node."""

    def rejected(self, request_id: bytes, peer: str, status: int, detail: str, now: float) -> None:
        """What a client sent was no request to serve, or came too slowly; `now` in monotonic seconds."""
