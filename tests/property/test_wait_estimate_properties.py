"""How long a request is told to wait, held against how long it waits."""

import heapq

from hypothesis import assume, given
from hypothesis import strategies as st

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.shares import Shares
from priolb.core.queueing.discipline import Strict
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from support.tickets import answered, node

LANES = 3
SERVICE_S = 1.0


class Hall:
    """One node whose answers all take a second, and lanes with bounds; at first all begin evenly spread."""

    def __init__(self, slots: int, reserved: list[int], most_percent: list[int], line: list[int]) -> None:
        queue = PriorityQueue([Lane(f"lane-{lane}", max_wait_s=1e6) for lane in range(LANES)], Strict())
        fleet, estimate = Fleet(), WaitEstimate(LANES)
        for lane in range(LANES):
            estimate.observe(lane, SERVICE_S, -1000.0)
        self.shares = Shares(queue.lanes, fleet, reserved, most_percent)
        self.admission = AdmissionControl(queue, fleet, 0, estimate, self.shares)
        self._scheduler = Scheduler(queue, RetryPolicy(1), fleet, shares=self.shares)
        self._ends: list[tuple[float, int, Lease]] = []
        self._count = 0
        fleet.add(node(1, slots), 0.0)
        for lane in line:
            self.submit(Ticket(lane, 0.0, 1e9))
        running = self._started(0.0)
        for number, lease in enumerate(running):
            self._end_at(SERVICE_S * (number + 0.5) / len(running), lease)

    def submit(self, ticket: Ticket) -> None:
        assert self._scheduler.submit(ticket) is None

    def start_of(self, ticket: Ticket) -> float:
        """Return when a ticket that waits has its turn."""
        while True:
            now, _, lease = heapq.heappop(self._ends)
            assert not self._scheduler.finished(lease, answered(200), True, now)
            for started in self._started(now):
                self._end_at(now + SERVICE_S, started)
                if started.ticket is ticket:
                    return now

    def _started(self, now: float) -> list[Lease]:
        leases = []
        while (lease := self._scheduler.next_dispatch(now)) is not None:
            leases.append(lease)
        return leases

    def _end_at(self, now: float, lease: Lease) -> None:
        self._count += 1
        heapq.heappush(self._ends, (now, self._count, lease))


LINES = st.lists(st.integers(0, LANES - 1), min_size=1, max_size=30)


@given(slots=st.integers(1, 8), line=LINES, lane=st.integers(0, LANES - 1))
def test_without_bounds_a_wait_is_told_to_within_rounding(slots: int, line: list[int], lane: int) -> None:
    hall = Hall(slots, [0] * LANES, [100] * LANES, line)
    assume(not hall.shares.may_start(lane))
    ticket = Ticket(lane, 0.0, 1e9)
    told_s = hall.admission.wait_s(ticket, 0.0)
    hall.submit(ticket)
    assert abs(hall.start_of(ticket) - told_s) < 1e-9


@given(
    slots=st.integers(1, 8),
    reserved=st.lists(st.integers(0, 2), min_size=LANES, max_size=LANES),
    most_percent=st.lists(st.sampled_from([100, 50, 25]), min_size=LANES, max_size=LANES),
    line=LINES,
    lane=st.integers(0, LANES - 1),
)
def test_with_bounds_a_wait_is_told_to_within_a_third_or_so(
    slots: int, reserved: list[int], most_percent: list[int], line: list[int], lane: int
) -> None:
    """Which of two slots is whose comes out only as they are given away."""
    assume(sum(reserved) < slots)
    hall = Hall(slots, reserved, most_percent, line)
    assume(not hall.shares.may_start(lane))
    ticket = Ticket(lane, 0.0, 1e9)
    told_s = hall.admission.wait_s(ticket, 0.0)
    hall.submit(ticket)
    waits_s = hall.start_of(ticket)
    assert abs(waits_s - told_s) <= 0.75 * SERVICE_S + 0.3 * waits_s
