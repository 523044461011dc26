"""From the settings to the lanes, and to the discipline that rules them."""

from __future__ import annotations

from priolb.config.settings import Settings
from priolb.core.discipline import FastHighLow
from priolb.core.lanes import Lane
from priolb.core.queue import PriorityQueue


def queue_of(settings: Settings) -> PriorityQueue:
    """Return an empty queue with the lanes and the discipline of these settings."""
    lanes = [Lane(lane.name, lane.limit) for lane in settings.lanes]
    return PriorityQueue(
        lanes, FastHighLow(settings.items_fasttrack_per_highprio, settings.fasttrack_drain_first)
    )
