"""The scheduler: late binding, retries on other nodes, nothing late, nothing lost."""

from math import inf

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import FIRST, OVER, Lease, NodeState
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import Outcome, Phase, Source
from priolb.core.overload.admission import AdmissionControl
from priolb.core.queueing.classify import LOW_PRIORITY
from priolb.core.queueing.discipline import Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.budget import RetryBudget
from priolb.core.retries.hedge import Hedging
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NEW, RUNNING, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason
from support.tickets import (
    answered,
    client_left,
    names,
    new_queue,
    node,
    ticket,
    timed_out,
    unattested,
    unreachable,
)

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


# At the door


def test_a_new_ticket_starts_at_once_when_nobody_waits_and_a_node_is_free() -> None:
    only = node(1)
    target = scheduler(only)
    first = ticket("l1")
    lease = target.start_at_once(first, NOW)
    assert lease is not None
    assert (lease.ticket, lease.node, lease.started_at) == (first, only, NOW)
    assert (first.state, first.tries, first.sequence) == (RUNNING, 1, 1)
    assert (only.in_flight, running(target), target.queue.length) == (1, 1, 0)


def test_a_new_ticket_does_not_start_before_those_that_wait_for_the_same_slot() -> None:
    target = scheduler(node(1), node(2))
    submit(target, "l1", "l2", "l3")
    failing, busy = dispatch(target), dispatch(target)
    succeed(target, busy)
    newcomer = ticket("f1")
    assert target.start_at_once(newcomer, NOW) is None
    assert (newcomer.state, newcomer.sequence) == (NEW, 0)
    assert pairs(target) == ["l3>2"]
    assert fail(target, failing) is True
    # The one who waits has to leave the node that is free to others.
    assert target.next_dispatch(NOW) is None
    lease = target.start_at_once(newcomer, NOW)
    assert lease is not None and lease.node.node_id == 1
    assert (newcomer.state, newcomer.sequence) == (RUNNING, 4)


def test_a_new_ticket_does_not_start_while_every_slot_is_taken() -> None:
    target = scheduler(node(1))
    assert target.start_at_once(ticket("l1"), NOW) is not None
    late = ticket("l2")
    assert target.start_at_once(late, NOW) is None
    assert (late.state, running(target)) == (NEW, 1)


def test_without_any_node_a_ticket_is_refused() -> None:
    target = scheduler()
    refused = ticket("l1")
    assert not target.fleet.nodes
    assert target.start_at_once(refused, NOW) is None
    assert target.submit(refused) is Reason.NO_NODES
    assert (refused.state, target.queue.length) == (NEW, 0)


def test_with_nodes_of_which_none_is_usable_a_ticket_waits() -> None:
    sick = node(1, healthy=False)
    target = scheduler(sick)
    (waiting,) = submit(target, "l1")
    assert target.fleet.nodes
    assert (target.next_dispatch(NOW), waiting.state) == (None, WAITING)
    target.fleet.set_healthy(sick, True, "", NOW)
    assert pairs(target) == ["l1>1"]


def test_a_full_lane_refuses_and_the_others_do_not() -> None:
    target = scheduler(node(1), limits=(0, 0, 1))
    submit(target, "l1")
    assert target.submit(ticket("l2")) is Reason.QUEUE_FULL
    assert target.submit(ticket("h1")) is None


def test_a_lane_is_told_to_be_full_exactly_when_that_alone_would_refuse_a_ticket() -> None:
    target = scheduler(limits=(0, 0, 1))
    assert [target.is_full(lane, 0, b"") for lane in range(3)] == [False] * 3
    target.fleet.add(node(1), NOW)
    assert target.is_full(2, 0, b"") is False
    submit(target, "l1")
    assert [target.is_full(lane, 0, b"") for lane in range(3)] == [False, False, True]
    dispatch(target)
    assert target.is_full(2, 0, b"") is False


def test_a_lane_whose_bytes_are_bounded_is_full_for_long_bodies_alone_and_only_while_somebody_waits() -> None:
    target = Scheduler(new_queue(limit_bytes=10), RetryPolicy(1))
    target.fleet.add(node(1), NOW)
    assert target.is_full(2, 11, b"") is False  # it would start at once
    submit(target, "l1")
    assert [target.is_full(2, body_bytes, b"") for body_bytes in (10, 11)] == [False, True]


def test_without_nodes_or_with_somebody_at_the_door_other_reasons_come_first() -> None:
    target = scheduler(node(1), limits=(0, 0, 1))
    submit(target, "l1")
    target.admission = AdmissionControl(target.queue, target.fleet, 0, None)
    assert target.is_full(2, 0, b"") is False
    target.admission = None
    assert target.is_full(2, 0, b"") is True
    target.fleet.remove(target.fleet.nodes[1], NOW)
    assert (target.is_full(2, 0, b""), target.submit(ticket("l2"))) == (False, Reason.NO_NODES)


# Who goes where


def test_a_later_urgent_ticket_overtakes_all_that_wait() -> None:
    """Nothing is bound to a node before that node has a free slot."""
    target = scheduler(node(1))
    running = target.start_at_once(ticket("l0"), NOW)
    assert running is not None
    submit(target, "l1", "l2")
    assert target.next_dispatch(NOW) is None
    submit(target, "h1", "f1")
    order = []
    for _ in range(4):
        succeed(target, running)
        running = dispatch(target)
        order += names([running.ticket])
    assert order == ["f1", "h1", "l1", "l2"]


def test_every_slot_is_used_and_no_more() -> None:
    """The node with the fewest in flight first, among equals the one untouched for longest."""
    nodes = [node(1, slots=2), node(2, slots=1), node(3, slots=3)]
    target = scheduler(*nodes)
    submit(target, *(f"l{number}" for number in range(1, 9)))
    assert pairs(target) == ["l1>1", "l2>2", "l3>3", "l4>1", "l5>3", "l6>3"]
    assert [each.in_flight for each in nodes] == [2, 1, 3]
    assert (running(target), target.queue.length) == (6, 2)


