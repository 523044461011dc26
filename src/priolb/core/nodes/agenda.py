"""When the fleet has to look at which node next."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf

from priolb.core.nodes.node import NodeState


class Agenda:
    """Nodes in the order in which they are due, each once: at `NodeState.due_at`, infinity for never.

    A node that is due earlier than it was is entered again, and what was there of it is passed over later.
    """

    __slots__ = ("_count", "_due")

    def __init__(self) -> None:
        self._due: list[tuple[float, int, NodeState]] = []
        self._count: int = 0  # of all entries ever, so that no two nodes are compared

    def look_at(self, node: NodeState, at: float) -> bool:
        """Make sure that `node` is due at `at` (monotonic seconds) or before; return whether that is new."""
        if at >= node.due_at:
            return False
        node.due_at = at
        self._count += 1
        heappush(self._due, (at, self._count, node))
        return True

    def forget(self, node: NodeState) -> None:
        """Let `node` be due no more."""
        self._due = [due for due in self._due if due[2] is not node]
        heapify(self._due)
        node.due_at = inf

    def take(self, now: float) -> NodeState | None:
        """Take out a node that is due at `now` (monotonic seconds), None when there is none."""
        while self._due and self._due[0][0] <= now:
            at, _, node = heappop(self._due)
            if at == node.due_at:
                node.due_at = inf
                return node
        return None

    def next_at(self) -> float:
        """Return when to `take` next, monotonic seconds; infinity for never."""
        return self._due[0][0] if self._due else inf
