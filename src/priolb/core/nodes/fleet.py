"""All nodes: the facts about each, and what follows from them.

    fit         = healthy and enabled and attested
    able        = fit and its breaker is not open
    usable      = able and of the lowest tier that has an able node; others are for requests that have tried
                  all of these
    free        = usable and in flight < slots

Invariants:
  1. `usable`, `slots` and `status` of a node follow from its facts, and are written here alone; every method
     that changes a fact brings them up to date.
  2. Of the fit nodes no more are ejected than the policy says, with those on probation in a tier in use. So
     while it says less than all of them, an able node exists as long as a fit one does.
  3. When no node is able, none is usable, or, if the policy panics, all that are enabled and attested.
"""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.core.nodes.adaptive import AdaptiveSlots
from priolb.core.nodes.agenda import Agenda
from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import WeightedLeastInFlight
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight, Selection
from priolb.core.nodes.status import NodeChange, NodeStatus
from priolb.core.nodes.tiers import PANIC, Tiers
from priolb.core.overload.estimate import WaitEstimate

# Why a node does what it does when none of its facts has changed.
_BY_ITSELF: Final = {
    NodeStatus.DRAINED: "has nothing in flight any more",
    NodeStatus.UP: "has all of its slots again",
}
_BY_OTHERS: Final = "another node is fit again"

# A slow start has no more steps than this, however many slots there are.
_WARMING_STEPS: Final = 32


