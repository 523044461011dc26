"""A SEV node of our own making: accepted as it is, and refused at its own step when one thing is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from priolb.attest.sev.measurements import Measurement
from priolb.attest.sev.policy import SevPolicy, Tcb
from priolb.attest.verdict import Refusal
from support.der_build import certificate, oid, sequence, tlv
from support.sev_evidence import (
    ATLS,
    CHIP,
    HOUR_S,
    ID_KEY,
    IS_AUTHORITY,
    NOW,
    SHA384,
    SevNode,
    ark,
    ask,
    b64,
    ec_key,
    flag,
    pem,
    rsa_key,
    vcek,
    vcek_extensions,
)
from support.sev_judge import judge, with_document
from support.verdicts import refused

OTHER_DIGEST = bytes(48)


@pytest.fixture
def node() -> SevNode:
    return SevNode()


# What is accepted


def test_a_good_node_is_accepted_and_its_claims_are_told(node: SevNode) -> None:
    verdict = judge(node)
    assert (verdict.ok, verdict.reason, verdict.detail, verdict.warnings) == (True, "", "", ())
    assert str(verdict) == "attested"
    assert verdict.claims == {
        "report_version": "2",
        "policy": "0x3001f",
        "vmpl": "0",
        "current_tcb": "3.0.8.115",
        "committed_tcb": "3.0.8.115",
        "launch_tcb": "3.0.8.115",
        "measurement": "11" * 48,
        "id_key_digest": ID_KEY.hex(),
        "chip_id": CHIP.hex(),
        **{f"pcr_{index}": value.hex() for index, value in node.pcrs.items()},
    }


def test_a_report_with_the_runtime_header_behind_it_is_accepted(node: SevNode) -> None:
    document = node.document(report=node.report(node.runtime_data()) + bytes(20))
    assert with_document(node, document).ok


def test_a_report_of_version_3_with_its_cpuid_is_accepted(node: SevNode) -> None:
    document = node.document(report=node.report(node.runtime_data(), version=3, cpuid=b"\x19\x01\x01"))
    assert with_document(node, document).ok


def test_a_quote_signed_with_sha384_is_accepted(node: SevNode) -> None:
    assert with_document(node, node.document(quotes=[node.quote(alg=SHA384)])).ok


def test_a_mismatch_that_is_only_warned_of_is_accepted_with_a_warning(node: SevNode) -> None:
    expected = {**node.measurements, 7: Measurement(bytes(32), warn_only=True)}
    verdict = judge(node, expected=expected)
    assert verdict.ok
    assert verdict.warnings == (f"PCR 7 is {node.pcrs[7].hex()}, expected {bytes(32).hex()}",)


def test_firmware_that_is_newer_than_committed_is_accepted(node: SevNode) -> None:
    document = node.document(report=node.report(node.runtime_data(), current_tcb=(3, 0, 9, 200)))
    assert with_document(node, document).ok


def test_one_of_several_roots_is_enough(node: SevNode) -> None:
    assert judge(node, policy=SevPolicy(arks=(*SevPolicy().arks, ark()))).ok


def test_the_certificate_of_the_attestation_key_may_be_there(node: SevNode) -> None:
    assert with_document(node, node.document(ak_cert=certificate(node.ak, ec_key(9)))).ok


# The certificate


@pytest.mark.parametrize("now", [NOW - 2 * HOUR_S - 1, NOW + 2 * HOUR_S + 1])
def test_a_certificate_that_is_not_valid_now(node: SevNode, now: float) -> None:
    refused(judge(node, now=now), Refusal.CERTIFICATE_DATES)


def test_bytes_that_are_no_certificate(node: SevNode) -> None:
    refused(judge(node, b"\x30\x03nope"), Refusal.CERTIFICATE_MALFORMED)


def test_a_certificate_that_another_key_has_signed(node: SevNode) -> None:
    refused(judge(node, node.certificate(signer=ec_key(9))), Refusal.CERTIFICATE_SIGNATURE)


def test_no_evidence(node: SevNode) -> None:
    refused(judge(node, node.certificate(extensions=[])), Refusal.DOCUMENT_MISSING)


def test_evidence_twice(node: SevNode) -> None:
    leaf = node.certificate(extensions=[(ATLS, False, b"{}"), (ATLS, False, b"{}")])
    refused(judge(node, leaf), Refusal.CERTIFICATE_EXTENSIONS)


@pytest.mark.parametrize(
    "oid", ["1.3.9900.1.1", "1.3.9900.2.1", "1.3.9900.3.1", "1.3.9900.4.2", "1.3.9900.5.1"]
)
def test_evidence_of_another_kind_of_machine(node: SevNode, oid: str) -> None:
    verdict = judge(node, node.certificate(extensions=[(oid, False, b"{}")]))
    assert refused(verdict, Refusal.DOCUMENT_VARIANT) == f"it attests as {oid}, not as Azure SEV-SNP"


# The document


def test_a_document_that_is_no_json(node: SevNode) -> None:
    refused(with_document(node, b"no JSON"), Refusal.DOCUMENT_MALFORMED)


def test_no_attestation(node: SevNode) -> None:
    document = {**node.document(), "Attestation": None}
    assert (
        refused(with_document(node, document), Refusal.DOCUMENT_MALFORMED) == "Attestation is not an object"
    )


def test_no_quotes(node: SevNode) -> None:
    refused(with_document(node, node.document(quotes=[])), Refusal.QUOTE_MISSING)


def test_the_document_of_another_connection(node: SevNode) -> None:
    refused(judge(node, nonce=bytes(32)), Refusal.QUOTE_NONCE)


def test_a_document_in_the_certificate_of_another_key(node: SevNode) -> None:
    leaf = node.certificate(key=ec_key(9), signer=ec_key(9))
    refused(judge(node, leaf), Refusal.TLS_KEY)


def test_a_document_that_was_made_to_fit_another_key(node: SevNode) -> None:
    stolen = SevNode()
    stolen.tls_key = ec_key(9)
    document = {**node.document(), "UserData": b64(stolen.user_data)}
    refused(judge(stolen, stolen.certificate(document)), Refusal.QUOTE_NONCE)


def test_user_data_that_are_changed(node: SevNode) -> None:
    document = {**node.document(), "UserData": b64(node.user_data[:31] + b"\0")}
    refused(with_document(node, document), Refusal.TLS_KEY)


# AMD's certificates


def test_evidence_under_our_own_root_is_nothing_to_the_default_policy(node: SevNode) -> None:
    refused(judge(node, policy=SevPolicy()), Refusal.ASK_SIGNATURE)


def test_a_chain_under_a_root_of_its_own(node: SevNode) -> None:
    node.chain = pem(ask(signer=rsa_key(7, 4096)), ark())
    refused(judge(node), Refusal.ASK_SIGNATURE)


def test_an_ask_that_ecdsa_signed(node: SevNode) -> None:
    node.chain = pem(ask(signer=ec_key(9)))
    refused(judge(node), Refusal.ASK_SIGNATURE)


def test_an_ask_whose_signature_goes_by_another_name(node: SevNode) -> None:
    node.chain = pem(ask(algorithm_id=sequence(oid("1.2.840.113549.1.1.11"))))
    refused(judge(node), Refusal.ASK_SIGNATURE)


@pytest.mark.parametrize("extensions", [(), IS_AUTHORITY[:1], IS_AUTHORITY[1:]])
def test_an_ask_that_is_no_authority(node: SevNode, extensions: tuple[Any, ...]) -> None:
    node.chain = pem(ask(extensions))
    refused(judge(node), Refusal.ASK_NOT_AN_AUTHORITY)


@pytest.mark.parametrize(
    "extensions",
    [
        (("2.5.29.19", True, bytes.fromhex("3003010100")), IS_AUTHORITY[1]),
        (("2.5.29.19", True, bytes.fromhex("3000")), IS_AUTHORITY[1]),
        (IS_AUTHORITY[0], ("2.5.29.15", True, flag(0x80))),
        (IS_AUTHORITY[0], ("2.5.29.15", True, bytes.fromhex("030100"))),
    ],
)
def test_an_ask_that_may_not_sign_certificates(node: SevNode, extensions: tuple[Any, ...]) -> None:
    node.chain = pem(ask(extensions))
    refused(judge(node), Refusal.ASK_NOT_AN_AUTHORITY)


def test_an_ask_with_broken_constraints(node: SevNode) -> None:
    node.chain = pem(ask((("2.5.29.19", True, b"\x30\x05"), IS_AUTHORITY[1])))
    refused(judge(node), Refusal.ASK_MALFORMED)


ED25519 = sequence(sequence(oid("1.3.101.112")), tlv(0x03, bytes(33)))


@pytest.mark.parametrize("key", [ec_key(9), rsa_key(8), ED25519])
def test_an_ask_with_another_kind_of_key(node: SevNode, key: Any) -> None:
    node.chain = pem(ask(key=key))
    node.vcek = vcek(signer=rsa_key(8))
    refused(judge(node), Refusal.ASK_MALFORMED)


@pytest.mark.parametrize("chain", ["", "no PEM", pem(b"no DER")])
def test_an_ask_that_is_none(node: SevNode, chain: str) -> None:
    refused(with_document(node, node.document(chain=chain)), Refusal.ASK_MALFORMED)


def test_a_vcek_that_another_authority_signed(node: SevNode) -> None:
    node.vcek = vcek(signer=rsa_key(7, 4096))
    refused(judge(node), Refusal.VCEK_SIGNATURE)


@pytest.mark.parametrize("text", ["", pem(b"no DER")])
def test_a_vcek_that_is_none(node: SevNode, text: str) -> None:
    refused(with_document(node, node.document(vcek=text)), Refusal.VCEK_MALFORMED)


def test_a_vcek_on_another_curve(node: SevNode) -> None:
    node.vcek = vcek(key=ec_key(9))
    refused(judge(node), Refusal.VCEK_MALFORMED)


def test_certificates_of_amd_that_are_not_valid_now(node: SevNode) -> None:
    node.vcek = vcek(not_after=NOW - 1)
    refused(judge(node), Refusal.AMD_DATES)
    node.vcek = vcek()
    node.chain = pem(ask(not_before=NOW + 1), ark())
    refused(judge(node), Refusal.AMD_DATES)


# The report

SIGNED_BYTES = 0x2A0


@pytest.mark.parametrize(
    "offset", [*range(0, SIGNED_BYTES, 16), SIGNED_BYTES - 1, 0x2A0, 0x2CF, 0x2E8, 0x317]
)
def test_a_bit_of_the_report_or_its_signature_flipped(node: SevNode, offset: int) -> None:
    report = bytearray(node.report(node.runtime_data()))
    report[offset] ^= 1
    expected = Refusal.REPORT_ALGORITHM if 0x34 <= offset < 0x38 else Refusal.REPORT_SIGNATURE
    refused(with_document(node, node.document(report=bytes(report))), expected)


def test_a_short_report(node: SevNode) -> None:
    document = node.document(report=node.report(node.runtime_data())[:-1])
    assert (
        refused(with_document(node, document), Refusal.REPORT_MALFORMED)
        == "the report has 1183 bytes instead of 1184"
    )


def test_a_report_that_another_chip_signed(node: SevNode) -> None:
    document = node.document(report=node.report(node.runtime_data(), signer=ec_key(8, 384)))
    refused(with_document(node, document), Refusal.REPORT_SIGNATURE)


def field(name: str, value: Any, refusal: Refusal) -> Any:
    return pytest.param(
        name, value, refusal, id=f"{name}={value if not isinstance(value, bytes) else value.hex()[:6]}"
    )


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        field("algorithm", 2, Refusal.REPORT_ALGORITHM),
        field("chip_id", bytes(64), Refusal.VCEK_CHIP),
        field("committed_tcb", (3, 0, 8, 116), Refusal.VCEK_TCB),
        field("committed_tcb", (3, 0, 7, 115), Refusal.VCEK_TCB),
        field("committed_tcb", (3, 1, 8, 115), Refusal.VCEK_TCB),
        field("committed_tcb", (4, 0, 8, 115), Refusal.VCEK_TCB),
        field("policy", 0x3001F | 1 << 19, Refusal.GUEST_DEBUG),
        field("vmpl", 1, Refusal.GUEST_VMPL),
        field("vmpl", 0xFFFFFFFF, Refusal.GUEST_VMPL),
        field("launch_tcb", (3, 0, 8, 116), Refusal.TCB_LAUNCH),
        field("launch_tcb", (2, 0, 8, 115), Refusal.TCB_LAUNCH),
        field("current_tcb", (2, 0, 8, 115), Refusal.TCB_CURRENT),
        field("current_tcb", (3, 0, 7, 115), Refusal.TCB_CURRENT),
        field("current_tcb", (3, 0, 8, 114), Refusal.TCB_CURRENT),
        field("id_key_digest", OTHER_DIGEST, Refusal.ID_KEY),
    ],
)
def test_one_field_of_the_report_changed(node: SevNode, name: str, value: Any, refusal: Refusal) -> None:
    document = node.document(report=node.report(node.runtime_data(), **{name: value}))
    refused(with_document(node, document), refusal)


@pytest.mark.parametrize(
    ("part", "minimum"),
    [
        ("bootloader", (4, 0, 8, 115)),
        ("tee", (3, 1, 8, 115)),
        ("snp", (3, 0, 9, 115)),
        ("microcode", (3, 0, 8, 116)),
    ],
)
def test_firmware_below_the_minimum_in_one_part(
    node: SevNode, part: str, minimum: tuple[int, int, int, int]
) -> None:
    verdict = judge(node, policy=replace(node.policy, minimum_tcb=Tcb(*minimum)))
    assert refused(verdict, Refusal.TCB_MINIMUM).startswith(f"{part} is ")


def test_firmware_at_the_minimum(node: SevNode) -> None:
    assert judge(node, policy=replace(node.policy, minimum_tcb=Tcb(3, 0, 8, 115))).ok


def test_the_current_firmware_in_its_second_part(node: SevNode) -> None:
    node.report_fields = dict.fromkeys(("committed_tcb", "launch_tcb"), (3, 1, 8, 115))
    node.vcek = vcek(vcek_extensions((3, 1, 8, 115)))
    refused(judge(node), Refusal.TCB_CURRENT)


def test_another_id_key_can_be_accepted_in_place_of_the_known_ones(node: SevNode) -> None:
    policy = replace(node.policy, id_keys=frozenset({OTHER_DIGEST}))
    refused(judge(node, policy=policy), Refusal.ID_KEY)
    node.report_fields = {"id_key_digest": OTHER_DIGEST}
    assert judge(node, policy=policy).ok


@pytest.mark.parametrize("missing", range(1, 6))
def test_a_vcek_that_lacks_one_of_its_extensions(node: SevNode, missing: int) -> None:
    extensions = vcek_extensions()
    del extensions[missing]
    node.vcek = vcek(extensions)
    refused(judge(node), Refusal.VCEK_CHIP if missing == 5 else Refusal.VCEK_TCB)


def test_a_vcek_with_an_extension_that_is_no_number_or_too_short_a_chip(node: SevNode) -> None:
    extensions = vcek_extensions()
    extensions[1] = (extensions[1][0], False, b"\x02\x01\x03\x00")
    node.vcek = vcek(extensions)
    refused(judge(node), Refusal.VCEK_TCB)
    node.vcek = vcek(vcek_extensions(chip=bytes(63)))
    refused(judge(node), Refusal.VCEK_CHIP)


def test_a_vcek_with_the_same_extension_twice(node: SevNode) -> None:
    extensions = vcek_extensions()
    node.vcek = vcek([*extensions, extensions[1]])
    assert refused(judge(node), Refusal.VCEK_TCB).endswith("is there 2 times")
