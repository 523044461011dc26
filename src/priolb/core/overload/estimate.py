"""How long a request will have to wait, before it gets in line.

The wait of a new ticket is the work ahead of it, shared out over the slots that work on it:

    wait = (sum over lanes j of (tickets of j ahead * mean service time of j) + half a mean service time)
           / (usable slots - slots that lanes which overtake it keep busy)

as the next slot to be free is in the middle of its service, on the average. What is ahead, and which lanes
overtake a ticket even when their tickets come later, the discipline says. The slots that a lane keeps busy
are the service times of its recent tries over the time (Little's law), with a memory that fades over ten
seconds; a twentieth of all slots is always taken to be there. Where slots are reserved for lanes, or lanes
may not have all of them, `bounded_wait_s` takes the place of this quotient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, inf
from typing import Final

# Weight of a new service time in the mean: the last 20 make two thirds of it.
_GAIN: Final = 0.05
_MEMORY_S: Final = 10.0
_LEAST_SHARE: Final = 0.05


class Bounds:
    """How the slots are shared out among the lanes.

    Args:
        reserved: slots that are kept for each lane.
        most: the most slots that each lane may have, one at least.
        in_flight: slots that each lane has.
        has_free: whether a slot is free that is kept for nobody.
    """

    __slots__ = ("has_free", "in_flight", "most", "reserved")

    def __init__(
        self, reserved: Sequence[int], most: Sequence[int], in_flight: Sequence[int], has_free: bool
    ) -> None:
        self.reserved = reserved
        self.most = most
        self.in_flight = in_flight
        self.has_free = has_free


class WaitEstimate:
    """What is known of the service times of each lane.

    Args:
        lanes: how many lanes there are.
    """

    __slots__ = ("_busy_s", "_faded_at", "_mean_s", "_overall_s")

    def __init__(self, lanes: int) -> None:
        self._mean_s: list[float] = [0.0] * lanes
        self._overall_s: float = 0.0
        self._busy_s: list[float] = [0.0] * lanes
        self._faded_at: float = -inf

    def observe(self, lane: int, service_s: float, now: float) -> None:
        """Add a try that has ended.

        Args:
            lane: index of its lane.
            service_s: from its start to its end, seconds.
            now: monotonic seconds.
        """
        self._overall_s = _averaged(self._overall_s, service_s)
        self._mean_s[lane] = _averaged(self._mean_s[lane], service_s)
        self._fade(now)
        self._busy_s[lane] += min(service_s, _MEMORY_S)  # what was before is forgotten already

    def service_s(self, lane: int) -> float:
        """Return how long tries of `lane` take, seconds; 0 when nothing is known."""
        return self._mean_s[lane] or self._overall_s

    def wait_s(self, ahead: list[int], overtaking: Iterable[int], slots: int, now: float) -> float:
        """Return how long a new ticket waits while no slot is free, seconds; 0 when nothing is known.

        Args:
            ahead: how many tickets of each lane go before it, of those that wait.
            overtaking: indices of the lanes whose later tickets go before it, too.
            slots: most requests in flight over all usable nodes.
            now: monotonic seconds.
        """
        if not slots:
            return 0.0  # nobody works, and nobody knows for how long
        work_s = 0.5 * self._overall_s
        for lane, count in enumerate(ahead):
            if count:
                work_s += count * self.service_s(lane)
        self._fade(now)
        busy = sum([self._busy_s[lane] for lane in overtaking]) / _MEMORY_S
        return work_s / max(slots - busy, slots * _LEAST_SHARE)

    def wait_within_s(
        self, lane: int, ahead: list[int], overtaking: Iterable[int], slots: int, bounds: Bounds, now: float
    ) -> float:
        """Do as `wait_s` for a ticket of `lane` that may have no slot now, where lanes have bounds.

        Args:
            lane: index of its lane.
            ahead: as in `wait_s`.
            overtaking: as there.
            slots: as there.
            bounds: of the lanes.
            now: monotonic seconds.
        """
        if not slots:
            return 0.0
        reserved, most = bounds.reserved, bounds.most
        work_s = [count * self.service_s(each) for each, count in enumerate(ahead)]
        # Of a lane that has all it may have, the next slot is one of its own.
        is_at_most = bounds.in_flight[lane] >= most[lane]
        work_s[lane] += 0.5 * (self.service_s(lane) if is_at_most else self._overall_s)
        self._fade(now)
        busy = 0.0
        if not bounds.has_free:  # else those lanes are not so busy any more
            busy = sum([max(0.0, self._busy_s[each] / _MEMORY_S - reserved[each]) for each in overtaking])
        # However many are reserved, one slot is open to all.
        common = max(max(1, slots - sum(reserved)) - busy, slots * _LEAST_SHARE)
        wait_s = bounded_wait_s(lane, work_s, reserved, most, common)
        if sum(reserved) >= slots:  # not all of these are there
            return max(wait_s, self.wait_s(ahead, overtaking, slots, now))
        return wait_s

    def _fade(self, now: float) -> None:
        if now > self._faded_at:
            left = exp((self._faded_at - now) / _MEMORY_S)
            self._busy_s = [busy_s * left for busy_s in self._busy_s]
            self._faded_at = now


def bounded_wait_s(
    lane: int, work_s: Sequence[float], reserved: Sequence[int], most: Sequence[int], common: float
) -> float:
    """Return when the work ahead of a ticket is done, seconds from now.

    Of the common slots, another lane with work W, R slots of its own and M at most needs M - R until W / M;
    if they are not there, what it is behind is done later, and until W / R its own slots go on with it, too.
    What all others leave of the common slots is for the lane of the ticket, up to its own most. (A fluid
    model: work can be divided, and better lanes go first.)

    Args:
        lane: index of its lane.
        work_s: service time of what is ahead of it in each lane, seconds.
        reserved: slots that are kept for each lane.
        most: the most slots that each lane may have, one at least.
        common: slots that are reserved for no lane, more than 0.
    """
    left_s = work_s[lane]
    if left_s <= 0.0:
        return 0.0  # nobody knows
    own, top = float(min(reserved[lane], most[lane])), float(most[lane])
    # When the other lanes need fewer common slots, and when more or fewer of their own slots help them.
    changes: list[tuple[float, float, float]] = [(inf, 0.0, 0.0)]
    need = 0.0
    for each, each_s in enumerate(work_s):
        if each != lane and each_s > 0.0:
            kept = min(reserved[each], most[each])
            need += most[each] - kept
            changes.append((each_s / most[each], float(kept - most[each]), float(kept)))
            if kept:
                changes.append((each_s / kept, 0.0, float(-kept)))
    changes.sort()
    now_s = behind_s = help_ = 0.0
    for change_s, less, more in changes:
        span_s = change_s - now_s
        # Until they have caught up, those before it leave nothing.
        caught_up_s = now_s
        grows = need - common - (help_ if behind_s > 0.0 else 0.0)
        if grows >= 0.0:
            caught_up_s = change_s
        elif behind_s > 0.0:
            caught_up_s = min(change_s, now_s + behind_s / -grows)
        behind_s = max(0.0, behind_s + grows * span_s)
        left = max(0.0, common - need)
        for until_s, slots in ((caught_up_s, own), (change_s, min(top, own + left))):
            if slots * (until_s - now_s) >= left_s:
                return now_s + left_s / slots
            left_s -= slots * (until_s - now_s)
            now_s = until_s
        need += less
        help_ += more
    return now_s


def _averaged(mean_s: float, value_s: float) -> float:
    """Return a mean with one value more, which at most doubles it: a stream of hours says little."""
    return mean_s + (min(value_s, mean_s / _GAIN) - mean_s) * _GAIN if mean_s else value_s
