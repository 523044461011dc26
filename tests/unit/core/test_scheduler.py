"""The scheduler: late binding, retries on other nodes, nothing late, nothing lost."""

from math import inf

import pytest

from priolb.core.node import Lease, NodeState
from priolb.core.outcome import Outcome
from priolb.core.retry import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, NEW, RUNNING, WAITING, Ticket
from priolb.errors import Reason
from support.tickets import (
    answered,
    client_left,
    names,
    new_queue,
    node,
    ticket,
    timed_out,
    unreachable,
)

NOW = 100.0


def scheduler(*nodes: NodeState, max_tries: int = 3, limits: tuple[int, int, int] = (0, 0, 0)) -> Scheduler:
    made = Scheduler(new_queue(limits=limits), RetryPolicy(max_tries))
    for each in nodes:
        made.add_node(each)
    return made


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
    return target.finished(lease, unreachable(), repeatable=True, now=now)


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
    assert (only.in_flight, target.running, target.queue.length) == (1, 1, 0)


def test_a_new_ticket_does_not_start_before_those_that_wait() -> None:
    """Not even when a node is free that the one who waits has to leave to others."""
    target = scheduler(node(1), node(2))
    submit(target, "l1", "l2")
    failing, _busy = dispatch(target), dispatch(target)
    assert fail(target, failing) is True
    assert target.next_dispatch(NOW) is None
    newcomer = ticket("f1")
    assert target.start_at_once(newcomer, NOW) is None
    assert (newcomer.state, newcomer.sequence) == (NEW, 0)


def test_a_new_ticket_does_not_start_while_every_slot_is_taken() -> None:
    target = scheduler(node(1))
    assert target.start_at_once(ticket("l1"), NOW) is not None
    late = ticket("l2")
    assert target.start_at_once(late, NOW) is None
    assert (late.state, target.running) == (NEW, 1)


def test_without_any_node_a_ticket_is_refused() -> None:
    target = scheduler()
    refused = ticket("l1")
    assert target.has_nodes is False
    assert target.start_at_once(refused, NOW) is None
    assert target.submit(refused) is Reason.NO_NODES
    assert (refused.state, target.queue.length) == (NEW, 0)


def test_with_nodes_of_which_none_is_usable_a_ticket_waits() -> None:
    sick = node(1, healthy=False)
    target = scheduler(sick)
    (waiting,) = submit(target, "l1")
    assert target.has_nodes is True
    assert (target.next_dispatch(NOW), waiting.state) == (None, WAITING)
    target.set_healthy(sick, True)
    assert pairs(target) == ["l1>1"]


def test_a_full_lane_refuses_and_the_others_do_not() -> None:
    target = scheduler(node(1), limits=(0, 0, 1))
    submit(target, "l1")
    assert target.submit(ticket("l2")) is Reason.QUEUE_FULL
    assert target.submit(ticket("h1")) is None


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
    assert (target.running, target.queue.length) == (6, 2)


def test_a_slot_that_becomes_free_goes_to_the_next_in_line() -> None:
    target = scheduler(node(1))
    submit(target, "l1", "l2", "l3")
    lease = dispatch(target)
    succeed(target, lease)
    assert (target.running, lease.ended, lease.ticket.state) == (0, True, ENDED)
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
    target.remove_node(gone)
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
        target.remove_node(busy)
    else:
        target.set_healthy(busy, False)
    assert pairs(target) == ["l1>1"]


def test_a_node_that_joins_is_untried() -> None:
    target = scheduler(node(1))
    submit(target, "l1")
    assert fail(target, dispatch(target)) is True
    target.add_node(node(2))
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
    assert target.may_retry(only, outcome, repeatable, NOW) is is_back
    assert (only.state, only.tried, target.running, lease.ended) == (RUNNING, frozenset(), 1, False)
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
    target.remove_node(leaving)
    assert pairs(target) == ["l2>2"]
    assert (lease.ended, leaving.in_flight) == (False, 1)
    succeed(target, lease)
    assert leaving.in_flight == 0
    assert target.next_dispatch(NOW) is None


def test_a_try_that_fails_on_a_removed_node_is_retried_elsewhere() -> None:
    leaving = node(1)
    target = scheduler(leaving, node(2))
    submit(target, "l1")
    lease = dispatch(target)
    target.remove_node(leaving)
    assert fail(target, lease) is True
    assert pairs(target) == ["l1>2"]


def test_removing_a_node_twice_or_before_it_was_added_does_nothing() -> None:
    one, stranger = node(1), node(2)
    target = scheduler(one)
    target.remove_node(stranger)
    assert target.has_nodes is True
    target.remove_node(one)
    target.remove_node(one)
    assert target.has_nodes is False


def test_those_who_wait_when_the_last_node_goes_keep_waiting() -> None:
    one = node(1, healthy=False)
    target = scheduler(one)
    submit(target, "l1")
    target.remove_node(one)
    assert target.submit(ticket("l2")) is Reason.NO_NODES
    target.add_node(node(2))
    assert pairs(target) == ["l1>2"]


def test_an_ill_node_gets_nothing_until_it_is_healthy_again() -> None:
    one = node(1)
    target = scheduler(one)
    submit(target, "l1", "l2")
    lease = dispatch(target)
    target.set_healthy(one, False)
    succeed(target, lease)
    assert (target.next_dispatch(NOW), one.in_flight, one.healthy) == (None, 0, False)
    target.set_healthy(one, True)
    assert pairs(target) == ["l2>1"]


def test_a_node_that_recovers_under_load_gets_only_its_free_slots() -> None:
    one = node(1, slots=2)
    target = scheduler(one)
    submit(target, "l1", "l2", "l3")
    dispatch(target)
    target.set_healthy(one, False)
    target.set_healthy(one, True)
    assert pairs(target) == ["l2>1"]
    assert one.in_flight == 2


def test_a_healthy_node_that_was_not_added_gets_nothing() -> None:
    stranger = node(2, healthy=False)
    target = scheduler(node(1, healthy=False))
    submit(target, "l1")
    target.set_healthy(stranger, True)
    assert target.next_dispatch(NOW) is None
    target.add_node(stranger)
    assert pairs(target) == ["l1>2"]


# Ends


def test_a_lease_ends_exactly_once() -> None:
    target = scheduler(node(1, slots=2))
    submit(target, "l1")
    lease = dispatch(target)
    succeed(target, lease)
    with pytest.raises(AssertionError):
        fail(target, lease)
    assert (lease.node.in_flight, target.running) == (0, 0)


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
