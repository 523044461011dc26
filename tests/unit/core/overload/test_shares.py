"""Shares of slots: what is kept, what is bounded, and who may start."""

import pytest

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.overload.shares import Shares
from priolb.core.queueing.lanes import Lane
from priolb.core.ticket import Ticket
from support.tickets import node


class Desk:
    """Slots of one node and more, given by hand."""

    def __init__(self, slots: int, reserved: list[int], most_percent: list[int] | None = None) -> None:
        self.fleet = Fleet()
        self.nodes: list[NodeState] = []
        self.add(slots)
        self.lanes = [Lane("abc"[index]) for index in range(len(reserved))]
        self.shares = Shares(self.lanes, self.fleet, reserved, most_percent or [100] * len(reserved))

    def add(self, slots: int) -> NodeState:
        self.nodes.append(node(len(self.nodes) + 1, slots))
        self.fleet.add(self.nodes[-1], 0.0)
        return self.nodes[-1]

    def begin(self, lane: int, on: NodeState | None = None) -> Lease:
        chosen = on or self.fleet.free.best(frozenset())
        assert chosen is not None
        self.fleet.free.reserve(chosen)
        lease = Lease(Ticket(lane, 0.0, 5.0), chosen, 0.0)
        self.shares.begin(lease)
        return lease

    def end(self, lease: Lease) -> None:
        self.fleet.free.release(lease.node)
        self.shares.end(lease, 1.0)

    def may_start(self) -> list[bool]:
        return [self.shares.may_start(lane) for lane in range(len(self.lanes))]


def test_slots_that_are_kept_are_not_given_to_others() -> None:
    desk = Desk(4, reserved=[2, 0])
    leases = []
    for _ in range(2):
        assert desk.may_start() == [True, True]
        leases.append(desk.begin(1))
    assert desk.may_start() == [True, False]
    desk.end(leases.pop())
    assert desk.may_start() == [True, True]
    assert desk.shares.bounds().in_flight == [0, 1]


def test_a_lane_that_uses_what_is_kept_for_it_keeps_nothing_else_from_others() -> None:
    desk = Desk(4, reserved=[2, 0])
    desk.begin(0)
    desk.begin(0)
    assert desk.may_start() == [True, True]
    desk.begin(0)
    assert desk.may_start() == [True, True]
    desk.begin(1)
    assert desk.may_start() == [False, False]


def test_which_lanes_are_below_their_most_whatever_is_free() -> None:
    desk = Desk(4, reserved=[0, 0, 0], most_percent=[100, 50, 25])
    assert desk.shares.below_most() == 0b111
    desk.begin(2)
    desk.begin(1)
    assert desk.shares.below_most() == 0b011
    desk.begin(1)
    assert (desk.shares.below_most(), desk.may_start()) == (0b001, [True, False, False])


def test_each_lane_is_sure_of_what_is_kept_for_it() -> None:
    desk = Desk(4, reserved=[2, 1, 0])
    desk.begin(0)
    desk.begin(0)
    assert desk.may_start() == [True, True, True]  # 2 free, 1 of them kept for the second lane
    desk.begin(0)
    assert desk.may_start() == [False, True, False]
    last = desk.begin(1)
    assert desk.may_start() == [False, False, False]
    desk.end(last)
    assert desk.may_start() == [False, True, False]


def test_a_lane_has_no_more_than_its_share_of_all_slots() -> None:
    desk = Desk(5, reserved=[0, 0], most_percent=[100, 50])
    desk.begin(1)
    assert desk.may_start() == [True, True]
    lease = desk.begin(1)  # half of 5 is 2
    assert desk.may_start() == [True, False]
    desk.end(lease)
    assert desk.may_start() == [True, True]


def test_every_lane_may_have_one_slot_at_least() -> None:
    desk = Desk(3, reserved=[0, 0], most_percent=[100, 10])
    assert desk.may_start() == [True, True]
    desk.begin(1)
    assert desk.may_start() == [True, False]


def test_one_slot_is_open_to_all_however_many_are_kept() -> None:
    """More is kept than there is: nodes have failed."""
    desk = Desk(3, reserved=[4, 4, 0])
    assert desk.may_start() == [True, True, True]
    lease = desk.begin(2)
    assert desk.may_start() == [True, True, False]
    desk.begin(0)
    assert desk.may_start() == [True, True, False]
    desk.end(lease)
    assert desk.may_start() == [True, True, True]


def test_without_a_free_slot_nobody_may_start() -> None:
    desk = Desk(1, reserved=[1, 0])
    desk.begin(0)
    assert desk.may_start() == [False, False]