def test_a_slot_that_becomes_free_goes_to_the_next_in_line() -> None:
    target = scheduler(node(1))
    submit(target, "l1", "l2", "l3")
    lease = dispatch(target)
    succeed(target, lease)
    assert (running(target), lease.state, lease.ticket.state) == (0, OVER, ENDED)
    assert pairs(target) == ["l2>1"]


# Retries


def test_a_retry_keeps_its_place_and_goes_to_another_node() -> None:
    target = scheduler(node(1), node(2))
    first, *_ = submit(target, "l1", "l2", "l3")
    lease = dispatch(target)
    assert (lease.ticket, lease.node.node_id) == (first, 1)
    assert fail(target, lease) is True
    assert (first.state, first.sequence, first.tries) == (WAITING, 1, 1)
    assert first.tried == {1}
    assert pairs(target) == ["l1>2", "l2>1"]
    assert first.tries == 2


def test_a_retry_waits_for_a_busy_node_that_it_has_not_tried_and_does_not_starve() -> None:
    """Others overtake it on the node it tried; the untried one is its own as soon as that is free."""
    target = scheduler(node(1), node(2))
    submit(target, "l1", "l2", "l3", "l4", "l5")
    on_one, on_two = dispatch(target), dispatch(target)
    assert fail(target, on_one) is True
    overtaking = dispatch(target)
    assert (names([overtaking.ticket]), overtaking.node.node_id) == (["l3"], 1)
    succeed(target, overtaking)
    overtaking = dispatch(target)
    assert (names([overtaking.ticket]), overtaking.node.node_id) == (["l4"], 1)
    succeed(target, on_two)
    assert pairs(target) == ["l1>2"]
    assert target.queue.lengths() == (0, 0, 1)


def test_a_waiting_retry_does_not_keep_lower_lanes_from_a_node_it_cannot_use() -> None:
    target = scheduler(node(1), node(2))
    submit(target, "f1", "f2", "l1")
    on_one, _on_two = dispatch(target), dispatch(target)
    assert fail(target, on_one) is True
    assert pairs(target) == ["l1>1"]
    assert target.queue.lengths() == (1, 0, 0)


def test_when_every_usable_node_was_tried_the_best_of_them_is_tried_again() -> None:
    target = scheduler(node(1), node(2), max_tries=4)
    (only,) = submit(target, "l1")
    visited = []
    for _ in range(4):
        lease = dispatch(target)
        visited.append(lease.node.node_id)
        fail(target, lease)
    assert visited == [1, 2, 1, 2]
    assert (only.tries, only.state, target.queue.length) == (4, ENDED, 0)


def test_a_single_node_is_tried_up_to_the_maximum() -> None:
    target = scheduler(node(1), max_tries=3)
    submit(target, "l1")
    assert [fail(target, dispatch(target)) for _ in range(3)] == [True, True, False]
    assert target.next_dispatch(NOW) is None


def test_an_untried_node_that_is_ill_or_gone_is_not_waited_for() -> None:
    one, ill, gone = node(1), node(2, healthy=False), node(3)
    target = scheduler(one, ill, gone)
    target.fleet.remove(gone, NOW)
    submit(target, "l1")
    assert fail(target, dispatch(target)) is True
    assert pairs(target) == ["l1>1"]


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_retry_stops_waiting_for_a_node_that_can_no_longer_be_used(is_removed: bool) -> None:
    busy = node(2)
    target = scheduler(node(1), busy)
    submit(target, "l1", "l2")
    on_one, _on_two = dispatch(target), dispatch(target)
    assert fail(target, on_one) is True
    assert target.next_dispatch(NOW) is None
    if is_removed:
        target.fleet.remove(busy, NOW)
    else:
        target.fleet.set_healthy(busy, False, "", NOW)
    assert pairs(target) == ["l1>1"]


def test_a_node_that_joins_is_untried() -> None:
    target = scheduler(node(1))
    submit(target, "l1")
    assert fail(target, dispatch(target)) is True
    target.fleet.add(node(2), NOW)
    assert pairs(target) == ["l1>2"]


def test_a_retry_goes_back_even_into_a_full_lane() -> None:
    target = scheduler(node(1), limits=(0, 0, 1))
    submit(target, "l1")
    lease = dispatch(target)
    submit(target, "l2")
    assert fail(target, lease) is True
    assert target.queue.lengths() == (0, 0, 2)
    assert pairs(target) == ["l1>1"]


@pytest.mark.parametrize(
    ("outcome", "repeatable", "is_back"),
    [
        (answered(200), True, False),
        (answered(500), True, True),
        (answered(500), False, False),
        (timed_out(), False, False),
        (unreachable(), False, True),
        (client_left(), True, False),
    ],
)
def test_may_retry_tells_what_finished_will_do_and_changes_nothing(
    outcome: Outcome, repeatable: bool, is_back: bool
) -> None:
    target = scheduler(node(1))
    (only,) = submit(target, "l1")
    lease = dispatch(target)
    assert target.may_retry(lease, outcome, repeatable, NOW) is is_back
    assert (only.state, only.tried, running(target), lease.state) == (RUNNING, frozenset(), 1, FIRST)
    assert target.finished(lease, outcome, repeatable, NOW) is is_back
    assert only.state == (WAITING if is_back else ENDED)


# Time


