"""Nodes that are too slow for who has little time: who waits for a faster one, and who is passed over."""

from math import inf

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from priolb.core.timers import AT_ONCE
from support.admission_desk import Desk
from support.tickets import answered, new_queue, node, ticket


@pytest.mark.parametrize(("answer_by", "is_sent"), [(10.9, False), (11.0, True), (inf, True)])
def test_one_with_less_time_left_than_half_of_the_nodes_answers_take_is_not_sent(
    answer_by: float, is_sent: bool
) -> None:
    desk = Desk(service_s=1.0)
    slow = node(2)
    desk.fleet.add(slow, 0.0)
    for service_s in (0.5, 1.0, 5.0):
        slow.service_times.add(service_s, 10.0)
        desk.node.service_times.add(service_s, 10.0)
    assert desk.estimate is not None
    desk.estimate._mean_s = [0.0] * 3
    desk.estimate._overall_s = 0.0
    late = ticket("l1", answer_by)
    late.enqueued_at, late.answer_by = 10.0, answer_by
    lease = desk.scheduler.start_at_once(late, 10.0)
    assert (lease is not None) is is_sent
    if lease is None:
        assert desk.scheduler.submit(late) is None
        assert desk.scheduler.next_dispatch(10.0) is None
    assert slow.in_flight == int(is_sent)
    assert desk.scheduler.next_deadline() == (inf if is_sent else 10.0)
    assert desk.scheduler.take_expired(10.0) == ([] if is_sent else [late])


class TwoSpeeds:
    """A slow node, which is preferred as it is idle, and a fast one: 1 s and 20 ms, with early refusal."""

    def __init__(self, slots: int = 1, low: Lane | None = None) -> None:
        self.queue: PriorityQueue = new_queue(max_wait_s=5.0)
        if low is not None:
            self.queue.lanes[2] = low
        self.fleet = Fleet()
        admission = AdmissionControl(self.queue, self.fleet, 0, WaitEstimate(3))
        self.scheduler = Scheduler(self.queue, RetryPolicy(3), self.fleet, admission=admission)
        self.slow, self.fast = node(1, slots), node(2, slots)
        for each, service_s in ((self.slow, 1.0), (self.fast, 0.02)):
            each.service_times.add(service_s, 0.0)
            self.fleet.add(each, 0.0)

    def begin(self, each: Ticket) -> Lease:
        lease = self.scheduler.start_at_once(each, 0.0)
        assert lease is not None
        return lease

    def occupy_fast(self) -> Lease:
        """Take a slot of the fast node, with one that is in a hurry."""
        lease = self.begin(hurried())
        assert lease.node is self.fast
        return lease

    def dispatch(self, now: float = 0.0) -> list[tuple[Ticket, NodeState]]:
        started = []
        while (lease := self.scheduler.next_dispatch(now)) is not None:
            started.append((lease.ticket, lease.node))
        return started

    def wait(self, *tickets: Ticket) -> None:
        for each in tickets:
            assert self.scheduler.start_at_once(each, 0.0) is None
            assert self.scheduler.submit(each) is None


def hurried(lane: int = 2, answer_by: float = 0.5) -> Ticket:
    each = Ticket(lane, 0.0, answer_by)
    each.answer_by = answer_by
    return each


def test_one_for_which_the_best_node_is_too_slow_goes_to_one_that_is_fast_enough() -> None:
    desk = TwoSpeeds(slots=8)
    assert [desk.occupy_fast().node for _ in range(8)] == [desk.fast] * 8
    assert (desk.slow.in_flight, desk.fast.in_flight) == (0, 8)


def test_so_does_one_that_has_waited() -> None:
    desk = TwoSpeeds()
    patient, late = Ticket(2, 0.0, 5.0), hurried()
    first, busy = desk.occupy_fast(), desk.begin(patient)
    desk.wait(late)
    desk.scheduler.finished(busy, answered(200), True, 0.1)
    desk.scheduler.finished(first, answered(200), True, 0.1)
    assert desk.dispatch(0.1) == [(late, desk.fast)]


def test_while_the_fast_one_is_busy_it_waits_and_holds_up_nobody() -> None:
    desk = TwoSpeeds()
    first, busy = desk.occupy_fast(), desk.begin(Ticket(2, 0.0, 5.0))
    late, patient, second, new = hurried(), Ticket(2, 0.0, 5.0), Ticket(2, 0.0, 5.0), Ticket(2, 0.0, 5.0)
    desk.wait(late, patient, second)
    desk.scheduler.finished(busy, answered(200), True, 0.1)
    assert desk.dispatch(0.1) == [(patient, desk.slow)]
    assert (desk.queue.length, desk.scheduler.next_deadline()) == (2, 0.5)
    desk.wait(new)
    desk.scheduler.finished(first, answered(200), True, 0.2)
    assert desk.dispatch(0.2) == [(late, desk.fast)], "it has its old place in line"
    assert desk.scheduler.take_expired(0.2) == []


