"""A scheduler that refuses early, whose only node is busy."""

from math import inf

from priolb.core.nodes.fleet import Fleet
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from priolb.errors import Reason
from support.tickets import new_queue, node, ticket


class Desk:
    """A scheduler with a door, one node, and no free slot."""

    def __init__(
        self,
        limit: int = 0,
        service_s: float | None = None,
        slots: int = 1,
        lane_limits: tuple[int, int, int] = (0, 0, 0),
        low: Lane | None = None,
    ) -> None:
        self.queue: PriorityQueue = new_queue(limits=lane_limits)
        if low is not None:
            self.queue.lanes[2] = low
        self.fleet = Fleet()
        self.estimate: WaitEstimate | None = None
        if service_s is not None:
            self.estimate = WaitEstimate(3)
            self.estimate.observe(2, service_s, -1000.0)
            self.fleet.estimate = self.estimate
        self.admission = AdmissionControl(self.queue, self.fleet, limit, self.estimate)
        self.scheduler = Scheduler(self.queue, RetryPolicy(1), self.fleet, admission=self.admission)
        self.node = node(1, slots)
        self.fleet.add(self.node, 0.0)
        for _ in range(slots):
            assert self.scheduler.start_at_once(ticket("lx"), 0.0) is not None

    def submit(
        self,
        name: str,
        time_s: float = inf,
        answer_by: float = inf,
        now: float = 0.0,
        tenant: bytes = b"",
    ) -> Reason | None:
        each = ticket(name, min(now + time_s, answer_by))
        each.tenant = tenant
        each.enqueued_at, self.name = now, name
        each.answer_by = answer_by
        self.last = each
        return self.scheduler.submit(each)

    def fill(self, *lanes: str) -> list[Ticket]:
        tickets = [ticket(name) for name in lanes]
        assert [self.scheduler.submit(each) for each in tickets] == [None] * len(tickets)
        return tickets