def test_nothing_expired_is_dispatched_and_each_is_handed_over_once() -> None:
    """A ticket whose `start_by` is now is too late, whoever finds it first."""
    target = scheduler(node(1))
    late, next_one = ticket("l1", NOW), ticket("l2", NOW + 0.001)
    assert [target.submit(late), target.submit(next_one)] == [None, None]
    lease = dispatch(target)
    assert lease.ticket is next_one
    assert (late.state, late.tries) == (ENDED, 0)
    assert target.take_expired(NOW) == [late]
    assert target.take_expired(NOW) == []


def test_what_has_expired_uses_no_turn_of_its_lane() -> None:
    """Of two lanes that take turns, the first has one that is late: its next one goes, then the other's."""
    queue = PriorityQueue([Lane("a"), Lane("b")], Weighted([1, 1]))
    target = Scheduler(queue, RetryPolicy(1))
    target.fleet.add(node(1, slots=3), 0.0)
    for lane, start_by in ((0, 1.0), (0, 9.0), (0, 9.0), (1, 9.0)):
        assert target.submit(Ticket(lane, 0.0, start_by)) is None
    assert [dispatch(target, now=2.0).ticket.lane for _ in range(3)] == [0, 1, 0]


def test_what_expires_while_no_node_is_free_is_taken_out_of_line() -> None:
    target = scheduler(node(1, healthy=False))
    tickets = [ticket("l1", 5.0), ticket("f1", 5.0), ticket("l2", 6.0)]
    for each in tickets:
        assert target.submit(each) is None
    assert target.take_expired(4.9) == []
    assert target.take_expired(5.0) == [tickets[1], tickets[0]]
    assert [each.state for each in tickets] == [ENDED, ENDED, WAITING]
    assert target.queue.length == 1


def test_those_that_a_dispatch_found_and_those_in_line_are_handed_over_together() -> None:
    only = node(1)
    target = scheduler(only)
    tickets = [ticket("l1", 5.0), ticket("l2", 6.0), ticket("l3", 7.0)]
    for each in tickets:
        assert target.submit(each) is None
    assert dispatch(target, 5.5).ticket is tickets[1]
    assert target.take_expired(7.0) == [tickets[0], tickets[2]]


def test_those_that_expire_at_one_moment_are_handed_over_in_parts() -> None:
    only = node(1)
    target = scheduler(only)
    tickets = [ticket(f"l{number}", 5.0) for number in range(2 * AT_ONCE)]
    for each in tickets[: AT_ONCE + 1]:
        assert target.submit(each) is None
    assert target.next_dispatch(5.0) is None
    for each in tickets[AT_ONCE + 1 :]:
        assert target.submit(each) is None
    assert target.take_expired(5.0) == tickets[:AT_ONCE]
    assert target.next_deadline() == 5.0
    assert target.take_expired(5.0) == tickets[AT_ONCE:]
    assert target.next_deadline() == inf


def test_a_try_that_fails_too_late_is_not_retried() -> None:
    for now, is_back in ((4.999, True), (5.0, False)):
        target = scheduler(node(1))
        only = ticket("l1", 5.0)
        assert target.submit(only) is None
        assert fail(target, dispatch(target, 1.0), now) is is_back
        assert only.state == (WAITING if is_back else ENDED)


def test_the_next_deadline_is_that_of_the_first_who_waits() -> None:
    target = scheduler(node(1, healthy=False))
    assert target.next_deadline() == inf
    assert [target.submit(ticket("l1", 7.0)), target.submit(ticket("h1", 6.0))] == [None, None]
    assert target.next_deadline() == 6.0


def test_expired_tickets_that_nobody_has_taken_yet_are_due_at_once() -> None:
    """Else a ticket that a dispatch found expired would wait for the deadline of another, or for ever."""
    target = scheduler(node(1))
    late, next_one = ticket("l1", 5.0), ticket("h1", 9.0)
    assert [target.submit(late), target.submit(next_one)] == [None, None]
    succeed(target, dispatch(target, 6.0))
    assert (target.next_dispatch(6.0), next_one.state, late.state) == (None, ENDED, ENDED)
    assert target.next_deadline() == 5.0
    assert target.take_expired(6.0) == [late]
    assert target.next_deadline() == inf


# Nodes that come, fall ill and go


def test_a_node_that_was_removed_ends_what_it_has_and_gets_no_more() -> None:
    leaving = node(1, slots=2)
    target = scheduler(leaving, node(2))
    submit(target, "l1", "l2", "l3", "l4")
    lease = dispatch(target)
    assert lease.node is leaving
    target.fleet.remove(leaving, NOW)
    assert pairs(target) == ["l2>2"]
    assert (lease.state, leaving.in_flight) == (FIRST, 1)
    succeed(target, lease)
    assert leaving.in_flight == 0
    assert target.next_dispatch(NOW) is None


def test_a_try_that_fails_on_a_removed_node_is_retried_elsewhere() -> None:
    leaving = node(1)
    target = scheduler(leaving, node(2))
    submit(target, "l1")
    lease = dispatch(target)
    target.fleet.remove(leaving, NOW)
    assert fail(target, lease) is True
    assert pairs(target) == ["l1>2"]


def test_removing_a_node_twice_or_before_it_was_added_does_nothing() -> None:
    one, stranger = node(1), node(2)
    target = scheduler(one)
    target.fleet.remove(stranger, NOW)
    assert target.fleet.nodes
    target.fleet.remove(one, NOW)
    target.fleet.remove(one, NOW)
    assert not target.fleet.nodes


def test_those_who_wait_when_the_last_node_goes_keep_waiting() -> None:
    one = node(1, healthy=False)
    target = scheduler(one)
    submit(target, "l1")
    target.fleet.remove(one, NOW)
    assert target.submit(ticket("l2")) is Reason.NO_NODES
    target.fleet.add(node(2), NOW)
    assert pairs(target) == ["l1>2"]


