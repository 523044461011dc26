"""From the settings to the lanes, to the discipline that rules them, and to what else names lanes."""

from __future__ import annotations

from priolb.config.settings import Settings
from priolb.core.codel import CodelLane
from priolb.core.discipline import FastHighLow
from priolb.core.lanes import Lane
from priolb.core.preemption import Preemption
from priolb.core.queue import PriorityQueue


def queue_of(settings: Settings) -> PriorityQueue:
    """Return an empty queue with the lanes and the discipline of these settings."""
    wait_s = settings.request_timeout_s
    lanes = [
        CodelLane(lane.name, lane.limit, wait_s) if lane.codel else Lane(lane.name, lane.limit)
        for lane in settings.lanes
    ]
    return PriorityQueue(
        lanes, FastHighLow(settings.items_fasttrack_per_highprio, settings.fasttrack_drain_first)
    )


def preemption_of(settings: Settings, now: float) -> Preemption | None:
    """Return what lets lanes take slots from others, None where none does; `now` in monotonic seconds."""
    lanes = settings.lanes
    preempting = frozenset([index for index, lane in enumerate(lanes) if lane.preempts])
    preemptible = frozenset([index for index, lane in enumerate(lanes) if lane.preemptible])
    if not preempting:
        return None
    return Preemption(preempting, preemptible, settings.preemptions_per_second, now)


def hedged_lanes(settings: Settings) -> frozenset[int]:
    """Return the indices of the lanes whose requests get second tries."""
    return frozenset(index for index, lane in enumerate(settings.lanes) if lane.name in settings.hedge_lanes)
