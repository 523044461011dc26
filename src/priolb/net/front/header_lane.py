"""The lane that a request's own headers ask for, as with the original."""

from __future__ import annotations

from priolb.core.queueing.classify import lane_of
from priolb.http.messages import RequestHead


def header_lane(head: RequestHead) -> int:
    """Return the lane; it is found out once for a head that comes again and again."""
    lane = head.lane
    if lane < 0:
        lane = head.lane = lane_of(head.known)
    return lane
