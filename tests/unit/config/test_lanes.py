"""From the settings to the queue, and to the shares of slots."""

import pytest

from priolb.config.lanes import hedged_lanes, queue_of, shares_of
from priolb.config.settings import Settings
from priolb.config.tables import LaneSpec, Policy
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
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
    lanes = (LaneSpec(name="a"), LaneSpec(name="b"), LaneSpec(name="c", limit=3, order="codel"))
    queue = queue_of(Settings(policy=Policy(lanes=lanes), request_timeout_s=20.0))
    assert [type(lane) for lane in queue.lanes] == [Lane, Lane, CodelLane]
    for at in (0.0, 0.1):
        assert queue.push(Ticket(2, at, 20.0))
    low = queue.lanes[2]
    assert isinstance(low, CodelLane)
    assert (low.name, low.limit, low.next_shed_at()) == ("c", 3, 1.0), "a twentieth of the longest wait"


def test_without_a_lane_that_preempts_nobody_does() -> None:
    assert shares_of(Settings(), queue_of(Settings()).lanes, Fleet(), 0.0) is None


def test_lanes_take_slots_from_others_that_allow_it() -> None:
    lanes = (LaneSpec(name="a", preempts=True), LaneSpec(name="b"), LaneSpec(name="c", preemptible=True))
    settings = Settings(policy=Policy(lanes=lanes), preemptions_per_second=1)
    shares = shares_of(settings, queue_of(settings).lanes, Fleet(), 0.0)
    assert shares is not None and shares.preemption is not None
    preemption, node = shares.preemption, NodeState(1, "node", 2)
    node.usable = True
    leases = [Lease(Ticket(lane, 0.0, 9.0), node, 0.0) for lane in (2, 1, 2)]
    for lease in leases:
        preemption.started(lease)
    nobody: frozenset[int] = frozenset()
    assert preemption.victim_of(1, nobody, nobody, 1.0) is None
    assert preemption.victim_of(0, nobody, nobody, 1.0) is leases[2]
    preemption.preempt(leases[2])
    assert preemption.victim_of(0, nobody, nobody, 1.0) is None, "one a second"
    assert preemption.victim_of(0, nobody, nobody, 2.0) is leases[0]


def test_hedged_lanes_are_found_by_their_names() -> None:
    assert hedged_lanes(Settings()) == frozenset()
    assert hedged_lanes(Settings(hedge_lanes=("low-priority", "fast-track"))) == {0, 2}
    lanes = (LaneSpec(name="a"), LaneSpec(name="b"), LaneSpec(name="c"))
    assert hedged_lanes(Settings(policy=Policy(lanes=lanes), hedge_lanes=("b",))) == {1}


def with_lanes(discipline: str, *lanes: LaneSpec, aging_step_s: float = 1.0) -> Settings:
    return Settings(policy=Policy(discipline=discipline, lanes=lanes, aging_step_s=aging_step_s))


def test_weights_and_strict_lanes_rule() -> None:
    lanes = (LaneSpec(name="a", weight=2), LaneSpec(name="b", strict=True), LaneSpec(name="c"))
    assert order_of(queue_of(with_lanes("weighted", *lanes)), 3) == [1, 1, 1, 0, 0, 2, 0, 2, 2]


def test_any_number_of_lanes_may_be_strict() -> None:
    lanes = [LaneSpec(name=f"lane-{number}") for number in range(5)]
    assert order_of(queue_of(with_lanes("strict", *lanes)), 1) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("step_s", "expected"), [(2.0, [0, 1]), (0.5, [1, 0])])
def test_the_step_of_aging_is_that_of_the_file(step_s: float, expected: list[int]) -> None:
    queue = queue_of(with_lanes("aged", LaneSpec(name="a"), LaneSpec(name="b"), aging_step_s=step_s))
    for lane, at in ((1, 0.0), (0, 1.0)):
        assert queue.push(Ticket(lane, at, 9.0))
    assert [ticket.lane for ticket in (queue.pop(), queue.pop()) if ticket] == expected


def test_a_lane_has_its_order_and_its_bounds() -> None:
    settings = with_lanes(
        "strict",
        LaneSpec(name="a", order="fair", limit=3, limit_mb=2, max_wait_s=0.5),
        LaneSpec(name="b", order="deadline", limit_mb=1),
        LaneSpec(name="c"),
    )
    lanes = queue_of(settings).lanes
    assert [type(lane) for lane in lanes] == [FairLane, DeadlineLane, Lane]
    assert [(lane.limit, lane.limit_bytes, lane.max_wait_s) for lane in lanes] == [
        (3, 2 << 20, 0.5),
        (0, 1 << 20, 5.0),
        (0, 0, 5.0),
    ]


def test_one_setting_is_the_order_of_all_lanes_that_say_none() -> None:
    assert [type(lane) for lane in queue_of(Settings(lane_order="fair")).lanes] == [FairLane] * 3
    settings = Settings(lane_order="deadline", policy=Policy(lanes=(LaneSpec(name="a", order="arrival"),)))
    assert [type(lane) for lane in queue_of(settings).lanes] == [Lane]


def test_two_fair_lanes_choose_queues_differently() -> None:
    one, other = queue_of(Settings(lane_order="fair")).lanes[:2]
    assert isinstance(one, FairLane)
    assert isinstance(other, FairLane)
    assert one._seed != other._seed
    assert len(one._seed) == 16


@pytest.mark.parametrize(
    ("settings", "has_shares"),
    [
        (Settings(), False),
        (with_lanes("weighted", LaneSpec(name="a", order="deadline", limit_mb=1, max_wait_s=1.0)), False),
        (with_lanes("strict", LaneSpec(name="a", reserved=1), LaneSpec(name="b")), True),
        (with_lanes("strict", LaneSpec(name="a"), LaneSpec(name="b", max_share_percent=99)), True),
        (Settings(lane_order="fair"), True),
        (Settings(lane_order="codel"), False),
    ],
)
def test_slots_are_accounted_for_only_where_somebody_has_to_know(
    settings: Settings, has_shares: bool
) -> None:
    assert (shares_of(settings, queue_of(settings).lanes, Fleet(), 0.0) is not None) is has_shares
