"""The later steps of a verification: attestation key, quote and measurements, one thing changed at a time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from priolb.attest.sev.measurements import DEFAULTS, Measurement
from priolb.attest.verdict import SEV_STEPS, Refusal, Step
from support.der_build import certificate
from support.sev_evidence import (
    ID_KEY,
    NONCE,
    SHA1,
    SHA256,
    SHA384,
    SevNode,
    ak_public,
    attest,
    b64,
    ec_key,
    edited_instance,
    rsa_key,
    signature,
)
from support.sev_judge import judge, with_document
from support.verdicts import refused


@pytest.fixture
def node() -> SevNode:
    return SevNode()


# The attestation key


def test_runtime_data_that_are_changed(node: SevNode) -> None:
    data = node.runtime_data()
    document = node.document(report=node.report(data), runtime_data=data.replace(b"sign", b"Sign"))
    refused(with_document(node, document), Refusal.RUNTIME_DATA)


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": "HCLEkPub"},
        {"kid": None},
        {"kty": "EC"},
        {"n": None},
        {"n": "AQAB="},
        {"n": "AQ+B"},
        {"n": "AQ/B"},
        {"n": "A"},
        {"e": 65537},
        {"e": "é"},
    ],
)
def test_runtime_data_that_name_no_attestation_key(node: SevNode, changes: dict[str, Any]) -> None:
    data = node.runtime_data(**changes)
    refused(with_document(node, node.document(runtime_data=data)), Refusal.RUNTIME_DATA_MALFORMED)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [1]}', b'{"keys": []}'])
def test_runtime_data_that_are_something_else(node: SevNode, data: bytes) -> None:
    refused(with_document(node, node.document(runtime_data=data)), Refusal.RUNTIME_DATA_MALFORMED)


def test_the_attestation_key_of_another_tpm(node: SevNode) -> None:
    other = SevNode()
    other.ak = rsa_key(8)
    quotes = [other.quote()]
    document = node.document(ak_pub=ak_public(other.ak), quotes=quotes)
    refused(with_document(node, document), Refusal.AK_MISMATCH)


def test_the_same_modulus_with_another_exponent(node: SevNode) -> None:
    document = node.document(ak_pub=ak_public(node.ak, exponent=3))
    refused(with_document(node, document), Refusal.AK_MISMATCH)


@pytest.mark.parametrize("attributes", [0, 0x00010072, 0x00040072])
def test_an_attestation_key_that_signs_anything(node: SevNode, attributes: int) -> None:
    node.ak_attributes = attributes
    refused(judge(node), Refusal.AK_ATTRIBUTES)


def test_an_attestation_key_of_another_size(node: SevNode) -> None:
    node.ak = rsa_key(9, 3072)
    refused(judge(node), Refusal.AK_MALFORMED)


@pytest.mark.parametrize(
    "ak_pub",
    [
        b"",
        ak_public(rsa_key(5))[:-1],
        ak_public(rsa_key(5)) + b"\0",
        b"\0\x23" + ak_public(rsa_key(5))[2:],
        ak_public(rsa_key(5), bits=1024),
        ak_public(rsa_key(9, 3072), bits=2048),
        ak_public(rsa_key(5), exponent=2),
    ],
)
def test_an_attestation_key_that_is_malformed(node: SevNode, ak_pub: bytes) -> None:
    refused(with_document(node, node.document(ak_pub=ak_pub)), Refusal.AK_MALFORMED)


def with_exponent_3(key: rsa.RSAPrivateKey) -> bytes:
    """Return SubjectPublicKeyInfo of the same modulus with another exponent."""
    numbers = rsa.RSAPublicNumbers(3, key.public_key().public_numbers().n)
    return numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "make",
    [
        lambda: certificate(rsa_key(8), ec_key(9)),
        lambda: certificate(with_exponent_3(rsa_key(5)), ec_key(9)),
        lambda: certificate(ec_key(9), ec_key(9)),
        lambda: b"no DER",
    ],
)
def test_the_certificate_of_another_attestation_key(node: SevNode, make: Callable[[], bytes]) -> None:
    refused(with_document(node, node.document(ak_cert=make())), Refusal.AK_CERTIFICATE)


# The quote


def test_a_quote_by_another_key(node: SevNode) -> None:
    refused(
        with_document(node, node.document(quotes=[node.quote(signer=rsa_key(8))])), Refusal.QUOTE_SIGNATURE
    )


@pytest.mark.parametrize("banks", [[SHA1], [SHA384], [SHA1, SHA384], [SHA256, SHA256]])
def test_no_quote_of_sha256_or_two(node: SevNode, banks: list[int]) -> None:
    document = node.document(quotes=[node.quote(bank=bank) for bank in banks])
    refused(with_document(node, document), Refusal.QUOTE_MISSING)


def test_a_forged_quote_of_sha256_beside_a_good_one_of_sha384(node: SevNode) -> None:
    forged = node.quote()
    forged["pcrs"]["pcrs"]["4"] = b64(bytes(32))
    expected = {**node.measurements, 4: Measurement(bytes(32))}
    document = node.document(quotes=[forged, node.quote(bank=SHA384)])
    refused(judge(node, node.certificate(document), expected=expected), Refusal.QUOTE_PCRS)


def test_a_signature_with_sha1(node: SevNode) -> None:
    quote = node.quote()
    quote["raw_sig"] = b64(signature(node.ak, base64.b64decode(quote["quote"]), SHA1))
    refused(with_document(node, node.document(quotes=[quote])), Refusal.QUOTE_ALGORITHM)


@pytest.mark.parametrize("part", ["quote", "raw_sig"])
def test_each_bit_of_quote_and_signature_counts(node: SevNode, part: str) -> None:
    good = node.quote()
    data = base64.b64decode(good[part])
    for offset in range(0, len(data), 7):
        changed = bytearray(data)
        changed[offset] ^= 1
        verdict = with_document(node, node.document(quotes=[{**good, part: b64(bytes(changed))}]))
        assert verdict.refusal is not None
        assert verdict.refusal.step is Step.QUOTE


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"magic": 0xFF544348}, Refusal.QUOTE_MALFORMED),
        ({"kind": 0x8017}, Refusal.QUOTE_MALFORMED),
        ({"selections": []}, Refusal.QUOTE_SELECTION),
        ({"selections": [(SHA256, b"\xff\xff\xff")] * 2}, Refusal.QUOTE_SELECTION),
        ({"selections": [(SHA256, b"\xff\xff\x7f")]}, Refusal.QUOTE_SELECTION),
        ({"selections": [(SHA384, b"\xff\xff\xff")]}, Refusal.QUOTE_SELECTION),
        ({"selections": [(SHA256, b"\xff\xff\xff\0")]}, Refusal.QUOTE_MALFORMED),
        ({"selections": [(SHA256, b"")] * 17}, Refusal.QUOTE_MALFORMED),
        ({"nonce": bytes(32)}, Refusal.QUOTE_NONCE),
    ],
)
def test_a_quote_that_the_tpm_signed_and_that_says_something_else(
    node: SevNode, options: dict[str, Any], refusal: Refusal
) -> None:
    quote = node.quote(options.pop("nonce", NONCE), **options)
    refused(with_document(node, node.document(quotes=[quote])), refusal)


def test_a_quote_whose_digest_is_of_another_kind(node: SevNode) -> None:
    signed = attest(node.extra_data(), node.pcrs, digest_of="sha384")
    quote = {**node.quote(), "quote": b64(signed), "raw_sig": b64(signature(node.ak, signed))}
    refused(with_document(node, node.document(quotes=[quote])), Refusal.QUOTE_PCRS)


def test_a_pcr_that_is_edited_dropped_or_added(node: SevNode) -> None:
    edited, dropped = node.quote(), node.quote()
    edited["pcrs"]["pcrs"]["9"] = b64(bytes(32))
    refused(with_document(node, node.document(quotes=[edited])), Refusal.QUOTE_PCRS)
    del dropped["pcrs"]["pcrs"]["9"]
    refused(with_document(node, node.document(quotes=[dropped])), Refusal.QUOTE_SELECTION)
    few = node.quote(pcrs={4: bytes(32)})
    few["pcrs"]["pcrs"]["5"] = b64(bytes(32))
    refused(with_document(node, node.document(quotes=[few])), Refusal.QUOTE_SELECTION)


def test_values_that_are_cut_anew_from_the_same_bytes(node: SevNode) -> None:
    quote = node.quote()
    values = quote["pcrs"]["pcrs"]
    four, five = base64.b64decode(values["4"]), base64.b64decode(values["5"])
    values["4"], values["5"] = b64(four + five[:1]), b64(five[1:])
    verdict = with_document(node, node.document(quotes=[quote]))
    assert refused(verdict, Refusal.QUOTE_PCRS) == "a PCR is not 32 bytes"


# The measurements


@pytest.mark.parametrize("index", range(24))
def test_each_pcr_that_is_enforced_counts(node: SevNode, index: int) -> None:
    wrong = Measurement(hashlib.sha256(b"other").digest())
    verdict = judge(node, expected={**node.measurements, index: wrong})
    detail = refused(verdict, Refusal.MEASUREMENTS)
    assert detail == f"PCR {index} is {node.pcrs[index].hex()}, expected {wrong.expected.hex()}"


def test_a_pcr_that_no_tpm_has(node: SevNode) -> None:
    verdict = judge(node, expected={24: Measurement(bytes(32))})
    assert refused(verdict, Refusal.MEASUREMENTS) == f"PCR 24 is not there, expected {bytes(32).hex()}"
    assert judge(node, expected={24: Measurement(bytes(32), warn_only=True)}).ok


def test_the_placeholders_of_the_defaults_match_no_node(node: SevNode) -> None:
    refused(judge(node, expected=DEFAULTS), Refusal.MEASUREMENTS)


def test_an_authentic_node_that_the_policy_refuses_still_says_what_it_runs(node: SevNode) -> None:
    verdict = judge(node, policy=replace(node.policy, id_keys=frozenset()))
    refused(verdict, Refusal.ID_KEY)
    assert verdict.claims["id_key_digest"] == ID_KEY.hex()
    assert verdict.claims["pcr_4"] == node.pcrs[4].hex()


def test_nothing_is_claimed_that_is_not_authentic(node: SevNode) -> None:
    document = edited_instance(node.document(), AttestationReport=b64(bytes(0x4A0)))
    assert with_document(node, document).claims == {}


def test_the_steps_of_a_verdict_are_those_of_its_kind(node: SevNode) -> None:
    verdict = judge(node)
    assert verdict.steps == SEV_STEPS
    assert (verdict.kind, verdict.platform, verdict.valid_until) == ("SEV", None, float("inf"))
