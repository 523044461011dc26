"""The scheduler: which ticket goes to which node, and when.

Invariants:
  1. `in_flight <= slots` for every node when a lease is given; a lease ends exactly once.
  2. Nothing whose `start_by` has passed is ever given a lease.
  3. While a node is free, no ticket waits that this node may serve once `next_dispatch` has said None.
  4. A ticket put back for a retry goes to a node it has not tried, as long as a usable one exists.
  5. Every ticket accepted by `submit` leaves exactly once: by `finished` without a retry, by `cancel`, or
     among the expired.
"""

from __future__ import annotations

from priolb.core.node import Lease, NodeState
from priolb.core.outcome import Outcome
from priolb.core.queue import PriorityQueue
from priolb.core.retry import RetryPolicy
from priolb.core.selection import LeastInFlight
from priolb.core.ticket import ENDED, NO_NODES_TRIED, WAITING, Ticket
from priolb.errors import Reason


class Scheduler:
    """Binds waiting tickets to free slots, late: a ticket leaves its lane only when a slot is reserved.

    Args:
        queue: where tickets wait.
        retry: whether a failed try is tried again.
    """

    __slots__ = ("_expired", "_free", "_nodes", "_retry", "_usable", "queue", "running")

    def __init__(self, queue: PriorityQueue, retry: RetryPolicy) -> None:
        self.queue: PriorityQueue = queue
        self.running: int = 0
        self._retry = retry
        self._nodes: dict[int, NodeState] = {}
        self._usable: set[int] = set()
        self._free = LeastInFlight()
        self._expired: list[Ticket] = []

    # Nodes

    def add_node(self, node: NodeState) -> None:
        """Let `node` take part."""
        self._nodes[node.node_id] = node
        self._refresh(node)

    def remove_node(self, node: NodeState) -> None:
        """Give `node` no more work; what it has in flight goes on."""
        self._nodes.pop(node.node_id, None)
        self._refresh(node)

    def set_healthy(self, node: NodeState, healthy: bool) -> None:
        """Record whether `node` passes its health check."""
        node.healthy = healthy
        self._refresh(node)

    @property
    def has_nodes(self) -> bool:
        """Whether any node is registered, usable or not."""
        return bool(self._nodes)

    # Tickets

    def start_at_once(self, ticket: Ticket, now: float) -> Lease | None:
        """Reserve a slot for a new ticket when nobody waits and a node is free; else None: `submit` it."""
        if self.queue.length or self._free.length == 0:
            return None
        self.queue.pass_by(ticket)
        self.running += 1
        ticket.tries = 1
        return Lease(ticket, self._free.reserve_best(), now)

    def refusal(self, lane: int) -> Reason | None:
        """Return why `submit` would refuse a new ticket of `lane`, or None."""
        if not self._nodes:
            return Reason.NO_NODES
        return Reason.QUEUE_FULL if self.queue.lanes[lane].is_full else None

    def submit(self, ticket: Ticket) -> Reason | None:
        """Put a new ticket in line; a reason when it is refused at once."""
        if not self._nodes:
            return Reason.NO_NODES
        if not self.queue.push(ticket):
            return Reason.QUEUE_FULL
        return None

    def next_dispatch(self, now: float) -> Lease | None:
        """Reserve a slot for the next ticket; None when no ticket can go now. Call it until it says None.

        Tickets found expired on the way are collected for `take_expired`.
        """
        while self._free.length:
            ticket = self.queue.pop(self._has_node_for)
            if ticket is None:
                return None
            if ticket.start_by <= now:
                ticket.state = ENDED
                self._expired.append(ticket)
                continue
            return self._reserve(ticket, now)
        return None

    def finished(self, lease: Lease, outcome: Outcome, repeatable: bool, now: float) -> bool:
        """End `lease`; True when its ticket is back in line for another try.

        Args:
            lease: the lease, which must not have ended before.
            outcome: how the try ended.
            repeatable: whether sending the request twice is safe by its method.
            now: monotonic seconds.
        """
        assert not lease.ended
        lease.ended = True
        node, ticket = lease.node, lease.ticket
        self.running -= 1
        self._free.release(node, node.node_id in self._usable)
        if outcome.failed and self.may_retry(ticket, outcome, repeatable, now):
            ticket.tried = ticket.tried | {node.node_id}
            self.queue.put_back(ticket)
            return True
        ticket.state = ENDED
        return False

    def may_retry(self, ticket: Ticket, outcome: Outcome, repeatable: bool, now: float) -> bool:
        """Return whether `finished` would put the ticket back in line."""
        return now < ticket.start_by and self._retry.allows(ticket.tries, repeatable, outcome)

    def cancel(self, ticket: Ticket) -> None:
        """Take a waiting ticket out of line for good."""
        assert ticket.state == WAITING
        self.queue.remove(ticket)
        ticket.state = ENDED

    def take_expired(self, now: float) -> list[Ticket]:
        """Take every ticket out of line that may not start any more, and return them, each exactly once."""
        expired = self.queue.pop_expired(now)
        for ticket in expired:
            ticket.state = ENDED
        if self._expired:
            expired = self._expired + expired
            self._expired = []
        return expired

    def next_deadline(self) -> float:
        """Return when to call `take_expired` next, in monotonic seconds; infinity when nobody waits."""
        # Found expired by a dispatch: no longer in line, so that the queue's deadline leaves it out.
        return self._expired[0].start_by if self._expired else self.queue.next_deadline()

    # Free nodes

    def _reserve(self, ticket: Ticket, now: float) -> Lease:
        """Choose a node for `ticket` and count its slot: one step, so that nobody comes between."""
        node = self._node_for(ticket.tried)
        assert node is not None
        self._free.reserve(node)
        self.running += 1
        ticket.tries += 1
        return Lease(ticket, node, now)

    def _refresh(self, node: NodeState) -> None:
        """Bring what is derived from the facts of `node` up to date."""
        usable = node.healthy and node.node_id in self._nodes
        if usable:
            self._usable.add(node.node_id)
        else:
            self._usable.discard(node.node_id)
        self._free.update(node, usable)

    def _has_node_for(self, tried: frozenset[int]) -> bool:
        return self._node_for(tried) is not None

    def _node_for(self, tried: frozenset[int]) -> NodeState | None:
        node = self._free.best(tried)
        # Every usable node has been tried: the same one again is better than none.
        if node is None and tried and self._usable <= tried:
            node = self._free.best(NO_NODES_TRIED)
        return node
