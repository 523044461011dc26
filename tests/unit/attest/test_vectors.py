"""Evidence of real machines gives exactly the outcome that is known for it, under the published roots."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import struct
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from priolb.attest.anchors import ARK_GENOA, ARK_MILAN
from priolb.attest.certificate import check_leaf, parse_certificate, pem_blocks
from priolb.attest.sev.chain import check_chain
from priolb.attest.sev.document import BankQuote, Document, parse_document
from priolb.attest.sev.guest import check_attestation_key, check_quote
from priolb.attest.sev.measurements import DEFAULTS, Measurement
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sev.report import REPORT_BYTES, check_chip, check_report
from priolb.attest.sev.tpm import parse_quote
from priolb.attest.sev.verify import check_document, check_guest, check_tcb, verify_sev
from priolb.attest.sgx.collateral import Collateral
from priolb.attest.sgx.dcap import check_with_intel
from priolb.attest.sgx.evidence import find_evidence
from priolb.attest.sgx.origin import check_origin
from priolb.attest.sgx.policy import SgxPolicy, TcbState
from priolb.attest.sgx.quote import parse_sgx_quote
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.signatures import is_signed_pkcs1
from priolb.attest.verdict import NotProven, Refusal
from support import vectors
from support.sev_evidence import ak_public, ark, rsa_key, sized
from support.sgx_evidence import intel
from support.vectors import base64url, needed, raw, text

pytestmark = needed

NOW = 1_756_080_000.0
AZURE = "trustee-az-snp-vtpm"
HCL_REPORT, HCL_HEADER, HCL_RUNTIME = 0x20, 0x4C0, 0x4D4


def hcl_parts(hcl: bytes) -> tuple[bytes, bytes]:
    """Return report and runtime data of what the paravisor keeps in the TPM."""
    size = struct.unpack_from("<5I", hcl, HCL_HEADER)[4]
    return hcl[HCL_REPORT : HCL_REPORT + REPORT_BYTES], hcl[HCL_RUNTIME : HCL_RUNTIME + size]


def tpm_parts(runtime_data: bytes) -> bytes:
    """Return TPMT_PUBLIC of the attestation key that runtime data name."""
    key = json.loads(runtime_data)["keys"][0]
    head = struct.pack(">HHIHHHHHI", 1, 11, 0x00050072, 0, 0x10, 0x14, 11, 2048, 0)
    return head + sized(base64url(key["n"]))


def made(hcl: bytes, vcek: str, chain: str, message: bytes, signature: bytes, pcrs: list[bytes]) -> Document:
    """Return the document that a machine with this evidence would send."""
    report, runtime_data = hcl_parts(hcl)
    quote = BankQuote(11, message, struct.pack(">HH", 0x14, 0x0B) + sized(signature), dict(enumerate(pcrs)))
    return Document(tpm_parts(runtime_data), None, (quote,), vcek, chain, report, runtime_data, b"")


def check(
    document: Document, policy: SevPolicy, expected: dict[int, Measurement] | None = None
) -> dict[str, str]:
    """Check a document whose quote carries what its own nonce was, and return the claims."""
    claims: dict[str, str] = {}
    extra_data = parse_quote(document.quotes[0].attest).extra_data
    named = {index: Measurement(value) for index, value in document.quotes[0].pcrs.items()}
    warnings = check_document(document, extra_data, expected or named, policy, NOW, claims)
    assert warnings == ()
    return claims


def refusal_of(document: Document, policy: SevPolicy, **options: Any) -> Refusal:
    with pytest.raises(NotProven) as caught:
        check(document, policy, **options)
    return caught.value.refusal


# SEV


def test_a_confidential_machine_of_azure_passes_under_the_defaults() -> None:
    document = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    assert parse_quote(document.quotes[0].attest).extra_data == b"challenge"
    claims = check(document, SevPolicy())
    assert (claims["report_version"], claims["committed_tcb"]) == ("2", "3.0.8.115")
    assert claims["id_key_digest"].startswith("0356")
    assert refusal_of(document, SevPolicy(), expected=dict(DEFAULTS)) is Refusal.MEASUREMENTS


def test_it_passes_from_its_own_parts_too() -> None:
    quote = vectors.document(f"{AZURE}/tpm-quote-v1.json")
    document = made(
        raw(f"{AZURE}/hcl-report.bin"),
        text(f"{AZURE}/vcek.pem"),
        text(f"{AZURE}/milan_ask_ark_asvk.pem"),
        bytes.fromhex(quote["message"]),
        bytes.fromhex(quote["signature"]),
        [bytes.fromhex(value) if isinstance(value, str) else bytes(value) for value in quote["pcrs"]],
    )
    assert check(document, SevPolicy())["vmpl"] == "0"


def test_its_document_in_a_certificate_of_ours_is_for_another_key() -> None:
    from support.sev_evidence import SevNode  # noqa: PLC0415

    leaf = SevNode().certificate(
        raw(f"{AZURE}/assembled_golayout_doc.json"), not_before=NOW - 1, not_after=NOW + 1
    )
    assert verify_sev(leaf, DEFAULTS, SevPolicy(), NOW, bytes(32)).refusal is Refusal.TLS_KEY


def test_the_quote_of_another_attestation_key_is_refused() -> None:
    document = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    message, signature = raw(f"{AZURE}/tpm-quote.msg"), raw(f"{AZURE}/tpm-quote.sig")
    report = raw(f"{AZURE}/hcl-report.bin")
    other = made(report, document.vcek, document.chain, message, signature, [])
    assert refusal_of(other, SevPolicy()) is Refusal.QUOTE_SIGNATURE


def test_its_quote_in_another_form_is_the_same_quote() -> None:
    document = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    signature, message, pcrs = bincode_quote(f"{AZURE}/quote.bin")
    quote = vectors.document(f"{AZURE}/tpm-quote-v1.json")
    assert (message.hex(), signature.hex()) == (quote["message"], quote["signature"])
    whole = made(raw(f"{AZURE}/hcl-report.bin"), document.vcek, document.chain, message, signature, pcrs)
    assert check(whole, SevPolicy())["pcr_4"] == pcrs[4].hex()
    pcrs[4] = bytes(32)
    changed = made(raw(f"{AZURE}/hcl-report.bin"), document.vcek, document.chain, message, signature, pcrs)
    assert refusal_of(changed, SevPolicy()) is Refusal.QUOTE_PCRS


def test_a_real_machine_is_nothing_under_other_roots() -> None:
    document = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    for roots in ((ARK_GENOA,), (ark(),), ()):
        assert refusal_of(document, SevPolicy(arks=roots)) is Refusal.ASK_SIGNATURE
    assert check(document, SevPolicy(arks=(ARK_GENOA, ARK_MILAN)))["vmpl"] == "0"


def evidence_v0() -> Document:
    evidence = vectors.document(f"{AZURE}/evidence-v0.json")
    quote = evidence["quote"]
    return made(
        bytes(evidence["report"]),
        evidence["vcek"],
        text(f"{AZURE}/milan_ask_ark_asvk.pem"),
        bytes(quote["message"]),
        bytes(quote["signature"]),
        [bytes(value) for value in quote["pcrs"]],
    )


def evidence_v2() -> Document:
    evidence = vectors.document(f"{AZURE}/evidence-v2.json")
    quote = evidence["tpm_quote"]
    return made(
        base64url(evidence["hcl_report"]),
        ssl.DER_cert_to_PEM_cert(base64url(evidence["vcek"])),
        text(f"{AZURE}/milan_ask_ark_asvk.pem"),
        bytes.fromhex(quote["message"]),
        bytes.fromhex(quote["signature"]),
        [bytes.fromhex(value) for value in quote["pcrs"]],
    )


@pytest.mark.parametrize("evidence", [evidence_v0, evidence_v2])
def test_newer_machines_need_their_id_key_in_the_policy(evidence: Any) -> None:
    document = evidence()
    assert refusal_of(document, SevPolicy()) is Refusal.ID_KEY
    newer = bytes.fromhex(
        "942fd93ebde6ea7a96efadeafc60f1c6b3d10e703b1dafd7555b92f7f3d32d0e006767648cba5b102af3d65756af4177"
    )
    claims = check(document, SevPolicy(id_keys=frozenset({newer})))
    assert (claims["report_version"], claims["committed_tcb"]) == ("3", "4.0.24.219")


def test_the_chain_of_azure_cvm_tooling_is_good_and_from_another_chip() -> None:
    pem = text("azure-cvm-tooling/certs.pem")
    vcek, *above = pem_blocks(pem)
    chain = "".join(map(ssl.DER_cert_to_PEM_cert, above))
    key = check_chain(ssl.DER_cert_to_PEM_cert(vcek), chain, [ARK_MILAN], NOW)
    report, runtime_data = hcl_parts(raw("azure-cvm-tooling/hcl-report-snp.bin"))
    assert hashlib.sha256(runtime_data).digest() == report[0x50:0x70]
    with pytest.raises(NotProven) as caught:
        check_report(report, key)
    assert caught.value.refusal is Refusal.REPORT_SIGNATURE


def test_runtime_data_of_another_guest_are_refused() -> None:
    azure = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    other = replace(azure, runtime_data=raw("azure-cvm-tooling/var-data.bin"))
    assert json.loads(other.runtime_data)["keys"][0]["kid"] == "HCLAkPub"
    assert refusal_of(other, SevPolicy()) is Refusal.RUNTIME_DATA


def bincode_quote(path: str) -> tuple[bytes, bytes, list[bytes]]:
    """Return signature, message and PCRs of a quote."""
    data = raw(path)
    parts = []
    for _ in range(2):
        size = struct.unpack_from("<Q", data)[0]
        parts.append(data[8 : 8 + size])
        data = data[8 + size :]
    count = struct.unpack_from("<Q", data)[0]
    values = [data[8 + 32 * index : 40 + 32 * index] for index in range(count)]
    return parts[0], parts[1], values


def test_the_quote_of_azure_cvm_tooling_is_by_its_key() -> None:
    signature, message, pcrs = bincode_quote("azure-cvm-tooling/quote.bin")
    key: Any = load_pem_public_key(raw("azure-cvm-tooling/akpub.pem"))
    report, runtime_data = hcl_parts(raw("azure-cvm-tooling/hcl-report-snp.bin"))
    quote = BankQuote(11, message, struct.pack(">HH", 0x14, 0x0B) + sized(signature), dict(enumerate(pcrs)))
    document = Document(b"", None, (quote,), "", "", report, runtime_data, b"")
    extra_data = parse_quote(message).extra_data
    assert check_quote(document, key, extra_data) == dict(enumerate(pcrs))
    with pytest.raises(NotProven) as caught:
        check_quote(document, key, b"another challenge")
    assert caught.value.refusal is Refusal.QUOTE_NONCE
    with pytest.raises(NotProven) as caught:
        check_quote(document, rsa_key(5).public_key(), extra_data)
    assert caught.value.refusal is Refusal.QUOTE_SIGNATURE


def test_the_report_of_go_sev_guest_is_authentic_and_debuggable() -> None:
    chain = text("go-sev-guest/milan.testcer")
    vcek = check_chain(ssl.DER_cert_to_PEM_cert(raw("go-sev-guest/vcek.testcer")), chain, [ARK_MILAN], NOW)
    report = check_report(raw("go-sev-guest/attestation.bin"), vcek)
    check_chip(report, vcek)
    assert (report.policy, report.is_debuggable, str(report.committed_tcb)) == (0xB0000, True, "2.0.5.68")
    with pytest.raises(NotProven) as caught:
        check_guest(report)
    assert caught.value.refusal is Refusal.GUEST_DEBUG
    with pytest.raises(NotProven, match=r"^snp is 5, the policy wants 6 or later$") as caught:
        check_tcb(report, SevPolicy())
    assert caught.value.refusal is Refusal.TCB_MINIMUM


def protobuf(data: bytes) -> dict[int, list[Any]]:
    """Return the fields of a message by number."""
    fields: dict[int, list[Any]] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            octet = data[position]
            position += 1
            value |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return value

    while position < len(data):
        head = varint()
        value: Any = varint()
        if head & 7 == 2:
            value, position = data[position : position + value], position + value
        fields.setdefault(head >> 3, []).append(value)
    return fields


def gce_document(name: str) -> Document:
    """Return the document of a virtual machine of GCE, which has a TPM but no SNP report."""
    attestation = protobuf(raw(f"go-tpm-tools/{name}.pb"))
    quotes = []
    for each in attestation[2]:
        fields = protobuf(each)
        bank = protobuf(fields[3][0])
        pairs = [protobuf(pair) for pair in bank[2]]
        pcrs = {pair.get(1, [0])[0]: pair[2][0] for pair in pairs}
        quotes.append(BankQuote(bank[1][0], fields[1][0], fields[2][0], pcrs))
    return Document(attestation[1][0], None, tuple(quotes), "", "", b"", b"", b"")


@pytest.mark.parametrize("name", ["gce-cos-85-no-nonce", "gce-cos-85-nonce9009"])
def test_the_quotes_of_a_tpm_of_gce_verify_and_the_one_of_sha256_counts(name: str) -> None:
    from priolb.attest.sev.tpm import parse_public, parse_signature  # noqa: PLC0415
    from priolb.attest.signatures import rsa_key as key_of  # noqa: PLC0415

    document = gce_document(name)
    assert [quote.bank for quote in document.quotes] == [4, 11, 12]
    public = parse_public(document.ak_public)
    assert public.attributes == 0x00050072
    key = key_of(int.from_bytes(public.modulus, "big"), public.exponent)
    for quote in document.quotes:
        signature = parse_signature(quote.signature)
        assert signature.hash_id == 11
        assert is_signed_pkcs1(key, signature.signature, quote.attest, "sha256")
        values = b"".join(value for _, value in sorted(quote.pcrs.items()))
        assert parse_quote(quote.attest).pcr_digest == hashlib.sha256(values).digest()
    extra_data = parse_quote(document.quotes[1].attest).extra_data
    assert extra_data == (bytes.fromhex("9009") if "9009" in name else b"")
    assert check_quote(document, key, extra_data) == document.quotes[1].pcrs


def test_an_attestation_key_with_the_real_attributes_in_our_own_structure_is_the_same() -> None:
    document = gce_document("gce-cos-85-nonce9009")
    assert document.ak_public[:2] == ak_public(rsa_key(5))[:2]
    assert len(document.ak_public) == len(ak_public(rsa_key(5)))
    report, runtime_data = hcl_parts(raw(f"{AZURE}/hcl-report.bin"))
    azure = parse_document(raw(f"{AZURE}/assembled_golayout_doc.json"))
    vcek = check_chain(azure.vcek, azure.chain, [ARK_MILAN], NOW)
    other = Document(document.ak_public, None, (), "", "", report, runtime_data, b"")
    with pytest.raises(NotProven) as caught:
        check_attestation_key(other, check_report(report, vcek))
    assert caught.value.refusal is Refusal.AK_MISMATCH


# SGX

GRAMINE = "gramine-ratls"
KONVERA = bytes.fromhex("f94ccbe6a504676b2edbefdcb8781a512913f7d8864c6f88592a843d0f9d4a66")
OUT_OF_DATE = SgxPolicy(allowed_states=frozenset({TcbState.UP_TO_DATE, TcbState.OUT_OF_DATE}))


def leaf_of(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(text(f"{GRAMINE}/{name}.pem"))


def assembled() -> Collateral:
    return Collateral.from_json(text(f"{GRAMINE}/collateral_assembled_00606A000000_2025-08.json"))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("konvera-tlscert", "legacy"),
        ("gramine-cert", "DICE"),
        ("intel-sgxsdk-cert", "DICE"),
        ("rats-tls-cert", "DICE"),
    ],
)
def test_a_real_certificate_is_signed_by_its_key_and_its_quote_bound_to_it(name: str, form: str) -> None:
    evidence = find_evidence(check_leaf(leaf_of(name)))
    assert evidence.form == form
    assert parse_sgx_quote(evidence.quote).report_data[:32] == evidence.bound_to


def test_a_production_enclave_is_on_a_platform_that_is_out_of_date() -> None:
    leaf, held = raw(f"{GRAMINE}/konvera-tlscert.der"), assembled()
    assert leaf == leaf_of("konvera-tlscert")
    assert find_evidence(check_leaf(leaf)).quote == raw(f"{GRAMINE}/konvera-quote.bin")
    shelf = {held.platform: held}
    verdict = verify_sgx(leaf, KONVERA, SgxPolicy(), shelf, NOW)
    assert (verdict.refusal, verdict.claims["tcb_status"]) == (Refusal.TCB_STATUS, "OutOfDate")
    verdict = verify_sgx(leaf, KONVERA, OUT_OF_DATE, shelf, NOW)
    assert (verdict.ok, verdict.claims["fmspc"], verdict.claims["ca"]) == (True, "00606A000000", "platform")
    assert "INTEL-SA-00615" in verdict.claims["advisories"]
    assert verify_sgx(leaf, bytes(32), OUT_OF_DATE, shelf, NOW).refusal is Refusal.MRENCLAVE
    assert verify_sgx(leaf, KONVERA, OUT_OF_DATE, {}, NOW).refusal is Refusal.COLLATERAL_MISSING
    ours = replace(OUT_OF_DATE, root=intel().root.der)
    assert verify_sgx(leaf, KONVERA, ours, shelf, NOW).refusal is Refusal.COLLATERAL_INVALID


@pytest.mark.parametrize(
    ("now", "refusal"),
    [(1_740_000_000.0, Refusal.COLLATERAL_NOT_YET_VALID), (1_800_000_000.0, Refusal.COLLATERAL_EXPIRED)],
)
def test_its_collateral_is_good_for_a_month(now: float, refusal: Refusal) -> None:
    held = assembled()
    verdict = verify_sgx(leaf_of("konvera-tlscert"), KONVERA, OUT_OF_DATE, {held.platform: held}, now)
    assert verdict.refusal is refusal


@pytest.mark.parametrize("name", ["gramine-cert", "intel-sgxsdk-cert", "rats-tls-cert"])
def test_debug_enclaves_are_refused(name: str) -> None:
    policy = SgxPolicy(allowed_states=frozenset(TcbState))
    held = assembled()
    verdict = verify_sgx(leaf_of(name), bytes(32), policy, {held.platform: held}, NOW)
    assert verdict.refusal is Refusal.ENCLAVE_DEBUG


def test_collateral_of_intel_is_known_as_such() -> None:
    check_origin(assembled(), SgxPolicy().root)
    check_origin(Collateral.from_json(text(QUOTE_COLLATERAL)), SgxPolicy().root)


def test_the_documents_of_intel_are_the_ones_in_the_collateral() -> None:
    held = assembled()
    for path, name, mine in (
        ("sgx_tcbinfov3_00606a000000", "tcbInfo", held.tcb_info),
        ("sgx_qeidentity_v4", "enclaveIdentity", held.qe_identity),
    ):
        published = vectors.document(f"sgx-automata-0825/{path}.json")
        assert published[name] == json.loads(mine)
    assert raw("sgx-automata-0825/platform_crl.der") == held.pck_crl


QUOTE = "sgx-dcap-qvl/sgx_quote"
QUOTE_COLLATERAL = "sgx-dcap-qvl/sgx_quote_collateral.json"


def state_at(now: float, quote: bytes | None = None) -> TcbState:
    held = Collateral.from_json(text(QUOTE_COLLATERAL))
    return check_with_intel(quote or raw(QUOTE), held, SgxPolicy().root, now).state


def test_a_sample_quote_needs_configuration_and_hardening_within_its_time() -> None:
    held = Collateral.from_json(text(QUOTE_COLLATERAL))
    assert (held.valid_from, held.expires_at) == (1750330571.0, 1752919278.0)
    for now in (held.valid_from, 1_751_624_924.0, held.expires_at - 1):
        assert state_at(now) is TcbState.CONFIGURATION_AND_SW_HARDENING_NEEDED
    for now in (held.valid_from - 1, held.expires_at + 1):
        with pytest.raises(NotProven) as caught:
            state_at(now)
        assert caught.value.refusal is Refusal.COLLATERAL_INVALID


@pytest.mark.parametrize("offset", [0, 50, 112, 400, 440, 500, 570, 950, 1500, 3000])
def test_a_bit_of_a_real_quote_flipped(offset: int) -> None:
    quote = bytearray(raw(QUOTE))
    quote[offset] ^= 1
    with pytest.raises(NotProven):
        state_at(1_751_624_924.0, bytes(quote))


def test_base64_of_the_document_is_in_its_usual_form() -> None:
    instance = base64.b64decode(vectors.document(f"{AZURE}/assembled_golayout_doc.json")["InstanceInfo"])
    vcek = base64.b64decode(json.loads(instance)["Vcek"]).decode()
    assert parse_certificate(pem_blocks(vcek)[0]).values("1.3.6.1.4.1.3704.1.4")[0][:2] == b"\x19\x75"
