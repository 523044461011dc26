"""The judge: what the ends of tries, and health checks, say about a node.

A failed try whose end speaks against the node (`Outcome.at_fault`) is a fault

  1. when another node answers the same request well. If all nodes fail it, it is the request, and nobody is
     to blame;
  2. or when no other node gets the request to try. Then a node that has too many faults is ejected only if
     most of its peers have few.

A node whose requests are all answered by second tries elsewhere, while it answers none, is on trial: its next
requests have no second try before it had time enough for them, and if one is outrun all the same, the node is
ejected.

A connection that is refused is a failed health check that nobody had to ask for: the node is down. A node
that has not proven what it runs is out of use by that alone; what its tries come to says nothing about its
health.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from priolb.core.nodes.breaker import CLOSED, FAULT_COST, HALF_OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.outcome import OUTRUN, Outcome, Phase, Source
from priolb.core.ticket import Ticket
from priolb.errors import Reason

# With how many others a node is compared, so that a comparison costs the same among many as among few.
_PEERS_MAX: Final = 8

# Who has had this long, on top of twice the usual latency, has had the time to answer.
_LENIENCE_S: Final = 0.05

# After so many requests in a row that were given up unanswered, a late check is no sign of work any more, and
# it is no chance that others were faster.
_SILENT_AFTER: Final = 5

# So long, at most, a request at a node on trial has no second try: its client shall not wait for a node that
# hangs as long as others wait for their long jobs.
_PATIENCE_S: Final = 1.0

# Who answers nothing for less than this pauses, perhaps to collect garbage. To let it rest would cost more.
_PAUSE_S: Final = 1.0


class Judge:
    """Judges the nodes of a fleet.

    Args:
        fleet: the nodes.
    """

    __slots__ = ("_fleet", "_policy")

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._policy = fleet.policy

    def ended(self, lease: Lease, outcome: Outcome, is_back: bool, now: float) -> None:
        """Give back the slot of a lease, and judge by how its try ended.

        Args:
            lease: the lease.
            outcome: how the try ended.
            is_back: whether its request will be tried again, or is being tried elsewhere.
            now: monotonic seconds.
        """
        fleet = self._fleet
        node = lease.node
        in_flight = node.in_flight
        fleet.free.release(node)
        self._remember(lease, outcome, now)
        if node.node_id not in fleet.nodes:
            return
        if outcome.good or outcome.reason is Reason.NODE_TIMEOUT:
            self._measure(lease, in_flight, now)
        if outcome.is_absence:
            self._absent(node, now)
        elif node.breaker.state == HALF_OPEN:
            self._probed(lease, outcome, is_back, now)
        elif outcome.at_fault and is_back:
            self._suspect(lease, outcome, now)
        elif outcome.at_fault and not _failed_elsewhere(lease):
            self._fault(node, now, is_proven=False)
        if node.is_draining and node.in_flight == 0:
            fleet.resize(node, now)

    def _remember(self, lease: Lease, outcome: Outcome, now: float) -> None:
        node, ticket = lease.node, lease.ticket
        if outcome.good:
            node.answered += 1
            node.busy_s += now - lease.worked_from
            for node_id in ticket.suspects:
                if node_id != node.node_id and node_id in self._fleet.nodes:
                    self._proven(self._fleet.nodes[node_id], ticket, now)
        elif outcome.failed and not outcome.is_ours:
            node.record.fail(outcome.failure, str(outcome), node.answered, now)
            if outcome.status:
                node.unanswered.heard()
            elif outcome.reason is Reason.NODE_TIMEOUT:
                self._given_up(lease, outcome.phase, now)
        elif outcome.source is Source.CLIENT:
            self._given_up(lease, outcome.phase, now)
        elif outcome is OUTRUN:
            self._outrun(lease, now)

    def answering(self, lease: Lease, now: float) -> None:
        """Take note that the answer of a try has begun, and is a good one.

        That is enough for a node that has rested: the end of the answer may be hours away.

        Args:
            lease: the lease, which goes on.
            now: monotonic seconds.
        """
        node = lease.node
        node.unanswered.heard()
        # One that was removed would stand in the order for ever.
        if _is_deciding(lease) and node.node_id in self._fleet.nodes:
            self._fleet.restore(node, "answered the request that decided", now)

    def may_be_outrun(self, lease: Lease, now: float) -> bool:
        """Return whether there may be a second try beside that of a lease.

        Not before its node has had time enough for it, when it is the request that decides, or the node seems
        to hang: one that is only slower than all others, as it may be than its backups, would not be told
        from one that hangs.

        Args:
            lease: the lease.
            now: monotonic seconds.
        """
        is_on_trial = _is_deciding(lease) or self._is_silent(lease.node, now)
        return not is_on_trial or _had_its_chance(lease, now)

    def checked(self, node: NodeState, failure: str | None, is_late: bool, now: float) -> None:
        """Take note of a health check.

        Args:
            node: the node.
            failure: why it did not pass, in words for the operator; None when it did.
            is_late: whether it failed only by being late.
            now: monotonic seconds.
        """
        policy = self._policy
        node.record.latency_s(node.answered, node.busy_s)  # so that it tells of the time since the last check
        if failure is not None:
            node.record.note(failure, now)
        if not is_late:
            node.unanswered.checked()
        elif policy.tolerates_busy and _is_busy(node):
            return
        passed = failure is None
        was_new = node.checks.is_new
        if node.checks.is_convinced(node.healthy, passed, policy.rise if passed else policy.fall):
            self._fleet.set_healthy(node, passed, failure or "passed its health check", now)
        elif was_new:
            self._fleet.refresh(node, failure or "passed its health check", now)

    def _measure(self, lease: Lease, in_flight: int, now: float) -> None:
        fleet, node = self._fleet, lease.node
        latency_s = now - lease.worked_from
        if fleet.free.observes:
            fleet.free.observe(node, latency_s, now)
        if fleet.estimate is not None:
            fleet.estimate.observe(lease.ticket.lane, latency_s, now)
            node.service_times.add(latency_s, now)
        adaptive = node.adaptive
        has_new_slots = adaptive is not None and adaptive.record(latency_s, lease.worked_from, in_flight, now)
        if has_new_slots or node.answered == 1:  # from its first answer on it may not have to be watched
            fleet.resize(node, now)

    def _absent(self, node: NodeState, now: float) -> None:
        if node.healthy:
            self._fleet.set_healthy(node, False, "nobody was there: the connection was refused", now)

    def _probed(self, lease: Lease, outcome: Outcome, is_back: bool, now: float) -> None:
        node, breaker = lease.node, lease.node.breaker
        if breaker.is_older(lease.started_at):
            breaker.older -= 1
            self._fleet.resize(node, now)
        elif outcome.at_fault:
            may_be_proven = is_back or _failed_elsewhere(lease)
            breaker.reopen(now, self._policy.rest_max_s, lease.ticket.sequence if may_be_proven else 0)
            self._fleet.rest(node, f"failed the request that decided: {outcome}", now)
        elif outcome.reason is Reason.DEADLINE:
            # Perhaps its client has asked for too much. But to give it one request after the other, until one
            # has the time to tell, would cost as many clients their answers.
            breaker.reopen(now, self._policy.rest_max_s, lease.ticket.sequence)
            self._fleet.rest(node, "had no answer in time to the request that decided", now)
        elif outcome is OUTRUN and _had_its_chance(lease, now):
            # Perhaps it is only slow, and answers once others have no time for second tries.
            breaker.reopen(now, self._policy.rest_max_s, lease.ticket.sequence)
            self._fleet.rest(node, "a second try was answered before the request that decided", now)
        elif outcome.source is Source.NODE and not (outcome.is_unproven or outcome.is_ours):
            self._fleet.restore(node, "answered the request that decided", now)
        else:
            self._fleet.joins += 1  # nothing is decided, and its one slot is free for another

    def _suspect(self, lease: Lease, outcome: Outcome, now: float) -> None:
        """Give a node that may hang no request for the slot of the lease before others have answered."""
        if outcome.reason is Reason.NODE_TIMEOUT and self._policy.eject_after:
            node = lease.node
            self._fleet.withhold(node, min(_time_enough_s(node), now - lease.worked_from), now)

    def _given_up(self, lease: Lease, phase: Phase, now: float) -> None:
        """Take note that a try was given up: by its client, or as its time was over.

        Perhaps the client had asked for too much: that is no fault. But a node that answers neither its
        clients nor its checks hangs.
        """
        node = lease.node
        if phase is Phase.BODY or phase is Phase.DONE:
            node.unanswered.heard()
        elif phase is not Phase.CONNECT and now - lease.worked_from > _time_enough_s(node):
            node.unanswered.add(node.answered)

    def _outrun(self, lease: Lease, now: float) -> None:
        """Take note that a try was given up as another node had answered in the meantime.

        It had more time than most requests of its lane take before there was a second one. One now and then
        is no fault: of ten nodes one is the slowest. But who answers none, for longer than a pause, and not
        even one that had time enough, hangs, whatever its checks say.
        """
        node = lease.node
        row = node.unanswered
        if now - lease.worked_from > node.record.latency_s(node.answered, node.busy_s):
            row.add(node.answered)  # much more it never has where others answer at once
        row.add_outrun(node.answered, lease.started_at, now)
        if self._is_silent(node, now) and _had_its_chance(lease, now):
            row.judged()
            self._fleet.eject(node, "answered nothing while others answered second tries", now)

    def _is_silent(self, node: NodeState, now: float) -> bool:
        """Return whether a node seems to hang, by those of its requests that second tries have answered."""
        limit, row = self._policy.eject_after, node.unanswered
        is_long = limit > 0 and row.outrun_in_a_row(node.answered) >= max(limit, _SILENT_AFTER)
        is_judged = node.enabled and node.breaker.state == CLOSED
        return is_long and is_judged and now - row.outrun_from >= _PAUSE_S

    def _proven(self, node: NodeState, ticket: Ticket, now: float) -> None:
        """Blame `node` for a failed try of `ticket`, which another node has answered."""
        if node.breaker.proven(ticket.sequence, self._policy.rest_max_s):
            self._fleet.rest(node, node.reason, now)
        else:
            self._fault(node, now, is_proven=True)

    def _fault(self, node: NodeState, now: float, is_proven: bool) -> None:
        if not node.enabled:
            return  # what the end of a drain has cut off is not its doing
        limit = self._policy.eject_after
        if not limit or node.breaker.state != CLOSED or not node.breaker.fault(node.answered, limit):
            return
        if is_proven or self._is_outlier(node):
            self._fleet.eject(node, f"failed too often; the last time: {node.record.last_error}", now)

    def _is_outlier(self, node: NodeState) -> bool:
        """Return whether most of some other nodes have few faults."""
        few = self._policy.eject_after * FAULT_COST
        others = [
            other for other in islice(self._fleet.candidates.values(), _PEERS_MAX + 1) if other is not node
        ]
        calm = sum(2 * other.breaker.level(other.answered) < few for other in others)
        return 2 * calm > len(others)


def _is_deciding(lease: Lease) -> bool:
    """Return whether the end of a try decides about its node, which has rested."""
    breaker = lease.node.breaker
    return breaker.state == HALF_OPEN and not breaker.is_older(lease.started_at)


def _is_busy(node: NodeState) -> bool:
    """Return whether a node has requests in flight, and does not seem to hang."""
    return node.in_flight > 0 and node.unanswered.in_a_row(node.answered) < _SILENT_AFTER


def _time_enough_s(node: NodeState) -> float:
    """Return after how long a node that works as it usually does would have answered, seconds."""
    return _LENIENCE_S + 2.0 * node.record.latency_s(node.answered, node.busy_s)


def _had_its_chance(lease: Lease, now: float) -> bool:
    """Return whether a try took so long that it speaks against its node, which is on trial, to be outrun."""
    return now - lease.worked_from > min(_time_enough_s(lease.node), _PATIENCE_S)


def _failed_elsewhere(lease: Lease) -> bool:
    """Return whether another node has failed the same request."""
    return not lease.ticket.tried <= {lease.node.node_id}
