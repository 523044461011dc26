"""Which lane is next: the disciplines of the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from priolb.core.queueing.classify import HIGH_PRIORITY, LOW_PRIORITY
from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import Ticket


class Discipline:
    """Chooses the next ticket among the lanes, and remembers what it has to for that."""

    __slots__ = ()

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket, still in its lane, or None when none can be served now."""
        raise NotImplementedError

    def passed(self, lane: int) -> None:
        """Take note that a ticket of `lane` was served at once, while all lanes were empty."""
        raise NotImplementedError

    def not_served(self, lane: int) -> None:
        """Take note that the ticket that was picked last, of `lane`, is not served: its time is over."""

    def ahead_of(self, lanes: list[Lane], lane: int, own: int) -> list[int]:
        """Return how many tickets of each lane that wait now go before a new one of `lane`, at most.

        Args:
            lanes: the lanes.
            lane: index of its lane.
            own: how many of that lane go before it.
        """
        return [*[each.length for each in lanes[:lane]], own, *[0 for _ in lanes[lane + 1 :]]]

    def overtaking(self, lane: int) -> Sequence[int]:
        """Return the lanes whose tickets go before one of `lane` even when they come later."""
        return range(lane)


class FastHighLow(Discipline):
    """The rule of the original: fast-track and high-priority in a ratio, low only after both.

    While both wait, `fast_per_high` fast-track tickets are taken, then one high-priority ticket, and so
    on. The count starts anew whenever fast-track is empty. Low is served only when neither waits.

    Args:
        fast_per_high: fast-track tickets before one high-priority ticket; 0 lets high go first.
        drain_fast_first: fast-track is emptied before high-priority, whatever the ratio.
    """

    __slots__ = ("_drain_fast_first", "_fast_in_a_row", "_fast_per_high")

    def __init__(self, fast_per_high: int, drain_fast_first: bool = False) -> None:
        self._fast_per_high = fast_per_high
        self._drain_fast_first = drain_fast_first
        self._fast_in_a_row = 0

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket of the lanes (fast-track, high-priority, low), in that order."""
        fast = lanes[0].first(has_node_for) if lanes[0].length else None
        high = lanes[1].first(has_node_for) if lanes[1].length else None
        if fast is None:
            self._fast_in_a_row = 0
            if high is not None:
                return high
            return lanes[2].first(has_node_for) if lanes[2].length else None
        if high is None:
            return fast
        if self._drain_fast_first or self._fast_in_a_row < self._fast_per_high:
            self._fast_in_a_row += 1
            return fast
        self._fast_in_a_row = 0
        return high

    def passed(self, lane: int) -> None:
        """Start the count anew when fast-track was empty."""
        if lane != 0:
            self._fast_in_a_row = 0

    def ahead_of(self, lanes: list[Lane], lane: int, own: int) -> list[int]:
        fast, high, low = [own if index == lane else each.length for index, each in enumerate(lanes)]
        if lane == LOW_PRIORITY:
            return [fast, high, low]
        if lane == HIGH_PRIORITY:
            return [fast if self._drain_fast_first else min(fast, self._fast_per_high * (high + 1)), high, 0]
        if self._drain_fast_first:
            return [fast, 0, 0]
        return [fast, min(high, fast // self._fast_per_high + 1) if self._fast_per_high else high, 0]

    def overtaking(self, lane: int) -> Sequence[int]:
        if lane == LOW_PRIORITY:
            return range(LOW_PRIORITY)
        if lane == HIGH_PRIORITY:
            return range(int(self._drain_fast_first))
        has_high_first = not self._fast_per_high and not self._drain_fast_first
        return range(HIGH_PRIORITY, LOW_PRIORITY) if has_high_first else range(0)


class Strict(Discipline):
    """The best lane that has somebody: a lane is served only while all better ones are empty."""

    __slots__ = ()

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket of the lanes, the best lane first in the list."""
        for lane in lanes:
            if lane.length:
                ticket = lane.first(has_node_for)
                if ticket is not None:
                    return ticket
        return None

    def passed(self, lane: int) -> None:
        """Nothing is remembered."""


