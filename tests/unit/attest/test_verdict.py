"""Verdicts, their reasons and their steps."""

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.verdict import SEV_STEPS, SGX_STEPS, NotProven, Refusal, Step, Verdict, refusing


def test_each_reason_has_a_label_of_its_own_and_a_step() -> None:
    assert len(Refusal) == len({refusal.value for refusal in Refusal}) == len(Refusal.__members__)
    for refusal in Refusal:
        assert refusal.value == refusal.name.lower()
        assert refusal.step in {*SEV_STEPS, *SGX_STEPS, Step.VERIFIER}


def test_each_step_has_a_reason_and_is_taken_by_somebody() -> None:
    assert {refusal.step for refusal in Refusal} == set(Step)
    assert {*SEV_STEPS, *SGX_STEPS, Step.VERIFIER} == set(Step)


def test_a_verdict_tells_its_reason() -> None:
    accepted, refused = Verdict("SEV"), Verdict("SGX", Refusal.MRENCLAVE, "the enclave is 00")
    assert (accepted.ok, accepted.reason, str(accepted)) == (True, "", "attested")
    assert (refused.ok, refused.reason, str(refused)) == (
        False,
        "mrenclave",
        "not attested: mrenclave: the enclave is 00",
    )
    assert (accepted.steps, refused.steps) == (SEV_STEPS, SGX_STEPS)


def test_what_is_malformed_within_a_step_is_refused_for_its_reason() -> None:
    with pytest.raises(NotProven, match=r"^broken$") as caught, refusing(Refusal.ID_KEY):
        raise MalformedError("broken")
    assert caught.value.refusal is Refusal.ID_KEY
    with refusing(Refusal.ID_KEY):
        pass
