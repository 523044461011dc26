"""The scheduler: who is refused at the door, nothing late, nothing lost, second tries."""

from math import inf

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import OVER, Lease, NodeState
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import OUTRUN, Outcome, Phase, Source
from priolb.core.overload.admission import AdmissionControl
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
from support.scheduling import NOW, dispatch, fail, find_nobody, pairs, running, scheduler, submit, succeed
from support.tickets import asks_to_wait, new_queue, node, ticket, timed_out, unattested, unreachable

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


def rested(target: Scheduler, each: NodeState, latency_s: float = 0.05) -> None:
    """Let a node that used to take so long rest until one request decides, a second after NOW."""
    each.answered, each.busy_s = 1, latency_s
    each.breaker.open(NOW, 1.0, 1.0)
    target.fleet.rest(each, "x", NOW)
    target.advance(NOW + 1.0)
    assert each.status is NodeStatus.PROBING


@pytest.mark.parametrize(("latency_s", "seconds"), [(0.05, 0.15), (6.0, 1.0)])
def test_the_request_that_decides_has_time_enough_before_there_is_a_second_try(
    latency_s: float, seconds: float
) -> None:
    """Where all others are faster, as backups may be, the node would never be back.

    But one that hangs holds up nobody for the time that it took for long jobs.
    """
    slow = node(1)
    target = hedging(slow, node(2, slots=2))
    rested(target, slow, latency_s)
    now = NOW + 1.0
    leases = [target.start_at_once(ticket("h1"), now) for _ in range(2)]
    (decides,) = [lease for lease in leases if lease is not None and lease.node is slow]
    assert target.hedge(decides, now + seconds - 0.01) is None
    assert target.hedge(decides, now + seconds + 0.01) is not None
    target.end_aside(decides, OUTRUN, now + seconds + 0.02)
    assert slow.status is NodeStatus.EJECTED


def test_a_request_from_before_the_rest_has_its_second_try_as_any_other() -> None:
    slow = node(1)
    target = hedging(slow, node(2))
    older = target.start_at_once(ticket("h1"), NOW + 0.99)
    assert older is not None
    rested(target, slow)
    assert target.hedge(older, NOW + 1.0) is not None


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