@pytest.mark.parametrize("lane", [0, 1])
def test_slots_that_come_and_go_count_at_once(lane: int) -> None:
    desk = Desk(2, reserved=[2, 0], most_percent=[100, 50])
    desk.begin(1)
    assert desk.may_start() == [True, False]
    new = desk.add(4)
    assert desk.may_start() == [True, True]
    desk.fleet.set_healthy(new, False, "", 0.0)
    assert desk.may_start() == [True, False]
    desk.fleet.set_workers(desk.nodes[0], 1, None, 0.0)
    assert desk.may_start() == [False, False]


def test_what_a_node_has_in_flight_beyond_its_slots_frees_nothing_when_it_ends() -> None:
    desk = Desk(3, reserved=[0])
    leases = [desk.begin(0) for _ in range(3)]
    desk.fleet.set_workers(desk.nodes[0], 1, None, 0.0)
    assert desk.may_start() == [False]
    for lease, may_start in zip(leases, (False, False, True), strict=True):
        desk.end(lease)
        assert desk.may_start() == [may_start]


def test_a_slot_of_a_node_that_is_not_in_use_is_none_of_those_that_are_shared() -> None:
    """As when all nodes in use have been tried, and one of a later tier is asked."""
    desk = Desk(1, reserved=[0])
    other = NodeState(9, "http://node-9", 5, True, tier=1)
    desk.fleet.add(other, 0.0)
    assert desk.may_start() == [True]
    lease = desk.begin(0, on=other)
    assert desk.may_start() == [True]
    desk.end(lease)
    desk.begin(0)
    assert desk.may_start() == [False]


def test_what_runs_on_a_node_that_leaves_takes_no_slot_from_its_lane_at_the_others() -> None:
    """A stream or a WebSocket may last for hours there."""
    desk = Desk(4, reserved=[4, 0, 0], most_percent=[100, 100, 50])
    leaving = desk.nodes[0]
    streams = [desk.begin(1), desk.begin(2), desk.begin(2)]
    desk.add(4)
    assert desk.may_start() == [True, True, True]
    desk.fleet.cordon(leaving, 0.0)
    assert desk.may_start() == [True, True, True]  # however many are kept, one is open to all
    desk.begin(2)
    assert desk.shares.bounds().in_flight == [0, 0, 1]
    assert desk.may_start() == [True, False, False]
    desk.end(streams.pop())
    assert desk.shares.bounds().in_flight == [0, 0, 1]
    desk.fleet.uncordon(leaving, 0.0)
    assert desk.shares.bounds().in_flight == [0, 1, 2]
    for lease in streams:
        desk.end(lease)
    assert desk.shares.bounds().in_flight == [0, 0, 1]


def test_what_a_lane_may_not_have_is_not_kept_for_it() -> None:
    desk = Desk(8, reserved=[6, 0], most_percent=[50, 100])
    for _ in range(4):
        desk.begin(1)
    assert desk.may_start() == [True, False]
    for _ in range(4):
        desk.begin(0)
    assert desk.may_start() == [False, False]
    desk = Desk(8, reserved=[6, 0], most_percent=[50, 100])
    for _ in range(4):
        desk.begin(0)
    assert desk.may_start() == [False, True]
    for _ in range(3):
        desk.begin(1)
    assert desk.may_start() == [False, True]


def test_nothing_is_remembered_of_nodes_where_nothing_runs() -> None:
    desk = Desk(2, reserved=[0, 0])
    leases = [desk.begin(0), desk.begin(1)]
    desk.fleet.remove(desk.nodes[0], 0.0)
    for lease in leases:
        assert desk.shares._at_nodes
        desk.end(lease)
    assert desk.shares._at_nodes == {}


def test_of_some_lanes_those_are_told_that_may_start_something() -> None:
    desk = Desk(2, reserved=[1, 0, 0])
    assert [desk.shares.open_among(lanes) for lanes in (0b111, 0b100, 0)] == [0b111, 0b100, 0]
    desk.begin(1)
    assert [desk.shares.open_among(lanes) for lanes in (0b111, 0b101, 0b110)] == [0b001, 0b001, 0]


def test_the_end_of_each_lease_matters_on_nodes_that_are_there_and_on_those_that_come() -> None:
    fleet = Fleet()
    old = node(1, 2)
    old.answered = 1
    fleet.add(old, 0.0)
    assert old.watched is False
    Shares([Lane("a")], fleet, [0], [100])
    new = node(2, 2)
    new.answered = 1
    fleet.add(new, 0.0)
    assert (old.watched, new.watched) == (True, True)
