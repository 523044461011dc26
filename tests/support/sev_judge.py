"""Verdicts on nodes of our own making, and what a test says about a refusal."""

from __future__ import annotations

from typing import Any

from priolb.attest.sev.verify import verify_sev
from priolb.attest.verdict import Refusal, Verdict
from support.sev_evidence import NONCE, NOW, SevNode


def judge(node: SevNode, leaf: bytes | None = None, **changes: Any) -> Verdict:
    return verify_sev(
        node.certificate() if leaf is None else leaf,
        changes.get("expected", node.measurements),
        changes.get("policy", node.policy),
        changes.get("now", NOW),
        changes.get("nonce", NONCE),
    )


def with_document(node: SevNode, document: dict[str, Any] | bytes) -> Verdict:
    return judge(node, node.certificate(document))


def refused(verdict: Verdict, refusal: Refusal) -> str:
    """Assert that it was refused for this reason, and return the detail."""
    assert (verdict.ok, verdict.refusal) == (False, refusal), verdict.detail
    assert verdict.detail
    return verdict.detail
