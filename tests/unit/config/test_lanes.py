"""From the settings to the queue."""

from priolb.config.lanes import hedged_lanes, preemption_of, queue_of
from priolb.config.settings import Settings
from priolb.config.tables import LaneSpec, Policy
from priolb.core.codel import CodelLane
from priolb.core.lanes import Lane
from priolb.core.node import Lease, NodeState
from priolb.core.queue import PriorityQueue
from priolb.core.ticket import Ticket


def order_of(queue: PriorityQueue, tickets: int) -> list[int]:
    """Return the lanes in which as many tickets of each lane leave."""
    for lane in range(len(queue.lanes)):
        for _ in range(tickets):
            assert queue.push(Ticket(lane, 0.0, 1.0))
    popped = [queue.pop() for _ in range(queue.length)]
    return [ticket.lane for ticket in popped if ticket]


def test_by_default_the_lanes_and_the_ratio_are_those_of_the_original() -> None:
    queue = queue_of(Settings(items_highprio_max=4))
    assert [(lane.name, lane.limit) for lane in queue.lanes] == [
        ("fast-track", 0),
        ("high-priority", 4),
        ("low-priority", 0),
    ]
    assert order_of(queue, 4) == [0, 0, 1, 0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_the_ratio_and_draining_are_settings() -> None:
    assert order_of(queue_of(Settings(items_fasttrack_per_highprio=1)), 2) == [0, 1, 0, 1, 2, 2]
    assert order_of(queue_of(Settings(fasttrack_drain_first=True)), 3) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_lanes_of_the_file_have_their_names_and_limits() -> None:
    lanes = (LaneSpec(name="a", limit=1), LaneSpec(name="b"), LaneSpec(name="c", limit=3))
    queue = queue_of(Settings(policy=Policy(lanes=lanes), items_lowprio_max=9))
    assert [(lane.name, lane.limit) for lane in queue.lanes] == [("a", 1), ("b", 0), ("c", 3)]
    assert order_of(queue_of(Settings(policy=Policy(lanes=lanes))), 1) == [0, 1, 2]


def test_a_lane_may_control_the_delay() -> None:
    lanes = (LaneSpec(name="a"), LaneSpec(name="b"), LaneSpec(name="c", limit=3, codel=True))
    queue = queue_of(Settings(policy=Policy(lanes=lanes), request_timeout_s=20.0))
    assert [type(lane) for lane in queue.lanes] == [Lane, Lane, CodelLane]
    for at in (0.0, 0.1):
        assert queue.push(Ticket(2, at, 20.0))
    low = queue.lanes[2]
    assert isinstance(low, CodelLane)
    assert (low.name, low.limit, low.next_shed_at()) == ("c", 3, 1.0), "a twentieth of the longest wait"


def test_without_a_lane_that_preempts_nobody_does() -> None:
    assert preemption_of(Settings(), 0.0) is None


def test_lanes_take_slots_from_others_that_allow_it() -> None:
    lanes = (LaneSpec(name="a", preempts=True), LaneSpec(name="b"), LaneSpec(name="c", preemptible=True))
    preemption = preemption_of(Settings(policy=Policy(lanes=lanes), preemptions_per_second=1), 0.0)
    assert preemption is not None
    node = NodeState(1, "node", 2)
    node.usable = True
    leases = [Lease(Ticket(lane, 0.0, 9.0), node, 0.0) for lane in (2, 1, 2)]
    for lease in leases:
        preemption.started(lease)
    assert preemption.victim_of(Ticket(1, 1.0, 9.0), 1.0) is None
    assert preemption.victim_of(Ticket(0, 1.0, 9.0), 1.0) is leases[2]
    preemption.preempt(leases[2])
    assert preemption.victim_of(Ticket(0, 1.0, 9.0), 1.0) is None, "one a second"
    assert preemption.victim_of(Ticket(0, 2.0, 9.0), 2.0) is leases[0]


def test_hedged_lanes_are_found_by_their_names() -> None:
    assert hedged_lanes(Settings()) == frozenset()
    assert hedged_lanes(Settings(hedge_lanes=("low-priority", "fast-track"))) == {0, 2}
    lanes = (LaneSpec(name="a"), LaneSpec(name="b"), LaneSpec(name="c"))
    assert hedged_lanes(Settings(policy=Policy(lanes=lanes), hedge_lanes=("b",))) == {1}
