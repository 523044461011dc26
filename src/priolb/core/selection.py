"""Which of the free nodes is best: orders of preference. Whether a node may be used is decided elsewhere."""

from __future__ import annotations

from collections import OrderedDict

from priolb.core.node import NodeState


class LeastInFlight:
    """Free nodes, the one with the fewest requests in flight first; among equals the longest untouched.

    Free nodes stand in buckets by their number in flight, which is counted here and nowhere else, so that no
    node ever stands in the wrong one. Taking and giving back a slot moves a node by one bucket: every
    operation is O(1), whatever the number of nodes; looking past tried nodes costs one step each.
    """

    __slots__ = ("_buckets", "_lowest", "length")

    def __init__(self) -> None:
        self.length: int = 0
        self._buckets: list[OrderedDict[int, NodeState]] = []
        self._lowest: int = 0

    def update(self, node: NodeState, usable: bool) -> None:
        """Bring `node` in or out of sight after one of its facts has changed."""
        self._hide(node)
        while len(self._buckets) < node.slots:
            self._buckets.append(OrderedDict())
        if usable:
            self._show(node)

    def best(self, tried: frozenset[int]) -> NodeState | None:
        """Return the best free node that is not among `tried`, or None."""
        if self.length:
            buckets = self._buckets
            while not buckets[self._lowest]:
                self._lowest += 1
            for bucket in range(self._lowest, len(buckets)):
                for node_id, node in buckets[bucket].items():
                    if node_id not in tried:
                        return node
        return None

    def reserve(self, node: NodeState) -> None:
        """Take a slot of `node`, which must be free."""
        self._hide(node)
        node.in_flight += 1
        self._show(node)

    def reserve_best(self) -> NodeState:
        """Take a slot of the best free node, of which there must be one, and return the node."""
        buckets = self._buckets
        lowest = self._lowest
        while not buckets[lowest]:
            lowest += 1
        self._lowest = lowest
        node_id, node = buckets[lowest].popitem(last=False)
        in_flight = node.in_flight = lowest + 1
        if in_flight < node.slots:
            buckets[in_flight][node_id] = node
        else:
            node.is_free = False
            self.length -= 1
        return node

    def release(self, node: NodeState, usable: bool) -> None:
        """Give back a slot of `node`."""
        in_flight = node.in_flight
        node.in_flight = in_flight - 1
        if node.is_free:
            node_id = node.node_id
            del self._buckets[in_flight][node_id]
            in_flight -= 1
            self._buckets[in_flight][node_id] = node
            if in_flight < self._lowest:
                self._lowest = in_flight
        elif usable:
            self._show(node)

    def _hide(self, node: NodeState) -> None:
        if node.is_free:
            del self._buckets[node.in_flight][node.node_id]
            node.is_free = False
            self.length -= 1

    def _show(self, node: NodeState) -> None:
        in_flight = node.in_flight
        if in_flight < node.slots:
            self._buckets[in_flight][node.node_id] = node
            node.is_free = True
            self.length += 1
            if in_flight < self._lowest:
                self._lowest = in_flight
