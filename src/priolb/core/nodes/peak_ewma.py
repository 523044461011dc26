"""The order of preference by expected wait: of two nodes at random the one that will answer sooner.

Peak EWMA with the power of two choices, as in Finagle (`p2c` and `PeakEwma`); the choice of two is
Mitzenmacher, "The power of two choices in randomized load balancing" (2001):

    answered in t seconds, d seconds after the last:   cost = t                             if t > cost
                                                       cost = w * cost + (1 - w) * t        otherwise
                                                       w = exp(-d / 10 s)
    load = cost * (in flight + 1) / weight

So the cost jumps to a peak at once and comes down over seconds. It comes down also while nobody asks the
node, and so a node that was slow once is tried again. A node without any history has no cost and is asked
first, but until its first request is answered it counts as slower than all others.
"""

from __future__ import annotations

from math import exp, inf
from typing import Final

from priolb.core.chance import Chance
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import Selection
from priolb.core.ticket import Ticket

_DECAY_S: Final = 10.0


class PeakEwma(Selection):
    """Free nodes in a list, from which two are drawn.

    Of a node, `place` is its index in the list, `order` its cost in seconds, and `order_at` the time of that.

    Args:
        chance: draws them.
    """

    __slots__ = ("_chance", "_free", "_now")

    def __init__(self, chance: Chance) -> None:
        super().__init__()
        self.observes = True
        self._chance = chance
        self._free: list[NodeState] = []
        self._now: float = -inf

    def update(self, node: NodeState) -> None:
        self._hide(node)
        if node.usable:
            self._show(node)

    def best(self, tried: frozenset[int], ticket: Ticket | None = None) -> NodeState | None:
        one = self._draw(tried, None)
        other = self._draw(tried, one)
        if one is None or other is None:
            return one
        return one if self._load(one) <= self._load(other) else other

    def reserve(self, node: NodeState) -> None:
        node.in_flight += 1
        if node.in_flight >= node.slots:
            self._hide(node)

    def release(self, node: NodeState) -> None:
        node.in_flight -= 1
        if node.usable and not node.is_free:
            self._show(node)

    def observe(self, node: NodeState, latency_s: float, now: float) -> None:
        if latency_s > node.order:
            node.order = latency_s
        else:
            weight = exp(-(now - node.order_at) / _DECAY_S)
            node.order = weight * node.order + (1.0 - weight) * latency_s
        node.order_at = self._now = now

    def _load(self, node: NodeState) -> float:
        if node.order == 0.0:
            return inf if node.in_flight else 0.0
        cost = node.order * exp((node.order_at - self._now) / _DECAY_S)
        return cost * (node.in_flight + 1) / node.weight

    def _draw(self, tried: frozenset[int], drawn: NodeState | None) -> NodeState | None:
        """Return a random free node that is neither among `tried` nor `drawn` already."""
        free = self._free
        count = len(free)
        if count == 0:
            return None
        start = int(self._chance.random() * count)
        # Of so many nodes in a row one must do, if any does.
        for step in range(min(count, len(tried) + 2)):
            node = free[(start + step) % count]
            if node is not drawn and node.node_id not in tried:
                return node
        return None

    def _show(self, node: NodeState) -> None:
        if node.in_flight < node.slots:
            node.place = len(self._free)
            self._free.append(node)
            node.is_free = True
            self.length += 1

    def _hide(self, node: NodeState) -> None:
        if node.is_free:
            last = self._free.pop()
            if last is not node:
                self._free[node.place] = last
                last.place = node.place
            node.is_free = False
            self.length -= 1
