"""Who may get in line, and who has to go for it."""

from math import inf

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NEW, Ticket
from priolb.errors import Reason
from support.admission_desk import Desk
from support.steps import lines_run
from support.tickets import answered, names, new_queue, node, ticket

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
