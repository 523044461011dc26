"""Refusals, counted, and in the log: each of them while they are few, and how many when they are not."""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger

# Somebody who storms the door must neither fill the disk nor keep the log from others.
LINES_PER_S: Final = 100


class _Tally:
    """How many requests of a lane were refused for one reason, and how many of them have no line yet."""

    __slots__ = ("status", "total", "untold")

    def __init__(self) -> None:
        self.total: int = 0
        self.untold: int = 0
        self.status: int = 0


class RefusalLog:
    """Counts refusals, and logs them one by one up to a hundred in a second.

    Args:
        logger: where the lines go.
        words: the words for lanes.
    """

    __slots__ = ("_left", "_logger", "_tallies", "_until", "_words")

    def __init__(self, logger: Logger, words: LaneWords) -> None:
        self._logger = logger
        self._words = words
        self._until: float = -inf
        self._left: int = 0
        # By lane and reason: of both there are few.
        self._tallies: list[dict[str, _Tally]] = [{} for _ in range(words.count)]

    def totals(self) -> dict[tuple[int, str], int]:
        """Return how many requests have been refused, by lane and reason."""
        return {
            (lane, reason): tally.total
            for lane, tallies in enumerate(self._tallies)
            for reason, tally in tallies.items()
        }

    def refused(self, request_id: bytes, lane: int, reason: str, status: int, now: float) -> None:
        """Take note that a request got an answer of ours, at `now` (monotonic seconds)."""
        if now >= self._until:
            self.tell_others()
            self._until = now + 1.0
            self._left = LINES_PER_S
        tallies = self._tallies[lane]
        tally = tallies.get(reason)
        if tally is None:
            tally = tallies[reason] = _Tally()
        tally.total += 1
        if self._left:
            self._left -= 1
            ids = {"reqID": request_id.decode("utf-8", "replace")} if request_id else {}
            self._logger.error(
                "Request refused", **ids, **self._words.of(lane), reason=reason, statusCode=status
            )
        else:
            tally.untold += 1
            tally.status = status

    def tell_others(self) -> None:
        """Log how many have been refused without a line of their own since the last call."""
        for lane, tallies in enumerate(self._tallies):
            for reason, tally in tallies.items():
                if tally.untold:
                    self._logger.error(
                        "More requests refused",
                        **self._words.of(lane),
                        reason=reason,
                        statusCode=tally.status,
                        requests=tally.untold,
                    )
                    tally.untold = 0