def test_an_ill_node_gets_nothing_until_it_is_healthy_again() -> None:
    one = node(1)
    target = scheduler(one)
    submit(target, "l1", "l2")
    lease = dispatch(target)
    target.fleet.set_healthy(one, False, "", NOW)
    succeed(target, lease)
    assert (target.next_dispatch(NOW), one.in_flight, one.healthy) == (None, 0, False)
    target.fleet.set_healthy(one, True, "", NOW)
    assert pairs(target) == ["l2>1"]


def test_a_node_that_recovers_under_load_gets_only_its_free_slots() -> None:
    one = node(1, slots=2)
    target = scheduler(one)
    submit(target, "l1", "l2", "l3")
    dispatch(target)
    target.fleet.set_healthy(one, False, "", NOW)
    target.fleet.set_healthy(one, True, "", NOW)
    assert pairs(target) == ["l2>1"]
    assert one.in_flight == 2


def test_a_healthy_node_that_was_not_added_gets_nothing() -> None:
    stranger = node(2, healthy=False)
    target = scheduler(node(1, healthy=False))
    submit(target, "l1")
    target.fleet.set_healthy(stranger, True, "", NOW)
    assert target.next_dispatch(NOW) is None
    target.fleet.add(stranger, NOW)
    assert pairs(target) == ["l1>2"]


# Ends


def test_a_lease_ends_exactly_once() -> None:
    target = scheduler(node(1, slots=2))
    submit(target, "l1")
    lease = dispatch(target)
    succeed(target, lease)
    with pytest.raises(AssertionError):
        fail(target, lease)
    assert (lease.node.in_flight, running(target)) == (0, 0)


def test_a_cancelled_ticket_leaves_the_line_and_nobody_else_does() -> None:
    target = scheduler(node(1, healthy=False))
    first, second = submit(target, "l1", "l2")
    target.cancel(first)
    assert (first.state, second.state, target.queue.length) == (ENDED, WAITING, 1)
    assert target.take_expired(inf) == [second]


def test_a_waiting_retry_can_be_cancelled() -> None:
    target = scheduler(node(1), node(2))
    first, _ = submit(target, "l1", "l2")
    on_one, _on_two = dispatch(target), dispatch(target)
    assert fail(target, on_one) is True
    target.cancel(first)
    assert (first.state, target.queue.length) == (ENDED, 0)
    assert target.next_dispatch(NOW) is None


def test_only_a_waiting_ticket_can_be_cancelled() -> None:
    target = scheduler(node(1))
    (running,) = submit(target, "l1")
    dispatch(target)
    with pytest.raises(AssertionError):
        target.cancel(running)


# Rests before another try on the same node


class Half:
    def random(self) -> float:
        return 0.5


RESTING = RetryPolicy(5, backoff_s=0.1, backoff_max_s=1.0)


def resting_scheduler(*nodes: NodeState, retry: RetryPolicy = RESTING) -> Scheduler:
    made = Scheduler(new_queue(), retry, chance=Half())
    for each in nodes:
        made.fleet.add(each, NOW)
    return made


def asks_to_wait(retry_after_s: float) -> Outcome:
    return Outcome(
        Source.NODE, Phase.DONE, None, 503, sent=True, answering=False, retry_after_s=retry_after_s
    )


def test_the_second_time_a_node_is_tried_again_it_is_after_a_rest() -> None:
    """The first time at once, as the original does it."""
    target = resting_scheduler(node(1))
    submit(target, "l1")
    now = NOW
    for rest_s in (0.0, 0.05, 0.15, 0.35):
        assert fail(target, dispatch(target, now), now) is True
        if rest_s:
            assert target.next_dispatch(now) is None
            assert target.next_deadline() == pytest.approx(now + rest_s)
            assert target.fleet.has_news is True
            now = target.next_deadline()
            target.advance(now)
    assert fail(target, dispatch(target, now), now) is False


def test_who_rests_lets_others_pass_and_has_its_old_place_afterwards() -> None:
    target = resting_scheduler(node(1))
    submit(target, "l1", "l2", "l3", "l4")
    assert fail(target, dispatch(target)) is True
    assert fail(target, dispatch(target)) is True
    overtaking = dispatch(target)
    assert names([overtaking.ticket]) == ["l2"]
    target.advance(NOW + 1)
    assert target.next_dispatch(NOW + 1) is None
    succeed(target, overtaking)
    assert names([dispatch(target, NOW + 1).ticket]) == ["l1"]


def test_nobody_rests_while_a_node_is_left_that_was_not_tried() -> None:
    target = resting_scheduler(node(1), node(2))
    submit(target, "l1")
    for _ in range(3):
        assert fail(target, dispatch(target)) is True
    assert target.next_dispatch(NOW) is None, "both were tried, and one of them twice"
    target.fleet.add(node(3), NOW)
    assert pairs(target) == ["l1>3"]


def test_a_node_that_asks_to_wait_is_waited_for_when_no_other_is_left() -> None:
    target = resting_scheduler(node(1), node(2))
    submit(target, "l1")
    for rest_s in (2.0, 3.0):
        assert target.finished(dispatch(target), asks_to_wait(rest_s), True, NOW) is True
    assert (target.next_dispatch(NOW), target.next_deadline()) == (None, NOW + 2)
    target.advance(NOW + 2)
    assert pairs(target, NOW + 2) == ["l1>1"]


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_node_that_asks_to_wait_is_left_alone_whatever_the_others_say(asks_first: bool) -> None:
    target = resting_scheduler(node(1), node(2))
    submit(target, "l1")
    for asks in (asks_first, not asks_first):
        end = asks_to_wait(3.0) if asks else answered(500)
        assert target.finished(dispatch(target), end, True, NOW) is True
    other = 2 if asks_first else 1
    assert pairs(target) == [f"l1>{other}"], "the other one has not asked for anything"


