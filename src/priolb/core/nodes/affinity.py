"""The order of preference by affinity: requests of one key go to one node, as long as that is fair.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): each node stands at many
places of a ring, `POINTS` times its weight in terms of the average one; a key belongs to the first node
behind its own place that has room, which is

    in flight < ceil(factor * (in flight of all + 1) * weight / weight of all who can serve)

So nobody works more than `factor` times the average, however popular a key, and when a node comes or goes
only the keys of its own places move.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b
from math import ceil
from typing import Final

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import Selection
from priolb.core.ticket import Ticket

POINTS: Final = 32

# The expected number of places passed over is constant; a key that finds no room for so long goes anywhere.
_STEPS_MAX: Final = 32


class Affinity(Selection):
    """Sends tickets with an affinity along the ring, and all others by another order.

    The ring is made anew at the first request after nodes have come or gone.

    Args:
        base: the other order, which also holds the free nodes.
        factor: how many times the average load a node may have, above 1.
    """

    __slots__ = ("_base", "_factor", "_in_flight", "_nodes", "_owners", "_points", "_shares", "_weight")

    def __init__(self, base: Selection, factor: float = 1.25) -> None:
        super().__init__()
        self.observes = base.observes
        self._base = base
        self._factor = factor
        self._nodes: dict[NodeState, int] = {}  # on the ring, with their weights
        self._shares: dict[NodeState, int] = {}  # the same, 0 for those who cannot serve now
        self._weight: int = 0  # of those who can
        self._points: list[int] = []
        self._owners: list[NodeState] = []
        self._in_flight: int = 0

    def update(self, node: NodeState) -> None:
        if self._nodes.get(node) != node.weight:
            self._nodes[node] = node.weight
            self._points = []
        self._share(node, node.weight if node.usable else 0)
        self._base.update(node)
        self.length = self._base.length

    def best(self, tried: frozenset[int], ticket: Ticket | None = None) -> NodeState | None:
        key = b"" if ticket is None else ticket.affinity
        if key and self.length:
            owner = self._owner(key, tried)
            if owner is not None:
                return owner
        return self._base.best(tried, ticket)

    def reserve(self, node: NodeState) -> None:
        self._base.reserve(node)
        self._in_flight += 1
        self.length = self._base.length

    def release(self, node: NodeState) -> None:
        self._base.release(node)
        self._in_flight -= 1
        self.length = self._base.length

    def observe(self, node: NodeState, latency_s: float, now: float) -> None:
        self._base.observe(node, latency_s, now)

    def forget(self, node: NodeState) -> None:
        self._share(node, 0)
        del self._shares[node]
        self._nodes.pop(node, None)
        self._points = []
        self._base.forget(node)
        self.length = self._base.length

    def _share(self, node: NodeState, weight: int) -> None:
        """Take note of the weight of `node` among those who can serve, 0 when it cannot."""
        self._weight += weight - self._shares.get(node, 0)
        self._shares[node] = weight

    def _owner(self, key: bytes, tried: frozenset[int]) -> NodeState | None:
        if not self._points:
            self._make_ring()
        owners = self._owners
        count = len(owners)
        start = bisect_left(self._points, _hash(key))
        share = self._factor * (self._in_flight + 1) / self._weight
        for step in range(min(count, _STEPS_MAX)):
            node = owners[(start + step) % count]
            if node.is_free and node.node_id not in tried and node.in_flight < ceil(share * node.weight):
                return node
        return None

    def _make_ring(self) -> None:
        average = sum(self._nodes.values()) / len(self._nodes)
        ring: list[tuple[int, int, NodeState]] = []
        for node, weight in self._nodes.items():
            # By name, so that every instance and every run of the program sends a key to the same node.
            name = node.name.encode()
            ring += [
                (_hash(b"%d %b" % (number, name)), node.node_id, node)
                for number in range(max(1, round(POINTS * weight / average)))
            ]
        ring.sort()
        self._points = [point for point, _, _ in ring]
        self._owners = [node for _, _, node in ring]


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest())
