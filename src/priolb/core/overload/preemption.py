"""Who gives up a slot for a better request when no slot is free that would serve it.

The youngest try of a preemptible lane does, because it has the least to lose. Its request goes back to its
place in line, and the try counts neither against it nor against the node. There are no more preemptions in
any second than twice the allowed number: tokens come at that rate, and a second's worth of them is kept.
A request may lose its slot more than once: were each spared after the first time, a burst of better requests
would find nobody left. Of those that have no time to start anew, the youngest loses its slot only when there
are no others: where the line is long, all start when their time is nearly over. Of a node on probation, tries
from before its rest are spared: one request decides there, and the slot that such a try leaves is nobody's.
"""

from __future__ import annotations

from itertools import islice
from math import inf
from typing import Final

from priolb.core.nodes.node import OVER, Lease
from priolb.core.queueing.lanes import Lane

# Most tries that are looked at: the youngest of many may all be in the middle of their answers.
_LOOKED_AT: Final = 64


class Preemption:
    """Knows the tries that may be cut short, in the order in which they began.

    Args:
        preempting: indices of the lanes whose requests get a slot so.
        preemptible: indices of the lanes whose requests lose one, to those of better lanes.
        per_second: preemptions a second.
        now: monotonic seconds.

    `lanes` are the preempting ones, the best first.
    """

    __slots__ = (
        "_per_second",
        "_preemptible",
        "_running",
        "_tokens",
        "_tokens_at",
        "lanes",
    )

    def __init__(
        self, preempting: frozenset[int], preemptible: frozenset[int], per_second: int, now: float
    ) -> None:
        self.lanes: tuple[int, ...] = tuple(sorted(preempting))
        self._preemptible = preemptible
        self._per_second: float = float(per_second)
        self._tokens: float = self._per_second
        self._tokens_at: float = now
        self._running: dict[Lease, None] = {}

    def started(self, lease: Lease) -> None:
        """Take note of a try that has begun."""
        if lease.ticket.lane in self._preemptible:
            self._running[lease] = None

    def ended(self, lease: Lease) -> None:
        """Take note of a try that has ended."""
        self._running.pop(lease, None)

    def victim_of(self, lane: int, tried: frozenset[int], spared: frozenset[int], now: float) -> Lease | None:
        """Return the lease that ends so that a ticket of `lane` gets its slot; None when none has to.

        Args:
            lane: index of the lane.
            tried: ids of the nodes that have failed the ticket.
            spared: indices of lanes that need all of the slots which they have.
            now: monotonic seconds.
        """
        if lane not in self.lanes:
            return None
        self.earn(now)
        if self._tokens < 1.0:
            return None
        last: Lease | None = None
        for lease in islice(reversed(self._running), _LOOKED_AT):
            loser, node = lease.ticket, lease.node
            if (
                loser.lane > lane
                and loser.lane not in spared
                and node.usable
                and node.in_flight <= node.slots
                and node.node_id not in tried
                and loser.may_be_preempted()
                and not node.breaker.is_older(lease.started_at)
            ):
                if now < loser.start_by:
                    return lease
                if last is None:
                    last = lease
        return last

    def preempt(self, lease: Lease) -> None:
        """Take note that `lease`, which `victim_of` has returned, is cut short."""
        assert lease.state != OVER
        self._tokens -= 1.0
        del self._running[lease]
        lease.ticket.was_preempted = True

    def earn(self, now: float) -> None:
        """Take note of the tokens that have come by `now`."""
        earned = (now - self._tokens_at) * self._per_second
        self._tokens = min(self._per_second, self._tokens + earned)
        self._tokens_at = now

    def next_at(self, lanes: list[Lane]) -> float:
        """Return when somebody who waits in `lanes` can take a slot, monotonic seconds; infinity for never.

        That is when the next token comes. Who waits though there is one waits for something else.
        """
        if self._tokens >= 1.0 or not any(lanes[lane].length for lane in self.lanes):
            return inf
        return self._tokens_at + (1.0 - self._tokens) / self._per_second
