"""What a test says about a verdict."""

from priolb.attest.verdict import Refusal, Verdict


def refused(verdict: Verdict, refusal: Refusal) -> str:
    """Assert that it was refused for this reason, and return the detail."""
    assert (verdict.ok, verdict.refusal) == (False, refusal), verdict.detail
    assert verdict.detail
    return verdict.detail
