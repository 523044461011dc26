"""The order of preference by affinity: requests of one key go to one node, as long as that is fair.

Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): each node stands at many
places of a ring, `POINTS` times its weight; a key belongs to the first node behind its own place that has
room, which is

    in flight < ceil(factor * (in flight of all + 1) * weight / weight of all who can serve)

So nobody works more than `factor` times the average, however popular a key, and when a node comes or goes
only the keys of its own places move. Where all weights together would make more than `PLACES_MAX` places,
each node has a half of its own, a quarter and so on: when that changes, other keys move, too.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from hashlib import blake2b
from math import ceil
from typing import Final

from priolb.core.nodes.node import NodeState
from priolb.core.nodes.selection import Selection
from priolb.core.ticket import Ticket

POINTS: Final = 32
PLACES_MAX: Final = 65_536

# Places that a node takes or gives back in one step, which costs 5 us for each when the ring is full. A node
# of a higher weight, and all nodes when the part of their places changes, need several.
_PLACES_AT_ONCE: Final = 10 * POINTS

# A place is a hash with the node's id behind it.
_ID_BITS: Final = 32
_ID_MASK: Final = (1 << _ID_BITS) - 1

# The expected number of places without room is constant; a key that finds no room at so many goes anywhere.
_FULL_MAX: Final = 32
# Nor does it pass over more than this, even if hardly one of them is of a node that can serve.
_STEPS_MAX: Final = 1024


class Affinity(Selection):
    """Sends tickets with an affinity along the ring, and all others by another order.

    Args:
        base: the other order, which also holds the free nodes.
        factor: how many times the average load a node may have, above 1.
    """

    __slots__ = (
        "_base",
        "_factor",
        "_in_flight",
        "_nodes",
        "_part",
        "_placed",
        "_ring",
        "_shares",
        "_total",
        "_unsettled",
        "_weight",
        "_weights",
    )

    def __init__(self, base: Selection, factor: float = 1.25) -> None:
        super().__init__()
        self.observes = base.observes
        self._base = base
        self._factor = factor
        self._shares: dict[NodeState, int] = {}  # weights, 0 for those who cannot serve now
        self._weight: int = 0  # of those who can
        self._in_flight: int = 0  # at those
        self._ring: list[int] = []
        self._nodes: dict[int, NodeState] = {}  # by id, those who have places or are to have some
        self._placed: dict[NodeState, int] = {}  # how many places each of them has
        self._weights: dict[NodeState, int] = {}  # and by what weight it is to have them
        self._total: int = 0  # of all these weights
        self._part: int = 1  # one of so many places is used
        self._unsettled: dict[NodeState, None] = {}  # who may have other places than its weight says

    def update(self, node: NodeState) -> None:
        if self._weights.get(node) != node.weight:
            self._weigh(node, node.weight)
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
        self._in_flight += self._shares.get(node, 0) > 0
        self.length = self._base.length

    def release(self, node: NodeState) -> None:
        self._base.release(node)
        self._in_flight -= self._shares.get(node, 0) > 0
        self.length = self._base.length

    def observe(self, node: NodeState, latency_s: float, now: float) -> None:
        self._base.observe(node, latency_s, now)

    def forget(self, node: NodeState) -> None:
        self._share(node, 0)
        del self._shares[node]
        self._weigh(node, 0)
        self._base.forget(node)
        self.length = self._base.length

    def _share(self, node: NodeState, weight: int) -> None:
        """Take note of the weight of `node` among those who can serve, 0 when it cannot."""
        before = self._shares.get(node, 0)
        self._weight += weight - before
        self._in_flight += node.in_flight * ((weight > 0) - (before > 0))
        self._shares[node] = weight

    def _owner(self, key: bytes, tried: frozenset[int]) -> NodeState | None:
        if self._unsettled:
            self._settle()
        ring, nodes = self._ring, self._nodes
        count = len(ring)
        start = bisect_left(ring, _hash(key) << _ID_BITS)
        share = self._factor * (self._in_flight + 1) / self._weight
        full = 0
        for step in range(min(count, _STEPS_MAX)):
            node = nodes[ring[(start + step) % count] & _ID_MASK]
            if node.is_free and node.node_id not in tried and node.in_flight < ceil(share * node.weight):
                return node
            full += node.usable
            if full == _FULL_MAX:
                break
        return None

    def _weigh(self, node: NodeState, weight: int) -> None:
        """Give `node` the places of a weight, 0 for none."""
        self._total += weight - self._weights.get(node, 0)
        self._weights[node] = weight
        self._nodes[node.node_id] = node
        part = 1
        while POINTS * self._total > PLACES_MAX * part:
            part *= 2
        if part != self._part:
            self._part = part
            self._unsettled = dict.fromkeys(self._weights)
        self._unsettled.pop(node, None)
        self._unsettled[node] = None
        self._settle()

    def _settle(self) -> None:
        """Bring the places of the last one who is unsettled to what they should be, by a bounded number."""
        node, _ = self._unsettled.popitem()
        weight, before = self._weights[node], self._placed.get(node, 0)
        target = max(1, POINTS * weight // self._part) if weight else 0
        placed = min(max(target, before - _PLACES_AT_ONCE), before + _PLACES_AT_ONCE)
        ring = self._ring
        for number in range(before, placed):
            insort(ring, _place(number, node))
        for number in range(placed, before):
            del ring[bisect_left(ring, _place(number, node))]
        self._placed[node] = placed
        if placed != target:
            self._unsettled[node] = None
        elif not placed:
            del self._placed[node], self._weights[node], self._nodes[node.node_id]


def _place(number: int, node: NodeState) -> int:
    """Return one of the places of `node`.

    By its name, so that every instance and every run of the program sends a key to the same node.
    """
    return _hash(b"%d %b" % (number, node.name.encode())) << _ID_BITS | node.node_id


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest())
