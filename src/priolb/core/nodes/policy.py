"""The numbers by which nodes are judged."""

from __future__ import annotations

from typing import Final

MAX_HARD_STOP_S: Final = 86_400
"""The longest time after which what a drained node still has in flight is cut off, seconds."""


class HealthPolicy:
    """When a node is down, when it is ejected, and how it comes back.

    The defaults judge by checks alone: whoever builds a program brings the rest.

    Args:
        rise: health checks in a row that bring a node back that was down.
        fall: failed ones in a row that take a node down.
        tolerates_busy: a check that is only late says nothing about a node that has requests in flight,
            unless it answers nobody.
        eject_after: faults in a row that eject a node, 0 for never.
        rest_s: how long an ejected node rests the first time, seconds.
        rest_max_s: the longest rest, seconds.
        ejected_max_percent: how many of the otherwise fit nodes may be ejected, per cent, rounded down.
        slow_start_s: how long a node that is back takes to get all of its slots, seconds; 0 for at once.
        panics: when no node is fit, all that the operator has not taken out are used.
    """

    __slots__ = (
        "eject_after",
        "ejected_max_percent",
        "fall",
        "panics",
        "rest_max_s",
        "rest_s",
        "rise",
        "slow_start_s",
        "tolerates_busy",
    )

    def __init__(
        self,
        *,
        rise: int = 1,
        fall: int = 1,
        tolerates_busy: bool = True,
        eject_after: int = 0,
        rest_s: float = 2.0,
        rest_max_s: float = 60.0,
        ejected_max_percent: int = 50,
        slow_start_s: float = 0.0,
        panics: bool = False,
    ) -> None:
        self.rise = rise
        self.fall = fall
        self.tolerates_busy = tolerates_busy
        self.eject_after = eject_after
        self.rest_s = rest_s
        self.rest_max_s = rest_max_s
        self.ejected_max_percent = ejected_max_percent
        self.slow_start_s = slow_start_s
        self.panics = panics