def test_who_may_not_go_to_the_nodes_that_are_free_looks_again_soon() -> None:
    """It holds up nobody meanwhile, and uses no turn."""
    target = resting_scheduler(node(1), node(2, slots=1))
    submit(target, "l1")
    assert target.finished(dispatch(target), asks_to_wait(3.0), True, NOW) is True
    assert fail(target, dispatch(target)) is True
    target.fleet.free.reserve(target.fleet.nodes[2])
    submit(target, "l2")
    assert pairs(target) == ["l2>1"]
    assert target.next_deadline() == NOW + 0.25
    target.fleet.free.release(target.fleet.nodes[2])
    target.advance(NOW + 0.25)
    assert pairs(target, NOW + 0.25) == ["l1>2"]


def test_a_node_that_asks_to_wait_and_comes_back_is_left_alone_all_the_same() -> None:
    one, two = node(1), node(2, healthy=False)
    target = resting_scheduler(one, two)
    submit(target, "l1")
    assert target.finished(dispatch(target), asks_to_wait(3.0), True, NOW) is True
    target.fleet.set_healthy(one, False, "", NOW)
    target.fleet.set_healthy(one, True, "", NOW + 0.5)
    assert (target.next_dispatch(NOW + 0.5), target.next_deadline()) == (None, NOW + 3)
    target.fleet.set_healthy(two, True, "", NOW + 1)
    assert pairs(target, NOW + 1) == ["l1>2"]


def test_who_rests_goes_to_a_node_that_is_found_well_meanwhile() -> None:
    """It had one slot, whose request decided."""
    one, two = node(1), node(2)
    target = resting_scheduler(one, two)
    target.fleet.policy.ejected_max_percent = 50
    assert target.fleet.eject(two, "", NOW)
    target.advance(NOW + 2)
    submit(target, "l1", "l2")
    leases = {each.node.node_id: each for each in (dispatch(target, NOW + 2), dispatch(target, NOW + 2))}
    assert target.finished(leases[1], asks_to_wait(4.0), True, NOW + 2) is True
    assert target.next_dispatch(NOW + 2) is None
    succeed(target, leases[2])
    assert [each[-2:] for each in pairs(target, NOW + 2)] == [">2"]


def test_who_rests_goes_to_a_backup_that_comes_meanwhile() -> None:
    target = resting_scheduler(node(1))
    backup = NodeState(2, "", 1, tier=1)
    target.fleet.add(backup, NOW)
    submit(target, "l1")
    assert target.finished(dispatch(target), asks_to_wait(4.0), True, NOW) is True
    assert target.next_dispatch(NOW) is None
    target.fleet.set_healthy(backup, True, "", NOW + 1)
    assert pairs(target, NOW + 1) == ["l1>2"]


def test_when_a_node_joins_many_who_rest_wake_in_portions() -> None:
    count = 2 * AT_ONCE
    target = resting_scheduler(node(1, slots=count))
    submit(target, *[f"l{number}" for number in range(count)])
    for _ in range(2):
        for lease in [dispatch(target) for _ in range(count)]:
            assert fail(target, lease) is True
    assert target.next_dispatch(NOW) is None
    target.fleet.take_changes()
    target.fleet.add(node(2, slots=count), NOW)
    assert names([dispatch(target).ticket for _ in range(AT_ONCE)]) == [f"l{each}" for each in range(AT_ONCE)]
    assert target.next_dispatch(NOW) is None
    assert (target.fleet.has_news, target.next_deadline()) == (True, -inf)
    target.advance(NOW)
    assert names([dispatch(target).ticket]) == [f"l{AT_ONCE}"]


def test_a_rest_that_is_longer_than_the_time_of_a_ticket_is_the_end_of_it() -> None:
    target = resting_scheduler(node(1))
    only = ticket("l1", NOW + 2.0)
    assert target.submit(only) is None
    lease = dispatch(target)
    assert target.may_retry(lease, asks_to_wait(2.0), True, NOW) is False
    assert target.finished(lease, asks_to_wait(2.0), True, NOW) is False
    assert (only.state, target.queue.length) == (ENDED, 0)


@pytest.mark.parametrize(
    "other", ["untried", "backup", "tried", "asks for a shorter one", "asks for a longer one"]
)
def test_so_it_is_only_when_no_other_node_may_be_asked_before(other: str) -> None:
    tier = int(other == "backup")
    target = resting_scheduler(node(1), NodeState(2, "http://node-2", 1, True, tier=tier))
    assert target.submit(ticket("l1", NOW + 2.0)) is None
    lease = dispatch(target)
    assert lease.node.node_id == 1
    if other not in {"untried", "backup"}:
        rest_s = {"asks for a shorter one": 1.0, "asks for a longer one": 3.0}.get(other, 0.0)
        lease.ticket.note_failure(2, True, NOW + rest_s if rest_s else 0.0)
    is_back = other != "asks for a longer one"
    assert target.may_retry(lease, asks_to_wait(2.0), True, NOW) is is_back
    assert target.finished(lease, asks_to_wait(2.0), True, NOW) is is_back


def test_a_node_that_is_back_is_news_to_all_who_rest_whoever_goes_to_rest_meanwhile() -> None:
    first, second = node(1, slots=2), node(2)
    target = resting_scheduler(first, second)
    target.fleet.set_healthy(second, False, "", NOW)
    submit(target, "l1", "l2")
    leases = [dispatch(target), dispatch(target)]
    assert target.finished(leases[0], asks_to_wait(4.0), True, NOW) is True
    target.fleet.set_healthy(second, True, "", NOW)
    leases[1].ticket.tried = frozenset({2})
    assert target.finished(leases[1], asks_to_wait(4.0), True, NOW) is True
    assert pairs(target) == ["l1>2"]


