"""The body of a request on its way from a client to a node."""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

from priolb.core.byte_budget import ByteBudget
from priolb.errors import Reason
from priolb.http.body import BodyReader, OpenReader
from priolb.http.framing import CHUNKED
from priolb.http.messages import RequestHead
from priolb.http.writer import chunk, last_chunk

_SMALL_BYTES: Final = 1024
# What may go on for ever counts as this long.
_NO_BOUND_BYTES: Final = 1 << 40


class BodySource(Protocol):
    """The client's connection, from which a body comes."""

    def hold_body(self) -> None:
        """Read no more of the body for now."""

    def read_body_on(self) -> None:
        """Read more of the body."""


class BodySink(Protocol):
    """The node's connection, to which a body goes."""

    def pass_on(self, data: bytes) -> None:
        """Send a part of the body, never empty."""

    def end_body(self) -> None:
        """Take note that the body is complete."""


class Upload:
    """A body that did not come with its head.

    It is collected, so that the request can be sent again; or passed on as it comes, when it is too long for
    that: then it is held back until a node is there to take it, and goes as fast as that node reads.
    The bytes of a connection that has switched protocols are passed on in the same way.

    Args:
        source: the client's connection.
        reader: takes the framing off.
        max_bytes: longest body, 0 for no limit.
        budget: bounds the bytes held over all requests.
        is_chunked: the body goes to the node in chunks, because nobody knows its length.
        max_silence_s: longest time without any of it, seconds.
        min_bytes_per_s: how fast it must come at least, beyond that time, bytes per second; 0 for no matter.

    `held_bytes` of it are in memory and count in the budget. `completed_at` is when the client had sent all
    of it, monotonic seconds; minus infinity before.
    """

    __slots__ = (
        "_budget",
        "_flow_bytes",
        "_flows_since",
        "_is_chunked",
        "_is_held",
        "_max_bytes",
        "_max_silence_s",
        "_min_bytes_per_s",
        "_parts",
        "_reader",
        "_sink",
        "_source",
        "completed_at",
        "held_bytes",
        "received_bytes",
    )

    def __init__(
        self,
        source: BodySource,
        reader: BodyReader,
        max_bytes: int,
        budget: ByteBudget,
        is_chunked: bool,
        max_silence_s: float,
        min_bytes_per_s: int,
    ) -> None:
        self._source = source
        self._reader = reader
        self._max_bytes = max_bytes
        self._budget = budget
        self._is_chunked = is_chunked
        self._max_silence_s = max_silence_s
        self._min_bytes_per_s = min_bytes_per_s
        self._sink: BodySink | None = None
        self._is_held: bool = False
        self._parts: list[bytes] = []
        self.completed_at: float = -inf
        self.held_bytes: int = 0
        self.received_bytes: int = 0
        self._flows_since: float = 0.0
        self._flow_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the client has sent all of it."""
        return self._reader.done

    @property
    def is_behind(self) -> bool:
        """As `BodyReader.is_behind`."""
        return self._reader.is_behind

    @property
    def longest_bytes(self) -> int:
        """How long it may become, as far as its framing tells."""
        if not self._is_chunked or self.is_complete:
            return self.received_bytes
        return self._max_bytes or _NO_BOUND_BYTES

    @property
    def is_flowing(self) -> bool:
        """Whether a node takes what comes."""
        return self._sink is not None

    @property
    def has_trailers(self) -> bool:
        """Whether fields follow the body that the node shall see."""
        return self._reader.trailers != b""

    @property
    def rest(self) -> bytes:
        """What the client has sent behind it."""
        return self._reader.rest

    # From the client

    def feed(self, data: bytes) -> Reason | None:
        """Take what the client has sent; a reason when the body is refused.

        Raises:
            FramingError: the body breaks its own framing.
        """
        body = self._reader.feed(data)
        self.received_bytes += len(body)
        self._flow_bytes += len(body)
        if 0 < self._max_bytes < self.received_bytes:
            return Reason.PAYLOAD_TOO_LARGE
        sink = self._sink
        if sink is None:
            if not self._budget.take(len(body)):
                return Reason.QUEUE_FULL
            self.held_bytes += len(body)
            parts = self._parts
            if parts and len(parts[-1]) < _SMALL_BYTES:
                parts[-1] += body  # an object for every few bytes would take many times what is counted
            else:
                parts.append(body)
            return None
        if body:
            sink.pass_on(chunk(body) if self._is_chunked else body)
        if self._reader.done:
            self._finish(sink)
        return None

    def flows_from(self, now: float) -> None:
        """Count anew how fast it comes, from `now` on (monotonic seconds)."""
        self._flows_since = now
        self._flow_bytes = 0

    def due_at(self, now: float) -> float:
        """Return by when more must have come, in monotonic seconds.

        Silence is bounded, and so is a trickle: of the time since the body began to flow, or to flow again,
        all but the longest silence must have been earned by bytes.
        """
        due_at = now + self._max_silence_s
        if self._min_bytes_per_s:
            earned_s = self._flow_bytes / self._min_bytes_per_s
            due_at = min(due_at, self._flows_since + self._max_silence_s + earned_s)
        return due_at

    def collected(self) -> bytes:
        """Return what is held of it."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def first_part(self) -> bytes:
        """Return the first that came of it, as long as it is held."""
        return self._parts[0] if self._parts else b""

    def beginning(self, most_bytes: int) -> bytes:
        """Return the first bytes of it, as long as they are held, and not many more than these."""
        parts: list[bytes] = []
        size_bytes = 0
        for part in self._parts:
            parts.append(part)
            size_bytes += len(part)
            if size_bytes >= most_bytes:
                break
        return b"".join(parts)

    def release(self) -> None:
        """Hold nothing any more."""
        self._parts = []
        self._budget.give_back(self.held_bytes)
        self.held_bytes = 0

    # To the node

    def pass_to(self, sink: BodySink) -> None:
        """Send what is held to a node, and from now on what comes."""
        self._sink = sink
        parts = self._parts
        self.release()
        for part in parts:
            if part:
                sink.pass_on(chunk(part) if self._is_chunked else part)
        if self._reader.done:
            self._finish(sink)
        elif not self._is_held:
            self._source.read_body_on()

    def hold(self) -> None:
        """Take nothing more from the client: the node is slower."""
        self._is_held = True
        if not self._reader.done:
            self._source.hold_body()

    def go_on(self) -> None:
        """Take more from the client."""
        self._is_held = False
        if not self._reader.done:
            self._source.read_body_on()

    def _finish(self, sink: BodySink) -> None:
        if self._is_chunked:
            sink.pass_on(last_chunk(self._reader.trailers))
        sink.end_body()


def tunnel(source: BodySource, budget: ByteBudget) -> Upload:
    """Return what passes on the bytes of a connection that has switched protocols."""
    return Upload(
        source,
        OpenReader(),
        max_bytes=0,
        budget=budget,
        is_chunked=False,
        max_silence_s=inf,
        min_bytes_per_s=0,
    )


def framing_of_upload(head: RequestHead) -> bytes:
    """Return the fields that tell the node where a body ends that is passed on."""
    if head.body_bytes != CHUNKED:
        return b"Content-Length: %d\r\n" % head.body_bytes
    trailer = head.known.get(b"trailer")
    announced = b"" if trailer is None else b"Trailer: %s\r\n" % trailer
    return b"Transfer-Encoding: chunked\r\n" + announced
