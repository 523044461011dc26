"""How many slots each lane may take: what is kept for it, and the most it may have.

    kept    = min(reserved, most): what a lane may not have is not kept for it
    unused  = sum over all lanes of max(0, kept - in flight): slots that wait for their lane
    common  = sum over all lanes of max(0, in flight - kept): slots in use that are nobody's own

A lane may start a request when it is below its most, and

    in flight < kept            a slot of its own is unused
    or free > unused            a slot is free that is kept for nobody
    or common = 0               however many are kept, one slot is open to all

so that lanes with nothing reserved go on, slowly, when nodes fail and what is left is reserved. All of these
are slots of the nodes in use: a request that lasts for hours at a node that is leaving takes nothing from
its lane at the others.
"""

from __future__ import annotations

from typing import Final

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.overload.estimate import Bounds
from priolb.core.overload.preemption import Preemption
from priolb.core.queueing.lanes import Lane

# A lane that may have all slots may have those, too, of nodes that are not in use any more.
_ALL_PERCENT: Final = 100
_ANY: Final = 1 << 30


class Shares:
    """Keeps account of the slots that lanes have, and tells lanes of their requests that begin and end.

    It is told of every lease. Lanes that share by work are told in turn.

    Args:
        lanes: the lanes.
        fleet: whose slots they are.
        reserved: slots kept for each lane.
        most_percent: the most slots that each lane may have, per cent of all; at least one slot.
        preemption: whose slots may be taken for better requests, None for nobody's.
    """

    __slots__ = (
        "_at_nodes",
        "_common",
        "_fleet",
        "_free",
        "_in_flight",
        "_kept",
        "_lanes",
        "_most",
        "_most_percent",
        "_reserved",
        "_seen",
        "_unused",
        "preemption",
    )

    def __init__(
        self,
        lanes: list[Lane],
        fleet: Fleet,
        reserved: list[int],
        most_percent: list[int],
        preemption: Preemption | None = None,
    ) -> None:
        self.preemption: Preemption | None = preemption
        self._lanes = lanes
        self._fleet = fleet
        self._reserved = reserved
        self._most_percent = most_percent
        self._at_nodes: dict[NodeState, dict[int, int]] = {}  # tries of each lane, at all nodes
        # Of the nodes in use, when they were counted and since:
        self._seen: int = -1  # the fleet's revision then
        self._most: list[int] = [1] * len(lanes)
        self._kept: list[int] = reserved
        self._in_flight: list[int] = [0] * len(lanes)
        self._free: int = 0
        self._unused: int = 0
        self._common: int = 0
        fleet.watch_all()

    def may_start(self, lane: int) -> bool:
        """Return whether a request of `lane` may take one of the free slots."""
        if self._seen != self._fleet.revision:
            self._count()
        in_flight = self._in_flight[lane]
        if not self._free or in_flight >= self._most[lane]:
            return False
        return in_flight < self._kept[lane] or self._free > self._unused or not self._common

    def bounds(self) -> Bounds:
        """Return how the slots are shared out now."""
        if self._seen != self._fleet.revision:
            self._count()
        return Bounds(self._kept, self._most, self._in_flight, self._free > self._unused)

    def open_among(self, lanes: int) -> int:
        """Return which of these lanes may start a request now, all as bits; bit 0 is the best lane."""
        is_open, lane = 0, 0
        while lanes >> lane:
            if lanes >> lane & 1 and self.may_start(lane):
                is_open |= 1 << lane
            lane += 1
        return is_open

    def below_most(self) -> int:
        """Return which lanes have fewer tries at nodes than they may, as bits."""
        if self._seen != self._fleet.revision:
            self._count()
        lanes = range(len(self._lanes))
        return sum([1 << lane for lane in lanes if self._in_flight[lane] < self._most[lane]])

    def begin(self, lease: Lease) -> None:
        """Take note of a lease that was just given."""
        lane, node = lease.ticket.lane, lease.node
        at_node = self._at_nodes.setdefault(node, {})
        at_node[lane] = at_node.get(lane, 0) + 1
        if node.usable:  # one of another tier stands beside those that are counted
            if self._in_flight[lane] < self._kept[lane]:
                self._unused -= 1
            else:
                self._common += 1
            self._in_flight[lane] += 1
            self._free -= 1
        self._lanes[lane].begin(lease)
        if self.preemption is not None:
            self.preemption.started(lease)

    def end(self, lease: Lease, now: float) -> None:
        """Take note of a lease that has ended, whose slot was just given back.

        Args:
            lease: the lease.
            now: monotonic seconds.
        """
        lane, node = lease.ticket.lane, lease.node
        if node.in_flight:
            self._at_nodes[node][lane] -= 1
        else:
            del self._at_nodes[node]
        if node.usable:
            self._in_flight[lane] -= 1
            if self._in_flight[lane] < self._kept[lane]:
                self._unused += 1
            else:
                self._common -= 1
            if node.in_flight < node.slots:
                self._free += 1
        self._lanes[lane].end(lease, now - lease.worked_from)
        if self.preemption is not None:
            self.preemption.ended(lease)

    def victim_of(self, lane: int, tried: frozenset[int], now: float) -> Lease | None:
        """Return the lease that may be cut short for a ticket that no free slot serves; None when none may.

        It is none of those that are kept for its own lane, even if fewer slots are left than are reserved.

        Args:
            lane: index of the lane.
            tried: ids of the nodes that have failed the ticket.
            now: monotonic seconds.
        """
        if self.preemption is None:
            return None
        if self._seen != self._fleet.revision:
            self._count()
        if self._in_flight[lane] >= self._most[lane]:
            return None
        lanes = range(len(self._lanes))
        spared = frozenset([each for each in lanes if self._in_flight[each] <= self._kept[each]])
        return self.preemption.victim_of(lane, tried, spared, now)

    def _count(self) -> None:
        """Count anew after a node has changed."""
        self._seen = self._fleet.revision
        slots = self._free = 0
        self._in_flight = [0] * len(self._lanes)
        for node in self._fleet.candidates.values():
            slots += node.slots
            self._free += max(0, node.slots - node.in_flight)
            if node in self._at_nodes:
                for lane, tries in self._at_nodes[node].items():
                    self._in_flight[lane] += tries
        self._most = [
            _ANY if percent == _ALL_PERCENT else max(1, slots * percent // 100)
            for percent in self._most_percent
        ]
        self._kept = [min(self._reserved[lane], most) for lane, most in enumerate(self._most)]
        self._unused = self._common = 0
        for lane, in_flight in enumerate(self._in_flight):
            self._unused += max(0, self._kept[lane] - in_flight)
            self._common += max(0, in_flight - self._kept[lane])
