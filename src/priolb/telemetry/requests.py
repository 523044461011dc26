"""The log of requests, in the words of the original program.

A request logs when it is queued and when it is completed. These two lines are most of what the program
logs and are on the path of every request, so they are put together once (`Logger.template`) and only filled
afterwards. Everything else that can happen to a request is rare, or has cost more than a line already.

Lanes are numbers here: 0 is fast-track, 1 high-priority, 2 low.
"""

from functools import lru_cache
from typing import Final, Protocol

from priolb.telemetry.forms import Level
from priolb.telemetry.logs import Logger

# Renderings kept: of every node, and of the ids of requests that are under way, for their second line.
_NODES_MAX: Final = 1024
_REQUEST_IDS_MAX: Final = 1024
_LANES: Final = range(3)
_FAST_TRACK: Final = 0
_HIGH_PRIO: Final = 1


class Request(Protocol):
    """What is logged of a request."""

    lane: int
    enqueued_at: float
    tries: int
    request_id: bytes
    payload_bytes: int


class RequestLog:
    """Logs what happens to requests.

    Args:
        logger: where the lines go; they have its form.
    """

    __slots__ = (
        "_completed",
        "_completed_with_id",
        "_logger",
        "_queued",
        "_queued_with_id",
        "_render_id",
        "_render_node",
        "_write",
    )

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._render_id = lru_cache(maxsize=_REQUEST_IDS_MAX)(self._as_text)
        self._write = logger.writer.write
        self._render_node = lru_cache(maxsize=_NODES_MAX)(self._as_text)
        self._queued = [_queued_template(logger, lane, []) for lane in _LANES]
        self._queued_with_id = [_queued_template(logger, lane, ["reqID"]) for lane in _LANES]
        self._completed = [_completed_template(logger, lane, []) for lane in _LANES]
        self._completed_with_id = [_completed_template(logger, lane, ["reqID"]) for lane in _LANES]

    def queued(self, request_id: bytes, lane: int, payload_bytes: int, sizes: tuple[int, ...]) -> None:
        """Log that a request is in line.

        Args:
            request_id: the client's X-Request-ID, empty when it sent none.
            lane: its lane.
            payload_bytes: length of the request's body.
            sizes: requests that wait in each lane, this one included.
        """
        fast, high, low = sizes
        waiting = fast + high + low
        if request_id:
            line = self._queued_with_id[lane] % (
                self._logger.stamp(), self._render_id(request_id), payload_bytes, waiting, fast, high, low
            )  # fmt: skip
        else:
            line = self._queued[lane] % (self._logger.stamp(), payload_bytes, waiting, fast, high, low)
        self._write(line)

    def completed(
        self, request: Request, status: int, node: str, started_at: float, now: float, sizes: tuple[int, ...]
    ) -> None:
        """Log that a request got the answer of a node.

        Args:
            request: the request.
            status: what the client was answered.
            node: name of the node that answered.
            started_at: monotonic seconds of the start of the last try.
            now: monotonic seconds.
            sizes: requests that wait in each lane now.
        """
        arrived_at = request.enqueued_at
        total_us = (now - arrived_at) * 1e6
        fast, high, low = sizes
        if request.request_id:
            line = self._completed_with_id[request.lane] % (
                self._logger.stamp(), self._render_id(request.request_id),
                total_us * 1e-3, total_us, (now - started_at) * 1e6, (started_at - arrived_at) * 1e6,
                request.payload_bytes, status, self._render_node(node), request.tries,
                fast + high + low, fast, high, low,
            )  # fmt: skip
        else:
            line = self._completed[request.lane] % (
                self._logger.stamp(),
                total_us * 1e-3, total_us, (now - started_at) * 1e6, (started_at - arrived_at) * 1e6,
                request.payload_bytes, status, self._render_node(node), request.tries,
                fast + high + low, fast, high, low,
            )  # fmt: skip
        self._write(line)

    def refused(self, request_id: bytes, lane: int, reason: str, status: int) -> None:
        """Log that a request got an answer of ours."""
        self._logger.error(
            "Request refused", **_id(request_id), **_lane(lane), reason=reason, statusCode=status
        )

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        """Log that a client left before its answer was complete."""
        self._logger.info(
            "Client closed the connection prematurely",
            **_id(request_id),
            **_lane(lane),
            payloadSize=payload_bytes,
            requestTries=tries,
        )

    def node_failed(self, request_id: bytes, node: str, reason: str, detail: str, tries: int) -> None:
        """Log that a try failed without an answer of the node."""
        self._logger.warning(
            "Request proxying failed",
            **_id(request_id),
            nodeURI=node,
            reason=reason,
            err=detail,
            requestTries=tries,
        )

    def rejected(self, peer: str, status: int, detail: str) -> None:
        """Log that what a client sent was no request that could be served, or came too slowly."""
        self._logger.warning("Connection rejected", peer=peer, statusCode=status, err=detail)

    def _as_text(self, value: str | bytes) -> bytes:
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        return self._logger.form.text(text).encode()


def _id(request_id: bytes) -> dict[str, str]:
    return {"reqID": request_id.decode("utf-8", "replace")} if request_id else {}


def _lane(lane: int) -> dict[str, bool]:
    return {"requestIsHighPrio": lane == _HIGH_PRIO, "requestIsFastTrack": lane == _FAST_TRACK}


def _queued_template(logger: Logger, lane: int, text_names: list[str]) -> bytes:
    fields = [
        *_texts(text_names),
        *_priority(lane),
        *_numbers(["payloadSize"]),
        *_numbers(
            ["startQueueSize", "startQueueSizeFastTrack", "startQueueSizeHighPrio", "startQueueSizeLowPrio"]
        ),
    ]
    return logger.template(Level.INFO, "Request added to queue", fields)


def _completed_template(logger: Logger, lane: int, text_names: list[str]) -> bytes:
    fields = [
        *_texts(text_names),
        *_numbers(["durationMs", "durationUs", "simDurationUs", "queueDurationUs"]),
        *_priority(lane),
        *_numbers(["payloadSize", "statusCode"]),
        *_texts(["nodeURI"]),
        *_numbers(["requestTries"]),
        *_numbers(["endQueueSize", "endQueueSizeFastTrack", "endQueueSizeHighPrio", "endQueueSizeLowPrio"]),
    ]
    return logger.template(Level.INFO, "Request completed", fields)


def _texts(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "%b") for name in names]


def _numbers(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "%d") for name in names]


def _priority(lane: int) -> list[tuple[str, str]]:
    return [(name, "true" if is_it else "false") for name, is_it in _lane(lane).items()]
