"""The verifier of one SGX node, and what it remembers."""

from __future__ import annotations

import pytest

from priolb.attest.sgx import verifier as module
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.policy import SgxPolicy
from priolb.attest.sgx.verifier import REMEMBERED_S, SgxVerifier
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import Refusal, Verdict
from support.sgx_evidence import DAY_S, LEGACY, MRENCLAVE, NOW, PLATFORM, SgxNode, intel


class Shelf:
    """A library whose collateral the test puts there."""

    def __init__(self, collateral: Collateral | None = None) -> None:
        self.held = {} if collateral is None else {PLATFORM: collateral}
        self.wanted: list[Platform] = []

    def want(self, platform: Platform) -> None:
        self.wanted.append(platform)


class Desk:
    """A verifier with its clock, its shelf, and a count of the verifications that were not remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, collateral: Collateral | None = None) -> None:
        self.now = NOW
        self.shelf = Shelf(intel().collateral() if collateral is None else collateral)
        self.verified = 0
        original = verify_sgx

        def counting(*arguments: object) -> Verdict:
            self.verified += 1
            return original(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "verify_sgx", counting)
        self.verifier = self.another(MRENCLAVE, intel().policy)

    def another(self, mrenclave: bytes, policy: SgxPolicy) -> SgxVerifier:
        return SgxVerifier(mrenclave, policy, self.shelf, lambda: self.now)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


LEAF = SgxNode().certificate()


def test_the_host_is_sent_as_it_is_and_there_is_no_nonce(desk: Desk) -> None:
    assert desk.verifier.greet("host.example") == ("host.example", b"")
    assert desk.verifier.kind == "SGX"


def test_what_was_accepted_is_remembered_for_an_hour(desk: Desk) -> None:
    verdict = desk.verifier.verify(LEAF, b"")
    assert verdict.ok
    desk.now += REMEMBERED_S - 1
    assert desk.verifier.verify(LEAF, b"") is verdict
    assert desk.verifier.verify_again(LEAF) is verdict
    assert desk.verified == 1
    desk.now += 1
    assert desk.verifier.verify(LEAF, b"").ok
    assert desk.verified == 2
    assert set(desk.shelf.wanted) == {PLATFORM}, "so that it is kept fresh"


def test_a_refusal_is_not_remembered(desk: Desk) -> None:
    strict = desk.another(bytes(32), intel().policy)
    for _ in range(2):
        assert strict.verify(LEAF, b"").refusal is Refusal.MRENCLAVE
    assert (desk.verified, desk.shelf.wanted) == (2, [])


def test_a_certificate_accepted_for_one_node_is_not_so_for_another(desk: Desk) -> None:
    assert desk.verifier.verify(LEAF, b"").ok
    assert desk.another(bytes(32), intel().policy).verify(LEAF, b"").refusal is Refusal.MRENCLAVE
    assert desk.another(MRENCLAVE, SgxPolicy()).verify(LEAF, b"").refusal is Refusal.COLLATERAL_INVALID


def test_another_certificate_is_verified(desk: Desk) -> None:
    assert desk.verifier.verify(LEAF, b"").ok
    other = SgxNode().certificate((LEGACY, False, b""))
    assert desk.verifier.verify(other, b"").refusal is Refusal.SGX_QUOTE_MALFORMED


def test_nothing_is_remembered_longer_than_the_collateral_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, intel().collateral(end=NOW + 60))
    assert desk.verifier.verify(LEAF, b"").ok
    desk.now = NOW + 59
    assert desk.verifier.verify(LEAF, b"").ok
    desk.now = NOW + 60
    assert desk.verifier.verify(LEAF, b"").refusal is Refusal.COLLATERAL_EXPIRED
    assert desk.shelf.wanted == [PLATFORM, PLATFORM]


def test_other_collateral_counts_at_once(desk: Desk) -> None:
    assert desk.verifier.verify(LEAF, b"").ok
    desk.shelf.held[PLATFORM] = intel().collateral(status="OutOfDate")
    assert desk.verifier.verify(LEAF, b"").refusal is Refusal.TCB_STATUS
    desk.shelf.held[PLATFORM] = intel().collateral(end=NOW + DAY_S)
    assert desk.verifier.verify(LEAF, b"").ok
    del desk.shelf.held[PLATFORM]
    assert desk.verifier.verify(LEAF, b"").refusal is Refusal.COLLATERAL_MISSING
    assert desk.shelf.wanted[-1] == PLATFORM


def test_only_so_much_is_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_MAX", 2)
    leaves = [SgxNode().certificate(serial=serial) for serial in (1, 2, 3)]
    for leaf in leaves:
        assert desk.verifier.verify(leaf, b"").ok
    assert len(desk.verifier._remembered) == 2
    desk.verifier.verify(leaves[0], b"")
    assert desk.verified == 4, "the oldest was forgotten"