def test_a_request_that_decided_nothing_leaves_its_slot_to_who_rests() -> None:
    first, probed = node(1), node(2)
    target = resting_scheduler(first, probed)
    probed.breaker.open(NOW - 10.0, 1.0, 1.0)
    target.fleet.rest(probed, "x", NOW - 10.0)
    target.advance(NOW)
    submit(target, "l1", "l2")
    leases = {lease.node.node_id: lease for lease in (dispatch(target), dispatch(target))}
    assert target.finished(leases[1], asks_to_wait(4.0), True, NOW) is True
    assert target.next_dispatch(NOW) is None
    assert target.finished(leases[2], client_left(), True, NOW) is False
    lease = dispatch(target)
    assert (lease.ticket, lease.node) == (leases[1].ticket, probed)


def test_who_rests_fills_no_lane_against_who_can_start() -> None:
    target = scheduler(node(1, slots=2), node(2), limits=(0, 0, 1))
    target.fleet.set_healthy(target.fleet.nodes[2], False, "", NOW)
    submit(target, "l1")
    assert target.finished(dispatch(target), asks_to_wait(4.0), True, NOW) is True
    assert target.next_dispatch(NOW) is None
    assert target.refusal(ticket("l2")) is None
    assert not target.is_full(LOW_PRIORITY, 0, b"")
    leases = [target.start_at_once(ticket("l2"), NOW), target.start_at_once(ticket("l3"), NOW)]
    assert [lease is not None for lease in leases] == [True, True]
    assert target.start_at_once(ticket("l4"), NOW) is None
    assert target.refusal(ticket("l4")) is Reason.QUEUE_FULL
    assert target.is_full(LOW_PRIORITY, 0, b"")
    assert target.submit(ticket("l4")) is Reason.QUEUE_FULL
    # A node that joins is for who rests, and not for who comes.
    target.fleet.set_healthy(target.fleet.nodes[2], True, "", NOW)
    assert target.start_at_once(ticket("l5"), NOW) is None
    assert pairs(target) == ["l1>2"]


def test_who_rests_keeps_newcomers_neither_from_the_node_nor_from_starting_at_once() -> None:
    target = resting_scheduler(node(1))
    submit(target, "l1")
    for _ in range(2):
        assert fail(target, dispatch(target)) is True
    assert target.start_at_once(ticket("l2"), NOW) is not None


def test_a_ticket_remembers_who_failed_it_and_whose_fault_that_seems_to_be() -> None:
    target = scheduler(node(1), node(2), node(3), max_tries=9)
    (only,) = submit(target, "l1")
    for outcome in (answered(404), answered(503), timed_out()):
        assert target.finished(dispatch(target), outcome, True, NOW) is True
    assert (sorted(only.tried), sorted(only.suspects)) == ([1, 2, 3], [2, 3])


# Later tiers


def tiered(max_tries: int = 9) -> tuple[Scheduler, NodeState, NodeState]:
    first, backup = node(1), NodeState(2, "", 1, healthy=True, tier=1)
    return scheduler(first, backup, max_tries=max_tries), first, backup


def test_a_request_that_has_tried_all_of_a_tier_goes_to_the_next_one() -> None:
    """And so there is a second opinion on a node that is alone in its tier."""
    target, _, backup = tiered()
    submit(target, "l1", "l2")
    assert fail(target, dispatch(target)) is True
    lease = dispatch(target)
    assert (names([lease.ticket]), lease.node, backup.in_flight, backup.is_free) == (["l1"], backup, 1, False)
    assert pairs(target) == ["l2>1"]
    succeed(target, lease)
    assert (backup.in_flight, backup.is_free) == (0, False)


def test_new_requests_wait_for_their_tier_although_a_backup_is_free() -> None:
    target, _, _ = tiered()
    submit(target, "l1", "l2")
    assert pairs(target) == ["l1>1"]


def test_who_has_failed_everywhere_goes_to_a_backup_however_busy_the_others_are() -> None:
    """It waited for a slot of the very nodes that had failed it, while the backup was idle."""
    target, _, backup = tiered()
    submit(target, "l1", "h1")
    assert pairs(target) == ["h1>1"]
    target.fleet.free.release(target.fleet.nodes[1])
    lease = dispatch(target)
    assert fail(target, lease) is True
    target.fleet.free.reserve(target.fleet.nodes[1])
    submit(target, "h2")
    assert pairs(target) == ["l1>2"]
    assert (names(target.queue.take_expired(inf, 9)), backup.in_flight) == (["h2"], 1)


def test_a_backup_that_is_busy_or_tried_is_not_waited_for() -> None:
    target, _, backup = tiered()
    target.fleet.free.reserve(backup)
    submit(target, "l1")
    assert fail(target, dispatch(target)) is True
    lease = dispatch(target)
    assert lease.node.node_id == 1
    target.fleet.free.release(backup)
    assert fail(target, lease) is True
    lease = dispatch(target)
    assert lease.node is backup
    assert fail(target, lease) is True
    assert pairs(target) == ["l1>1"]


def test_a_node_alone_in_its_tier_is_ejected_for_its_backup() -> None:
    target, first, backup = tiered()
    target.fleet.policy.eject_after = 3
    for number in range(3):
        submit(target, f"l{number}")
        assert target.finished(dispatch(target), answered(500), True, NOW) is True
        succeed(target, dispatch(target))
    assert (first.status, backup.usable) == (NodeStatus.EJECTED, True)
    submit(target, "l9")
    assert pairs(target) == ["l9>2"]


