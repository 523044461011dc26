"""Verdicts on SEV nodes of our own making."""

from __future__ import annotations

from typing import Any

from priolb.attest.sev.verify import verify_sev
from priolb.attest.verdict import Verdict
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
