"""What a node is doing, in one word, and the value that tells of a change."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priolb.core.nodes.node import NodeState


class NodeStatus(Enum):
    """What a node is doing; the value is the log field, the metric label and the word of the admin API.

    Of several that would fit, the first in this list is meant: what the operator wants of a node comes
    before what is wrong with it.
    """

    DRAINED = "drained"
    """The operator wants it to get no requests, and it has none left."""
    DRAINING = "draining"
    """The operator wants it to get no requests; those that it has go on, for a while."""
    CORDONED = "cordoned"
    """The operator wants it to get no requests; those that it has go on."""
    UNATTESTED = "unattested"
    """It has not proven what it runs."""
    LAST_RESORT = "last-resort"
    """It is down or ejected and used all the same, because no node is better."""
    UNCHECKED = "unchecked"
    """No health check of it has ended yet."""
    DOWN = "down"
    """It fails its health checks, or nobody was there."""
    EJECTED = "ejected"
    """It failed requests that others answered, and rests."""
    PROBING = "probing"
    """It has rested, and one request decides about it."""
    WARMING = "warming"
    """It is back, and gets more and more of its slots."""
    UP = "up"
    """All is well."""


class NodeChange:
    """A node does something else than before.

    Args:
        node: which one.
        before: what it did.
        status: what it does now.
        reason: why, in words for the operator.
    """

    __slots__ = ("before", "node", "reason", "status")

    def __init__(self, node: NodeState, before: NodeStatus, status: NodeStatus, reason: str) -> None:
        self.node = node
        self.before = before
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"<NodeChange {self.node.name} {self.before.value} -> {self.status.value}: {self.reason}>"