def test_beside_a_backup_that_is_busy_a_failing_node_is_tried_again_after_a_rest() -> None:
    """The first time at once, as ever; and the backup, as soon as it is free and the rest is over."""
    first, backup = node(1), NodeState(2, "", 1, healthy=True, tier=1)
    target = resting_scheduler(first, backup)
    target.fleet.free.reserve(backup)
    submit(target, "l1")
    for _ in range(2):
        assert fail(target, dispatch(target)) is True
    assert (target.next_dispatch(NOW), target.next_deadline()) == (None, NOW + 0.05)
    target.fleet.free.release(backup)
    target.advance(NOW + 0.05)
    assert pairs(target, NOW + 0.05) == ["l1>2"]


def test_a_node_that_asks_to_wait_is_not_waited_for_beside_a_backup_that_is_busy() -> None:
    first, backup = node(1), NodeState(2, "", 1, healthy=True, tier=1)
    target = resting_scheduler(first, backup)
    target.fleet.free.reserve(backup)
    submit(target, "l1")
    assert target.finished(dispatch(target), asks_to_wait(3.0), True, NOW) is True
    assert (target.next_dispatch(NOW), target.next_deadline()) == (None, NOW + 0.25)
    target.fleet.free.release(backup)
    target.advance(NOW + 0.25)
    assert pairs(target, NOW + 0.25) == ["l1>2"]


# The budget


def budgeted(percent: float, floor_per_s: float = 0.0, *, nodes: int = 3) -> Scheduler:
    budget = RetryBudget(percent, floor_per_s, NOW)
    made = Scheduler(new_queue(), RetryPolicy(1000), budget=budget)
    for number in range(1, nodes + 1):
        made.fleet.add(node(number, slots=1000), NOW)
    return made


def test_retries_end_with_the_budget() -> None:
    target = budgeted(20)
    submit(target, *(f"l{number}" for number in range(100)))
    leases = [dispatch(target) for _ in range(100)]
    assert [fail(target, lease) for lease in leases].count(True) == 20
    assert target.queue.length == 20


def test_a_retry_that_there_is_no_budget_for_is_known_before() -> None:
    target = budgeted(100)
    submit(target, "l1")
    first = dispatch(target)
    assert target.may_retry(first, answered(500), True, NOW) is True
    assert fail(target, first) is True
    second = dispatch(target)
    assert target.may_retry(second, answered(500), True, NOW) is False
    assert fail(target, second) is False


def test_a_retry_that_comes_to_nothing_costs_no_budget() -> None:
    """The rest before it is longer than the request has time."""
    budget = RetryBudget(100, 0.0, NOW)
    target = Scheduler(new_queue(), RetryPolicy(9, 1.0, 1.0), budget=budget)
    target.fleet.add(node(1), NOW)
    assert target.submit(ticket("l1", NOW + 0.25)) is None
    assert fail(target, dispatch(target)) is True
    spent = budget._spent
    second = dispatch(target)
    assert target.submit(ticket("l2")) is None
    assert target.may_retry(second, answered(500), True, NOW) is True
    assert fail(target, second) is False
    assert (spent, budget._spent) == (1.0, 1.0)


def test_a_storm_cannot_multiply_the_load() -> None:
    """Every try fails, and there may be a thousand for each request: there are 1.2 of them."""
    target = budgeted(20)
    tries = 0
    for number in range(500):
        submit(target, f"l{number}")
        while (lease := target.next_dispatch(NOW)) is not None:
            tries += 1
            fail(target, lease)
    assert tries == 600


# Nobody there


def trusting(*nodes: NodeState, max_tries: int = 3, panics: bool = False) -> Scheduler:
    fleet = Fleet(policy=HealthPolicy(panics=panics))
    made = Scheduler(
        new_queue(), RetryPolicy(max_tries), fleet, RetryBudget(0, 0, NOW) if not panics else None
    )
    for each in nodes:
        fleet.add(each, NOW)
    return made


def test_a_try_that_found_nobody_is_no_try_and_its_node_is_down() -> None:
    """Not even with a budget of nothing, and as the last of all tries."""
    nodes = [node(1), node(2)]
    target = trusting(*nodes, max_tries=1)
    (only,) = submit(target, "l1")
    assert find_nobody(target, dispatch(target)) is True
    assert (only.tries, nodes[0].status) == (0, NodeStatus.DOWN)
    assert find_nobody(target, dispatch(target)) is True
    assert (target.next_dispatch(NOW), only.state) == (None, WAITING)
    target.checked(nodes[0], None, False, NOW + 2)
    lease = dispatch(target, NOW + 2)
    assert (lease.node, only.tries) == (nodes[0], 1)
    assert target.finished(lease, timed_out(), True, NOW + 2) is False


def test_a_request_that_must_not_be_repeated_is_when_nobody_saw_it() -> None:
    target = trusting(node(1), node(2))
    submit(target, "l1")
    assert target.finished(dispatch(target), unreachable(), False, NOW) is True
    assert pairs(target) == ["l1>2"]


def test_in_a_panic_tries_that_find_nobody_count() -> None:
    """Else a request would knock at closed doors, over and over, until its time is over."""
    target = trusting(node(1), max_tries=3, panics=True)
    submit(target, "l1")
    assert find_nobody(target, dispatch(target)) is True
    assert [find_nobody(target, dispatch(target)) for _ in range(3)] == [True, True, False]


def test_a_try_at_a_node_that_has_not_proven_itself_is_no_try() -> None:
    """The verdict has taken the node out of use before its try ends."""
    nodes = [node(1), node(2)]
    target = trusting(*nodes, max_tries=1)
    (only,) = submit(target, "l1")
    lease = dispatch(target)
    target.fleet.set_attested(nodes[0], False, "expired", NOW)
    assert target.finished(lease, unattested(), False, NOW) is True
    assert (only.tries, pairs(target)) == (0, ["l1>2"])
    assert nodes[0].healthy is True


