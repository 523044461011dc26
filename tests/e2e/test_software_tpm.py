"""Quotes of a real TPM, in software: all of them verify, and none of another TPM, nonce or state does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from priolb.attest.sev.measurements import Measurement
from priolb.attest.sev.tpm import parse_public
from priolb.attest.sev.verify import verify_sev
from priolb.attest.verdict import Refusal, Verdict
from support.sev_evidence import NONCE, NOW, SHA1, SHA256, SHA384, SevNode, b64
from support.software_tpm import SwTpm, Tpm, software_tpm


class TpmNode(SevNode):
    """A node whose quotes are made by a TPM."""

    def __init__(self, tpm: Tpm) -> None:
        super().__init__()
        self.tpm = tpm
        self.public = tpm.public()

    def runtime_data(self, **changes: Any) -> bytes:
        modulus = parse_public(self.public).modulus
        encoded = b64(modulus).rstrip("=").replace("+", "-").replace("/", "_")
        return super().runtime_data(n=encoded, **changes)

    def evidence(self, *banks: int, nonce: bytes = NONCE) -> dict[str, Any]:
        quotes = [self.tpm.quote(self.extra_data(nonce), bank) for bank in banks]
        return self.document(ak_pub=self.public, quotes=quotes)

    def judge(self, document: dict[str, Any], expected: dict[int, Measurement]) -> Verdict:
        return verify_sev(self.certificate(document), expected, self.policy, NOW, NONCE)


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as started:
        yield started


def zeros(*indices: int) -> dict[int, Measurement]:
    return {index: Measurement(bytes(32)) for index in indices}


def test_the_attestation_key_is_restricted_to_what_the_tpm_made(tpm: Tpm) -> None:
    public = parse_public(tpm.public())
    assert (public.attributes, public.bits, public.exponent) == (0x00050072, 2048, 65537)


def test_a_node_with_a_quote_for_each_bank_is_accepted(tpm: Tpm) -> None:
    node = TpmNode(tpm)
    document = node.evidence(SHA1, SHA256, SHA384)
    assert len(json.dumps(document)) < 64 * 1024
    verdict = node.judge(document, zeros(8, 11, 13, 15))
    assert (verdict.ok, verdict.detail) == (True, "")
    assert verdict.claims["pcr_8"] == bytes(32).hex()


def test_a_quote_for_another_nonce_is_refused(tpm: Tpm) -> None:
    node = TpmNode(tpm)
    verdict = node.judge(node.evidence(SHA256, nonce=bytes(32)), zeros(8))
    assert verdict.refusal is Refusal.QUOTE_NONCE


def test_a_quote_of_another_bank_alone_is_refused(tpm: Tpm) -> None:
    node = TpmNode(tpm)
    assert node.judge(node.evidence(SHA1, SHA384), zeros(8)).refusal is Refusal.QUOTE_MISSING


def test_values_that_the_tpm_does_not_have_are_refused(tpm: Tpm) -> None:
    node = TpmNode(tpm)
    document = node.evidence(SHA256)
    document["Attestation"]["quotes"][0]["pcrs"]["pcrs"]["4"] = b64(b"\1" * 32)
    assert node.judge(document, {4: Measurement(b"\1" * 32)}).refusal is Refusal.QUOTE_PCRS


def test_the_key_of_another_tpm_is_refused(tpm: Tpm) -> None:
    node = TpmNode(tpm)
    document = node.evidence(SHA256)
    stranger = SevNode()
    other = node.document(
        ak_pub=node.public,
        runtime_data=stranger.runtime_data(n="AQAB"),
        quotes=document["Attestation"]["quotes"],
    )
    assert node.judge(other, zeros(8)).refusal is Refusal.AK_MISMATCH


def test_a_machine_that_booted_something_else_is_refused(tmp_path: Path, tpm: Tpm) -> None:
    """With a real TPM a PCR is extended; without one its value is not the expected one from the start."""
    node = TpmNode(tpm)
    index, event = 16, hashlib.sha256(b"another kernel").digest()
    expected = bytes(32)
    if isinstance(tpm, SwTpm):
        tpm.extend(index, event)
    else:
        expected = event
    verdict = node.judge(node.evidence(SHA256), {index: Measurement(expected)})
    assert verdict.refusal is Refusal.MEASUREMENTS
    if isinstance(tpm, SwTpm):
        extended = hashlib.sha256(bytes(32) + event).digest()
        assert node.judge(node.evidence(SHA256), {index: Measurement(extended)}).ok
