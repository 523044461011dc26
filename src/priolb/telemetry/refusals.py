"""What clients were refused, counted, and in the log: one by one while it is little, together when it is not.

Refusals are of requests that got an answer of ours; rejections, of what was no request that could be served,
and of admin calls.
"""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger

# Somebody who storms the door must neither fill the disk nor keep the log from others.
LINES_PER_S: Final = 100


class _Ration:
    """So many lines a second."""

    __slots__ = ("_left", "_until")

    def __init__(self) -> None:
        self._until: float = -inf
        self._left: int = 0

    def renews(self, now: float) -> bool:
        """Return whether a second is over, at `now` (monotonic seconds), so that there are new ones."""
        if now < self._until:
            return False
        self._until = now + 1.0
        self._left = LINES_PER_S
        return True

    def has_line(self) -> bool:
        """Take a line; False when there is none left."""
        if not self._left:
            return False
        self._left -= 1
        return True


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

    __slots__ = ("_logger", "_ration", "_tallies", "_words")

    def __init__(self, logger: Logger, words: LaneWords) -> None:
        self._logger = logger
        self._words = words
        self._ration = _Ration()
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
        if self._ration.renews(now):
            self.tell_others()
        tallies = self._tallies[lane]
        tally = tallies.get(reason)
        if tally is None:
            tally = tallies[reason] = _Tally()
        tally.total += 1
        if self._ration.has_line():
            self._logger.error(
                "Request refused",
                **id_field(request_id),
                **self._words.of(lane),
                reason=reason,
                statusCode=status,
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


class RejectionLog:
    """Counts rejections, and logs them one by one: up to a hundred connections and as many calls in a second.

    Args:
        logger: where the lines go.

    `totals` is how many there have been, by the status of the answer, 0 for none.
    """

    __slots__ = ("_call_ration", "_logger", "_ration", "_untold", "_untold_calls", "totals")

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._ration = _Ration()
        self._call_ration = _Ration()
        self.totals: dict[int, int] = {}
        # How many have no line yet, and of which peer the last one was, by status.
        self._untold: dict[int, tuple[int, str]] = {}
        self._untold_calls: dict[int, tuple[int, str]] = {}

    def rejected(self, request_id: bytes, peer: str, status: int, detail: str, now: float) -> None:
        """Take note that what a client sent was rejected, at `now` (monotonic seconds)."""
        if self._ration.renews(now):
            self._tell_connections()
        self.totals[status] = self.totals.get(status, 0) + 1
        if self._ration.has_line():
            self._logger.warning(
                "Connection rejected", **id_field(request_id), peer=peer, statusCode=status, err=detail
            )
        else:
            self._untold[status] = (self._untold.get(status, (0, ""))[0] + 1, peer)

    def call_refused(self, call: dict[str, str], peer: str, status: int, detail: str, now: float) -> None:
        """Take note that an admin call was refused, at `now` (monotonic seconds).

        Args:
            call: what its line says of it, by the names of fields.
        """
        if self._call_ration.renews(now):
            self._tell_calls()
        self.totals[status] = self.totals.get(status, 0) + 1
        if self._call_ration.has_line():
            self._logger.warning("Admin call refused", **call, peer=peer, status=status, err=detail)
        else:
            self._untold_calls[status] = (self._untold_calls.get(status, (0, ""))[0] + 1, peer)

    def tell_others(self) -> None:
        """Log how many have been rejected without a line of their own since the last call."""
        self._tell_connections()
        self._tell_calls()

    def _tell_connections(self) -> None:
        for status, (count, peer) in self._untold.items():
            self._logger.warning("More connections rejected", statusCode=status, rejections=count, last=peer)
        self._untold.clear()

    def _tell_calls(self) -> None:
        for status, (count, peer) in self._untold_calls.items():
            self._logger.warning("More admin calls refused", status=status, calls=count, last=peer)
        self._untold_calls.clear()


def id_field(request_id: bytes) -> dict[str, str]:
    """Return the field of a line that tells the id of a request, if it has one."""
    return {"reqID": request_id.decode("utf-8", "replace")} if request_id else {}
