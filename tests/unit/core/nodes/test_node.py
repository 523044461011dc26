"""What is known of a node at first, and how logs show it."""

from priolb.core.nodes.node import FIRST, Lease, NodeState
from priolb.core.ticket import Ticket


def test_a_new_node_is_unhealthy_idle_and_not_free() -> None:
    node = NodeState(3, "http://a", 8)
    assert (node.node_id, node.name, node.slots) == (3, "http://a", 8)
    assert (node.healthy, node.in_flight, node.is_free) == (False, 0, False)


def test_a_node_shows_its_name_health_and_load() -> None:
    node = NodeState(3, "http://a", 8)
    assert repr(node) == "<NodeState http://a unhealthy 0/8>"
    node.healthy, node.in_flight = True, 5
    assert repr(node) == "<NodeState http://a healthy 5/8>"


def test_a_new_lease_has_not_ended() -> None:
    ticket, node = Ticket(0, 1.0, 6.0), NodeState(1, "http://a", 1)
    lease = Lease(ticket, node, 2.5)
    assert (lease.ticket, lease.node, lease.started_at, lease.state) == (ticket, node, 2.5, FIRST)
