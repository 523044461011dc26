"""Which of the free nodes is best: orders of preference. Whether a node may be used is decided elsewhere."""

from __future__ import annotations

from collections import OrderedDict

from priolb.core.node import NOT_FREE, NodeState


class LeastInFlight:
    """Free nodes, the one with the fewest requests in flight first; among equals the longest untouched.

    Nodes stand in buckets by their number in flight. A node that is taken or freed moves one bucket, so
    every operation is O(1), whatever the number of nodes; looking past tried nodes costs one step each.
    """

    __slots__ = ("_buckets", "_lowest", "length")

    def __init__(self) -> None:
        self.length: int = 0
        self._buckets: list[OrderedDict[int, NodeState]] = [OrderedDict()]
        self._lowest: int = 0

    def update(self, node: NodeState, free: bool) -> None:
        """Put `node` where its number in flight says, or out of sight when it is not free."""
        buckets = self._buckets
        old = node.bucket
        if old >= 0:
            del buckets[old][node.node_id]
        if not free:
            if old >= 0:
                self.length -= 1
                node.bucket = NOT_FREE
            return
        if old < 0:
            self.length += 1
        new = node.bucket = node.in_flight
        while new >= len(buckets):
            buckets.append(OrderedDict())
        buckets[new][node.node_id] = node
        if new < self._lowest:
            self._lowest = new

    def best(self, tried: frozenset[int]) -> NodeState | None:
        """Return the best free node that is not among `tried`, or None."""
        if self.length == 0:
            return None
        buckets = self._buckets
        while not buckets[self._lowest]:
            self._lowest += 1
        for bucket in range(self._lowest, len(buckets)):
            for node_id, node in buckets[bucket].items():
                if node_id not in tried:
                    return node
        return None