class Fleet:
    """The nodes, and which of them may be used.

    Args:
        free: the order in which free nodes are used; by default the fewest in flight first.
        policy: the numbers by which nodes are judged.

    Attributes:
        candidates: the usable nodes by id.
        joins: grows whenever a node may be used, in its tier or as a backup, for more than it could before.
        estimate: is told how long tries take, None for nobody; set before there is any node.
        revision: grows whenever a node may have come in or out of use, or got another number of slots.
        tiers: the able nodes by tier, and those of them that are backups.
        has_news: whether `changes`, `overdue` or `next_due` have something new since `take_changes`.
    """

    __slots__ = (
        "_agenda",
        "_changes",
        "_ejected",
        "_fit",
        "_leases_matter",
        "_overdue",
        "candidates",
        "estimate",
        "free",
        "has_news",
        "joins",
        "nodes",
        "policy",
        "revision",
        "tiers",
    )

    def __init__(self, free: Selection | None = None, policy: HealthPolicy | None = None) -> None:
        self.free: Selection = LeastInFlight() if free is None else free
        self.policy: HealthPolicy = HealthPolicy() if policy is None else policy
        self.nodes: dict[int, NodeState] = {}
        self.candidates: dict[int, NodeState] = {}
        self.joins: int = 0
        self.revision: int = 0
        self.has_news: bool = False
        self.estimate: WaitEstimate | None = None
        self._fit: set[int] = set()
        self._leases_matter: bool = False
        self._ejected: dict[int, NodeState] = {}
        self.tiers: Tiers = Tiers(self.policy.panics)
        self._agenda = Agenda()
        self._changes: list[NodeChange] = []
        self._overdue: list[NodeState] = []

    # Who belongs to it

    def add(self, node: NodeState, now: float, passed: bool = False) -> None:
        """Let `node` take part, as its facts allow.

        Args:
            node: the node.
            now: monotonic seconds.
            passed: whether it has passed a health check already.
        """
        self.nodes[node.node_id] = node
        if passed:
            node.healthy = True
            node.checks.decide(healthy=True)
        if node.weight != 1:
            self._heed_weights()
        self.refresh(node, "added", now)

    def remove(self, node: NodeState, now: float) -> None:
        """Give `node` no more work; what it has in flight goes on."""
        if self.nodes.pop(node.node_id, None) is not None:
            self.refresh(node, "removed", now)
            self.free.forget(node)
            self._agenda.forget(node)

    def watch_all(self) -> None:
        """Let the end of each lease matter to more than the averages, whatever its node."""
        self._leases_matter = True
        for node in self.nodes.values():
            node.watched = True

    # What the operator wants

    def cordon(self, node: NodeState, now: float) -> None:
        """Give `node` no more work; what it has in flight goes on."""
        node.is_draining = False
        self._set_enabled(node, False, inf, now)

    def drain(self, node: NodeState, hard_stop_after_s: float, now: float) -> None:
        """Give `node` no more work, and cut off what it still has in flight after `hard_stop_after_s`."""
        node.is_draining = True
        self._set_enabled(node, False, now + hard_stop_after_s, now)

    def uncordon(self, node: NodeState, now: float) -> None:
        """Let `node` work again, as its other facts allow."""
        node.is_draining = False
        self._set_enabled(node, True, inf, now)

    def set_workers(self, node: NodeState, workers: int, adaptive: AdaptiveSlots | None, now: float) -> None:
        """Change how many requests `node` may have in flight; it keeps what it has above that.

        Args:
            node: the node.
            workers: most requests in flight.
            adaptive: what finds a number up to that, None for `workers` itself.
            now: monotonic seconds.
        """
        node.workers = workers
        node.adaptive = adaptive
        self.resize(node, now)

    def set_weight(self, node: NodeState, weight: int, now: float) -> None:
        """Change the share of the work that `node` gets."""
        node.weight = weight
        if weight != 1:
            self._heed_weights()
        self.resize(node, now)

    def set_attested(self, node: NodeState, attested: bool, reason: str, now: float) -> None:
        """Record whether `node`, which need not take part yet, or any more, has proven what it runs."""
        node.attested = attested
        if node.node_id not in self.nodes:
            return
        self.refresh(node, reason, now)
        if node.status is NodeStatus.UNATTESTED:
            node.reason = reason  # another than before, perhaps: that is no change of what it does

    # What happens to a node

    def set_healthy(self, node: NodeState, healthy: bool, reason: str, now: float) -> None:
        """Record whether `node` is healthy. One that is back starts slowly, with a clean slate."""
        if not healthy:
            node.warm_from = inf
        elif node.checks.has_failed:
            node.breaker.close(now)
            node.unanswered.heard()
            self.free.renew(node)
            self._warm(node, now)
        node.healthy = healthy
        node.checks.decide(healthy)
        self.refresh(node, reason, now)

    def eject(self, node: NodeState, reason: str, now: float) -> bool:
        """Let `node` rest, unless too many do already; return whether it does."""
        policy = self.policy
        ejected = len(self._missed()) + 1
        if node.node_id not in self._fit or ejected * 100 > policy.ejected_max_percent * len(self._fit):
            return False
        node.breaker.open(now, policy.rest_s, policy.rest_max_s)
        self.rest(node, reason, now)
        return True

    def rest(self, node: NodeState, reason: str, now: float) -> None:
        """Take note that the breaker of `node` is open."""
        node.warm_from = inf
        self.refresh(node, reason, now)

    def restore(self, node: NodeState, reason: str, now: float) -> None:
        """Let `node` work after its rest."""
        node.breaker.close(now)
        self.joins += 1
        self._warm(node, now)
        self.refresh(node, reason, now)

    # For those who have tried all usable nodes

    def is_every_one_in(self, tried: frozenset[int]) -> bool:
        """Return whether all usable nodes are among `tried`, or have only one slot, whose request decides."""
        return all(
            node_id in tried or (node.breaker.state == HALF_OPEN and node.in_flight >= node.slots)
            for node_id, node in self.candidates.items()
        )

    def is_backup_free(self, tried: frozenset[int]) -> bool:
        """Return whether a backup has a free slot for a ticket that has tried all usable nodes."""
        return self.is_every_one_in(tried) and self.tiers.backup_for(tried, is_free=True) is not None

    def withhold(self, node: NodeState, seconds: float, now: float) -> None:
        """Hold a slot of `node` back for a while, but never its last one; for nothing when it is alone."""
        if len(self.candidates) > 1:
            node.withheld += 1
            node.withheld_until = now + seconds
            self.resize(node, now)

    # Time

    def advance(self, now: float) -> None:
        """Do what is due: rests that end, slots that come back, drains that have lasted long enough."""
        while (node := self._agenda.take(now)) is not None:
            if node.hard_stop_at <= now:
                node.hard_stop_at = inf
                if node.in_flight:
                    self._overdue.append(node)
                    self.has_news = True
            if node.breaker.state == OPEN and node.breaker.until <= now:
                node.breaker.half_open(now, node.in_flight)
                self.free.renew(node)
                self.refresh(node, "has rested; one request decides", now)
            else:
                self.resize(node, now)

    def next_due(self) -> float:
        """Return when to call `advance` next, in monotonic seconds; infinity for never."""
        return self._agenda.next_at()

    # What is to be told

    def take_changes(self) -> list[NodeChange]:
        """Return what nodes do differently since the last call."""
        self.has_news = False
        changes, self._changes = self._changes, []
        return changes

    def take_overdue(self) -> list[NodeState]:
        """Return the nodes whose requests in flight are to be cut off now."""
        overdue, self._overdue = self._overdue, []
        return overdue

    # What follows from the facts

    @property
    def is_panicking(self) -> bool:
        """Whether unfit nodes are used because no other is there."""
        return self.tiers.in_use == PANIC

    def refresh(self, node: NodeState, reason: str, now: float) -> None:
        """Bring up to date what follows from the facts of `node`.

        Args:
            node: the node.
            reason: why a fact has changed, in words for the operator.
            now: monotonic seconds.
        """
        self._classify(node)
        has_other_tier = self.tiers.choose()
        self._admit(node, reason, now)
        if has_other_tier:
            for other in self.nodes.values():
                if other is not node:
                    self._admit(other, "no node is fit" if self.is_panicking else "", now)
        if self._ejected:
            self._end_surplus_rests(now)
        if len(self.candidates) == 1:
            only = next(iter(self.candidates.values()))
            if only.warm_from != inf:  # nobody is there to spare it
                only.warm_from = inf
                self._admit(only, "the only one left", now)

    def resize(self, node: NodeState, now: float) -> None:
        """Bring up to date what follows from a change in the slots of `node` alone."""
        if node.node_id in self.nodes:
            self._admit(node, "", now)
        else:
            node.slots = self._slots_of(node, now)  # and in no order: nobody would take it out again

    def _classify(self, node: NodeState) -> None:
        node_id = node.node_id
        is_fit = node_id in self.nodes and node.healthy and node.enabled and node.attested
        breaker = node.breaker.state
        if is_fit:
            self._fit.add(node_id)
        else:
            self._fit.discard(node_id)
        if is_fit and breaker != CLOSED:
            self._ejected[node_id] = node
        else:
            self._ejected.pop(node_id, None)
        if is_fit and breaker != OPEN:
            if self.tiers.add(node):
                self.joins += 1
        else:
            self.tiers.remove(node)

    def _admit(self, node: NodeState, reason: str, now: float) -> None:
        """Bring `node` in or out of use, and tell when it does something else than before."""
        node_id = node.node_id
        self.revision += 1
        if self.is_panicking:
            usable = node.enabled and node.attested and node_id in self.nodes
        else:
            usable = self.tiers.has_in_use(node)
        if usable and not node.usable:
            self.candidates[node_id] = node
            self.joins += 1
        elif node.usable and not usable:
            del self.candidates[node_id]
        node.usable = usable
        node.slots = self._slots_of(node, now)
        node.watched = (
            node.breaker.state == HALF_OPEN
            or node.is_draining
            or node.adaptive is not None
            or node.answered == 0
            or self._leases_matter
            or self.free.observes
            or self.estimate is not None
        )
        self.free.update(node)
        self._tell(node, reason, now)
        self._schedule(node)

    def _slots_of(self, node: NodeState, now: float) -> int:
        if node.withheld_until <= now:  # whatever state it is in: `advance` looks at it until this is done
            node.withheld, node.withheld_until = 0, inf
        if node.breaker.state == HALF_OPEN:
            return node.breaker.older + 1
        slots = node.workers if node.adaptive is None else node.adaptive.slots
        slots = max(1, slots - node.withheld)
        if node.warm_from == inf:
            return slots
        steps = min(slots, _WARMING_STEPS)
        step_s = self.policy.slow_start_s / steps
        # A hundredth of a step early: a timer that fires in time must not miss its step by a rounding error.
        step = int((now - node.warm_from) / step_s + 0.01)
        if step >= steps:
            node.warm_from = node.warmer_at = inf
            return slots
        node.warmer_at = node.warm_from + (step + 1) * step_s
        return max(1, slots * step // steps)

    def _warm(self, node: NodeState, now: float) -> None:
        """Begin the slow start of `node`, unless it is needed at once."""
        if self.policy.slow_start_s and any(other != node.node_id for other in self.candidates):
            node.warm_from = now

    def _set_enabled(self, node: NodeState, enabled: bool, hard_stop_at: float, now: float) -> None:
        node.enabled = enabled
        node.hard_stop_at = hard_stop_at
        fault = node.record.last_error if enabled and not node.healthy else ""
        self.refresh(node, fault or "the operator wants it", now)

    def _end_surplus_rests(self, now: float) -> None:
        """Let those work who rest, the first to end its rest first, until no more rest than may."""
        while len(missed := self._missed()) * 100 > self.policy.ejected_max_percent * len(self._fit):
            first = min(missed, key=_until)
            first.breaker.close(now)
            self.joins += 1
            self.refresh(first, "needed: too few others are left", now)

    def _missed(self) -> list[NodeState]:
        """Return the ejected nodes that count: not a backup that has rested, and that nobody asks now."""
        return [
            node
            for node in self._ejected.values()
            if node.breaker.state == OPEN or node.tier <= self.tiers.in_use
        ]

    def _heed_weights(self) -> None:
        if type(self.free) is not LeastInFlight:
            return
        self.free = WeightedLeastInFlight()
        for node in self.nodes.values():
            node.is_free = False
            self.free.update(node)

    def _schedule(self, node: NodeState) -> None:
        """Make sure that `advance` looks at `node` when it has to."""
        breaker = node.breaker
        at = min(node.hard_stop_at, node.withheld_until, node.warmer_at if node.warm_from != inf else inf)
        if breaker.state == OPEN:
            at = min(at, breaker.until)
        if node.node_id in self.nodes and self._agenda.look_at(node, at):
            self.has_news = True

    def _tell(self, node: NodeState, reason: str, now: float) -> None:
        status = self._status_of(node)
        is_new = node.since == inf
        if node.node_id not in self.nodes or (status is node.status and not is_new):
            return
        before, node.status = node.status, status
        node.record.entered[status] = node.record.entered.get(status, 0) + 1
        node.since = now
        node.reason = reason or _BY_ITSELF.get(status, _BY_OTHERS)
        if is_new:  # how it comes is no change
            return
        self._changes.append(NodeChange(node, before, status, node.reason))
        self.has_news = True

    def _status_of(self, node: NodeState) -> NodeStatus:
        breaker = node.breaker.state
        if node.is_draining:
            return NodeStatus.DRAINING if node.in_flight else NodeStatus.DRAINED
        if not node.enabled:
            return NodeStatus.CORDONED
        if not node.attested:
            return NodeStatus.UNATTESTED
        if self.is_panicking:
            return NodeStatus.LAST_RESORT
        if not node.healthy:
            return NodeStatus.UNCHECKED if node.checks.is_new else NodeStatus.DOWN
        if breaker == CLOSED:
            return NodeStatus.UP if node.warm_from == inf else NodeStatus.WARMING
        return NodeStatus.EJECTED if breaker == OPEN else NodeStatus.PROBING


def _until(node: NodeState) -> float:
    return node.breaker.until
