"""Which lane a caller gets who may not use the one that it asks for."""

from __future__ import annotations

from collections.abc import Set as AbstractSet


def lanes_for(allowed: AbstractSet[int], lanes: int) -> tuple[int, ...]:
    """Return for each lane the one that a caller gets who asks for it.

    That is the lane itself if it is allowed; else the best allowed one that is not better; else the worst
    allowed one.

    Args:
        allowed: lanes that the caller may use, at least one.
        lanes: how many lanes there are, the best one first.
    """
    given: list[int] = []
    best = max(allowed)
    for lane in reversed(range(lanes)):
        if lane in allowed:
            best = lane
        given.append(best)
    return tuple(reversed(given))
