"""The log of requests, in the words of the original program, and counts of those that did not get through.

A request logs when it is queued and when it is completed. These two lines are most of what the program
logs and are on the path of every request, so they are put together once (`Logger.template`) and only filled
afterwards: first with what is the same for many requests, which is remembered, then with times, ids and, when
somebody waits, the lengths of the lanes. Everything else that can happen to a request is rare, or has cost
more than a line already.

Lanes are numbers here; `LaneWords` has the words for them.
"""

from functools import lru_cache
from typing import Final, Protocol

from priolb.core.queueing.queue import PriorityQueue
from priolb.http.numbers import decimal
from priolb.telemetry.forms import Level
from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger
from priolb.telemetry.refusals import RefusalLog

# Lines kept that are filled in part, and ids of requests that are under way, for their second line.
_LINES_MAX: Final = 1024
_REQUEST_IDS_MAX: Final = 1024
# What stays open in a line that is filled in part.
_OPEN: Final = b"%b"
_OPEN_NUMBER: Final = b"%d"
_NO_WAIT: Final = b"0"


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
        words: the words for lanes, by default those of the original.

    Attributes:
        refusals: how many requests got an answer of ours, by lane and reason.
        rejections: how much was no request that could be served, by the status of the answer, 0 for none.
        clients_left: how many clients left before their answer was complete, for each lane.
        preemptions: how many requests have lost their slots to better ones, for each lane.
        refusal_lines: logs refusals, and counts those that have no line of their own.
    """

    __slots__ = (
        "_completed_line",
        "_lanes",
        "_logger",
        "_queued_line",
        "_render_id",
        "_stamps",
        "_write",
        "clients_left",
        "preemptions",
        "refusal_lines",
        "refusals",
        "rejections",
    )

    def __init__(self, logger: Logger, words: LaneWords | None = None) -> None:
        self._logger = logger
        self._lanes = LaneWords() if words is None else words
        self.refusal_lines = RefusalLog(logger, self._lanes)
        self._stamps = logger.stamps
        self._write = logger.writer.write
        self.refusals: dict[tuple[int, str], int] = {}
        self.rejections: dict[int, int] = {}
        self.clients_left: list[int] = [0] * self._lanes.count
        self.preemptions: list[int] = [0] * self._lanes.count
        self._render_id = lru_cache(maxsize=_REQUEST_IDS_MAX)(self._as_text)
        self._queued_line = lru_cache(maxsize=_LINES_MAX)(self._queued_template)
        self._completed_line = lru_cache(maxsize=_LINES_MAX)(self._completed_template)

    def queued(self, request_id: bytes, lane: int, payload_bytes: int, queue: PriorityQueue) -> None:
        """Log that a request is in line.

        Args:
            request_id: the client's X-Request-ID, empty when it sent none.
            lane: its lane.
            payload_bytes: length of the request's body.
            queue: where it waits; or has passed by if nobody is there, and is told as if it waited.
        """
        is_alone = queue.length <= 1
        line = self._queued_line(lane, request_id != b"", is_alone)
        stamp = self._stamps.now()
        if request_id:
            values: tuple[object, ...] = (stamp, self._render_id(request_id), payload_bytes)
        else:
            values = (stamp, payload_bytes)
        self._write(line % (values if is_alone else (*values, *self._lanes.lengths(queue, lane))))

    def completed(
        self, request: Request, status: int, node: str, started_at: float, now: float, queue: PriorityQueue
    ) -> None:
        """Log that a request got the answer of a node.

        Args:
            request: the request.
            status: what the client was answered.
            node: name of the node that answered.
            started_at: monotonic seconds of the start of the last try.
            now: monotonic seconds.
            queue: where others wait now.
        """
        arrived_at = request.enqueued_at
        total_us = int((now - arrived_at) * 1e6)
        total = b"%d" % total_us
        node_time, wait = total, _NO_WAIT
        if started_at != arrived_at:
            node_time = b"%d" % int((now - started_at) * 1e6)
            wait = b"%d" % int((started_at - arrived_at) * 1e6)
        request_id, payload_bytes = request.request_id, request.payload_bytes
        line = self._completed_line(
            request.lane, request_id != b"", status, node, request.tries, queue.length == 0
        )
        stamp, total_ms = self._stamps.now(), decimal(total_us // 1000)
        if request_id:
            values: tuple[object, ...] = (
                stamp, self._render_id(request_id), total_ms, total, node_time, wait, payload_bytes
            )  # fmt: skip
        else:
            values = (stamp, total_ms, total, node_time, wait, payload_bytes)
        if queue.length:
            values = (*values, *self._lanes.lengths(queue, request.lane))
        self._write(line % values)

    def refused(self, request_id: bytes, lane: int, reason: str, status: int) -> None:
        """Log that a request got an answer of ours."""
        key = (lane, reason)
        self.refusals[key] = self.refusals.get(key, 0) + 1
        self.refusal_lines.refused(request_id, lane, reason, status)

    def preempted(self, request_id: bytes, lane: int, node: str, by: bytes) -> None:
        """Log that a request is back in line, as its slot is needed for the one with the id `by`."""
        self.preemptions[lane] += 1
        self._logger.info(
            "Request preempted",
            **_id(request_id),
            **self._lanes.of(lane),
            nodeURI=node,
            by=by.decode("utf-8", "replace"),
        )

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        """Log that a client left before its answer was complete."""
        self.clients_left[lane] += 1
        self._logger.info(
            "Client closed the connection prematurely",
            **_id(request_id),
            **self._lanes.of(lane),
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
        self.rejections[status] = self.rejections.get(status, 0) + 1
        self._logger.warning("Connection rejected", peer=peer, statusCode=status, err=detail)

    def _as_text(self, value: str | bytes) -> bytes:
        text = value if isinstance(value, str) else value.decode("utf-8", "replace")
        return self._logger.form.text(text).encode()

    def _queued_template(self, lane: int, has_id: bool, is_alone: bool) -> bytes:
        """Return the line of a request that is queued.

        Open are time, id, length of the body and, unless it is alone in line, the lengths of the lanes.
        """
        names = self._lanes.sizes("startQueueSize", lane)
        sizes = [_OPEN_NUMBER] * len(names)
        if is_alone:
            sizes = [b"%d" % size for size in self._lanes.lengths_alone(lane)]
        ids = (_OPEN,) if has_id else ()
        fields = [
            *_open(["reqID"] if has_id else []),
            *self._lane(lane),
            *_open(["payloadSize"]),
            *_open(names),
        ]
        template = self._logger.template(Level.INFO, "Request added to queue", fields)
        return _fill(template, _OPEN, *ids, _OPEN_NUMBER, *sizes)

    def _completed_template(
        self, lane: int, has_id: bool, status: int, node: str, tries: int, is_idle: bool
    ) -> bytes:
        """Return the line of a request that is completed.

        Open are time, id, the four durations, length of the body and, unless nobody waits, the lengths of the
        lanes.
        """
        ids = (_OPEN,) if has_id else ()
        names = self._lanes.sizes("endQueueSize", lane)
        fields = [
            *_open(["reqID"] if has_id else []),
            *_open(["durationMs", "durationUs", "simDurationUs", "queueDurationUs"]),
            *self._lane(lane),
            *_open(["payloadSize", "statusCode", "nodeURI", "requestTries"]),
            *_open(names),
        ]
        template = self._logger.template(Level.INFO, "Request completed", fields)
        durations = (_OPEN, _OPEN, _OPEN, _OPEN)
        facts = (b"%d" % status, self._as_text(node).replace(b"%", b"%%"), b"%d" % tries)
        sizes = [b"0" if is_idle else _OPEN_NUMBER] * len(names)
        return _fill(template, _OPEN, *ids, *durations, _OPEN_NUMBER, *facts, *sizes)

    def _lane(self, lane: int) -> list[tuple[str, str]]:
        value = self._logger.form.value
        return [(name, value(each)) for name, each in self._lanes.of(lane).items()]


def _fill(template: bytes, *values: bytes) -> bytes:
    """Fill a template with values of which some are conversions, so that it is a template again."""
    return template.replace(b"%%", b"%%%%") % values


def _id(request_id: bytes) -> dict[str, str]:
    return {"reqID": request_id.decode("utf-8", "replace")} if request_id else {}


def _open(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "%b") for name in names]
