"""The log of refusals: each of them while they are few, and how many there were when they are not."""

from __future__ import annotations

from typing import Final

from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger

# Somebody who storms the door must neither fill the disk nor keep the log from others.
LINES_PER_S: Final = 100


class RefusalLog:
    """Logs refusals one by one up to a hundred in a second, and counts the others.

    Args:
        logger: where the lines go.
        words: the words for lanes.
    """

    __slots__ = ("_counts", "_left", "_logger", "_second", "_stamps", "_words")

    def __init__(self, logger: Logger, words: LaneWords) -> None:
        self._logger = logger
        self._stamps = logger.stamps
        self._words = words
        self._second: int = -1
        self._left: int = 0
        self._counts: dict[tuple[int, str, int], int] = {}

    def refused(self, request_id: bytes, lane: int, reason: str, status: int) -> None:
        """Take note that a request got an answer of ours."""
        second = self._stamps.second()
        if second != self._second:
            self.tell_others()
            self._second = second
            self._left = LINES_PER_S
        if self._left:
            self._left -= 1
            ids = {"reqID": request_id.decode("utf-8", "replace")} if request_id else {}
            self._logger.error(
                "Request refused", **ids, **self._words.of(lane), reason=reason, statusCode=status
            )
        else:
            key = (lane, reason, status)
            self._counts[key] = self._counts.get(key, 0) + 1

    def tell_others(self) -> None:
        """Log how many have been refused without a line of their own since the last call."""
        counts, self._counts = self._counts, {}
        for (lane, reason, status), count in counts.items():
            self._logger.error(
                "More requests refused",
                **self._words.of(lane),
                reason=reason,
                statusCode=status,
                requests=count,
            )
