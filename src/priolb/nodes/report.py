"""Nodes in words: the log line of each change, and what the admin API shows of a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from priolb.core.nodes.status import NodeChange, NodeStatus
from priolb.nodes.factory import KnownNode, Proof
from priolb.nodes.ports import Log

Detail = dict[str, object]

# What stands in the log when a node comes to do something.
_MESSAGES: Final = {
    NodeStatus.DRAINED: "Node is drained",
    NodeStatus.DRAINING: "Node is being drained",
    NodeStatus.CORDONED: "Node is cordoned",
    NodeStatus.UNCHECKED: "Node has not been checked yet",
    NodeStatus.PROBING: "Node has rested and gets one request",
    NodeStatus.WARMING: "Node is healthy and starts slowly",
    NodeStatus.UP: "Node is healthy",
}
_WARNINGS: Final = {
    NodeStatus.UNATTESTED: "Node gets nothing before it has proven what it runs",
    NodeStatus.DOWN: "Node is unhealthy and will be checked again",
    NodeStatus.EJECTED: "Node is ejected for a while",
    NodeStatus.LAST_RESORT: "Node is used although it is unfit, for no other is left",
}


# What the operator wants of a node stands before what is wrong with it.
_WANTED: Final = frozenset({NodeStatus.DRAINED, NodeStatus.DRAINING, NodeStatus.CORDONED})


def log_change(log: Log, change: NodeChange) -> None:
    """Log that a node does something else than before.

    That it has stopped proving what it runs was told with its verdict, which says more about it.
    """
    node, status = change.node, change.status
    if status is NodeStatus.UNATTESTED and change.before not in _WANTED:
        return
    if status in _WARNINGS:
        log.warning(_WARNINGS[status], nodeURI=node.name, err=change.reason)
    elif status is NodeStatus.UP or status is NodeStatus.WARMING:
        log.info(_MESSAGES[status], nodeURI=node.name, slots=node.slots, reason=change.reason)
    else:
        log.info(_MESSAGES[status], nodeURI=node.name, reason=change.reason)


def detail_of(uri: str, known: KnownNode, now: float) -> Detail:
    """Return what the admin API shows of a node.

    Args:
        uri: its URI in the list.
        known: what is known of it.
        now: monotonic seconds.
    """
    node, record = known.node, known.node.record
    return {
        "uri": uri,
        "state": node.status.value,
        "reason": node.reason,
        "since": _time_of(node.since, now),
        "in_flight": node.in_flight,
        "slots": node.slots,
        "workers": node.workers if node.adaptive is None else "auto",
        "weight": node.weight,
        "tier": node.tier,
        "latency_ms": round(1e3 * record.latency_s(node.answered, node.busy_s), 3),
        "success_ratio": round(record.success_ratio(node.answered), 4),
        "answered": node.answered,
        "failed": record.failed,
        "last_error": record.last_error or None,
        "last_error_at": _time_of(record.last_error_at, now) if record.last_error else None,
        "changes": {status.value: count for status, count in record.entered.items()},
        "attestation": None if known.proof is None else _proof_in_words(known.proof, now),
    }


def detail_of_unusable(uri: str, reason: str) -> Detail:
    """Return what the admin API shows of an entry of the list that is no node."""
    return {"uri": uri, "state": "unusable", "reason": reason}


def _proof_in_words(proof: Proof, now: float) -> Detail:
    """Return what the admin API shows of a proof: what was found, and never what the URI says of it."""
    attestation, verdict = proof.attestation, proof.attestation.verdict
    shown: Detail = {
        "kind": attestation.kind,
        "state": "pending",
        "reason": None,
        "detail": None,
        "since": None if proof.changed_at is None else _time_of(proof.changed_at, now),
        "accepted": attestation.accepted,
        "refused": {refusal.value: count for refusal, count in attestation.refused.items()},
        "warned": attestation.warned,
        "platform": None,
        "warnings": [],
    }
    if verdict is not None:
        shown["state"] = "attested" if verdict.ok else "refused"
        shown["reason"], shown["detail"] = verdict.reason or None, verdict.detail or None
        shown["warnings"] = list(verdict.warnings)
        if verdict.platform is not None:
            shown["platform"] = dict(zip(("fmspc", "ca"), verdict.platform, strict=True))
    return shown


def _time_of(at: float, now: float) -> str:
    """Return a moment of the monotonic clock as a time of day (RFC 3339, UTC, milliseconds)."""
    moment = datetime.now(UTC) - timedelta(seconds=now - at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
