"""A scheduler with plain numbers, and what tests do with it step by step."""

from priolb.core.nodes.node import Lease, NodeState
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from support.tickets import answered, names, new_queue, ticket, unreachable

NOW = 100.0


def scheduler(*nodes: NodeState, max_tries: int = 3, limits: tuple[int, int, int] = (0, 0, 0)) -> Scheduler:
    made = Scheduler(new_queue(limits=limits), RetryPolicy(max_tries))
    for each in nodes:
        made.fleet.add(each, NOW)
    return made


def running(target: Scheduler) -> int:
    """Return how many leases of its nodes have not ended."""
    return sum(each.in_flight for each in target.fleet.nodes.values())


def submit(target: Scheduler, *waiting: str) -> list[Ticket]:
    tickets = [ticket(name) for name in waiting]
    for each in tickets:
        assert target.submit(each) is None
    return tickets


def dispatch(target: Scheduler, now: float = NOW) -> Lease:
    lease = target.next_dispatch(now)
    assert lease is not None
    return lease


def pairs(target: Scheduler, now: float = NOW) -> list[str]:
    """Dispatch until nothing can go any more: "ticket>node" in order."""
    found = []
    while (lease := target.next_dispatch(now)) is not None:
        found.append(f"{names([lease.ticket])[0]}>{lease.node.node_id}")
    return found


def fail(target: Scheduler, lease: Lease, now: float = NOW) -> bool:
    return target.finished(lease, answered(500), repeatable=True, now=now)


def find_nobody(target: Scheduler, lease: Lease) -> bool:
    return target.finished(lease, unreachable(), repeatable=True, now=NOW)


def succeed(target: Scheduler, lease: Lease) -> None:
    assert target.finished(lease, answered(200), repeatable=True, now=NOW) is False
