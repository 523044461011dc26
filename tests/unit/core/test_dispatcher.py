"""Who gets the next free slot: late binding, nodes that come and go, later tiers."""

from math import inf

from priolb.core.nodes.node import FIRST, OVER, NodeState
from priolb.core.nodes.status import NodeStatus
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED
from priolb.errors import Reason
from support.scheduling import NOW, dispatch, fail, pairs, running, scheduler, submit, succeed
from support.tickets import answered, names, node, ticket

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
