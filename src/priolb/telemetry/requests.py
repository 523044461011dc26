"""The log of requests, in the words of the original program, and counts of those that did not get through.

A request logs when it is queued and when it is completed. These two lines are most of what the program
logs and are on the path of every request. So what is the same in all such lines of a lane is rendered once
(`Logger.parts`), and afterwards the values are put between these parts. Everything else that can happen to a
request is rare, or has cost more than a line already.

Lanes are numbers here; `LaneWords` has the words for them.
"""

from functools import lru_cache
from typing import Final

from priolb.core.instrument import Instrument
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from priolb.http.alphabet import changing_others
from priolb.http.numbers import decimal
from priolb.telemetry.forms import Level
from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import OPEN, Logger
from priolb.telemetry.refusals import RefusalLog, RejectionLog, id_field

# Lines kept of requests that are completed: for each lane, status and number of tries up to four.
_LINES_MAX: Final = 4096
# Ids of requests that are under way, kept for their second line.
_REQUEST_IDS_MAX: Final = 1024
# Printable ASCII that stands in a line as it is: forms differ only in what they put around it.
_PLAIN: Final = changing_others(bytes([byte for byte in range(33, 127) if byte not in b'"\\']))
_NO_WAIT: Final = b"0"


class _Line:
    """What is the same in many lines about one lane.

    Args:
        parts: between them stand the values that each such line has; the last one is the end of the line, or
            goes up to the lengths of the lanes.
        behind_lengths: what follows each of these.
        status: what the client was answered, of a request that is completed.
        tries: how many tries it took.
    """

    __slots__ = ("behind_lengths", "parts", "status", "tries")

    def __init__(
        self, parts: list[bytes], behind_lengths: list[bytes], status: int = 0, tries: int = 0
    ) -> None:
        self.parts = parts
        self.behind_lengths = behind_lengths
        self.status = status
        self.tries = tries


