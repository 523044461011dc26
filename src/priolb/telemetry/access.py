"""The log of requests: at least two lines for each, in the words of the original program.

`queued` and `completed` are most of what the program logs and are on the path of every request, as
`refused` is under overload. So their lines are put together once (`Logger.template`) and only filled
afterwards. Lanes are numbers here: 0 is fast-track, 1 high-priority, 2 low.
"""

from typing import Final

from priolb.telemetry.forms import Level
from priolb.telemetry.logs import Logger

# Renderings kept of node URIs and reasons: far more than there are, so only years of changes start anew.
_KNOWN_TEXTS_MAX: Final = 4096
_LANES: Final = range(3)
_FAST_TRACK: Final = 0
_HIGH_PRIO: Final = 1

_Fields = list[tuple[str, str]]


class RequestLog:
    """Logs what becomes of requests; fills the protocol `Instrument` of the engine.

    In all methods `request_id` is the client's X-Request-ID, empty when it sent none, and `sizes` are the
    lengths of the three lanes.

    Args:
        logger: where the lines go; they have its form.
    """

    __slots__ = (
        "_completed",
        "_completed_with_id",
        "_known_texts",
        "_logger",
        "_queued",
        "_queued_with_id",
        "_raw",
        "_refused",
        "_refused_with_id",
        "_write",
    )

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._raw = logger.form.raw
        self._write = logger.writer.write
        self._known_texts: dict[str, bytes] = {}
        queued = _numbers("payloadSize", "fastTrack", "highPrio", "lowPrio")
        completed = [
            *_numbers("payloadSize", "statusCode"),
            *_texts("nodeURI"),
            *_numbers("requestTries", "durationMs", "queueDurationUs", "nodeDurationUs", "totalDurationUs"),
            *_numbers("queueItems", "queueItemsFastTrack", "queueItemsHighPrio", "queueItemsLowPrio"),
        ]
        refused = [*_texts("reason"), *_numbers("statusCode")]
        self._queued, self._queued_with_id = _templates(logger, Level.INFO, "Request added to queue", queued)
        self._completed, self._completed_with_id = _templates(
            logger, Level.INFO, "Request completed", completed
        )
        self._refused, self._refused_with_id = _templates(logger, Level.WARNING, "Request refused", refused)

    def queued(self, request_id: bytes, lane: int, payload_bytes: int, sizes: tuple[int, ...]) -> None:
        """Log that a request is in line; `sizes` count it."""
        fast, high, low = sizes
        stamp = self._logger.stamp()
        if request_id:
            line = self._queued_with_id[lane] % (stamp, self._raw(request_id), payload_bytes, fast, high, low)
        else:
            line = self._queued[lane] % (stamp, payload_bytes, fast, high, low)
        self._write(line)

    def completed(  # noqa: PLR0917 - called by position, as keywords would cost more than some fields
        self,
        request_id: bytes,
        lane: int,
        payload_bytes: int,
        status: int,
        node: str,
        tries: int,
        queue_us: int,
        node_us: int,
        total_us: int,
        sizes: tuple[int, ...],
    ) -> None:
        """Log that a request got the answer of a node.

        Args:
            request_id: see above.
            lane: see above.
            payload_bytes: length of the request's body.
            status: what the client was answered.
            node: URI of the node of the last try.
            tries: tries made.
            queue_us: microseconds in line.
            node_us: microseconds at the node.
            total_us: microseconds from arrival to answer.
            sizes: see above.
        """
        node_text = self._known_texts.get(node) or self._render(node)
        stamp = self._logger.stamp()
        total_ms = total_us // 1000
        fast, high, low = sizes
        waiting = fast + high + low
        if request_id:
            line = self._completed_with_id[lane] % (
                stamp, self._raw(request_id), payload_bytes, status, node_text, tries,
                total_ms, queue_us, node_us, total_us, waiting, fast, high, low,
            )  # fmt: skip
        else:
            line = self._completed[lane] % (
                stamp, payload_bytes, status, node_text, tries,
                total_ms, queue_us, node_us, total_us, waiting, fast, high, low,
            )  # fmt: skip
        self._write(line)

    def refused(self, request_id: bytes, lane: int, reason: str, status: int) -> None:
        """Log that a request got an answer of ours."""
        stamp = self._logger.stamp()
        why = self._known_texts.get(reason) or self._render(reason)
        if request_id:
            line = self._refused_with_id[lane] % (stamp, self._raw(request_id), why, status)
        else:
            line = self._refused[lane] % (stamp, why, status)
        self._write(line)

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        """Log that a client left before its answer was complete."""
        fields = _with_id(request_id) | _priority(lane)
        fields |= {"payloadSize": payload_bytes, "requestTries": tries}
        self._logger.log(Level.INFO, "Client left before its answer was complete", fields)

    def node_failed(self, request_id: bytes, node: str, reason: str, detail: str, tries: int) -> None:
        """Log that a try failed without an answer of the node; `tries` counts it."""
        fields = _with_id(request_id)
        fields |= {"nodeURI": node, "reason": reason, "error": detail, "requestTries": tries}
        self._logger.log(Level.WARNING, "Node failed to answer", fields)

    def rejected(self, peer: str, status: int, detail: str) -> None:
        """Log that what a client sent was no request that could be served, or came too slowly."""
        fields: dict[str, object] = {"peer": peer, "statusCode": status, "error": detail}
        self._logger.log(Level.WARNING, "Request rejected", fields)

    def _render(self, text: str) -> bytes:
        if len(self._known_texts) >= _KNOWN_TEXTS_MAX:
            self._known_texts.clear()
        rendered = self._logger.form.text(text).encode()
        self._known_texts[text] = rendered
        return rendered


def _templates(logger: Logger, level: Level, msg: str, fields: _Fields) -> tuple[list[bytes], list[bytes]]:
    """Return the line of each lane, without and with a field for the request's id."""
    without_id: list[bytes] = []
    with_id: list[bytes] = []
    for lane in _LANES:
        lane_fields = [(name, logger.form.value(value)) for name, value in _priority(lane).items()] + fields
        without_id.append(logger.template(level, msg, lane_fields))
        with_id.append(logger.template(level, msg, _texts("reqID") + lane_fields))
    return without_id, with_id


def _texts(*names: str) -> _Fields:
    return [(name, "%b") for name in names]


def _numbers(*names: str) -> _Fields:
    return [(name, "%d") for name in names]


def _priority(lane: int) -> dict[str, object]:
    return {"requestIsHighPrio": lane == _HIGH_PRIO, "requestIsFastTrack": lane == _FAST_TRACK}


def _with_id(request_id: bytes) -> dict[str, object]:
    return {"reqID": request_id.decode(errors="backslashreplace")} if request_id else {}
