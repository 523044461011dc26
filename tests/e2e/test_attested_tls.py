"""Handshakes with nodes that prove what they run, and with those that do not, on both event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from priolb.attest.attestation import Attestation
from priolb.attest.attestors import Attestors
from priolb.attest.context import NotAttestedError
from priolb.attest.expectation import Expectation, SevExpectation, SgxExpectation
from priolb.attest.verdict import Refusal, Verdict
from support.live_nodes import put_collateral, sev_leaf
from support.memory_log import MemoryLog
from support.sev_evidence import SevNode, ec_key
from support.sgx_evidence import DICE, LEGACY, MRENCLAVE, SgxNode, intel
from support.tls_server import NodeServer, ping, run_on

Loop = Callable[[], asyncio.AbstractEventLoop]
Test = Callable[["Stage"], Awaitable[None]]
Perform = Callable[[Test], Any]


class Stage:
    """Attestors under our own roots, and a folder for servers."""

    def __init__(self, folder: Path, collateral: Path) -> None:
        self.folder = folder
        self.collateral = collateral
        self.log = MemoryLog()
        self.news: list[Verdict] = []
        self.attestors = Attestors(SevNode().policy, intel().policy, str(collateral), self.log)

    def attest(self, expectation: Expectation) -> Attestation:
        return self.attestors.attest("node", expectation, self.news.append)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def perform(request: pytest.FixtureRequest, tmp_path: Path) -> Perform:
    """Return what runs a test on one of the two event loops."""
    collateral = tmp_path / "collateral"
    collateral.mkdir()

    async def main(test: Test) -> None:
        stage = Stage(tmp_path, collateral)
        try:
            await test(stage)
        finally:
            await stage.attestors.close()

    return lambda test: run_on(request.param, main(test))


async def refused(stage: Stage, server: NodeServer, attestation: Attestation, refusal: Refusal) -> None:
    """Assert that a connection is refused for this reason, and that the node got nothing."""
    before = list(server.received)
    with pytest.raises(NotAttestedError) as caught:
        await ping(attestation.context, server.port)
    assert str(caught.value.strerror).startswith(f"not attested: {refusal.value}: ")
    assert attestation.verdict is not None
    assert attestation.verdict.refusal is refusal
    assert server.received == before


def test_a_sev_node_gets_a_nonce_of_its_own_with_each_connection(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(node.measurements))
        async with NodeServer(stage.folder, node.tls_key, lambda nonce: sev_leaf(node, nonce)) as server:
            assert [await ping(attestation.context, server.port) for _ in range(3)] == [b"pong"] * 3
            assert server.received == [b"ping"] * 3
            assert len(set(server.names)) == 3
            assert {len(name or "") for name in server.names} == {44}
        assert (attestation.accepted, [verdict.ok for verdict in stage.news]) == (3, [True])

    perform(test)


def test_a_replayed_document_gets_nothing(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(node.measurements))
        seen: list[bytes] = []

        def replay(nonce: bytes) -> bytes:
            seen.append(sev_leaf(node, nonce))
            return seen[1] if len(seen) > 1 else seen[0]

        async with NodeServer(stage.folder, node.tls_key, replay) as server:
            assert await ping(attestation.context, server.port) == b"pong"
            await refused(stage, server, attestation, Refusal.QUOTE_NONCE)

    perform(test)


def test_a_man_in_the_middle_gets_nothing(perform: Perform) -> None:
    """He hands the nonce on to the real node and has a key of his own."""

    async def test(stage: Stage) -> None:
        node, own = SevNode(), ec_key(50)
        attestation = stage.attest(SevExpectation(node.measurements))

        def relayed(nonce: bytes) -> bytes:
            return sev_leaf(node, nonce, key=own, signer=own)

        async with NodeServer(stage.folder, own, relayed) as server:
            await refused(stage, server, attestation, Refusal.TLS_KEY)

    perform(test)


def test_a_node_that_turns_bad_between_two_connections_gets_nothing_more(
    perform: Callable[[Test], Any],
) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(node.measurements))
        async with NodeServer(stage.folder, node.tls_key, lambda nonce: sev_leaf(node, nonce)) as server:
            assert await ping(attestation.context, server.port) == b"pong"
            node.pcrs[4] = bytes(32)
            await refused(stage, server, attestation, Refusal.MEASUREMENTS)
            assert [verdict.reason for verdict in stage.news] == ["", "measurements"]
            assert server.received == [b"ping"]

    perform(test)


def test_a_node_without_evidence_or_under_another_root_gets_nothing(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(node.measurements))
        bare = lambda _nonce: sev_leaf(node, b"", extensions=[])  # noqa: E731
        async with NodeServer(stage.folder, node.tls_key, bare) as server:
            await refused(stage, server, attestation, Refusal.DOCUMENT_MISSING)
        stranger = SevExpectation(node.measurements, {"arks": ()})
        untrusting = stage.attest(stranger)
        async with NodeServer(stage.folder, node.tls_key, lambda nonce: sev_leaf(node, nonce)) as server:
            await refused(stage, server, untrusting, Refusal.ASK_SIGNATURE)

    perform(test)


def test_a_certificate_of_110_kb_ends_the_handshake(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(node.measurements))
        huge = lambda _nonce: sev_leaf(node, b"", extensions=[("1.2.3", False, bytes(110_000))])  # noqa: E731
        async with NodeServer(stage.folder, node.tls_key, huge) as server:
            with pytest.raises(ssl.SSLError, match="EXCESSIVE_MESSAGE_SIZE"):
                await ping(attestation.context, server.port)
            assert b"ping" not in server.received
        assert attestation.verdict is None

    perform(test)


def test_a_verifier_that_fails_lets_nothing_out(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SevNode()
        attestation = stage.attest(SevExpectation(None))  # type: ignore[arg-type] # the fault
        async with NodeServer(stage.folder, node.tls_key, lambda nonce: sev_leaf(node, nonce)) as server:
            await refused(stage, server, attestation, Refusal.VERIFIER_FAILED)

    perform(test)


@pytest.mark.parametrize("form", ["legacy", "DICE", "both"])
def test_a_sgx_node_is_proven_once_its_collateral_has_come(perform: Callable[[Test], Any], form: str) -> None:
    async def test(stage: Stage) -> None:
        node = SgxNode()
        legacy, dice = (LEGACY, False, node.quote()), (DICE, False, node.dice())
        leaf = node.certificate(*{"legacy": [legacy], "DICE": [dice], "both": [legacy, dice]}[form])
        attestation = stage.attest(SgxExpectation(MRENCLAVE))
        put_collateral(stage.collateral)
        async with NodeServer(stage.folder, node.tls_key, lambda _nonce: leaf) as server:
            await refused(stage, server, attestation, Refusal.COLLATERAL_MISSING)
            await stage.attestors.collateral_arrived()
            assert stage.news[-1].ok, "judged again when it came"
            assert await ping(attestation.context, server.port) == b"pong"
            assert set(server.names) == {"localhost"}, "a SGX node is told its name"
        assert [verdict.reason for verdict in stage.news] == ["collateral_missing", ""]

    perform(test)


def test_a_sgx_node_whose_key_is_not_the_one_of_its_quote_gets_nothing(
    perform: Callable[[Test], Any],
) -> None:
    async def test(stage: Stage) -> None:
        node, thief = SgxNode(), SgxNode()
        thief.tls_key = ec_key(51, 384)
        stolen = thief.certificate((LEGACY, False, node.quote()))
        attestation = stage.attest(SgxExpectation(MRENCLAVE))
        async with NodeServer(stage.folder, thief.tls_key, lambda _nonce: stolen) as server:
            await refused(stage, server, attestation, Refusal.TLS_KEY)

    perform(test)


def test_a_sgx_node_of_another_enclave_gets_nothing(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SgxNode()
        right, wrong = stage.attest(SgxExpectation(MRENCLAVE)), stage.attest(SgxExpectation(bytes(32)))
        put_collateral(stage.collateral)
        async with NodeServer(stage.folder, node.tls_key, lambda _nonce: node.certificate()) as server:
            await refused(stage, server, right, Refusal.COLLATERAL_MISSING)
            await stage.attestors.collateral_arrived()
            assert await ping(right.context, server.port) == b"pong"
            await refused(stage, server, wrong, Refusal.MRENCLAVE)

    perform(test)


def test_a_sgx_node_by_its_address_is_told_no_name(perform: Perform) -> None:
    async def test(stage: Stage) -> None:
        node = SgxNode()
        attestation = stage.attest(SgxExpectation(MRENCLAVE))
        put_collateral(stage.collateral)
        async with NodeServer(stage.folder, node.tls_key, lambda _nonce: node.certificate()) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await ping(attestation.context, server.port, host="127.0.0.1")
            await stage.attestors.collateral_arrived()
            assert await ping(attestation.context, server.port, host="127.0.0.1") == b"pong"
            assert set(server.names) == {None}

    perform(test)
