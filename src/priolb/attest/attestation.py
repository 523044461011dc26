"""What one node has proven so far, and the TLS context that asks it again with every connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from priolb.attest.context import AttestedContext
from priolb.attest.verdict import Refusal, Verdict


class Verifier(Protocol):
    """How the evidence of one node is asked for and verified."""

    @property
    def kind(self) -> str:
        """Return "SEV" or "SGX"."""

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        """Return the name to send in the handshake of a new connection (SNI), and its nonce."""

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        """Return the verdict on the certificate that a connection showed."""

    def verify_again(self, leaf: bytes) -> Verdict | None:
        """Return the verdict on the same certificate as of now; None when time changes nothing about it."""


class Attestation:
    """Whether one node has proven what it runs.

    Attested and healthy are two facts: a node that is not attested answers, but must get nothing.

    Args:
        verifier: of this node.
        on_change: called with a verdict that differs from the one before, the first one included.
    """

    __slots__ = (
        "_last_leaf",
        "_on_change",
        "_verifier",
        "accepted",
        "context",
        "refused",
        "verdict",
        "warned",
    )

    def __init__(self, verifier: Verifier, on_change: Callable[[Verdict], None]) -> None:
        self._verifier = verifier
        self._on_change = on_change
        self._last_leaf: bytes | None = None
        self.context = AttestedContext(self)
        self.verdict: Verdict | None = None
        self.accepted = 0
        self.refused: dict[Refusal, int] = {}
        self.warned = 0

    @property
    def kind(self) -> str:
        """What has to prove itself: "SEV" or "SGX"."""
        return self._verifier.kind

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        """Return the name to send in the handshake of a new connection (SNI), and its nonce."""
        return self._verifier.greet(host)

    def judge(self, leaf: bytes, nonce: bytes) -> Verdict:
        """Verify what a new connection showed, count it, and keep it."""
        try:
            verdict = self._verifier.verify(leaf, nonce)
        except Exception as error:  # noqa: BLE001 - a fault of the verifier proves nothing about the node
            verdict = _failed(self._verifier.kind, error)
        if verdict.refusal is None:
            self.accepted += 1
            self.warned += bool(verdict.warnings)
        else:
            self.refused[verdict.refusal] = self.refused.get(verdict.refusal, 0) + 1
        self._last_leaf = leaf
        self._keep(verdict)
        return verdict

    def recheck(self) -> None:
        """Verify the last evidence again: collateral may have come, expired, or say something else by now."""
        if self._last_leaf is None:
            return
        try:
            verdict = self._verifier.verify_again(self._last_leaf)
        except Exception as error:  # noqa: BLE001 - a fault of the verifier proves nothing about the node
            verdict = _failed(self._verifier.kind, error)
        if verdict is not None:
            self._keep(verdict)

    def _keep(self, verdict: Verdict) -> None:
        before = self.verdict
        self.verdict = verdict
        is_news = (
            before is None or before.refusal is not verdict.refusal or before.warnings != verdict.warnings
        )
        if is_news:
            self._on_change(verdict)


def _failed(kind: str, error: Exception) -> Verdict:
    return Verdict(kind, Refusal.VERIFIER_FAILED, f"{type(error).__name__}: {error}")
