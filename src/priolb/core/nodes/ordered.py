"""Orders of preference by a number: least in flight for its weight, and round robin.

Free nodes stand in a heap by their number. When a node's number changes it is entered anew, and the old entry
is passed over when it comes up: an entry counts only while it carries its node's `place`. Old entries are
thrown out together when they are the most, so that each operation is O(log n).
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import Selection
from priolb.core.ticket import Ticket

_Entry = tuple[float, int, NodeState]


class Ordered(Selection):
    """Free nodes, that with the lowest number first; among equals the longest untouched."""

    __slots__ = ("_heap", "_last_place")

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[_Entry] = []
        self._last_place: int = 0

    def update(self, node: NodeState) -> None:
        self._hide(node)
        if node.usable:
            self._show(node)

    def best(self, tried: frozenset[int], ticket: Ticket | None = None) -> NodeState | None:
        heap = self._heap
        passed: list[_Entry] = []
        found: NodeState | None = None
        while heap and found is None:
            entry = heap[0]
            node = entry[2]
            if not node.is_free or node.place != entry[1]:
                heappop(heap)
            elif node.node_id in tried:
                passed.append(heappop(heap))
            else:
                found = node
        for entry in passed:
            heappush(heap, entry)
        return found

    def reserve(self, node: NodeState) -> None:
        self._hide(node)
        self._taken(node)
        node.in_flight += 1
        if node.usable:
            self._show(node)

    def release(self, node: NodeState) -> None:
        self._hide(node)
        node.in_flight -= 1
        if node.usable:
            self._show(node)

    def _number(self, node: NodeState) -> float:
        """Return the number of a node as it is now."""
        raise NotImplementedError

    def _taken(self, node: NodeState) -> None:
        """Take note that a slot of `node` is about to be taken."""

    def _hide(self, node: NodeState) -> None:
        if node.is_free:
            node.is_free = False
            self.length -= 1

    def _show(self, node: NodeState) -> None:
        if node.in_flight >= node.slots:
            return
        node.is_free = True
        self.length += 1
        self._last_place += 1
        node.place = self._last_place
        heappush(self._heap, (self._number(node), node.place, node))
        if len(self._heap) > 2 * self.length + 16:
            self._heap = [entry for entry in self._heap if entry[2].is_free and entry[2].place == entry[1]]
            heapify(self._heap)


class WeightedLeastInFlight(Ordered):
    """The node whose share of the work is the least used: the lowest `(in flight + 1) / weight`."""

    __slots__ = ()

    def _number(self, node: NodeState) -> float:
        return (node.in_flight + 1) / node.weight


class RoundRobin(Ordered):
    """One node after the other, each as often as its weight says.

    Stride scheduling (Waldspurger and Weihl, 1995): a node has a pass, which grows by `1 / weight` with each
    request; the lowest pass is next. A node that comes or comes back starts where the others are.
    """

    __slots__ = ("_now",)

    def __init__(self) -> None:
        super().__init__()
        self._now: float = 0.0

    def _number(self, node: NodeState) -> float:
        if node.order < self._now:
            node.order = self._now
        return node.order

    def _taken(self, node: NodeState) -> None:
        # Never backwards: a node that was passed over because it had been tried has a lower pass.
        if node.order > self._now:
            self._now = node.order
        node.order += 1.0 / node.weight
