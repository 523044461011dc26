"""A lane that its tenants share by the work that they cause, not by the number of their requests.

Tenants stand in a fixed number of queues. Each queue has a virtual clock, and the queue whose clock shows the
least is next. Its clock goes on by the time at a node that the request is expected to take, and is set right
when that is known:

    begins:  v = max(v, start);  start += estimate
    ends:    start += took - estimate
    comes to an empty queue:  start = max(start, v)

with v the lane's clock, which goes back with that of a queue that waits: who comes is not to stand behind an
estimate that was wrong. One request at most doubles the estimate, however long it took. So nobody saves up
for later what it does not use, and of two tenants with requests in line neither gets more work done than the
other, but for what is at the nodes at once. Sources: start-time fair queueing (Goyal, Vin and Cheng, 1996),
with several in service SFQ(D) (Jin, Chase and Kaur, 2004); the correction is that of Kubernetes' API Priority
and Fairness.

Invariants:
  1. All tickets of a tenant that wait stand in one queue, in the order of arrival. When the first of them
     comes, that is the queue in which the tenant was served ahead of its turn, as long as that is so, nobody
     else waits there and nobody else was served there later; otherwise the least loaded of its hand.
  2. What is held follows from what waits and runs, whatever the number of tenants that were ever seen.
  3. A queue's clock never falls below `floor`, the lane's clock when somebody last came to the empty queue.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from priolb.core.nodes.node import Lease
from priolb.core.queueing.deadlines import Deadlines
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.sharding import hand_of
from priolb.core.ticket import Ticket

QUEUES: Final = 512
HAND: Final = 4

# Weight of a new value in the estimate of what a request takes.
_GAIN: Final = 0.1
# One request lifts it by no more than itself, or by this, after many that failed at once.
_LEAST_S: Final = 0.01

_Entry = tuple[float, int, "TenantQueue"]


class TenantQueue(Lane):
    """One of the queues of a fair lane: tickets of those tenants whom chance has brought together here."""

    __slots__ = ("floor", "served", "start", "turn")

    def __init__(self, max_wait_s: float) -> None:
        super().__init__("", max_wait_s=max_wait_s)
        self.start: float = 0.0
        """Virtual time at which its next ticket begins, seconds of work."""
        self.floor: float = 0.0
        self.served: bytes | None = None
        """The tenant of whom a ticket was the last to begin here."""
        self.turn: int = 0
        """The number of its entry in the line of queues, the lowest of equals first; 0 while it is empty."""

    def _add_early(self, ticket: Ticket) -> None:
        """Nobody has to be looked for here: the whole lane knows who expires next."""


class Tenant:
    """A tenant with tickets in line.

    Args:
        queue: where they stand.
    """

    __slots__ = ("queue", "waiting")

    def __init__(self, queue: TenantQueue) -> None:
        self.queue: TenantQueue = queue
        self.waiting: int = 0


class FairLane(Lane):
    """The waiting tickets of one priority, the next one of the tenant that has got the least.

    While a lane has a limit, a queue may hold no more than what is left of it, so that one tenant alone fills
    half of it, and there is always room for others (dynamic thresholds; Choudhury and Hahne, 1998).

    Args:
        name: for logs and metrics.
        limit: most tickets that may wait here, 0 for no limit.
        limit_bytes: most bytes of bodies that may wait here, 0 for no limit.
        max_wait_s: longest wait of a ticket without a deadline of its own, seconds; see `Lane`.
        seed: a secret, for chance in the choice of queues.
        queues: number of queues.
        hand: number of queues of which a tenant uses one.
    """

    __slots__ = (
        "_active",
        "_charges",
        "_clock_s",
        "_deadlines",
        "_estimate_s",
        "_hand",
        "_left",
        "_left_queue",
        "_line",
        "_queues",
        "_retrying",
        "_seed",
        "_tenants",
        "_turns",
    )

    def __init__(
        self,
        name: str,
        limit: int = 0,
        limit_bytes: int = 0,
        max_wait_s: float = inf,
        seed: bytes = b"",
        queues: int = QUEUES,
        hand: int = HAND,
    ) -> None:
        super().__init__(name, limit, limit_bytes, max_wait_s)
        self._deadlines = Deadlines()
        self._seed = seed
        self._hand = hand
        self._queues: list[TenantQueue] = [TenantQueue(max_wait_s) for _ in range(queues)]
        self._active: int = 0  # queues with tickets
        # Those with tickets that are back in line and do not rest.
        self._retrying: dict[TenantQueue, None] = {}
        self._line: list[_Entry] = []  # a heap of them; an entry counts while its number is its queue's
        self._turns: int = 0
        self._tenants: dict[bytes, Tenant] = {}
        self._left: int = 0  # sequence of the last one that left the line
        self._left_queue: TenantQueue = self._queues[0]  # and where it stood
        self._charges: dict[Lease, tuple[TenantQueue, float]] = {}
        self._clock_s: float = 0.0
        self._estimate_s: float = 0.0

    # Who waits

    def has_room(self, body_bytes: int, tenant: bytes) -> bool:
        waiting = self._tenants.get(tenant)
        length = held_bytes = 0
        if waiting is not None:
            length, held_bytes = waiting.queue.length, waiting.queue.held_bytes
        if 0 < self.limit <= self.length + length:
            return False
        return self.limit_bytes == 0 or self.held_bytes + held_bytes + body_bytes <= self.limit_bytes

    def ahead_of(self, ticket: Ticket) -> int:
        queue = self._queue_for(ticket.tenant)
        rounds = queue.length + 1
        if self._estimate_s:
            begins_s = max(queue.start, self._clock_s) + queue.length * self._estimate_s
            rounds = int((begins_s - self._clock_s) / self._estimate_s) + 1
        others = self._active - int(queue.turn != 0)
        return queue.length + min(self.length - queue.length, rounds * others)

    def backlog_of(self, tenant: bytes) -> int:
        waiting = self._tenants.get(tenant)
        return 0 if waiting is None else waiting.queue.length

    def append(self, ticket: Ticket) -> None:
        self._join(ticket).append(ticket)
        self._deadlines.add(ticket)

    def put_back(self, ticket: Ticket, passed: frozenset[int] | None = None) -> None:
        queue = self._join(ticket)
        queue.put_back(ticket, passed)
        self._retrying[queue] = None
        self._deadlines.add(ticket)

    def rest(self, ticket: Ticket) -> None:
        self._join(ticket).rest(ticket)
        self._deadlines.add(ticket)

    def wake(self, ticket: Ticket) -> None:
        if ticket.fifo is not None:  # else it has left the line meanwhile
            queue = self._tenants[ticket.tenant].queue
            queue.wake(ticket)
            self._retrying[queue] = None

    def remove(self, ticket: Ticket) -> None:
        tenant = self._tenants[ticket.tenant]
        queue = tenant.queue
        self._left, self._left_queue = ticket.sequence, queue
        queue.remove(ticket)
        self._deadlines.remove(ticket)
        if not queue.retries:
            self._retrying.pop(queue, None)
        self.length -= 1
        self.held_bytes -= ticket.body_bytes
        if queue.length == 0:
            queue.turn = 0
            self._active -= 1
        tenant.waiting -= 1
        if tenant.waiting == 0:
            del self._tenants[ticket.tenant]

    def first(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        line = self._line
        passed: list[_Entry] = []
        found: Ticket | None = None
        while line and found is None:
            entry = line[0]
            queue = entry[2]
            if queue.turn != entry[1]:
                heappop(line)
                continue
            found = queue.first(has_node_for)
            if found is None:
                passed.append(heappop(line))
        for entry in passed:
            heappush(line, entry)
        return found

    def first_retry(self, has_node_for: Callable[[frozenset[int]], bool]) -> Ticket | None:
        best: TenantQueue | None = None
        found: Ticket | None = None
        for queue in self._retrying:
            if best is None or (queue.start, queue.turn) < (best.start, best.turn):
                ticket = queue.first_retry(has_node_for)
                if ticket is not None:
                    best, found = queue, ticket
        return found

    def oldest(self) -> Ticket | None:
        best: Ticket | None = None
        for _, turn, queue in self._line:
            if queue.turn == turn:
                ticket = queue.oldest()
                assert ticket is not None
                if best is None or ticket.sequence < best.sequence:
                    best = ticket
        return best

    def newest(self) -> Ticket | None:
        """Return the newest of all queues, which are looked through: they are few beside what may wait."""
        best: Ticket | None = None
        for _, turn, queue in self._line:
            ticket = queue.newest()
            if (
                queue.turn == turn
                and ticket is not None
                and (best is None or ticket.sequence > best.sequence)
            ):
                best = ticket
        return best

    def first_to_expire(self) -> Ticket | None:
        """Return the first of all by deadline: looking through the queues would take too long for each."""
        return self._deadlines.first()

    # Who runs

    def begin(self, lease: Lease) -> None:
        ticket = lease.ticket
        if ticket.sequence == self._left:  # the line, for this
            queue = self._left_queue
        else:  # it was not in line, or has a try already
            queue = self._queue_for(ticket.tenant)
            self._open(queue)
        if queue.start > self._clock_s:
            self._clock_s = queue.start
        queue.served = ticket.tenant
        self._charges[lease] = (queue, self._estimate_s)
        self._set_start(queue, queue.start + self._estimate_s)

    def end(self, lease: Lease, took_s: float) -> None:
        queue, charged_s = self._charges.pop(lease)
        estimate_s = self._estimate_s
        if estimate_s:
            usual_s = min(took_s, max(estimate_s, _LEAST_S) / _GAIN)
            self._estimate_s = estimate_s + (usual_s - estimate_s) * _GAIN
        else:
            self._estimate_s = took_s
        self._set_start(queue, max(queue.floor, queue.start + took_s - charged_s))
        if queue.turn and queue.start < self._clock_s:
            self._clock_s = queue.start

    # Queues

    def _join(self, ticket: Ticket) -> TenantQueue:
        """Count a ticket that is about to stand in line; return where it belongs."""
        tenant = self._tenants.get(ticket.tenant)
        if tenant is None:
            tenant = self._tenants[ticket.tenant] = Tenant(self._queue_for(ticket.tenant))
        tenant.waiting += 1
        queue = tenant.queue
        if queue.turn == 0:
            self._open(queue)
            self._active += 1
            self._stand(queue)
        self.length += 1
        self.held_bytes += ticket.body_bytes
        return queue

    def _queue_for(self, tenant: bytes) -> TenantQueue:
        """Return the queue of a tenant: where it stands or is ahead of its turn, else the least loaded.

        With the least loaded each time, who sends one request after the other would have a share for each
        queue of its hand.
        """
        waiting = self._tenants.get(tenant)
        if waiting is not None:
            return waiting.queue
        best: TenantQueue | None = None
        least_s = 0.0
        ahead: TenantQueue | None = None
        ahead_s = self._clock_s
        for card in hand_of(tenant, self._seed, len(self._queues), self._hand):
            queue = self._queues[card]
            if queue.start > ahead_s and queue.turn == 0 and queue.served == tenant:
                ahead, ahead_s = queue, queue.start
            # Virtual time at which one more would begin.
            begins_s = max(queue.start, self._clock_s) + queue.length * self._estimate_s
            if (
                best is None
                or begins_s < least_s
                or (begins_s == least_s and queue.length < best.length)  # nothing is known of what they take
            ):
                best, least_s = queue, begins_s
        assert best is not None
        return best if ahead is None else ahead

    def _open(self, queue: TenantQueue) -> None:
        """Let nobody come with what was saved up while the queue was empty."""
        if queue.turn == 0:
            if queue.start < self._clock_s:
                queue.start = self._clock_s
            queue.floor = self._clock_s

    def _set_start(self, queue: TenantQueue, start: float) -> None:
        queue.start = start
        if queue.turn:
            self._stand(queue)

    def _stand(self, queue: TenantQueue) -> None:
        """Put a queue with tickets into line by its clock."""
        self._turns += 1
        queue.turn = self._turns
        heappush(self._line, (queue.start, queue.turn, queue))
        if len(self._line) > 2 * self._active + 16:
            self._line = [entry for entry in self._line if entry[2].turn == entry[1]]
            heapify(self._line)
