"""Whose slot is taken for a better request."""

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import FIRST, OVER, Lease
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.shares import Shares
from priolb.core.queueing.classify import FAST_TRACK, HIGH_PRIORITY, LOW_PRIORITY
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, RUNNING, WAITING, Ticket
from support.tickets import answered, name_of, new_queue, node, ticket


class Desk:
    """A scheduler whose low requests give way to fast ones, with one node of some slots."""

    def __init__(
        self,
        slots: int = 2,
        per_second: int = 10,
        max_tries: int = 1,
        preempting: frozenset[int] = frozenset({FAST_TRACK}),
        preemptible: frozenset[int] = frozenset({LOW_PRIORITY}),
        reserved: tuple[int, int, int] = (0, 0, 0),
        most_percent: tuple[int, int, int] = (100, 100, 100),
    ) -> None:
        queue, fleet = new_queue(), Fleet()
        preemption = Preemption(preempting, preemptible, per_second, 0.0)
        shares = Shares(queue.lanes, fleet, list(reserved), list(most_percent), preemption)
        self.scheduler = Scheduler(queue, RetryPolicy(max_tries), fleet, shares=shares)
        self.node = node(1, slots)
        self.scheduler.fleet.add(self.node, 0.0)

    def start(self, name: str, now: float = 0.0, start_by: float = 100.0) -> Lease:
        each = ticket(name, start_by)
        lease = self.scheduler.start_at_once(each, now)
        if lease is None:
            assert self.scheduler.submit(each) is None
            lease = self.scheduler.next_dispatch(now)
            assert lease is not None
        return lease

    def wait(self, name: str) -> Ticket:
        each = ticket(name, 100.0)
        assert self.scheduler.submit(each) is None
        return each

    def preempt(self, better: Ticket, now: float = 1.0) -> tuple[str, Lease] | None:
        """Let the next ticket of a lane take a slot; return who had it, and the lease."""
        victim = self.scheduler.victim_of(better.lane, now)
        if victim is None:
            return None
        return name_of(victim.ticket), self.scheduler.preempt(victim, better.lane, now)

    def end(self, lease: Lease, status: int = 200, now: float = 2.0) -> bool:
        return self.scheduler.finished(lease, answered(status), True, now)


def test_the_youngest_of_the_lane_gives_up_its_slot() -> None:
    desk = Desk()
    desk.start("l1")
    youngest = desk.start("l2")
    fast = desk.wait("f1")
    result = desk.preempt(fast)
    assert result is not None
    loser, lease = result
    assert (loser, lease.ticket, lease.node, lease.started_at, lease.state) == (
        "l2",
        fast,
        desk.node,
        1.0,
        FIRST,
    )
    assert youngest.state == OVER
    assert (youngest.ticket.state, fast.state) == (WAITING, RUNNING)
    assert (youngest.ticket.tries, youngest.ticket.tried, fast.tries) == (0, frozenset(), 1)
    assert (desk.node.in_flight, desk.node.record.failed) == (2, 0)


def test_it_goes_back_to_its_place_in_line() -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    desk.wait("l2")
    result = desk.preempt(desk.wait("f1"))
    assert result is not None
    desk.end(result[1])
    again = desk.scheduler.next_dispatch(2.0)
    assert again is not None
    assert (name_of(again.ticket), again.ticket.tries, again.state) == ("l1", 1, FIRST)


def test_nobody_gives_way_while_a_slot_is_free() -> None:
    desk = Desk(slots=2)
    desk.start("l1")
    assert desk.scheduler.victim_of(desk.wait("f1").lane, 1.0) is None


@pytest.mark.parametrize("name", ["h1", "l2"])
def test_only_lanes_that_preempt_take_slots(name: str) -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    assert desk.preempt(desk.wait(name)) is None


def test_only_lanes_that_are_preemptible_lose_them() -> None:
    desk = Desk(slots=2)
    desk.start("h1")
    desk.start("f1")
    assert desk.preempt(desk.wait("f2")) is None


@pytest.mark.parametrize("name", ["h", "f"])
def test_nobody_loses_a_slot_to_a_lane_that_is_no_better(name: str) -> None:
    both = frozenset({HIGH_PRIORITY, FAST_TRACK})
    desk = Desk(slots=1, preempting=frozenset({HIGH_PRIORITY}), preemptible=both)
    desk.start(f"{name}1")
    assert desk.preempt(desk.wait("h2")) is None


