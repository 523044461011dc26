"""One request in line: what the scheduler knows of it, and no byte more."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from priolb.core.queueing.lanes import Fifo

NEW: Final = 0
WAITING: Final = 1
RUNNING: Final = 2
ENDED: Final = 3

NO_NODES_TRIED: Final[frozenset[int]] = frozenset()


class Ticket:
    """A request's place in line.

    Args:
        lane: index of the lane it waits in.
        enqueued_at: monotonic seconds of the request's arrival.
        start_by: monotonic seconds after which no try may start.
        body_bytes: bytes of its body that are held while it waits; the same as long as it is in line.

    Whoever runs requests derives its own class from this one and finds it again in every lease. `previous`
    and `next` are its neighbours in `fifo`, `place` is where it stands among the `Deadlines` that it is in.
    """

    __slots__ = (
        "affinity",
        "answer_by",
        "body_bytes",
        "enqueued_at",
        "fifo",
        "lane",
        "next",
        "not_before",
        "place",
        "previous",
        "sequence",
        "start_by",
        "state",
        "suspects",
        "tenant",
        "tried",
        "tries",
        "was_preempted",
    )

    # Of tickets in line alone, which most never are
    place: int
    previous: Ticket | None
    next: Ticket | None

    def __init__(self, lane: int, enqueued_at: float, start_by: float, body_bytes: int = 0) -> None:
        self.lane: int = lane
        self.enqueued_at: float = enqueued_at
        self.start_by: float = start_by
        self.body_bytes: int = body_bytes
        self.state: int = NEW
        self.sequence: int = 0
        self.answer_by: float = inf
        """When its client stops waiting for an answer, monotonic seconds; infinity when it does not say."""
        self.tries: int = 0
        self.was_preempted: bool = False
        """Whether it has given up a slot for a better one."""
        self.tried: frozenset[int] = NO_NODES_TRIED
        self.suspects: frozenset[int] = NO_NODES_TRIED
        """Those of them whose fault the failure seems to be."""
        self.affinity: bytes = b""
        """The key by which requests prefer the same node, empty for none."""
        self.tenant: bytes = b""
        """Among whom a fair lane is shared."""
        self.fifo: Fifo | None = None
        self.not_before: dict[int, float] | None = None
        """When nodes may get it again that have asked to be left alone, monotonic seconds; None for none."""

    def note_failure(self, node_id: int, at_fault: bool, not_before: float = 0.0) -> None:
        """Take note that a node has failed it.

        Args:
            node_id: id of the node.
            at_fault: whether that seems to be the fault of the node.
            not_before: when the node may get it again, monotonic seconds; 0 when it did not say.
        """
        self.tried = self.tried | {node_id}
        if at_fault:
            self.suspects = self.suspects | {node_id}
        if not_before:
            if self.not_before is None:
                self.not_before = {}
            self.not_before[node_id] = not_before

    def too_early_for(self, now: float) -> frozenset[int]:
        """Return the ids of the nodes that may not get it again yet."""
        if self.not_before is None:
            return NO_NODES_TRIED
        return frozenset([node_id for node_id, at in self.not_before.items() if at > now])

    def may_be_preempted(self) -> bool:
        """Return whether its try may be cut short now: it can be repeated, and its answer has not begun."""
        return True

    def __repr__(self) -> str:
        state = ("new", "waiting", "running", "ended")[self.state]
        return f"<Ticket #{self.sequence} lane={self.lane} {state} tries={self.tries}>"
