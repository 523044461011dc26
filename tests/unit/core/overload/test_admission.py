"""Who may get in line, and who has to go for it."""

from math import inf

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NEW, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason
from support.steps import lines_run
from support.tickets import answered, names, new_queue, node, ticket


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


# Who need not wait


def test_no_limit_is_held_against_who_starts_at_once_and_nobody_has_to_go_for_it() -> None:
    """Two slots are kept for the best lane, and the others have filled the line."""
    queue, fleet = new_queue(), Fleet()
    shares = Shares(queue.lanes, fleet, [2, 0, 0], [100, 100, 50])
    admission = AdmissionControl(queue, fleet, 2, None, shares)
    scheduler = Scheduler(queue, RetryPolicy(1), fleet, admission=admission, shares=shares)
    fleet.add(node(1, 8), 0.0)
    assert [scheduler.start_at_once(ticket("lx"), 0.0) is not None for _ in range(4)] == [True] * 4
    for _ in range(2):
        low = ticket("l1")
        assert (scheduler.start_at_once(low, 0.0), scheduler.submit(low)) == (None, None)
    assert scheduler.next_dispatch(0.0) is None
    assert (scheduler.refusal(ticket("h1")), scheduler.refusal(ticket("l2"))) == (None, Reason.QUEUE_FULL)
    assert [scheduler.start_at_once(ticket("h1"), 0.0) is not None for _ in range(3)] == [True, True, False]
    assert [scheduler.start_at_once(ticket("f1"), 0.0) is not None for _ in range(3)] == [True, True, False]
    assert (queue.lengths(), admission.has_displaced) == ((0, 0, 2), False)


# A full queue


def test_without_a_limit_nobody_has_to_go() -> None:
    desk = Desk()
    desk.fill("l1", "l2", "h1")
    assert desk.admission.take_displaced(64) == []
    assert desk.queue.length == 3


def test_a_better_one_takes_the_place_of_the_newest_of_the_worst_lane() -> None:
    desk = Desk(limit=3)
    _, newest, _ = desk.fill("l1", "l2", "h1")
    [high] = desk.fill("h2")
    assert desk.admission.take_displaced(64) == [newest]
    assert newest.state == ENDED
    assert high.fifo is not None
    assert desk.queue.length == 3
    assert desk.admission.take_displaced(64) == [], "once"


def test_one_that_is_no_better_than_the_worst_is_refused() -> None:
    desk = Desk(limit=2)
    desk.fill("h1", "h2")
    assert [desk.submit("l1"), desk.submit("h3")] == [Reason.QUEUE_FULL] * 2
    assert desk.last.state == NEW
    desk.fill("f1")
    assert names(desk.admission.take_displaced(64)) == ["h2"]


def test_one_whose_own_lane_is_full_displaces_nobody() -> None:
    desk = Desk(limit=2, lane_limits=(0, 1, 0))
    desk.fill("h1", "l1")
    assert desk.submit("h2") is Reason.QUEUE_FULL
    assert desk.admission.take_displaced(64) == []


def test_those_who_are_back_in_line_make_more_wait_but_let_nobody_in_for_it() -> None:
    desk = Desk(limit=1)
    [waiting] = desk.fill("l1")
    desk.queue.remove(waiting)
    waiting.tries = 1
    desk.fill("l2")
    desk.queue.put_back(waiting)
    assert desk.queue.length == 2
    assert desk.submit("l3") is Reason.QUEUE_FULL
    desk.fill("f1")
    assert names(desk.admission.take_displaced(64)) == ["l2"]
    assert desk.queue.length == 2


def test_one_that_a_node_has_had_is_spared() -> None:
    desk = Desk(limit=2)
    first, second = desk.fill("l1", "l2")
    desk.queue.remove(second)
    second.tries, second.tried = 1, frozenset({1})
    desk.queue.rest(second, 5.0)
    desk.fill("f1")
    assert desk.admission.take_displaced(64) == [first]
    assert desk.submit("f2") is Reason.QUEUE_FULL


def test_so_is_one_that_gave_up_its_slot() -> None:
    desk = Desk(limit=1)
    [waiting] = desk.fill("l1")
    desk.queue.remove(waiting)
    waiting.was_preempted = True
    desk.queue.put_back(waiting)
    assert desk.submit("f1") is Reason.QUEUE_FULL


@pytest.mark.parametrize("order", ["arrival", "fair", "codel", "deadline"])
def test_of_each_kind_of_lane_the_newest_goes_that_has_not_left(order: str) -> None:
    low = {
        "arrival": Lane("low"),
        "fair": FairLane("low", seed=b"secret", max_wait_s=5.0),
        "codel": CodelLane("low", 0, 0, 5.0),
        "deadline": DeadlineLane("low", max_wait_s=5.0),
    }[order]
    desk = Desk(limit=4, low=low)
    tickets = []
    for number, time_s in enumerate((3.0, 1.0, 4.0, 2.0)):
        assert desk.submit(f"l{number}", time_s, tenant=b"%d" % number) is None
        tickets.append(desk.last)
    desk.scheduler.cancel(tickets[3])
    desk.fill("h1", "h2", "h3", "h4")
    assert desk.admission.take_displaced(64) == [tickets[2], tickets[1], tickets[0]]
    assert desk.submit("h5") is Reason.QUEUE_FULL