class RequestLog(Instrument):
    """Logs what happens to requests.

    Args:
        logger: where the lines go; they have its form.
        words: the words for lanes, by default those of the original.

    Attributes:
        clients_left: how many clients left before their answer was complete, for each lane.
        preemptions: how many requests have lost their slots to better ones, for each lane.
        refusals: counts and logs the requests that got an answer of ours.
        rejections: counts and logs what was no request that could be served.
    """

    __slots__ = (
        "_completed_lines",
        "_lanes",
        "_line_of_completed",
        "_lines",
        "_logger",
        "_queued_lines",
        "_quote",
        "_render_id",
        "_stamps",
        "_tells_all",
        "clients_left",
        "preemptions",
        "refusals",
        "rejections",
    )

    def __init__(self, logger: Logger, words: LaneWords | None = None) -> None:
        self._logger = logger
        self._lanes = LaneWords() if words is None else words
        self._tells_all: bool = self._lanes.tells_all
        self.refusals = RefusalLog(logger, self._lanes)
        self.rejections = RejectionLog(logger)
        self._stamps = logger.stamps
        self._lines = logger.requests
        self.clients_left: list[int] = [0] * self._lanes.count
        self.preemptions: list[int] = [0] * self._lanes.count
        self._quote: bytes = self._as_text(b"x").partition(b"x")[0]
        self._render_id = lru_cache(maxsize=_REQUEST_IDS_MAX)(self._as_text)
        # For each lane four: with an id or without, and with lengths that are known or not.
        self._queued_lines: dict[int, _Line] = {}
        # With the status and the tries of the one before, which are mostly the same.
        self._completed_lines: dict[int, _Line] = {}
        self._line_of_completed = lru_cache(maxsize=_LINES_MAX)(self._completed_line)

    def node_name(self, name: str) -> bytes:
        """Return the name of a node as it stands in a line, and as `completed` takes it."""
        return self._logger.form.text(name).encode()

    def queued(
        self, request_id: bytes, lane: int, payload_bytes: int, now: float, queue: PriorityQueue
    ) -> None:
        """Log that a request is in line.

        Args:
            request_id: the client's X-Request-ID, empty when it sent none.
            lane: its lane.
            payload_bytes: length of the request's body.
            now: monotonic seconds.
            queue: where it waits; or has passed by if nobody is there, and is told as if it waited.
        """
        is_alone = queue.length <= 1
        key = 4 * lane + 2 * is_alone if request_id else 4 * lane + 2 * is_alone + 1
        line = self._queued_lines.get(key)
        if line is None:
            line = self._queued_lines[key] = self._queued_line(lane, request_id != b"", is_alone)
        to_stamp, to_id, to_payload, end = line.parts
        shown_id = self._shown(request_id) if request_id else request_id
        text = b"%b%b%b%b%b%d%b" % (
            to_stamp,
            self._stamps.at(now),
            to_id,
            shown_id,
            to_payload,
            payload_bytes,
            end,
        )
        if not is_alone:
            text = self._with_lengths(text, line, queue, lane)
        self._lines.add(text)

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
        """Log that a request got the answer of a node.

        Args:
            ticket: the request.
            request_id: as in `queued`.
            payload_bytes: length of the request's body.
            status: what the client was answered.
            node: the node that answered, by what `node_name` has made of its name.
            started_at: monotonic seconds of the start of the last try.
            now: monotonic seconds.
            queue: where others wait now.
        """
        lane, tries, arrived_at = ticket.lane, ticket.tries, ticket.enqueued_at
        is_idle = queue.length == 0
        key = 4 * lane + 2 * is_idle if request_id else 4 * lane + 2 * is_idle + 1
        line = self._completed_lines.get(key)
        if line is None or line.status != status or line.tries != tries:
            line = self._line_of_completed(lane, request_id != b"", status, tries, is_idle)
            self._completed_lines[key] = line
        total_us = int((now - arrived_at) * 1e6)
        total = b"%d" % total_us
        node_time, wait = total, _NO_WAIT
        if started_at != arrived_at:
            node_time = b"%d" % int((now - started_at) * 1e6)
            wait = b"%d" % int((started_at - arrived_at) * 1e6)
        to_stamp, to_id, to_ms, to_us, to_node_time, to_wait, to_payload, to_node, end = line.parts
        text = b"%b%b%b%b%b%b%b%b%b%b%b%b%b%d%b%b%b" % (
            to_stamp, self._stamps.at(now),
            to_id, self._shown(request_id) if request_id else request_id,
            to_ms, decimal(total_us // 1000),
            to_us, total,
            to_node_time, node_time,
            to_wait, wait,
            to_payload, payload_bytes,
            to_node, node,
            end,
        )  # fmt: skip
        if not is_idle:
            text = self._with_lengths(text, line, queue, lane)
        self._lines.add(text)

    def refused(self, request_id: bytes, lane: int, reason: str, status: int, now: float) -> None:
        """Log that a request got an answer of ours, at `now` (monotonic seconds)."""
        self.refusals.refused(request_id, lane, reason, status, now)

    def preempted(self, request_id: bytes, lane: int, node: str, by: bytes) -> None:
        """Log that a request is back in line, as its slot is needed for the one with the id `by`."""
        self.preemptions[lane] += 1
        self._logger.info(
            "Request preempted",
            **id_field(request_id),
            **self._lanes.of(lane),
            nodeURI=node,
            by=by.decode("utf-8", "replace"),
        )

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        """Log that a client left before its answer was complete."""
        self.clients_left[lane] += 1
        self._logger.info(
            "Client closed the connection prematurely",
            **id_field(request_id),
            **self._lanes.of(lane),
            payloadSize=payload_bytes,
            requestTries=tries,
        )

    def node_failed(self, request_id: bytes, node: str, reason: str, detail: str, tries: int) -> None:
        """Log that a try failed without an answer of the node."""
        self._logger.warning(
            "Request proxying failed",
            **id_field(request_id),
            nodeURI=node,
            reason=reason,
            err=detail,
            requestTries=tries,
        )

    def rejected(self, request_id: bytes, peer: str, status: int, detail: str, now: float) -> None:
        """Log that what a client sent was no request that could be served, or came too slowly."""
        self.rejections.rejected(request_id, peer, status, detail, now)

    @property
    def lost_lines(self) -> int:
        """How many lines of the log nobody will read."""
        return self._logger.lost_lines

    def tell_others(self) -> None:
        """Log how much was refused and rejected without a line of its own."""
        self.refusals.tell_others()
        self.rejections.tell_others()

    def _with_lengths(self, text: bytes, line: _Line, queue: PriorityQueue, lane: int) -> bytes:
        """Return a line to its end, with the lengths that `LaneWords.sizes` has the names of."""
        lanes = queue.lanes
        if not self._tells_all:
            behind_all, end = line.behind_lengths
            return b"%b%d%b%d%b" % (text, queue.length, behind_all, lanes[lane].length, end)
        behind_all, behind_fast, behind_high, end = line.behind_lengths
        return b"%b%d%b%d%b%d%b%d%b" % (
            text, queue.length,
            behind_all, lanes[0].length,
            behind_fast, lanes[1].length,
            behind_high, lanes[2].length,
            end,
        )  # fmt: skip

    def _shown(self, request_id: bytes) -> bytes:
        """Return an id as it stands in a line."""
        if request_id.translate(_PLAIN) == request_id:
            return b"%b%b%b" % (self._quote, request_id, self._quote)
        return self._render_id(request_id)

    def _as_text(self, request_id: bytes) -> bytes:
        return self._logger.form.text(request_id.decode("utf-8", "replace")).encode()

    def _queued_line(self, lane: int, has_id: bool, is_alone: bool) -> _Line:
        """Return the line of a request that is queued, with its lengths when it is alone in line."""
        lengths = self._lanes.lengths_alone(lane) if is_alone else None
        fields = [*self._lane(lane), *_open(["payloadSize"]), *self._lengths("startQueueSize", lane, lengths)]
        parts = self._parts("Request added to queue", has_id, fields)
        return _Line(parts[:4], parts[4:])

    def _completed_line(self, lane: int, has_id: bool, status: int, tries: int, is_idle: bool) -> _Line:
        """Return the line of a request that is completed, with its lengths when nobody waits."""
        value = self._logger.form.value
        lengths = (0,) * len(self._lanes.sizes("", lane)) if is_idle else None
        fields = [
            *_open(["durationMs", "durationUs", "simDurationUs", "queueDurationUs"]),
            *self._lane(lane),
            *_open(["payloadSize"]),
            ("statusCode", value(status)),
            *_open(["nodeURI"]),
            ("requestTries", value(tries)),
            *self._lengths("endQueueSize", lane, lengths),
        ]
        parts = self._parts("Request completed", has_id, fields)
        return _Line(parts[:9], parts[9:], status, tries)

    def _parts(self, message: str, has_id: bool, fields: list[tuple[str, str]]) -> list[bytes]:
        """Return a line in parts; the second value, after the time, is its id, or nothing."""
        parts = self._logger.parts(Level.INFO, message, [*_open(["reqID"] if has_id else []), *fields])
        if not has_id:
            parts.insert(1, b"")
        return parts

    def _lane(self, lane: int) -> list[tuple[str, str]]:
        value = self._logger.form.value
        return [(name, value(each)) for name, each in self._lanes.of(lane).items()]

    def _lengths(self, total: str, lane: int, lengths: tuple[int, ...] | None) -> list[tuple[str, str]]:
        """Return the fields that tell the lengths of lanes, open when these are not known."""
        names = self._lanes.sizes(total, lane)
        if lengths is None:
            return _open(names)
        return [(name, str(length)) for name, length in zip(names, lengths, strict=True)]


def _open(names: list[str]) -> list[tuple[str, str]]:
    return [(name, OPEN) for name in names]
