"""One greedy tenant of 50 that sends a hundred times its share, in virtual time, at the real scheduler."""

from heapq import heappop, heappush
from random import Random

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease
from priolb.core.overload.shares import Shares
from priolb.core.queueing.discipline import Strict
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from support.tickets import answered, node

TENANTS = 50
SLOTS = 8
SERVICE_S = 0.02
MAX_WAIT_S = 5.0
LASTS_S = 20.0
FAIR_RATE = SLOTS / SERVICE_S / TENANTS  # requests per second

GREEDY = 0


def latencies_s(lane: Lane, rates: list[float]) -> list[list[float]]:
    """Return how long the answered requests of each tenant took, from arrival to answer.

    Args:
        lane: the only lane.
        rates: requests per second of each tenant, evenly spread with some jitter.
    """
    chance = Random(5)
    chances = [
        Random(tenant) for tenant in range(len(rates))
    ]  # so that a tenant sends the same, whoever else does
    fleet = Fleet()
    scheduler = Scheduler(
        PriorityQueue([lane], Strict()), RetryPolicy(1), fleet, shares=Shares([lane], fleet, [0], [100])
    )
    fleet.add(node(1, SLOTS), 0.0)
    found: list[list[float]] = [[] for _ in rates]
    events: list[tuple[float, int, int, Lease | None]] = []
    made = 0

    def schedule(at: float, tenant: int, lease: Lease | None) -> None:
        nonlocal made
        made += 1
        heappush(events, (at, made, tenant, lease))

    def begin(lease: Lease, now: float) -> None:
        schedule(now + SERVICE_S * chance.uniform(0.5, 1.5), int(lease.ticket.tenant), lease)

    for tenant, rate in enumerate(rates):
        if rate:
            schedule(chances[tenant].random() / rate, tenant, None)
    while events and events[0][0] < LASTS_S:
        now, _, tenant, lease = heappop(events)
        scheduler.take_expired(now)
        if lease is None:
            schedule(now + chances[tenant].uniform(0.8, 1.2) / rates[tenant], tenant, None)
            ticket = Ticket(0, now, now + MAX_WAIT_S)
            ticket.tenant = b"%d" % tenant
            started = scheduler.start_at_once(ticket, now)
            if started is None:
                assert scheduler.submit(ticket) is None
            else:
                begin(started, now)
        else:
            assert scheduler.finished(lease, answered(200), True, now) is False
            found[tenant].append(now - lease.ticket.enqueued_at)
        while (next_lease := scheduler.next_dispatch(now)) is not None:
            begin(next_lease, now)
    return found


def p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


@pytest.fixture(scope="module")
def modest() -> list[float]:
    """Tenants that send 90 % of what they are entitled to."""
    return [0.9 * FAIR_RATE] * TENANTS


def test_the_other_49_keep_their_share_and_their_latency(modest: list[float]) -> None:
    alone = latencies_s(FairLane("low", seed=b"s"), [0.0, *modest[1:]])
    together = latencies_s(FairLane("low", seed=b"s"), [100 * FAIR_RATE, *modest[1:]])
    for tenant in range(1, TENANTS):
        assert len(together[tenant]) >= len(alone[tenant]) - 1  # one may be on its way at the end
    others_alone = [each for tenant in alone[1:] for each in tenant]
    others = [each for tenant in together[1:] for each in tenant]
    assert p99(others) <= 1.5 * p99(others_alone)
    # And the greedy one gets what they leave, no slot being free while it waits.
    assert len(together[GREEDY]) >= 0.98 * (SLOTS / SERVICE_S * LASTS_S - len(others))


def test_in_order_of_arrival_they_do_not(modest: list[float]) -> None:
    together = latencies_s(Lane("low", max_wait_s=MAX_WAIT_S), [100 * FAIR_RATE, *modest[1:]])
    others = [each for tenant in together[1:] for each in tenant]
    assert p99(others) > 4.0