def test_who_lost_a_slot_may_lose_it_again() -> None:
    desk = Desk(slots=1)
    desk.start("l1", start_by=3.0)
    for number, now in ((1, 1.0), (2, 2.0)):
        result = desk.preempt(desk.wait(f"f{number}"), now)
        assert result is not None
        assert result[0] == "l1"
        desk.end(result[1], now=now)
        lease = desk.scheduler.next_dispatch(now)
        assert lease is not None
        assert (name_of(lease.ticket), lease.ticket.tries) == ("l1", 1)


def test_one_that_has_no_time_to_start_again_keeps_its_slot_while_others_have() -> None:
    desk = Desk(slots=3)
    desk.start("l1", start_by=100.0)
    desk.start("l2", start_by=1.0)
    desk.start("l3", start_by=1.0)
    results = [desk.preempt(desk.wait(name)) for name in ("f1", "f2", "f3")]
    assert [result[0] for result in results if result is not None] == ["l1", "l3", "l2"]


def test_one_that_lost_its_slot_and_has_no_time_to_start_again_has_expired() -> None:
    desk = Desk(slots=1)
    loser = desk.start("l1", start_by=1.0).ticket
    result = desk.preempt(desk.wait("f1"), 1.0)
    assert result is not None
    assert desk.scheduler.next_deadline() == 1.0
    assert desk.scheduler.take_expired(1.0) == [loser]
    assert (loser.state, desk.scheduler.queue.length) == (ENDED, 0)


def test_one_that_ended_has_no_slot_to_give() -> None:
    desk = Desk(slots=2)
    desk.start("h1")
    desk.end(desk.start("l1"))
    desk.start("f1")
    assert desk.preempt(desk.wait("f2")) is None


def test_one_that_failed_has_none_either() -> None:
    desk = Desk(slots=2)
    desk.start("h1")
    desk.end(desk.start("l1"), 500)
    desk.start("f1")
    assert desk.preempt(desk.wait("f2")) is None


def test_of_the_lane_the_next_one_gets_the_slot() -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    first, second = desk.wait("f1"), desk.wait("f2")
    result = desk.preempt(second)
    assert result is not None
    assert result[1].ticket is first


def test_with_nobody_in_the_lane_nobody_gives_way() -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    assert desk.scheduler.victim_of(FAST_TRACK, 1.0) is None


def test_a_node_that_may_not_be_used_frees_no_slot() -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    desk.scheduler.fleet.cordon(desk.node, 0.5)
    assert desk.preempt(desk.wait("f1")) is None


def test_nor_does_one_that_has_more_in_flight_than_slots() -> None:
    desk = Desk(slots=2)
    desk.start("l1")
    desk.start("l2")
    desk.scheduler.fleet.set_workers(desk.node, 1, None, 0.5)
    assert desk.preempt(desk.wait("f1")) is None


def test_nobody_preempts_on_a_node_that_has_failed_it() -> None:
    desk = Desk(slots=1, max_tries=3)
    fast = desk.wait("f1")
    lease = desk.scheduler.next_dispatch(0.0)
    assert lease is not None
    assert desk.end(lease, 500, 0.0)
    desk.scheduler.queue.remove(fast)
    desk.start("l1")
    desk.scheduler.queue.put_back(fast)
    assert desk.preempt(fast) is None


def test_a_slot_that_is_kept_for_its_lane_stays_there() -> None:
    desk = Desk(slots=3, reserved=(0, 0, 2))
    for number in range(3):
        desk.start(f"l{number}")
    waiting = [desk.wait("f1"), desk.wait("f2")]
    assert [desk.preempt(each) is not None for each in waiting] == [True, False]


def test_no_lane_takes_more_slots_than_its_share() -> None:
    desk = Desk(slots=4, most_percent=(25, 100, 100))
    for number in range(4):
        desk.start(f"l{number}")
    waiting = [desk.wait("f1"), desk.wait("f2")]
    assert [desk.preempt(each) is not None for each in waiting] == [True, False]


