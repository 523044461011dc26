"""What the scheduler knows of a node, and the lease of one of its slots."""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.core.nodes.adaptive import AdaptiveSlots
from priolb.core.nodes.breaker import Breaker
from priolb.core.nodes.median import RecentMedian
from priolb.core.nodes.record import Hysteresis, NodeRecord, Unanswered
from priolb.core.nodes.status import NodeStatus
from priolb.core.ticket import Ticket

FIRST: Final = 0
REPEATED: Final = 1
OVER: Final = 2


class Linked:
    """What stands in a ring of the selection: a node, or the mark at which the ring begins.

    A node that is not free is linked to a mark, never to another node, so that it cannot keep a removed node
    alive.
    """

    __slots__ = ("before", "behind")

    before: Linked
    behind: Linked


class NodeState(Linked):
    """The facts about a node, each with one writer.

    A node may be used when it is `healthy and enabled and attested` and its breaker is not open. These facts
    and what is derived from them (`usable`, `slots`, `status`) are written by the fleet; `checks`, `breaker`
    and what is remembered of the node by the judge as well; `in_flight`, `is_free`, `place`, `order` and
    `order_at` by the selection; `answered` and `busy_s` where a lease ends.

    Args:
        node_id: unique for the life of the process, never used again.
        name: how logs name it; fit for strangers' eyes.
        slots: most requests in flight at once.
        healthy: whether it passed its last health checks.
        weight: its share of the work beside those of others.
        tier: nodes of a tier work only while no node of a lower one can.
    """

    __slots__ = (
        "adaptive",
        "answered",
        "attested",
        "breaker",
        "busy_s",
        "checks",
        "due_at",
        "enabled",
        "hard_stop_at",
        "healthy",
        "in_flight",
        "is_draining",
        "is_free",
        "name",
        "node_id",
        "order",
        "order_at",
        "place",
        "reason",
        "record",
        "service_times",
        "since",
        "slots",
        "status",
        "tier",
        "unanswered",
        "usable",
        "warm_from",
        "warmer_at",
        "watched",
        "weight",
        "withheld",
        "withheld_until",
        "workers",
    )

    def __init__(
        self,
        node_id: int,
        name: str,
        slots: int,
        healthy: bool = False,
        weight: int = 1,
        tier: int = 0,
    ) -> None:
        # What the operator says
        self.node_id: int = node_id
        self.name: str = name
        self.workers: int = slots
        """Slots that it has when nothing is wrong with it."""
        self.weight: int = weight
        self.tier: int = tier
        self.enabled: bool = True
        self.is_draining: bool = False
        self.hard_stop_at: float = inf
        """When what it still has in flight is cut off, monotonic seconds."""
        # What others find out
        self.healthy: bool = healthy
        self.attested: bool = True
        self.checks: Hysteresis = Hysteresis()
        self.breaker: Breaker = Breaker()
        self.adaptive: AdaptiveSlots | None = None
        """What finds its slots by itself, None when the operator has said how many they are."""
        self.warm_from: float = inf
        """When its slow start began, monotonic seconds; infinity when it is over."""
        self.warmer_at: float = inf
        """When it gets its next slot, monotonic seconds."""
        self.withheld: int = 0
        """Slots that are held back since tries in them timed out, until others have had their say."""
        self.withheld_until: float = inf
        """When they are given back, monotonic seconds."""
        self.due_at: float = inf
        """When the fleet looks at it next, monotonic seconds."""
        # What follows
        self.usable: bool = False
        """Whether it may get requests."""
        self.watched: bool = False
        """Whether the end of each lease matters to more than the averages."""
        self.slots: int = slots
        """Requests that it may have in flight at once now."""
        self.status: NodeStatus = NodeStatus.UNCHECKED
        self.reason: str = ""
        self.since: float = inf
        """When it began to do that, monotonic seconds; infinity before it takes part."""
        # Of the selection
        self.in_flight: int = 0
        self.is_free: bool = False
        self.place: int = 0
        self.order: float = 0.0
        self.order_at: float = 0.0
        # What is remembered
        self.answered: int = 0
        self.busy_s: float = 0.0
        """Time from the start of a try to the end of its good answer, over all of them, seconds."""
        self.record: NodeRecord = NodeRecord()
        self.unanswered: Unanswered = Unanswered()
        self.service_times: RecentMedian = RecentMedian()
        """How long recent tries took, seconds; measured only where somebody estimates waits."""

    def __repr__(self) -> str:
        health = "healthy" if self.healthy else "unhealthy"
        return f"<NodeState {self.name} {health} {self.in_flight}/{self.slots}>"


class Lease:
    """One slot of one node, reserved for one try of one ticket. It ends exactly once.

    Args:
        ticket: whose try it is.
        node: whose slot it is.
        started_at: monotonic seconds.
        state: FIRST, or REPEATED when it is not the first try of its ticket.

    `worked_from` is since when the node has had all that it needs for its answer, monotonic seconds: later
    than `started_at` when the client took its time to send the body.
    """

    __slots__ = ("node", "started_at", "state", "ticket", "worked_from")

    def __init__(self, ticket: Ticket, node: NodeState, started_at: float, state: int = FIRST) -> None:
        self.ticket: Ticket = ticket
        self.node: NodeState = node
        self.started_at: float = started_at
        self.worked_from: float = started_at
        self.state: int = state

    def end(self) -> None:
        """Take note that its slot is given back."""
        assert self.state != OVER
        self.state = OVER