class Weighted(Discipline):
    """Lanes take turns, each as many tickets at a time as its weight says; strict lanes go before them.

    Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) in which every ticket costs 1: while lanes have
    somebody to be served, they are served exactly in the ratio of their weights. A turn ends when it is used
    up or nobody of the lane can be served; what is left of it is not saved.

    Args:
        weights: tickets in a row of each lane; 0 for a strict lane, of which the best is first. Not all are
        strict.
    """

    __slots__ = ("_at", "_left", "_ring", "_strict", "_weights")

    def __init__(self, weights: list[int]) -> None:
        self._weights = weights
        self._strict: list[int] = [lane for lane, weight in enumerate(weights) if weight == 0]
        self._ring: list[int] = [lane for lane, weight in enumerate(weights) if weight]
        self._at: int = 0
        """Whose turn it is: an index into the ring."""
        self._left: int = weights[self._ring[0]]
        """How many tickets of this turn are left."""

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket of the lanes, as many as there are weights, in that order."""
        for index in self._strict:
            if lanes[index].length:
                ticket = lanes[index].first(has_node_for)
                if ticket is not None:
                    return ticket
        ring = self._ring
        at, left = self._at, self._left
        for _ in range(len(ring) + 1):  # once round, and a new turn of the one that began
            if left:
                lane = lanes[ring[at]]
                ticket = lane.first(has_node_for) if lane.length else None
                if ticket is not None:
                    self._at, self._left = at, left - 1
                    return ticket
            at = at + 1 if at + 1 < len(ring) else 0
            left = self._weights[ring[at]]
        return None

    def passed(self, lane: int) -> None:
        """Give the turn to the lane of which a ticket was served, as nobody else was there."""
        weight = self._weights[lane]
        if weight == 0:
            return
        at = self._ring.index(lane)
        if at != self._at or not self._left:
            self._at, self._left = at, weight
        self._left -= 1

    def not_served(self, lane: int) -> None:
        """Give the turn back."""
        if self._weights[lane]:
            self._left += 1

    def ahead_of(self, lanes: list[Lane], lane: int, own: int) -> list[int]:
        weight = self._weights[lane]
        turns = -(-(own + 1) // weight) if weight else 0
        ahead: list[int] = []
        for index, each in enumerate(lanes):
            if index == lane:
                most = own
            elif self._weights[index]:
                most = turns * self._weights[index]
            else:
                most = each.length if weight or index < lane else 0
            ahead.append(min(each.length, most))
        return ahead

    def overtaking(self, lane: int) -> Sequence[int]:
        return [index for index in self._strict if self._weights[lane] or index < lane]


class Aged(Discipline):
    """Strict, but only for so long: a lane is as good as the one before it when it has waited a step longer.

    A ticket's rank is fixed when it comes:

        rank = arrival + step * lane

    and the lowest rank is next. So of lane k nobody is overtaken by a ticket of a better lane j that came
    more than `(k - j) * step` later, and nothing starves. Of lanes in another order than that of arrival, the
    rank is that of the ticket which is next there.

    Args:
        step_s: how much longer a lane waits than the one before it, seconds.
    """

    __slots__ = ("_step_s",)

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s

    def pick(self, lanes: list[Lane], has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        """Return the next ticket of the lanes, best lane first; among equals that of the better lane."""
        best: Ticket | None = None
        best_rank, head_start_s = inf, 0.0
        for lane in lanes:
            if lane.length:
                ticket = lane.first(has_node_for)
                if ticket is not None and ticket.enqueued_at + head_start_s < best_rank:
                    best, best_rank = ticket, ticket.enqueued_at + head_start_s
            head_start_s += self._step_s
        return best

    def passed(self, lane: int) -> None:
        """Nothing is remembered."""
