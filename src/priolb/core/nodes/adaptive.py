"""Slots that a node finds by itself: as many as it can work on without becoming slower.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease algorithms
for congestion avoidance", 1989), by the delay that the node adds, as in TCP Vegas (Brakmo, Peterson 1995):

    window:    the tries that end until max(16, 2 * slots) have; its mean latency is L
    baseline:  B = the lowest L so far, learned anew every minute
    L > 1.25 * B                      slots = max(1, min(slots - 1, floor(slots * 0.9)))
    otherwise, if all slots were used slots = min(slots + 1, cap)

Once a minute one window runs with half the slots, and its mean becomes the new baseline, whatever it is: so a
node that has become slower for good is not mistaken for an overloaded one, and a baseline that was learned
under load does not creep upwards. With a single slot there is no load of ours to blame, so B = L.
"""

from __future__ import annotations

from math import inf
from typing import Final

START_SLOTS: Final = 4

_WINDOW_TRIES: Final = 16
_TOLERANCE: Final = 1.25
_DECREASE: Final = 0.9
_RELEARN_S: Final = 60.0


class AdaptiveSlots:
    """Finds the slots of one node.

    Args:
        slots: to start with.
        cap: most slots ever.
        now: monotonic seconds.
    """

    __slots__ = (
        "_baseline_s",
        "_busiest",
        "_count",
        "_is_relearning",
        "_learned_at",
        "_resume_slots",
        "_sum_s",
        "_window_from",
        "cap",
        "slots",
    )

    def __init__(self, slots: int, cap: int, now: float) -> None:
        self.cap: int = cap
        self.slots: int = min(slots, cap)
        self._baseline_s: float = inf
        self._learned_at: float = now
        self._is_relearning: bool = False
        self._resume_slots: int = 0
        self._window_from: float = now
        self._count: int = 0
        self._sum_s: float = 0.0
        self._busiest: int = 0

    def record(self, latency_s: float, started_at: float, in_flight: int, now: float) -> bool:
        """Take note of a try that was answered or timed out; return whether `slots` has changed.

        Args:
            latency_s: how long it took.
            started_at: when it began, monotonic seconds. One that began before the slots last changed tells
                of another load, and is left out.
            in_flight: requests that the node had, this one included.
            now: monotonic seconds.
        """
        if started_at < self._window_from:
            return False
        self._count += 1
        self._sum_s += latency_s
        if in_flight > self._busiest:
            self._busiest = in_flight
        if self._count < max(_WINDOW_TRIES, 2 * self.slots):
            return False
        before = self.slots
        self._end_window(self._sum_s / self._count, now)
        self._count, self._sum_s, self._busiest = 0, 0.0, 0
        if self.slots == before:
            return False
        self._window_from = now
        return True

    def _end_window(self, mean_s: float, now: float) -> None:
        if self._is_relearning:
            self._is_relearning = False
            self._baseline_s = mean_s
            self._learned_at = now
            self.slots = self._resume_slots
            return
        if mean_s < self._baseline_s or self.slots == 1:
            self._baseline_s = mean_s
        if now - self._learned_at >= _RELEARN_S and self.slots > 1:
            self._is_relearning = True
            self._resume_slots = self.slots
            self.slots = max(1, self.slots // 2)
        elif mean_s > _TOLERANCE * self._baseline_s:
            self.slots = max(1, min(self.slots - 1, int(self.slots * _DECREASE)))
        elif self._busiest >= self.slots:
            self.slots = min(self.slots + 1, self.cap)
