"""From the settings to the lanes, to the discipline that rules them, and to what else names lanes."""

from __future__ import annotations

import secrets
from typing import Final

from priolb.config.settings import Settings
from priolb.config.tables import AGED, CODEL, DEADLINE, FAIR, MAX_SHARE_PERCENT, STRICT, WEIGHTED, LaneSpec
from priolb.core.nodes.fleet import Fleet
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Aged, Discipline, FastHighLow, Strict, Weighted
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue

_SEED_BYTES: Final = 16


def queue_of(settings: Settings) -> PriorityQueue:
    """Return an empty queue with the lanes and the discipline of these settings."""
    return PriorityQueue([_lane_of(lane, settings) for lane in settings.lanes], _discipline_of(settings))


def shares_of(settings: Settings, lanes: list[Lane], fleet: Fleet, now: float) -> Shares | None:
    """Return what accounts for the slots that lanes have, None when nobody has to know.

    Args:
        settings: the settings.
        lanes: the lanes that were made of them.
        fleet: whose slots they are.
        now: monotonic seconds.
    """
    reserved = [lane.reserved for lane in settings.lanes]
    most_percent = [lane.max_share_percent for lane in settings.lanes]
    is_fair = any(isinstance(lane, FairLane) for lane in lanes)
    preemption = _preemption_of(settings, now)
    is_bounded = any(reserved) or any(percent < MAX_SHARE_PERCENT for percent in most_percent)
    if is_fair or is_bounded or preemption is not None:
        return Shares(lanes, fleet, reserved, most_percent, preemption)
    return None


def hedged_lanes(settings: Settings) -> frozenset[int]:
    """Return the indices of the lanes whose requests get second tries."""
    return frozenset(index for index, lane in enumerate(settings.lanes) if lane.name in settings.hedge_lanes)


def _preemption_of(settings: Settings, now: float) -> Preemption | None:
    """Return what lets lanes take slots from others, None where none does."""
    lanes = settings.lanes
    preempting = frozenset([index for index, lane in enumerate(lanes) if lane.preempts])
    preemptible = frozenset([index for index, lane in enumerate(lanes) if lane.preemptible])
    if not preempting:
        return None
    return Preemption(preempting, preemptible, settings.preemptions_per_second, now)


def _lane_of(lane: LaneSpec, settings: Settings) -> Lane:
    order = settings.lane_order if lane.order is None else lane.order
    max_wait_s = settings.request_timeout_s if lane.max_wait_s is None else lane.max_wait_s
    limit_bytes = lane.limit_mb * 1024 * 1024
    if order == FAIR:
        return FairLane(lane.name, lane.limit, limit_bytes, max_wait_s, seed=secrets.token_bytes(_SEED_BYTES))
    if order == DEADLINE:
        return DeadlineLane(lane.name, lane.limit, limit_bytes, max_wait_s)
    if order == CODEL:
        return CodelLane(lane.name, lane.limit, limit_bytes, max_wait_s)
    return Lane(lane.name, lane.limit, limit_bytes, max_wait_s)


def _discipline_of(settings: Settings) -> Discipline:
    policy = settings.policy
    if policy.discipline == STRICT:
        return Strict()
    if policy.discipline == WEIGHTED:
        return Weighted([0 if lane.strict else lane.weight for lane in settings.lanes])
    if policy.discipline == AGED:
        return Aged(policy.aging_step_s)
    return FastHighLow(settings.items_fasttrack_per_highprio, settings.fasttrack_drain_first)
