"""Tickets that are tried again: on other nodes, after rests, as long as the budget lasts."""

from math import inf

import pytest

from priolb.core.chance import MIDDLE
from priolb.core.nodes.node import FIRST, NodeState
from priolb.core.outcome import Outcome
from priolb.core.queueing.classify import LOW_PRIORITY
from priolb.core.retries.budget import RetryBudget
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, RUNNING, WAITING
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason
from support.scheduling import NOW, dispatch, fail, pairs, running, scheduler, submit, succeed
from support.tickets import (
    answered,
    asks_to_wait,
    client_left,
    names,
    new_queue,
    node,
    ticket,
    timed_out,
    unreachable,
)

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


# Rests before another try on the same node


RESTING = RetryPolicy(5, backoff_s=0.1, backoff_max_s=1.0)


def resting_scheduler(*nodes: NodeState, retry: RetryPolicy = RESTING) -> Scheduler:
    made = Scheduler(new_queue(), retry, chance=MIDDLE)
    for each in nodes:
        made.fleet.add(each, NOW)
    return made


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
