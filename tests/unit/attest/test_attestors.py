"""All attested nodes of a balancer: each with its own attestation, and collateral for all."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from priolb.attest.attestors import Attestors
from priolb.attest.expectation import SevExpectation, SgxExpectation
from priolb.attest.sev.measurements import Measurement
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx.policy import SgxPolicy, TcbState
from priolb.attest.verdict import Refusal, Verdict
from priolb.errors import ConfigError
from support.memory_log import MemoryLog
from support.sev_evidence import NONCE, SevNode
from support.sgx_evidence import MRENCLAVE, NOW, SgxNode, intel

SGX = SgxExpectation(MRENCLAVE)


class Desk:
    """Attestors under our own roots, with everything around them."""

    def __init__(self, collateral: str = "") -> None:
        self.now = NOW
        self.log = MemoryLog()
        self.news: list[Verdict] = []
        self.attestors = Attestors(
            SevNode().policy, intel().policy, collateral, self.log, clock=lambda: self.now
        )

    def last_is_good(self) -> bool:
        return self.news[-1].ok


def test_a_sev_node_is_held_to_its_own_values_and_the_policy_of_all() -> None:
    desk, node = Desk(), SevNode()
    attestation = desk.attestors.attest("https://node", SevExpectation(node.measurements), desk.news.append)
    verdict = attestation.judge(node.certificate(), NONCE)
    assert (verdict.ok, desk.news) == (True, [verdict])
    assert desk.log.lines == [
        ("info", "Node has proven what it runs", {"nodeURI": "https://node", "kind": "SEV"})
    ]


def test_a_policy_of_its_own_counts_for_one_node() -> None:
    desk, node = Desk(), SevNode()
    own = SevExpectation(node.measurements, {"id_keys": frozenset()})
    ordinary = SevExpectation(node.measurements)
    verdicts = [
        desk.attestors.attest("node", each, desk.news.append).judge(node.certificate(), NONCE)
        for each in (own, ordinary)
    ]
    assert [verdict.refusal for verdict in verdicts] == [Refusal.ID_KEY, None]


def test_what_differs_where_it_may_is_warned_of() -> None:
    desk, node = Desk(), SevNode()
    expected = {4: Measurement(bytes(32), warn_only=True)}
    desk.attestors.attest("node", SevExpectation(expected), desk.news.append).judge(node.certificate(), NONCE)
    assert [line[0] for line in desk.log.lines] == ["info", "warning"]
    assert desk.log.lines[1][1] == "Node differs from its URI where it may"
    assert str(desk.log.lines[1][2]["detail"]).startswith("PCR 4 is ")


def test_a_sgx_node_is_judged_again_when_collateral_comes_changes_and_expires(tmp_path: Path) -> None:
    async def main() -> None:
        intel().put_collateral(tmp_path)
        desk = Desk(str(tmp_path))
        sev = desk.attestors.attest("sev", SevExpectation({}), desk.news.append)
        attestation = desk.attestors.attest("sgx", SGX, desk.news.append)
        gone = desk.attestors.attest("gone", SGX, desk.news.append)
        desk.attestors.forget(gone)
        assert attestation.judge(SgxNode().certificate(), b"").refusal is Refusal.COLLATERAL_MISSING
        await desk.attestors.collateral_arrived()
        assert desk.last_is_good()
        assert [line[0] for line in desk.log.lines] == ["warning", "info", "info"]

        intel().put_collateral(tmp_path, status="OutOfDate", start=NOW)
        desk.now += 3600
        library = desk.attestors._library
        assert library is not None
        await library.look()
        await desk.attestors.collateral_arrived()
        assert not desk.last_is_good()

        intel().put_collateral(tmp_path, start=NOW + 1)
        desk.now += 3600
        await library.look()
        await desk.attestors.collateral_arrived()
        assert desk.last_is_good()

        desk.now = library.held[next(iter(library.held))].expires_at
        await library.look()
        reasons = [verdict.reason for verdict in desk.news]
        assert reasons == ["collateral_missing", "", "tcb_status", "", "collateral_expired"]
        assert (sev.verdict, gone.verdict) == (None, None)
        await desk.attestors.close()
        told = [line for line in desk.log.lines if line[1].startswith("Node has not")]
        assert told[-1] == (
            "warning",
            "Node has not proven what it runs and gets nothing",
            {
                "nodeURI": "sgx",
                "kind": "SGX",
                "reason": "collateral_expired",
                "detail": "the collateral for 00606A000000 (platform CA) has expired",
            },
        )

    asyncio.run(main())


def test_a_policy_that_allows_more_for_one_sgx_node(tmp_path: Path) -> None:
    async def main() -> None:
        intel().put_collateral(tmp_path, status="OutOfDate")
        desk = Desk(str(tmp_path))
        states = frozenset({TcbState.OUT_OF_DATE})
        own = SgxExpectation(MRENCLAVE, {"allowed_states": states})
        allowing = desk.attestors.attest("a", own, desk.news.append)
        ordinary = desk.attestors.attest("b", SGX, desk.news.append)
        for each in (allowing, ordinary):
            each.judge(SgxNode().certificate(), b"")
        await desk.attestors.collateral_arrived()
        assert [each.verdict and each.verdict.ok for each in (allowing, ordinary)] == [True, False]
        await desk.attestors.close()

    asyncio.run(main())


def test_platforms_are_those_of_the_last_proofs(tmp_path: Path) -> None:
    async def main() -> None:
        desk = Desk(str(tmp_path))
        desk.attestors.attest("sev", SevExpectation({}), desk.news.append).judge(b"", b"")
        desk.attestors.attest("new", SGX, desk.news.append)
        first, second = (desk.attestors.attest("sgx", SGX, desk.news.append) for _ in range(2))
        for each in (first, second):
            each.judge(SgxNode().certificate(), b"")
        assert desk.attestors._platforms_in_use() == {("00606A000000", "platform")}
        desk.attestors.forget(first)
        assert desk.attestors._platforms_in_use() == {("00606A000000", "platform")}
        second.judge(b"", b"")
        assert desk.attestors._platforms_in_use() == set()
        await desk.attestors.close()

    asyncio.run(main())


def test_a_node_that_cannot_be_judged_again_does_not_keep_others_from_it() -> None:
    async def main() -> None:
        desk = Desk()

        def fail(verdict: Verdict) -> None:
            raise RuntimeError(verdict.reason)

        for on_change in (fail, desk.news.append):
            attestation = desk.attestors.attest("node", SGX, on_change)
            attestation._last_leaf = SgxNode().certificate()
        await desk.attestors._recheck()
        assert [verdict.refusal for verdict in desk.news] == [Refusal.COLLATERAL_MISSING]
        fields = {"kind": "SGX", "err": "RuntimeError('collateral_missing')"}
        assert ("warning", "A node could not be judged again", fields) in desk.log.lines
        await desk.attestors.close()

    asyncio.run(main())


def test_that_nobody_is_asked_for_collateral_is_told() -> None:
    async def main() -> None:
        desk = Desk()
        for _ in range(2):
            desk.attestors.attest("node", SGX, desk.news.append)
        assert desk.log.lines == [
            ("warning", "SGX_COLLATERAL is not set, so no SGX node can prove itself", {})
        ]
        await desk.attestors.close()

    asyncio.run(main())


def test_without_sgx_nodes_there_is_no_collateral_to_wait_for() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.attestors.collateral_arrived()
        await desk.attestors.close()

    asyncio.run(main())


def test_without_the_packages_for_it_no_node_is_attested(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("priolb.attest.s", "priolb.attest.cert"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    attestors = Attestors(SevPolicy(), SgxPolicy(), "", MemoryLog())
    for expectation in (SevExpectation({}), SGX):
        with pytest.raises(ConfigError, match=r"pip install '\.\[tee\]' in the checkout"):
            attestors.require(expectation)
        with pytest.raises(ConfigError, match=r"pip install '\.\[tee\]' in the checkout"):
            attestors.attest("node", expectation, lambda _verdict: None)
