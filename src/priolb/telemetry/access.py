"""The access log: two lines for each request, in the words of the original program.

These two lines are most of what the program logs and are on the path of every request, so they are
put together once (`Logger.template`) and only filled afterwards. Lanes are numbers here: 0 is
fast-track, 1 high-priority, 2 low.
"""

from typing import Final

from priolb.telemetry.forms import Level
from priolb.telemetry.logs import Logger

# Renderings of node URIs kept: far more than there are nodes, so only years of changes start them anew.
_KNOWN_NODES_MAX: Final = 4096
_LANES: Final = range(3)
_FAST_TRACK: Final = 0
_HIGH_PRIO: Final = 1


class AccessLog:
    """Logs when a request is queued and when it is answered.

    Args:
        logger: where the lines go; they have its form.
    """

    __slots__ = (
        "_completed",
        "_completed_with_id",
        "_known_nodes",
        "_logger",
        "_queued",
        "_queued_with_id",
        "_text",
        "_write",
    )

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._text = logger.form.text
        self._write = logger.writer.write
        self._known_nodes: dict[str, bytes] = {}
        self._queued = [_queued_template(logger, lane, []) for lane in _LANES]
        self._queued_with_id = [_queued_template(logger, lane, ["reqID"]) for lane in _LANES]
        self._completed = [_completed_template(logger, lane, []) for lane in _LANES]
        self._completed_with_id = [_completed_template(logger, lane, ["reqID"]) for lane in _LANES]

    def queued(self, req_id: str, lane: int, sizes: tuple[int, int, int]) -> None:
        """Log that a request waits.

        Args:
            req_id: the client's X-Request-ID, empty when it sent none.
            sizes: requests that wait in each lane, this one included.
        """
        if req_id:
            line = self._queued_with_id[lane] % (self._logger.stamp(), self._text(req_id).encode(), *sizes)
        else:
            line = self._queued[lane] % (self._logger.stamp(), *sizes)
        self._write(line)

    def completed(  # noqa: PLR0917 - called by position, as keywords would cost more than some fields
        self,
        req_id: str,
        lane: int,
        payload_bytes: int,
        status: int,
        node: str,
        tries: int,
        queue_us: int,
        node_us: int,
        total_us: int,
        sizes: tuple[int, int, int],
    ) -> None:
        """Log how a request ended.

        Args:
            req_id: the client's X-Request-ID, empty when it sent none.
            payload_bytes: length of the request's body.
            status: what the client was answered.
            node: URI of the node of the last try, empty when there was none.
            tries: tries made.
            queue_us, node_us, total_us: microseconds in the queue, at nodes, and from arrival to answer.
            sizes: requests that wait in each lane now.
        """
        node_text = self._known_nodes.get(node) or self._render_node(node)
        stamp = self._logger.stamp()
        total_ms = total_us // 1000
        fast, high, low = sizes
        waiting = fast + high + low
        if req_id:
            line = self._completed_with_id[lane] % (
                stamp, self._text(req_id).encode(), total_ms, payload_bytes, status, node_text, tries,
                queue_us, node_us, total_us, waiting, fast, high, low,
            )  # fmt: skip
        else:
            line = self._completed[lane] % (
                stamp, total_ms, payload_bytes, status, node_text, tries,
                queue_us, node_us, total_us, waiting, fast, high, low,
            )  # fmt: skip
        self._write(line)

    def _render_node(self, node: str) -> bytes:
        if len(self._known_nodes) >= _KNOWN_NODES_MAX:
            self._known_nodes.clear()
        text = self._text(node).encode()
        self._known_nodes[node] = text
        return text


def _queued_template(logger: Logger, lane: int, text_names: list[str]) -> bytes:
    fields = [
        *_texts(text_names),
        *_priority(lane),
        *_numbers(["fastTrack", "highPrio", "lowPrio"]),
    ]
    return logger.template(Level.INFO, "Request added to queue", fields)


def _completed_template(logger: Logger, lane: int, text_names: list[str]) -> bytes:
    fields = [
        *_texts(text_names),
        *_numbers(["durationMs"]),
        *_priority(lane),
        *_numbers(["payloadSize", "statusCode"]),
        *_texts(["nodeURI"]),
        *_numbers(["requestTries", "queueDurationUs", "nodeDurationUs", "totalDurationUs"]),
        *_numbers(["queueItems", "queueItemsFastTrack", "queueItemsHighPrio", "queueItemsLowPrio"]),
    ]
    return logger.template(Level.INFO, "Request completed", fields)


def _texts(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "%b") for name in names]


def _numbers(names: list[str]) -> list[tuple[str, str]]:
    return [(name, "%d") for name in names]


def _priority(lane: int) -> list[tuple[str, str]]:
    truth = {True: "true", False: "false"}
    return [
        ("requestIsHighPrio", truth[lane == _HIGH_PRIO]),
        ("requestIsFastTrack", truth[lane == _FAST_TRACK]),
    ]