def test_one_that_may_not_start_any_more_takes_no_slot() -> None:
    desk = Desk(slots=1)
    desk.start("l1")
    late = ticket("f1", 1.0)
    assert desk.scheduler.submit(late) is None
    assert desk.preempt(late, 1.0) is None


def test_there_are_no_more_in_a_second_than_tokens() -> None:
    desk = Desk(slots=5, per_second=2)
    for number in range(5):
        desk.start(f"l{number}")
    waiting = [desk.wait(f"f{number}") for number in range(5)]
    assert [desk.preempt(each, 1.0) is not None for each in waiting] == [True, True, False, False, False]
    assert desk.preempt(waiting[2], 1.4) is None
    assert desk.preempt(waiting[2], 1.5) is not None
    assert [desk.preempt(each, 60.0) is not None for each in waiting[3:]] == [True, True]


def test_one_for_which_the_node_is_too_slow_takes_no_slot_and_holds_up_nobody() -> None:
    desk = Desk(slots=2)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    desk.start("l1")
    desk.start("l2")
    desk.node.service_times.add(5.0, 1.0)
    hurried, patient = [Ticket(FAST_TRACK, 1.0, answer_by) for answer_by in (5.9, 6.0)]
    for each in hurried, patient:
        each.answer_by = each.start_by
        assert scheduler.submit(each) is None
    result = desk.preempt(patient, 1.0)
    assert result is not None
    assert result[1].ticket is patient
    assert (hurried.state, scheduler.queue.lanes[FAST_TRACK].length) == (ENDED, 0)
    assert fleet.has_news
    assert scheduler.next_deadline() == 1.0
    assert scheduler.take_expired(1.0) == [hurried]


def test_a_slot_is_taken_where_there_is_time_enough_for_the_answer() -> None:
    desk = Desk(slots=1)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    desk.start("l1")
    slow = node(2)
    fleet.add(slow, 0.0)
    desk.start("l2", now=0.5)
    slow.service_times.add(5.0, 1.0)
    hurried = Ticket(FAST_TRACK, 1.0, 2.0)
    hurried.answer_by = 2.0
    assert scheduler.submit(hurried) is None
    result = desk.preempt(hurried, 1.0)
    assert result is not None
    assert (result[0], result[1].node) == ("l1", desk.node), (
        "not that of the youngest, whose node is too slow"
    )


def test_one_that_has_time_enough_for_another_node_stays_in_line() -> None:
    desk = Desk(slots=1)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    high = desk.start("h1")
    slow = node(2)
    fleet.add(slow, 0.0)
    desk.start("l1")
    slow.service_times.add(5.0, 1.0)
    hurried = Ticket(FAST_TRACK, 1.0, 2.0)
    hurried.answer_by = 2.0
    assert scheduler.submit(hurried) is None
    assert desk.preempt(hurried, 1.0) is None
    desk.end(high, now=1.05)
    lease = scheduler.next_dispatch(1.05)
    assert lease is not None
    assert (lease.ticket, lease.node) == (hurried, desk.node)


def test_one_that_waits_for_a_faster_node_than_the_free_one_takes_a_slot_there() -> None:
    desk = Desk(slots=1)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    desk.start("l1")
    slow = node(2)
    fleet.add(slow, 0.0)
    slow.service_times.add(5.0, 1.0)
    hurried = Ticket(FAST_TRACK, 1.0, 2.0)
    hurried.answer_by = 2.0
    assert scheduler.submit(hurried) is None
    assert scheduler.next_dispatch(1.0) is None
    result = desk.preempt(hurried, 1.0)
    assert result is not None
    assert (result[0], result[1].node, result[1].ticket) == ("l1", desk.node, hurried)


def test_one_that_finds_no_slot_at_a_faster_node_holds_up_nobody() -> None:
    desk = Desk(slots=1)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    desk.start("h1")
    slow = node(2)
    fleet.add(slow, 0.0)
    desk.start("l1")
    slow.service_times.add(5.0, 1.0)
    hurried, patient = Ticket(FAST_TRACK, 1.0, 2.0), Ticket(FAST_TRACK, 1.0, 9.0)
    hurried.answer_by = 2.0
    for each in hurried, patient:
        assert scheduler.submit(each) is None
    result = desk.preempt(patient, 1.0)
    assert result is not None
    assert (result[0], result[1].node, result[1].ticket) == ("l1", slow, patient)
    assert hurried.state == WAITING


