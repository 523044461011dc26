"""How the log speaks of lanes: of the three of the original in its words, of others by their names."""

from __future__ import annotations

from collections.abc import Sequence

from priolb.core.queueing.classify import LANE_NAMES


class LaneWords:
    """Names of the fields that say something of lanes.

    Args:
        names: names of the lanes, None for those of the original.

    Attributes:
        count: how many lanes there are.
        tells_all: whether a line about a request tells the lengths of all three lanes, as in the original.
    """

    __slots__ = ("_names", "count", "tells_all")

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self._names = names
        self.count: int = len(LANE_NAMES if names is None else names)
        self.tells_all: bool = names is None

    @property
    def size_names(self) -> list[str]:
        """Names of the lengths of all lanes, in a line about nothing else."""
        if self._names is None:
            return ["fastTrack", "highPrio", "lowPrio"]
        return [f"queueSize_{name}" for name in self._names]

    def sizes(self, total: str, lane: int) -> list[str]:
        """Return the names of the lengths that a line about a request of `lane` tells.

        First that of all lanes together, which is given; then of each of them. With lanes of other names it
        is that of its own one alone: a line shall not grow with their number.
        """
        if self._names is None:
            return [total, f"{total}FastTrack", f"{total}HighPrio", f"{total}LowPrio"]
        return [total, f"{total}_{self._names[lane]}"]

    def lengths_alone(self, lane: int) -> tuple[int, ...]:
        """Return the lengths that `sizes` has the names of, with nobody in line but one request of `lane`."""
        if self._names is None:
            return (1, int(lane == 0), int(lane == 1), int(lane == 2))
        return (1, 1)

    def of(self, lane: int) -> dict[str, object]:
        """Return the fields that say which lane a request is in."""
        if self._names is None:
            return {"requestIsHighPrio": lane == 1, "requestIsFastTrack": lane == 0}
        return {"lane": self._names[lane]}


def words_of(names: Sequence[str]) -> LaneWords:
    """Return the words for lanes of these names."""
    return LaneWords(None if tuple(names) == LANE_NAMES else names)
