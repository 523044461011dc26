"""Nodes made of URIs, and what those have to prove that are attested."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from priolb.attest.attestors import Attestors
from priolb.attest.context import AttestedContext
from priolb.attest.sev.measurements import encode_user_part
from priolb.attest.sgx import sources
from priolb.core.nodes.node import NodeState
from priolb.errors import ConfigError, NodeError, UnattestedError
from priolb.nodes import factory
from priolb.nodes.factory import KnownNode, NodeFactory
from priolb.nodes.slots import Slots
from priolb.tls import NodeTLS
from support.memory_log import MemoryLog
from support.pool_desk import FakeTraffic
from support.sev_evidence import NONCE, SevNode
from support.sgx_evidence import MRENCLAVE, NOW, SgxNode, intel

SGX_NAME = "https://foo:8545"
SGX = f"https://SGX_{MRENCLAVE.hex()}@foo:8545"


def sev_uri(node: SevNode) -> str:
    return f"https://{node.user_part()}@bar"


class Bench:
    """NodeFactory over traffic in the hands of a test, under our own trust anchors."""

    def __init__(self, collateral: str = "") -> None:
        self.traffic = FakeTraffic()
        self.log = MemoryLog()
        self.now = NOW
        self.attestors = Attestors(
            SevNode().policy, intel().policy, collateral, self.log, clock=lambda: self.now
        )
        self.factory = NodeFactory(self.traffic, Slots(8, 0), False, NodeTLS("", "", ""), self.attestors)

    def make(self, uri: str) -> KnownNode:
        return self.factory.make(self.factory.parse(uri))

    def facts(self, node: NodeState) -> tuple[bool, str]:
        return node.attested, node.status.value


def run(test: Callable[[Bench], Coroutine[None, None, None]], collateral: str = "") -> None:
    async def main() -> None:
        bench = Bench(collateral)
        try:
            await test(bench)
        finally:
            await bench.attestors.close()

    asyncio.run(main())


def test_an_ordinary_node_has_nothing_to_prove() -> None:
    async def test(bench: Bench) -> None:
        for uri in ("http://foo", "https://foo"):
            known = bench.make(uri)
            assert (known.proof, known.node.attested) == (None, True)
        assert not any(isinstance(tls, AttestedContext) for tls in bench.traffic.tls)

    run(test)


def test_an_attested_node_has_a_context_of_its_own_and_is_unproven_until_it_is_asked() -> None:
    async def test(bench: Bench) -> None:
        first, second = bench.make(SGX), bench.make(sev_uri(SevNode()))
        assert first.proof is not None and second.proof is not None
        assert bench.traffic.tls == [first.proof.attestation.context, second.proof.attestation.context]
        assert bench.traffic.tls[0] is not bench.traffic.tls[1]
        assert (first.proof.attestation.kind, second.proof.attestation.kind) == ("SGX", "SEV")
        for known in (first, second):
            assert (known.node.attested, known.proof.changed_at if known.proof else 0.0) == (False, None)
            bench.traffic.attach(known.node, passed=True)
            assert bench.facts(known.node) == (False, "unattested")
            assert bench.traffic.fleet.candidates == {}

    run(test)


def test_each_verdict_that_is_news_changes_what_may_be_done_with_the_node() -> None:
    async def test(bench: Bench) -> None:
        node = SevNode()
        known = bench.make(sev_uri(node))
        assert known.proof is not None
        bench.traffic.attach(known.node, passed=True)
        bench.traffic.now = 2000.0
        known.proof.attestation.judge(node.certificate(), NONCE)
        assert (bench.facts(known.node), known.proof.changed_at) == ((True, "up"), 2000.0)
        bench.traffic.now = 3000.0
        known.proof.attestation.judge(node.certificate(), NONCE)
        assert known.proof.changed_at == 2000.0, "no news"
        assert bench.traffic.distrusted == ["https://bar"], "before its first proof"
        known.proof.attestation.judge(node.certificate(), bytes(32))
        assert (bench.facts(known.node), known.proof.changed_at) == ((False, "unattested"), 3000.0)
        assert known.node.reason == "quote_nonce: the quote was not made for this connection"
        assert bench.traffic.distrusted == ["https://bar"] * 2

    run(test)


def test_parameters_of_an_attested_node_count_as_those_of_any() -> None:
    async def test(bench: Bench) -> None:
        known = bench.make(f"{SGX}?_weight=3&_tier=2&_workers=auto&_allow_tcb=OutOfDate")
        assert (known.node.weight, known.node.tier, known.node.slots, known.node.name) == (3, 2, 4, SGX_NAME)

    run(test)


@pytest.mark.parametrize("uri", [SGX, "https://SEV_@foo"])
def test_without_the_packages_for_it_an_attested_node_cannot_be_made(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "SEV_" in uri:
        uri = sev_uri(SevNode())
    kind = "sev" if "SEV_" in uri else "sgx"

    async def test(bench: Bench) -> None:
        monkeypatch.setitem(sys.modules, f"priolb.attest.{kind}.verifier", None)
        with pytest.raises(ConfigError, match=r"pip install '\.\[tee\]'"):
            bench.factory.parse(uri)
        bench.factory.parse("https://foo")
        assert bench.traffic.registered == []

    run(test)


@pytest.mark.parametrize(
    ("named", "never"),
    [
        ({}, "4, 9, 12"),
        ({"4": "00" * 32, "9": "00" * 32}, "12"),
        ({"4": "00" * 32, "9": "00" * 32, "12": "00" * 32, "24": "00" * 32}, "24"),
    ],
)
def test_measurements_that_no_node_can_have_are_refused_before_anybody_is_asked(
    named: dict[str, str], never: str
) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(ConfigError) as caught:
            bench.factory.parse(f"https://SEV_{encode_user_part(json.dumps(named).encode())}@foo")
        assert str(caught.value) == (
            f"node URI 'https://foo': the measurements enforce a value that no node has for PCR {never}"
        )

    run(test)


# The first check


def test_the_first_check_of_a_sgx_node_waits_for_its_collateral(tmp_path: Path) -> None:
    intel().put_collateral(tmp_path)

    async def test(bench: Bench) -> None:
        bench.traffic.leaves[SGX_NAME] = SgxNode().certificate()
        known = bench.make(SGX)
        await bench.factory.check(known, 5.0)
        assert (bench.traffic.probes, known.node.attested) == ([(SGX_NAME, 5.0)] * 2, True)

    run(test, str(tmp_path))


def test_what_is_still_missing_then_is_why_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intel().put_collateral(tmp_path, status="OutOfDate")

    async def test(bench: Bench) -> None:
        bench.traffic.leaves[SGX_NAME] = SgxNode().certificate()
        with pytest.raises(UnattestedError, match=r"^https://foo:8545: not attested: tcb_status: Intel says"):
            await bench.factory.check(bench.make(SGX), 5.0)
        (tmp_path / "it.json").unlink()
        known = bench.make(SGX)
        bench.now += 10**9
        with pytest.raises(UnattestedError, match=r"collateral_expired"):
            await bench.factory.check(known, 5.0)
        assert len(bench.traffic.probes) == 3, "what has expired is not waited for"

    run(test, str(tmp_path))


def test_collateral_that_does_not_come_is_not_waited_for_longer_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "COLLATERAL_TIMEOUT_S", 0.0)

    async def never(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(sources.DirectorySource, "fetch", never)

    async def test(bench: Bench) -> None:
        bench.traffic.leaves[SGX_NAME] = SgxNode().certificate()
        with pytest.raises(UnattestedError, match=r"collateral_missing"):
            await bench.factory.check(bench.make(SGX), 5.0)
        assert len(bench.traffic.probes) == 2

    run(test, str(tmp_path))


def test_a_refusal_that_collateral_does_not_help_is_not_waited_for() -> None:
    async def test(bench: Bench) -> None:
        bench.traffic.leaves["https://bar"] = b""
        with pytest.raises(UnattestedError, match=r"certificate_malformed"):
            await bench.factory.check(bench.make(sev_uri(SevNode())), 5.0)
        assert len(bench.traffic.probes) == 1

    run(test)


def test_a_node_that_is_down_is_down() -> None:
    async def test(bench: Bench) -> None:
        bench.traffic.down.add(SGX_NAME)
        with pytest.raises(NodeError, match=r"^https://foo:8545 is down$") as caught:
            await bench.factory.check(bench.make(SGX), 5.0)
        assert not isinstance(caught.value, UnattestedError)

    run(test)


def test_a_node_that_is_dropped_is_judged_no_more() -> None:
    async def test(bench: Bench) -> None:
        known, ordinary = bench.make(SGX), bench.make("http://foo")
        bench.factory.drop(known)
        bench.factory.drop(ordinary)
        assert (bench.traffic.registered, bench.attestors._attestations) == ([], [])

    run(test)
