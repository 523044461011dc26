"""What the scheduler knows of a node, and the lease of one of its slots."""

from __future__ import annotations

from priolb.core.ticket import Ticket


class NodeState:
    """The facts about a node, each with one writer.

    `healthy` is written by the health checks; `in_flight` and `is_free`, whether it stands among the free
    nodes, by the selection.

    Args:
        node_id: unique for the life of the process, never used again.
        name: how logs name it; fit for strangers' eyes.
        slots: most requests in flight at once.
    """

    __slots__ = ("healthy", "in_flight", "is_free", "name", "node_id", "slots")

    def __init__(self, node_id: int, name: str, slots: int, healthy: bool = False) -> None:
        self.node_id: int = node_id
        self.name: str = name
        self.slots: int = slots
        self.healthy: bool = healthy
        self.in_flight: int = 0
        self.is_free: bool = False

    def __repr__(self) -> str:
        health = "healthy" if self.healthy else "unhealthy"
        return f"<NodeState {self.name} {health} {self.in_flight}/{self.slots}>"


class Lease:
    """One slot of one node, reserved for one try of one ticket. It ends exactly once."""

    __slots__ = ("ended", "node", "started_at", "ticket")

    def __init__(self, ticket: Ticket, node: NodeState, started_at: float) -> None:
        self.ticket: Ticket = ticket
        self.node: NodeState = node
        self.started_at: float = started_at
        self.ended: bool = False
