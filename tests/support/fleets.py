"""Fleets of nodes with plain numbers, and what tests ask of them."""

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.policy import HealthPolicy
from support.tickets import ticket

NOW = 100.0


def fleet_of(*nodes: NodeState, policy: HealthPolicy | None = None) -> Fleet:
    fleet = Fleet(policy=policy)
    for each in nodes:
        fleet.add(each, NOW)
    return fleet


def nodes(count: int, slots: int = 8, tier: int = 0) -> list[NodeState]:
    return [
        NodeState(number, f"http://node-{number}", slots, True, tier=tier) for number in range(1, count + 1)
    ]


def usable(fleet: Fleet) -> list[int]:
    assert all(node.usable for node in fleet.candidates.values())
    assert all(node.usable is (node.node_id in fleet.candidates) for node in fleet.nodes.values())
    return sorted(fleet.candidates)


def told(fleet: Fleet) -> list[str]:
    return [
        f"{change.node.node_id}: {change.before.value} -> {change.status.value}, {change.reason}"
        for change in fleet.take_changes()
    ]


def take(fleet: Fleet, count: int) -> list[int]:
    """Take the best slots and return whose they were."""
    return [fleet.free.reserve_best(ticket("l1")).node_id for _ in range(count)]
