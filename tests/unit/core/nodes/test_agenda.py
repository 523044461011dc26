"""When the fleet looks at which node."""

from math import inf

from priolb.core.nodes.agenda import Agenda
from priolb.core.nodes.node import NodeState
from support.tickets import node

NOW = 100.0


def taken(agenda: Agenda, now: float) -> list[int]:
    """Take out all that are due, and return their ids."""
    found = []
    while (due := agenda.take(now)) is not None:
        found.append(due.node_id)
    return found


def two_nodes() -> tuple[Agenda, NodeState, NodeState]:
    return Agenda(), node(1), node(2)


def test_nodes_come_out_when_they_are_due_the_first_one_first() -> None:
    agenda, one, two = two_nodes()
    assert agenda.next_at() == inf
    assert agenda.look_at(one, NOW + 2)
    assert agenda.look_at(two, NOW + 1)
    assert (agenda.next_at(), taken(agenda, NOW + 0.9)) == (NOW + 1, [])
    assert taken(agenda, NOW + 2) == [2, 1]
    assert (agenda.next_at(), one.due_at, two.due_at) == (inf, inf, inf)


def test_a_node_is_due_once_at_the_earliest_time_that_was_asked_for() -> None:
    agenda, one, _ = two_nodes()
    assert agenda.look_at(one, NOW + 3)
    assert not agenda.look_at(one, NOW + 4)
    assert not agenda.look_at(one, NOW + 3)
    assert agenda.look_at(one, NOW + 1)
    assert taken(agenda, NOW + 2) == [1]
    assert taken(agenda, NOW + 9) == []


def test_one_that_came_out_may_be_due_again() -> None:
    agenda, one, _ = two_nodes()
    agenda.look_at(one, NOW + 1)
    assert taken(agenda, NOW + 1) == [1]
    assert agenda.look_at(one, NOW + 5)
    assert taken(agenda, NOW + 5) == [1]


def test_one_that_is_forgotten_does_not_come_out_and_keeps_nothing_in_memory() -> None:
    agenda, one, two = two_nodes()
    agenda.look_at(one, NOW + 3)
    agenda.look_at(two, NOW + 2)
    agenda.look_at(one, NOW + 1)
    agenda.forget(one)
    assert (agenda.next_at(), one.due_at, len(agenda._due)) == (NOW + 2, inf, 1)
    assert taken(agenda, NOW + 9) == [2]


def test_never_is_no_time() -> None:
    agenda, one, _ = two_nodes()
    assert not agenda.look_at(one, inf)
    assert agenda.next_at() == inf
