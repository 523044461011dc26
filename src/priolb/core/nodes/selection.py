"""Which of the free nodes is best: orders of preference. Whether a node may be used is decided elsewhere."""

from __future__ import annotations

from priolb.core.nodes.node import Linked, NodeState
from priolb.core.ticket import Ticket


class Selection:
    """The free nodes in an order of preference; base of all such orders.

    The number in flight of a node is counted here and nowhere else, so that no node ever stands in the wrong
    place. No method costs more than the logarithm of the number of nodes, plus a step for each tried one.

    Attributes:
        length: number of free nodes.
        observes: whether the order depends on `observe`.
    """

    __slots__ = ("length", "observes")

    def __init__(self) -> None:
        self.length: int = 0
        self.observes: bool = False

    def update(self, node: NodeState) -> None:
        """Bring `node` in or out of sight after one of its facts has changed."""
        raise NotImplementedError

    def best(self, tried: frozenset[int], ticket: Ticket | None = None) -> NodeState | None:
        """Return the best free node that is not among `tried`, or None.

        Args:
            tried: ids of nodes.
            ticket: for whom, where the order is not the same for all.
        """
        raise NotImplementedError

    def reserve(self, node: NodeState) -> None:
        """Take a slot of `node`, which must have one; it need not be in sight."""
        raise NotImplementedError

    def reserve_best(self, ticket: Ticket) -> NodeState:
        """Take a slot of the best free node, of which there must be one, and return the node.

        Args:
            ticket: for whom; it has tried no node.
        """
        node = self.best(ticket.tried, ticket)
        assert node is not None
        self.reserve(node)
        return node

    def release(self, node: NodeState) -> None:
        """Give back a slot of `node`."""
        raise NotImplementedError

    def observe(self, node: NodeState, latency_s: float, now: float) -> None:
        """Take note of how long a try took that was answered or timed out."""

    def renew(self, node: NodeState) -> None:
        """Treat `node`, which is not free, as one that has just come: what it did before says nothing now."""
        node.order = 0.0

    def forget(self, node: NodeState) -> None:
        """Take `node`, which is not usable any more, out of sight for good."""
        self.update(node)


class LeastInFlight(Selection):
    """Free nodes, the one with the fewest requests in flight first; among equals the longest untouched.

    Free nodes stand in rings by their number in flight, linked through the nodes; each begins behind its
    mark. Taking and giving back a slot moves a node by one ring: every operation is O(1), whatever the number
    of nodes; looking past tried nodes costs one step each. Only where the numbers lie far apart does it take
    longer, but never more than two steps for each node. Weights are not looked at; see `ordered`.
    """

    __slots__ = ("_lowest", "_marks", "_usable")

    def __init__(self) -> None:
        super().__init__()
        self._marks: list[Linked] = []
        self._lowest: int = 0
        """No ring below it has a node."""
        self._usable: dict[NodeState, None] = {}

    def update(self, node: NodeState) -> None:
        self._hide(node)
        self._usable.pop(node, None)
        while len(self._marks) < node.slots:
            mark = Linked()
            mark.before = mark.behind = mark
            self._marks.append(mark)
        if node.usable:
            self._usable[node] = None
            self._show(node)

    def best(self, tried: frozenset[int], ticket: Ticket | None = None) -> NodeState | None:
        if self.length:
            marks, number = self._marks, self._lowest
            if marks[number].behind is marks[number]:
                number = self._lowest = self._ring_from(number + 1)
            while number < len(marks):
                mark = marks[number]
                node = mark.behind
                while node is not mark:
                    assert isinstance(node, NodeState)
                    if node.node_id not in tried:
                        return node
                    node = node.behind
                number = self._ring_from(number + 1)
        return None

    def reserve(self, node: NodeState) -> None:
        self._hide(node)
        node.in_flight += 1
        if node.usable:
            self._show(node)

    def reserve_best(self, ticket: Ticket) -> NodeState:
        marks = self._marks
        lowest = self._lowest
        mark = marks[lowest]
        while (node := mark.behind) is mark:
            lowest = self._lowest = self._ring_from(lowest + 1)
            mark = marks[lowest]
        assert isinstance(node, NodeState)
        mark.behind = behind = node.behind
        behind.before = mark
        in_flight = node.in_flight = lowest + 1
        if in_flight < node.slots:
            # As in `_show` and below: calls cost more when interpreted than what they do.
            node.behind = mark = marks[in_flight]
            node.before = before = mark.before
            before.behind = mark.before = node
        else:
            node.before = node.behind = mark
            node.is_free = False
            self.length -= 1
        return node

    def release(self, node: NodeState) -> None:
        in_flight = node.in_flight = node.in_flight - 1
        if node.is_free:
            before, behind = node.before, node.behind
            before.behind, behind.before = behind, before
            node.behind = mark = self._marks[in_flight]
            node.before = before = mark.before
            before.behind = mark.before = node
            if in_flight < self._lowest:
                self._lowest = in_flight
        elif node.usable:
            self._show(node)

    def _ring_from(self, number: int) -> int:
        """Return the first ring with a node from this number on, that of no ring when there is none.

        Mostly it is one of the next; else a node has thousands in flight, and all nodes are fewer than that.
        """
        marks, usable = self._marks, self._usable
        behind = len(marks)
        for near in range(number, min(number + len(usable), behind)):
            if marks[near].behind is not marks[near]:
                return near
        return min(
            [node.in_flight for node in usable if node.is_free and node.in_flight >= number], default=behind
        )

    def _hide(self, node: NodeState) -> None:
        if node.is_free:
            before, behind = node.before, node.behind
            before.behind, behind.before = behind, before
            node.before = node.behind = self._marks[0]
            node.is_free = False
            self.length -= 1

    def _show(self, node: NodeState) -> None:
        in_flight = node.in_flight
        if in_flight < node.slots:
            node.behind = mark = self._marks[in_flight]
            node.before = before = mark.before
            before.behind = mark.before = node
            node.is_free = True
            self.length += 1
            if in_flight < self._lowest:
                self._lowest = in_flight