def test_in_a_panic_it_is_none_either() -> None:
    nodes = [node(1), node(2)]
    target = trusting(*nodes, max_tries=1, panics=True)
    submit(target, "l1")
    lease = dispatch(target)
    target.fleet.set_attested(nodes[0], False, "expired", NOW)
    assert target.finished(lease, unattested(), True, NOW) is True


def test_a_request_that_was_cut_off_on_its_way_to_an_unproven_node_has_had_a_try() -> None:
    target = scheduler(node(1), node(2))
    (only,) = submit(target, "l1")
    assert target.finished(dispatch(target), unattested(sent=True), True, NOW) is True
    assert only.tries == 1
    assert target.finished(dispatch(target), unattested(sent=True), False, NOW) is False


# Second tries


def hedging(*nodes: NodeState, percent: float = 200.0) -> Scheduler:
    made = Scheduler(new_queue(), RetryPolicy(3), hedging=Hedging(frozenset({1}), percent, NOW))
    for each in nodes:
        made.fleet.add(each, NOW)
    assert made.hedging is not None
    for _ in range(64):
        made.hedging.answered(1, 0.02)
    return made


def first_try(target: Scheduler, name: str = "h1") -> Lease:
    lease = target.start_at_once(ticket(name), NOW)
    assert lease is not None
    return lease


def test_a_second_try_goes_to_another_node() -> None:
    target = hedging(node(1), node(2))
    first = first_try(target)
    second = target.hedge(first, NOW + 0.02)
    assert second is not None
    assert (second.ticket, second.node.node_id, second.started_at) == (first.ticket, 2, NOW + 0.02)
    assert (first.ticket.tries, running(target)) == (2, 2)


def test_there_is_no_second_try_without_another_free_node() -> None:
    target = hedging(node(1, slots=8))
    assert target.hedge(first_try(target), NOW) is None
    target = hedging(node(1), node(2))
    first, _other = first_try(target), first_try(target)
    assert target.hedge(first, NOW) is None


def test_there_is_no_second_try_while_somebody_waits() -> None:
    target = hedging(node(1), node(2))
    first = first_try(target)
    submit(target, "l1")
    assert target.hedge(first, NOW) is None
    assert target.finished(dispatch(target), asks_to_wait(1.0), True, NOW) is True
    first.node.breaker.open(NOW, 9.0, 9.0)
    target.fleet.rest(first.node, "x", NOW)
    assert target.next_dispatch(NOW) is None
    assert target.hedge(first, NOW) is not None, "who waits rests, and may not have the slot"


def test_there_is_no_second_try_after_the_time_to_start() -> None:
    target = hedging(node(1), node(2))
    first = target.start_at_once(ticket("h1", NOW + 5.0), NOW)
    assert first is not None
    assert target.hedge(first, NOW + 5.0) is None
    second = target.hedge(first, NOW + 4.9)
    assert second is not None
    assert second.node.node_id == 2


def test_there_is_no_second_try_in_other_lanes_or_when_nobody_hedges() -> None:
    target = hedging(node(1), node(2))
    assert target.hedge(first_try(target, "f1"), NOW) is None
    target = scheduler(node(1), node(2))
    assert target.hedge(first_try(target), NOW) is None


def test_second_tries_stay_within_their_budget() -> None:
    target = hedging(*(node(number, slots=1000) for number in range(1, 4)), percent=5.0)
    leases = [first_try(target) for _ in range(200)]
    assert [target.hedge(lease, NOW) is not None for lease in leases].count(True) == 10


def test_the_loser_gives_its_slot_back_and_nobody_is_blamed() -> None:
    target = hedging(node(1), node(2))
    first = first_try(target)
    second = target.hedge(first, NOW)
    assert second is not None
    succeed(target, second)
    lost = Outcome(Source.US, Phase.HEAD, None, 0, sent=True, answering=False)
    target.end_aside(first, lost, NOW)
    assert (running(target), first.state, first.ticket.state) == (0, OVER, ENDED)
    assert (first.node.record.failed, first.ticket.tried) == (0, frozenset())


def test_when_one_of_two_tries_fails_the_other_goes_on_and_is_the_second_opinion() -> None:
    fleet = Fleet(policy=HealthPolicy(eject_after=1))
    target = Scheduler(new_queue(), RetryPolicy(3), fleet, hedging=Hedging(frozenset({1}), 100.0, NOW))
    for number in (1, 2):
        fleet.add(node(number), NOW)
    assert target.hedging is not None
    for _ in range(64):
        target.hedging.answered(1, 0.02)
    first = first_try(target)
    second = target.hedge(first, NOW)
    assert second is not None
    target.end_aside(first, timed_out(), NOW)
    assert (first.ticket.state, sorted(first.ticket.tried), first.node.status.value) == (RUNNING, [1], "up")
    succeed(target, second)
    assert (first.ticket.state, first.node.status) == (ENDED, NodeStatus.EJECTED)


def test_the_first_try_is_the_second_opinion_on_the_second_one_too() -> None:
    target = hedging(node(1), node(2))
    target.fleet.policy.eject_after = 1
    for lease in [first_try(target), first_try(target)]:
        succeed(target, lease)
    first = first_try(target)
    assert first.node.watched is False
    second = target.hedge(first, NOW)
    assert second is not None
    target.end_aside(second, timed_out(), NOW)
    succeed(target, first)
    assert second.node.status is NodeStatus.EJECTED


def test_a_lease_that_was_ended_aside_has_ended() -> None:
    target = hedging(node(1), node(2))
    first = first_try(target)
    target.end_aside(first, timed_out(), NOW)
    with pytest.raises(AssertionError):
        target.end_aside(first, timed_out(), NOW)