@pytest.mark.parametrize(
    "low",
    [
        DeadlineLane("low", max_wait_s=5.0),
        CodelLane("low", 0, 0, 5.0),
        FairLane("low", seed=b"secret", max_wait_s=5.0),
    ],
)
def test_that_is_so_whatever_the_order_of_its_lane(low: Lane) -> None:
    desk = TwoSpeeds(low=low)
    first, busy = desk.occupy_fast(), desk.begin(Ticket(2, 0.0, 5.0))
    late, patient = hurried(), Ticket(2, 0.0, 5.0)
    desk.wait(late, patient)
    desk.scheduler.finished(busy, answered(200), True, 0.1)
    assert desk.dispatch(0.1) == [(patient, desk.slow)]
    desk.scheduler.finished(first, answered(200), True, 0.2)
    assert desk.dispatch(0.2) == [(late, desk.fast)]
    assert (desk.queue.length, low.length, low.retries) == (0, 0, {})


def test_it_expires_once_no_usable_node_is_fast_enough() -> None:
    desk = TwoSpeeds()
    desk.occupy_fast()
    late = hurried()
    assert desk.scheduler.start_at_once(late, 0.0) is None
    assert desk.scheduler.submit(late) is None
    assert desk.dispatch() == []
    assert desk.scheduler.take_expired(0.0) == []
    desk.fleet.cordon(desk.fast, 0.1)
    assert desk.dispatch(0.1) == []
    assert desk.scheduler.take_expired(0.1) == [late]


def test_one_that_a_fast_node_has_failed_goes_there_again_rather_than_to_one_that_is_too_slow() -> None:
    desk = TwoSpeeds()
    lease = desk.occupy_fast()
    assert desk.scheduler.finished(lease, answered(503), True, 0.1) is True
    assert desk.dispatch(0.1) == [(lease.ticket, desk.fast)]


def test_and_waits_for_it_while_it_is_busy() -> None:
    desk = TwoSpeeds(slots=2)
    lease, other = desk.occupy_fast(), desk.occupy_fast()
    desk.fleet.set_workers(desk.fast, 1, None, 0.1)
    assert desk.scheduler.finished(lease, answered(503), True, 0.1) is True
    assert desk.dispatch(0.1) == []
    desk.scheduler.finished(other, answered(200), True, 0.2)
    assert desk.dispatch(0.2) == [(lease.ticket, desk.fast)]


def test_a_backup_takes_what_the_others_have_failed_if_it_is_fast_enough() -> None:
    desk = TwoSpeeds()
    slow, fast = NodeState(3, "slow", 1, True, tier=1), NodeState(4, "fast", 1, True, tier=2)
    slow.service_times.add(1.0, 0.0)
    for each in (slow, fast):
        desk.fleet.add(each, 0.0)
    desk.fleet.cordon(desk.slow, 0.0)
    lease = desk.occupy_fast()
    assert desk.scheduler.finished(lease, answered(503), True, 0.1) is True
    assert desk.dispatch(0.1) == [(lease.ticket, fast)]


def test_and_what_all_of_them_are_too_slow_for() -> None:
    desk = TwoSpeeds()
    backup = NodeState(3, "backup", 1, True, tier=1)
    desk.fleet.add(backup, 0.0)
    desk.fleet.cordon(desk.fast, 0.0)
    first, second = hurried(), hurried()
    desk.wait(first)
    assert desk.dispatch() == [(first, backup)]
    desk.wait(second)
    assert desk.dispatch() == []
    assert desk.scheduler.take_expired(0.0) == [second]


def test_so_many_are_passed_over_at_a_time_and_the_others_soon_afterwards() -> None:
    desk = TwoSpeeds()
    desk.occupy_fast()
    busy = desk.begin(Ticket(2, 0.0, 5.0))
    patient = Ticket(2, 0.0, 5.0)
    desk.wait(*[hurried() for _ in range(AT_ONCE)], patient)
    desk.scheduler.finished(busy, answered(200), True, 0.1)
    assert desk.dispatch(0.1) == []
    assert (desk.scheduler.next_deadline(), desk.fleet.has_news) == (-inf, True)
    desk.scheduler.advance(0.1)
    assert desk.scheduler.next_deadline() == 0.5
    assert desk.dispatch(0.1) == [(patient, desk.slow)]


def test_with_a_free_slot_one_with_a_deadline_is_not_held_against_the_limit_of_what_waits() -> None:
    desk = Desk(service_s=1.0, low=Lane("low", limit_bytes=100))
    desk.fleet.add(node(2), 0.0)
    long = ticket("l1", 5.0)
    long.answer_by, long.body_bytes = 5.0, 101
    assert desk.scheduler.start_at_once(long, 0.0) is not None


def test_without_an_estimate_it_is_sent_all_the_same() -> None:
    desk = Desk()
    slow = node(2)
    slow.service_times.add(5.0, 0.0)
    desk.fleet.add(slow, 0.0)
    late = ticket("l1", 1.0)
    late.answer_by = 1.0
    assert desk.scheduler.submit(late) is None
    assert desk.scheduler.next_dispatch(0.0) is not None


def test_among_many_nodes_fewer_are_put_aside_in_one_call_as_all_nodes_are_looked_at_for_each() -> None:
    desk = TwoSpeeds()
    for number in range(3, 1001):
        slow = node(number)
        slow.service_times.add(1.0, 0.0)
        desk.fleet.add(slow, 0.0)
    desk.occupy_fast()
    waiting = [hurried() for _ in range(40)]
    desk.wait(*waiting)
    aside: list[int] = []
    while desk.scheduler.next_deadline() < 0.5 or not aside:
        desk.scheduler.advance(0.0)
        assert desk.scheduler.next_dispatch(0.0) is None
        aside.append(sum(each.fifo is not desk.queue.lanes[2].fresh for each in waiting))
    assert aside == [16, 32, 40]