def test_a_try_from_before_the_rest_of_its_node_makes_no_room_there() -> None:
    """The node is on probation: exactly one request decides, beside those that it has from before."""
    desk = Desk(slots=3)
    fleet = desk.scheduler.fleet
    fleet.policy.eject_after = 5
    old = desk.start("l1")
    other = node(2)
    fleet.add(other, 0.0)
    assert fleet.eject(desk.node, "", 1.0)
    desk.scheduler.advance(3.0)
    desk.start("f1", now=3.0)
    probe = desk.start("l2", now=3.0)
    assert (probe.node, desk.node.in_flight, desk.node.slots) == (desk.node, 2, 2)
    result = desk.preempt(desk.wait("f2"), 3.0)
    assert result is not None
    assert (result[0], result[1].node, old.state) == ("l2", desk.node, FIRST), "it decides now"
    assert desk.preempt(desk.wait("f3"), 3.0) is None
    assert (desk.node.in_flight, desk.node.slots) == (2, 2)
    desk.scheduler.answering(result[1], 3.5)
    assert desk.scheduler.victim_of(FAST_TRACK, 3.5) is None, "it has a free slot now"


def test_no_more_than_so_many_are_found_to_be_late_at_a_time() -> None:
    desk = Desk(slots=1)
    scheduler, fleet = desk.scheduler, desk.scheduler.fleet
    scheduler.admission = AdmissionControl(scheduler.queue, fleet, 0, WaitEstimate(3))
    low = desk.start("l1")
    desk.node.service_times.add(5.0, 1.0)
    for _ in range(200):
        late = Ticket(FAST_TRACK, 1.0, 5.0)
        late.answer_by = 5.0
        assert scheduler.submit(late) is None
    assert scheduler.victim_of(FAST_TRACK, 1.0) is None
    assert (scheduler.queue.length, len(scheduler.take_expired(1.0))) == (136, 64)
    desk.end(low, now=1.0)
    assert scheduler.next_dispatch(1.0) is None
    assert (scheduler.queue.length, scheduler.next_deadline(), len(scheduler.take_expired(1.0))) == (
        72,
        1.0,
        64,
    )
    assert scheduler.next_dispatch(1.0) is None
    assert scheduler.next_dispatch(1.0) is None
    assert (scheduler.queue.length, len(scheduler.take_expired(1.0))) == (0, 64)


def test_no_slot_is_taken_that_is_reserved_for_its_lane_however_few_are_left() -> None:
    """Of four slots, two are kept for each of two lanes; then half of them are gone."""
    desk = Desk(slots=4, reserved=(2, 0, 2))
    desk.scheduler.fleet.set_workers(desk.node, 2, None, 0.0)
    leases = [desk.start("l1"), desk.start("l2")]
    fast = desk.wait("f1")
    assert desk.preempt(fast) is None
    desk.end(leases[0])
    lease = desk.scheduler.next_dispatch(2.0)
    assert lease is not None
    assert lease.ticket is fast, "but the next one that is free is its own"


def test_a_slot_beyond_them_is() -> None:
    desk = Desk(slots=4, reserved=(2, 0, 1))
    desk.scheduler.fleet.set_workers(desk.node, 2, None, 0.0)
    desk.start("l1")
    desk.start("l2")
    waiting = [desk.wait("f1"), desk.wait("f2")]
    assert [desk.preempt(each) is not None for each in waiting] == [True, False]


def test_a_free_slot_that_is_kept_for_another_lane_is_none() -> None:
    desk = Desk(slots=2, reserved=(0, 1, 0))
    desk.start("l1")
    fast = desk.wait("f1")
    assert desk.scheduler.next_dispatch(1.0) is None, "the other slot is kept for high-priority requests"
    result = desk.preempt(fast)
    assert result is not None
    assert (result[0], result[1].ticket, desk.node.in_flight) == ("l1", fast, 1)
    assert desk.start("h1").ticket.lane == HIGH_PRIORITY, "its own slot is still there"
