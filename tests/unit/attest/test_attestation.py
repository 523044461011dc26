"""What one node has proven so far."""

from priolb.attest.attestation import Attestation
from priolb.attest.verdict import Refusal, Verdict

GOOD = Verdict("SGX")
WARNED = Verdict("SGX", warnings=("PCR 1 differs",))
BAD = Verdict("SGX", Refusal.MRENCLAVE, "another")
BAD_TOO = Verdict("SGX", Refusal.MRENCLAVE, "yet another")
WORSE = Verdict("SGX", Refusal.TCB_REVOKED, "revoked")


class Script:
    """A verifier with a list of answers."""

    kind = "SGX"

    def __init__(self, *outcomes: Verdict | Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[tuple[bytes, bytes | None]] = []

    def greet(self, host: str | None) -> tuple[str | None, bytes]:
        return host, b"nonce"

    def verify(self, leaf: bytes, nonce: bytes) -> Verdict:
        self.asked.append((leaf, nonce))
        outcome = self._next()
        assert outcome is not None
        return outcome

    def verify_again(self, leaf: bytes) -> Verdict | None:
        self.asked.append((leaf, None))
        return self._next()

    def _next(self) -> Verdict | None:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def made(*outcomes: Verdict | Exception | None) -> tuple[Attestation, Script, list[Verdict]]:
    news: list[Verdict] = []
    script = Script(*outcomes)
    return Attestation(script, news.append), script, news


def test_before_anything_was_shown_nothing_is_proven() -> None:
    attestation, script, news = made()
    assert (attestation.verdict, news) == (None, [])
    assert attestation.kind == "SGX"
    attestation.recheck()
    assert script.asked == []
    assert attestation.greet("host") == ("host", b"nonce")
    assert attestation.context.attestor is attestation


def test_verdicts_are_kept_and_counted_and_changes_told() -> None:
    attestation, script, news = made(GOOD, GOOD, BAD, BAD_TOO, WORSE, GOOD, WARNED, WARNED, GOOD)
    for _ in range(9):
        attestation.judge(b"leaf", b"nonce")
    assert script.asked == [(b"leaf", b"nonce")] * 9
    assert news == [GOOD, BAD, WORSE, GOOD, WARNED, GOOD]
    assert (attestation.accepted, attestation.warned) == (6, 2)
    assert attestation.refused == {Refusal.MRENCLAVE: 2, Refusal.TCB_REVOKED: 1}
    assert attestation.verdict == GOOD


def test_a_verifier_that_fails_proves_nothing() -> None:
    attestation, _, news = made(GOOD, TypeError("a bug"))
    attestation.judge(b"leaf", b"nonce")
    verdict = attestation.judge(b"leaf", b"nonce")
    assert (verdict.refusal, verdict.detail) == (Refusal.VERIFIER_FAILED, "TypeError: a bug")
    assert (attestation.verdict, news[-1]) == (verdict, verdict)
    assert attestation.refused == {Refusal.VERIFIER_FAILED: 1}


def test_the_last_evidence_is_judged_again_without_being_counted() -> None:
    attestation, script, news = made(GOOD, None, GOOD, WORSE, RuntimeError("a bug"))
    attestation.judge(b"leaf", b"nonce")
    for _ in range(4):
        attestation.recheck()
    assert script.asked[1:] == [(b"leaf", None)] * 4
    assert [verdict.refusal for verdict in news] == [None, Refusal.TCB_REVOKED, Refusal.VERIFIER_FAILED]
    assert (attestation.accepted, attestation.refused, attestation.verdict) == (1, {}, news[-1])
