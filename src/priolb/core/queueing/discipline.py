"""Which lane is next: the disciplines of the queue.

They are told as bits which lanes have somebody who may start, and look at no other: so a choice costs no more
with many lanes than with few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf

from priolb.core.queueing.classify import HIGH_PRIORITY, LOW_PRIORITY
from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import Ticket


class Discipline:
    """Chooses the next ticket among the lanes, and remembers what it has to for that."""

    __slots__ = ()

    def pick(
        self, lanes: list[Lane], occupied: int, has_node_for: Callable[[frozenset[int]], bool]
    ) -> Ticket | None:
        """Return the next ticket, still in its lane, or None when none can be served now.

        Args:
            lanes: the lanes, best one first.
            occupied: which of them have somebody and may start something now; bit 0 is the best lane.
            has_node_for: as in `Lane.first`.
        """
        raise NotImplementedError

    def passed(self, lane: int) -> None:
        """Take note that a ticket of `lane` was served at once, while all lanes were empty."""
        raise NotImplementedError

    def not_served(self, lane: int) -> None:
        """Take note that the ticket that was picked last, of `lane`, is not served: its time is over."""

    def ahead_of(self, lanes: list[Lane], ticket: Ticket, own: int) -> list[int]:
        """Return how many tickets of each lane that wait now go before a new one, at most.

        Args:
            lanes: the lanes.
            ticket: the new one.
            own: how many of its lane go before it.
        """
        lane = ticket.lane
        return [*[each.length for each in lanes[:lane]], own, *[0 for _ in lanes[lane + 1 :]]]

    def overtaking(self, lane: int, patience_s: float) -> Sequence[int]:
        """Return the lanes whose tickets go before one of `lane` even when they come later.

        Args:
            lane: index of its lane.
            patience_s: for how long it waits at most, seconds.
        """
        return range(lane)


class FastHighLow(Discipline):
    """The rule of the original: fast-track and high-priority in a ratio, low only after both.

    While both wait, `fast_per_high` fast-track tickets are taken, then one high-priority ticket, and so
    on. The count starts anew whenever fast-track is empty. Low is served only when neither waits.

    Args:
        fast_per_high: fast-track tickets before one high-priority ticket; 0 lets high go first.
        drain_fast_first: fast-track is emptied before high-priority, whatever the ratio.
    """

    __slots__ = ("_before", "_drain_fast_first", "_fast_in_a_row", "_fast_per_high")

    def __init__(self, fast_per_high: int, drain_fast_first: bool = False) -> None:
        self._fast_per_high = fast_per_high
        self._drain_fast_first = drain_fast_first
        self._fast_in_a_row: int = 0
        self._before: int = 0
        """What it was before the last ticket was picked."""

    def pick(
        self, lanes: list[Lane], occupied: int, has_node_for: Callable[[frozenset[int]], bool]
    ) -> Ticket | None:
        """Return the next ticket of the lanes (fast-track, high-priority, low), in that order."""
        fast = lanes[0].first(has_node_for) if occupied & 1 else None
        high = lanes[1].first(has_node_for) if occupied & 2 else None
        if fast is None:
            self._fast_in_a_row = self._before = 0
            if high is not None:
                return high
            return lanes[2].first(has_node_for) if occupied & 4 else None
        self._before = self._fast_in_a_row
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

    def not_served(self, lane: int) -> None:
        self._fast_in_a_row = self._before

    def ahead_of(self, lanes: list[Lane], ticket: Ticket, own: int) -> list[int]:
        lane = ticket.lane
        fast, high, low = [own if index == lane else each.length for index, each in enumerate(lanes)]
        if lane == LOW_PRIORITY:
            return [fast, high, low]
        if lane == HIGH_PRIORITY:
            return [fast if self._drain_fast_first else min(fast, self._fast_per_high * (high + 1)), high, 0]
        if self._drain_fast_first:
            return [fast, 0, 0]
        return [fast, min(high, fast // self._fast_per_high + 1) if self._fast_per_high else high, 0]

    def overtaking(self, lane: int, patience_s: float) -> Sequence[int]:
        if lane == LOW_PRIORITY:
            return range(LOW_PRIORITY)
        if lane == HIGH_PRIORITY:
            return range(int(self._drain_fast_first))
        has_high_first = not self._fast_per_high and not self._drain_fast_first
        return range(HIGH_PRIORITY, LOW_PRIORITY) if has_high_first else range(0)


class Strict(Discipline):
    """The best lane that has somebody: a lane is served only while all better ones are empty."""

    __slots__ = ()

    def pick(
        self, lanes: list[Lane], occupied: int, has_node_for: Callable[[frozenset[int]], bool]
    ) -> Ticket | None:
        return _first_of(lanes, occupied, has_node_for)

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

    __slots__ = ("_at", "_left", "_strict", "_weights")

    def __init__(self, weights: list[int]) -> None:
        self._weights = weights
        self._strict: int = sum([1 << lane for lane, weight in enumerate(weights) if weight == 0])
        """Which lanes are strict, as bits."""
        self._at: int = next(lane for lane, weight in enumerate(weights) if weight)
        """The lane whose turn it is."""
        self._left: int = weights[self._at]
        """How many tickets of this turn are left."""

    def pick(
        self, lanes: list[Lane], occupied: int, has_node_for: Callable[[frozenset[int]], bool]
    ) -> Ticket | None:
        strict = occupied & self._strict
        if strict:
            ticket = _first_of(lanes, strict, has_node_for)
            if ticket is not None:
                return ticket
        ring, at = occupied ^ strict, self._at
        if self._left and ring >> at & 1:
            ticket = lanes[at].first(has_node_for)
            if ticket is not None:
                self._left -= 1
                return ticket
        # The lanes behind it, and then from the first one on, up to a new turn of its own.
        behind = ring >> at + 1 << at + 1
        ticket = _first_of(lanes, behind, has_node_for) or _first_of(lanes, ring ^ behind, has_node_for)
        if ticket is not None:
            self._at, self._left = ticket.lane, self._weights[ticket.lane] - 1
        return ticket

    def passed(self, lane: int) -> None:
        """Give the turn to the lane of which a ticket was served, as nobody else was there."""
        weight = self._weights[lane]
        if weight == 0:
            return
        if lane != self._at or not self._left:
            self._at, self._left = lane, weight
        self._left -= 1

    def not_served(self, lane: int) -> None:
        """Give the turn back."""
        if self._weights[lane]:
            self._left += 1

    def ahead_of(self, lanes: list[Lane], ticket: Ticket, own: int) -> list[int]:
        lane = ticket.lane
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

    def overtaking(self, lane: int, patience_s: float) -> Sequence[int]:
        weights = self._weights
        return [
            index for index, weight in enumerate(weights) if not weight and (weights[lane] or index < lane)
        ]


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

    def pick(
        self, lanes: list[Lane], occupied: int, has_node_for: Callable[[frozenset[int]], bool]
    ) -> Ticket | None:
        """Return the next ticket; among equals that of the better lane."""
        best: Ticket | None = None
        best_rank = inf
        while occupied:
            lane = _lowest(occupied)
            occupied &= occupied - 1
            ticket = lanes[lane].first(has_node_for)
            if ticket is not None:
                rank = ticket.enqueued_at + self._step_s * lane
                if rank < best_rank:
                    best, best_rank = ticket, rank
        return best

    def passed(self, lane: int) -> None:
        """Nothing is remembered."""

    def ahead_of(self, lanes: list[Lane], ticket: Ticket, own: int) -> list[int]:
        """Return about how many go before it: those of a worse lane are taken to have come evenly."""
        ahead = super().ahead_of(lanes, ticket, own)
        for lane in range(ticket.lane + 1, len(lanes)):
            oldest = lanes[lane].oldest()
            if oldest is not None:
                waited_s = ticket.enqueued_at - oldest.enqueued_at
                lead_s = waited_s - self._step_s * (lane - ticket.lane)
                if lead_s > 0.0:
                    ahead[lane] = ceil(lanes[lane].length * lead_s / waited_s)
        return ahead

    def overtaking(self, lane: int, patience_s: float) -> Sequence[int]:
        """Return those that are so much better that it has not the time to become as good."""
        return [better for better in range(lane) if self._step_s * (lane - better) >= patience_s]


def _first_of(lanes: list[Lane], among: int, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
    """Return the next ticket of the best of these lanes, given as bits, that has one which can be served."""
    while among:
        ticket = lanes[_lowest(among)].first(has_node_for)
        if ticket is not None:
            return ticket
        among &= among - 1
    return None


def _lowest(bits: int) -> int:
    """Return which is the lowest of these bits, one at least."""
    return (bits & -bits).bit_length() - 1
