"""Which lane a request belongs to."""

from __future__ import annotations

from typing import Final

FAST_TRACK: Final = 0
HIGH_PRIORITY: Final = 1
LOW_PRIORITY: Final = 2
LANE_NAMES: Final = ("fast-track", "high-priority", "low-priority")


def lane_of(fields: dict[bytes, bytes]) -> int:
    """Return the lane that the original gives a request.

    Args:
        fields: values of the request's fields by lower-case name.
    """
    if fields.get(b"x-fast-track") == b"true":
        return FAST_TRACK
    if fields.get(b"x-high-priority") == b"true" or fields.get(b"high_prio") == b"true":
        return HIGH_PRIORITY
    return LOW_PRIORITY
