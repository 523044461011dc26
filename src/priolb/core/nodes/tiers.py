"""Tiers: nodes of the lowest one that can serve are used, and all others are backups."""

from __future__ import annotations

from typing import Final

from priolb.core.nodes.breaker import CLOSED, HALF_OPEN
from priolb.core.nodes.node import NodeState

_NONE: Final = -1
PANIC: Final = -2
"""Stands for a tier when no node is able, and others are to be used then."""


class Tiers:
    """The able nodes by tier, and which tier is in use.

    Args:
        panics: whether unfit nodes are to be used when no node is able.

    `in_use` is a tier, PANIC or, with no able node, no tier; `has_backups` whether there are able nodes of
    several tiers.
    """

    __slots__ = ("_able", "_panics", "has_backups", "in_use")

    def __init__(self, panics: bool) -> None:
        self._panics = panics
        self._able: dict[int, dict[int, NodeState]] = {}  # by tier and id; no tier without a node
        self.in_use: int = _NONE
        self.has_backups: bool = False

    def add(self, node: NodeState) -> bool:
        """Take note that `node` is able; return whether it was not."""
        able = self._able.setdefault(node.tier, {})
        is_new = node.node_id not in able
        able[node.node_id] = node
        self.has_backups = len(self._able) > 1
        return is_new

    def remove(self, node: NodeState) -> None:
        """Take note that `node` is not able, or not any more."""
        able = self._able.get(node.tier)
        if able is not None and able.pop(node.node_id, None) is not None and not able:
            del self._able[node.tier]
            self.has_backups = len(self._able) > 1

    def choose(self) -> bool:
        """Bring `in_use` up to date; return whether it is another one.

        That is the lowest tier that can serve; one that is all on probation only when no other can.
        """
        before, self.in_use = self.in_use, self._lowest()
        return self.in_use != before

    def has_in_use(self, node: NodeState) -> bool:
        """Return whether `node` is able, and to be used."""
        # One of a better tier that has rested gets the request that decides beside those that serve.
        is_in_use = node.tier == self.in_use or (node.tier < self.in_use and node.breaker.state == HALF_OPEN)
        return is_in_use and node.node_id in self._able.get(node.tier, ())

    def backup_for(self, tried: frozenset[int], is_free: bool) -> NodeState | None:
        """Return an able node of a tier that is not in use, the lowest one first, and not among `tried`.

        Of several, that with the fewest requests for its weight.

        Args:
            tried: ids of nodes.
            is_free: it has to have a free slot.
        """
        if not self.has_backups:
            return None
        for tier in sorted(self._able):
            backups = [
                node
                for node_id, node in self._able[tier].items()
                if not (node_id in tried or node.usable) and (not is_free or node.in_flight < node.slots)
            ]
            if backups:
                return min(backups, key=_load)
        return None

    def _lowest(self) -> int:
        if not self._able:
            return PANIC if self._panics else _NONE
        for tier in sorted(self._able):
            if any(node.breaker.state == CLOSED for node in self._able[tier].values()):
                return tier
        return min(self._able)


def _load(node: NodeState) -> float:
    """Return how much a node would have to do for its weight with one request more."""
    return (node.in_flight + 1) / node.weight