def test_it_costs_the_same_in_a_long_line_as_in_a_short_one_also_when_many_have_left() -> None:
    costs = []
    for count in (10, 5000):
        desk = Desk(limit=count)
        tickets = desk.fill(*["l1"] * count)
        for each in tickets[count // 2 :]:
            desk.scheduler.cancel(each)
        desk.fill(*["h1"] * (count - count // 2))

        def displace(desk: Desk = desk) -> None:
            assert desk.submit("f1") is None
            assert len(desk.scheduler.take_refused(0.0)) == 1

        costs.append(lines_run(displace))
    assert costs[0] == costs[1]


def test_one_tenant_of_a_fair_lane_does_not_fill_the_queue() -> None:
    desk = Desk(limit=8, low=FairLane("low", seed=b"secret", max_wait_s=5.0))
    greedy = [desk.submit("l", tenant=b"greedy") for _ in range(6)]
    assert greedy == [None] * 4 + [Reason.QUEUE_FULL] * 2
    assert [desk.submit("l", tenant=b"%d" % each) for each in range(5)] == [None] * 4 + [Reason.QUEUE_FULL]


def test_nor_does_one_of_a_better_lane_whose_others_displace_worse_requests() -> None:
    desk = Desk(limit=4)
    desk.queue.lanes[1] = FairLane("high", seed=b"secret", max_wait_s=5.0)
    desk.fill("l1", "l2", "l3", "l4")
    greedy = [desk.submit("h", tenant=b"greedy") for _ in range(3)]
    assert greedy == [None, None, Reason.QUEUE_FULL]
    assert desk.submit("h", tenant=b"other") is None
    assert names(desk.admission.take_displaced(9)) == ["l4", "l3", "l2"]


# A wait that is too long


def test_behind_a_greedy_tenant_of_a_fair_lane_others_need_not_wait() -> None:
    desk = Desk(service_s=1.0, low=FairLane("low", seed=b"secret", max_wait_s=5.0))
    assert [desk.submit("l", 5.0, tenant=b"greedy") for _ in range(6)] == [None] * 5 + [Reason.WAIT_TOO_LONG]
    assert desk.submit("l", 5.0, answer_by=2.5, tenant=b"other") is None
    assert desk.submit("l", 5.0, answer_by=2.5, tenant=b"another") is Reason.WAIT_TOO_LONG, "two go first"


def test_who_has_the_earliest_deadline_of_a_lane_of_that_order_need_not_wait() -> None:
    desk = Desk(service_s=1.0, low=DeadlineLane("low", max_wait_s=5.0))
    assert [desk.submit("l", 5.0) for _ in range(6)] == [None] * 5 + [Reason.WAIT_TOO_LONG]
    assert desk.submit("l", 5.0, answer_by=1.5) is None
    assert desk.submit("l", 5.0, answer_by=1.5) is None, "as far as is known, nobody has an earlier one"


def test_the_newest_of_a_congested_lane_need_not_wait() -> None:
    desk = Desk(service_s=1.0, low=CodelLane("low", 0, 0, 5.0))
    assert [desk.submit("l", 5.0) for _ in range(6)] == [None] * 5 + [Reason.WAIT_TOO_LONG]
    assert desk.submit("l", 5.0, now=0.25) is None


def test_one_that_would_wait_longer_than_it_has_time_is_refused() -> None:
    """Each takes a second, in one slot."""
    desk = Desk(service_s=1.0)
    assert [desk.submit(f"l{number}", 2.5) for number in range(4)] == [None] * 3 + [Reason.WAIT_TOO_LONG]
    assert desk.queue.length == 3
    assert desk.submit("h1", 2.5) is None, "it waits for nobody"


def test_a_refusal_that_is_foreseen_names_the_reason_that_it_will_have() -> None:
    """Of a full lane whose line is too long as well, `Expect: 100-continue` told another one."""
    desk = Desk(service_s=1.0, lane_limits=(0, 0, 3))
    assert [desk.submit(f"l{number}", 2.5) for number in range(3)] == [None] * 3
    assert desk.scheduler.refusal(ticket("l3", 2.5)) is Reason.WAIT_TOO_LONG
    assert desk.submit("l3", 2.5) is Reason.WAIT_TOO_LONG


def test_more_slots_wait_less() -> None:
    desk = Desk(service_s=1.0, slots=4)
    assert [desk.submit(f"l{number}", 2.5) for number in range(11)] == [None] * 10 + [Reason.WAIT_TOO_LONG]


def test_one_that_needs_its_answer_by_then_needs_time_for_that_too() -> None:
    desk = Desk(service_s=1.0)
    desk.fill("l1")
    assert desk.submit("l2", answer_by=2.4) is Reason.WAIT_TOO_LONG
    assert desk.submit("l2", answer_by=2.5) is None


def test_with_a_free_slot_only_the_node_decides() -> None:
    """The mean of a lane may be far above what most of its requests take."""
    desk = Desk(service_s=5.0)
    desk.fleet.add(node(2), 0.0)
    assert desk.submit("l1", answer_by=1.0) is None


def test_without_a_usable_node_all_wait_for_one() -> None:
    desk = Desk(service_s=1.0)
    desk.fill("l1", "l2")
    desk.fleet.set_healthy(desk.node, False, "", 0.0)
    assert desk.submit("l3", 0.1) is None


def test_how_long_one_would_wait() -> None:
    desk = Desk(service_s=0.5)
    new = [Ticket(lane, 0.0, inf) for lane in range(3)]
    assert desk.admission.wait_s(new[2], 0.0) == 0.25, "for half of the service that goes on"
    desk.fill("l1", "l2", "h1")
    assert [desk.admission.wait_s(each, 0.0) for each in new] == [0.75, 0.75, 1.75]
    desk.fleet.add(node(2), 0.0)
    assert desk.admission.wait_s(new[2], 0.0) == 0.0, "with a free slot"
    assert Desk().admission.wait_s(new[2], 0.0) == 0.0


def test_a_node_that_gets_other_slots_makes_another_wait() -> None:
    desk = Desk(service_s=1.0, slots=2)
    new = Ticket(2, 0.0, inf)
    assert desk.admission.wait_s(new, 0.0) == 0.25
    desk.fleet.set_workers(desk.node, 1, None, 0.0)
    assert desk.admission.wait_s(new, 0.0) == 0.5


def test_a_refusal_costs_the_same_among_many_nodes_as_among_few() -> None:
    costs = []
    for count in (10, 1000):
        desk = Desk(service_s=1e5)
        for number in range(2, count + 1):
            desk.fleet.add(node(number), 0.0)
            assert desk.scheduler.start_at_once(ticket("lx"), 0.0) is not None

        def refuse(desk: Desk = desk) -> None:
            assert desk.submit("l1", 5.0) is Reason.WAIT_TOO_LONG
            assert desk.scheduler.retry_after_s(2, desk.last, 0.0) > 0

        refuse()
        costs.append(lines_run(refuse))
    assert costs[0] == costs[1]


def bounded(reserved: list[int], most_percent: list[int]) -> tuple[Scheduler, AdmissionControl]:
    """Return a scheduler with four slots, and bounds for the lanes; services of the low one take a second."""
    queue, fleet, estimate = new_queue(), Fleet(), WaitEstimate(3)
    estimate.observe(2, 1.0, -1000.0)
    shares = Shares(queue.lanes, fleet, reserved, most_percent)
    admission = AdmissionControl(queue, fleet, 0, estimate, shares)
    scheduler = Scheduler(queue, RetryPolicy(1), fleet, admission=admission, shares=shares)
    fleet.add(node(1, slots=4), 0.0)
    return scheduler, admission


def test_a_free_slot_that_its_lane_may_not_have_makes_no_wait_shorter() -> None:
    scheduler, admission = bounded([0, 0, 0], [100, 100, 25])
    assert scheduler.start_at_once(ticket("l1"), 0.0) is not None
    tickets = [Ticket(lane, 0.0, start_by) for lane, start_by in ((2, 1.5), (2, 1.5), (2, 1.4), (1, 0.1))]
    assert scheduler.start_at_once(tickets[0], 0.0) is None, "its lane has its one slot of four"
    assert [admission.wait_s(each, 0.0) for each in tickets] == [0.5, 0.5, 0.5, 0.0]
    assert [scheduler.submit(each) for each in tickets[:3]] == [None, None, Reason.WAIT_TOO_LONG]
    assert scheduler.start_at_once(tickets[3], 0.0) is None, "somebody waits"
    assert scheduler.submit(tickets[3]) is None
    assert scheduler.next_dispatch(0.0) is not None


def test_slots_that_are_kept_for_another_lane_make_no_wait_shorter() -> None:
    scheduler, admission = bounded([2, 0, 0], [100, 100, 100])
    for name in ("l1", "l2"):
        assert scheduler.start_at_once(ticket(name), 0.0) is not None
    tickets = [Ticket(lane, 0.0, inf) for lane in (0, 1, 2)]
    assert [admission.wait_s(each, 0.0) for each in tickets] == [0.0, 0.25, 0.25]
    assert scheduler.submit(tickets[2]) is None
    assert admission.wait_s(Ticket(2, 0.0, inf), 0.0) == 0.75


def test_service_times_come_from_tries_that_end() -> None:
    desk = Desk(service_s=1.0)
    assert desk.estimate is not None
    lease = desk.scheduler.next_dispatch(0.0)
    assert lease is None
    desk.fill("h1")
    free = node(2)
    desk.fleet.add(free, 0.0)
    lease = desk.scheduler.next_dispatch(0.0)
    assert lease is not None
    desk.scheduler.finished(lease, answered(200), True, 3.0)
    assert (desk.estimate.service_s(1), free.service_times.value(3.0)) == (3.0, 3.0)


# A node that is too slow


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
