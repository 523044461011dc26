"""From the certificate of a SEV node to a verdict; every check of the original and those that it lacks.

What is proven, step by step, is written for operators in docs/attestation.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from hmac import compare_digest
from typing import Final

from priolb.attest.certificate import Certificate, check_leaf
from priolb.attest.sev.chain import check_chain
from priolb.attest.sev.document import Document, parse_document
from priolb.attest.sev.guest import check_attestation_key, check_quote
from priolb.attest.sev.measurements import Measurements
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sev.report import Report, check_chip, check_report
from priolb.attest.verdict import NotProven, Refusal, Verdict, refusing

NONCE_BYTES: Final = 32

_AZURE_SEV_SNP: Final = "1.3.9900.4.1"
_VARIANTS: Final = "1.3.9900."


def verify_sev(leaf: bytes, expected: Measurements, policy: SevPolicy, now: float, nonce: bytes) -> Verdict:
    """Return whether the node that showed this certificate proves what it runs.

    Args:
        leaf: DER of the certificate of the TLS connection, whose key the node has shown to have.
        expected: values of the PCRs.
        policy: everything else that it is held to, trust anchors included.
        now: Unix seconds.
        nonce: the 32 bytes that this connection gave the node.
    """
    claims: dict[str, str] = {}
    try:
        certificate = check_leaf(leaf)
        if not certificate.is_valid_at(now):
            raise NotProven(Refusal.CERTIFICATE_DATES, "the certificate is not valid now")
        with refusing(Refusal.DOCUMENT_MALFORMED):
            document = parse_document(_document(certificate))
        if not compare_digest(hashlib.sha256(certificate.spki).digest(), document.user_data):
            raise NotProven(Refusal.TLS_KEY, "the evidence is for another TLS key")
        extra_data = hashlib.sha256(document.user_data + nonce).digest()
        warnings = check_document(document, extra_data, expected, policy, now, claims)
    except NotProven as found:
        return Verdict("SEV", found.refusal, str(found), claims)
    return Verdict("SEV", claims=claims, warnings=warnings)


def check_document(
    document: Document,
    extra_data: bytes,
    expected: Measurements,
    policy: SevPolicy,
    now: float,
    claims: dict[str, str],
) -> tuple[str, ...]:
    """Check everything in a document, and return what may differ and does.

    Args:
        extra_data: what the TPM's quote has to carry.
        claims: takes what the document says, each part once it is authentic.

    Raises:
        NotProven: the first step that fails.
    """
    vcek = check_chain(document.vcek, document.chain, policy.arks, now)
    report = check_report(document.report, vcek)
    check_chip(report, vcek)
    claims.update(_claims_of(report))
    key = check_attestation_key(document, report)
    pcrs = check_quote(document, key, extra_data)
    claims.update({f"pcr_{index}": value.hex() for index, value in sorted(pcrs.items())})
    check_guest(report)
    check_tcb(report, policy)
    if report.id_key_digest not in policy.id_keys:
        raise NotProven(Refusal.ID_KEY, f"the id key {report.id_key_digest.hex()} is not accepted")
    return _compare(expected, pcrs)


def _document(certificate: Certificate) -> bytes:
    values = certificate.values(_AZURE_SEV_SNP)
    if values:
        return values[0]  # check_leaf has seen that no extension is there twice
    others = [each.oid for each in certificate.extensions if each.oid.startswith(_VARIANTS)]
    if others:
        raise NotProven(Refusal.DOCUMENT_VARIANT, f"it attests as {others[0]}, not as Azure SEV-SNP")
    raise NotProven(Refusal.DOCUMENT_MISSING, f"it has no extension {_AZURE_SEV_SNP}")


def _claims_of(report: Report) -> dict[str, str]:
    return {
        "report_version": str(report.version),
        "policy": f"{report.policy:#x}",
        "vmpl": str(report.vmpl),
        "current_tcb": str(report.current_tcb),
        "committed_tcb": str(report.committed_tcb),
        "launch_tcb": str(report.launch_tcb),
        "measurement": report.measurement.hex(),
        "id_key_digest": report.id_key_digest.hex(),
        "chip_id": report.chip_id.hex(),
    }


def check_guest(report: Report) -> None:
    """Make sure that the host cannot look into the guest.

    Raises:
        NotProven: it can, or something in the guest below the highest privilege level asked for the report.
    """
    if report.is_debuggable:
        raise NotProven(
            Refusal.GUEST_DEBUG, "the host may read and change the guest's memory: debug is allowed"
        )
    if report.vmpl != 0:
        raise NotProven(
            Refusal.GUEST_VMPL, f"the report was asked for at privilege level {report.vmpl}, not 0"
        )


def check_tcb(report: Report, policy: SevPolicy) -> None:
    """Make sure that the firmware is not older than the policy allows, and was not at launch.

    Raises:
        NotProven: a part of it is or was.
    """
    committed, minimum = report.committed_tcb, policy.minimum_tcb
    for part, value, least in zip(minimum._fields, committed, minimum, strict=True):
        if value < least:
            raise NotProven(Refusal.TCB_MINIMUM, f"{part} is {value}, the policy wants {least} or later")
    if report.launch_tcb != committed:
        raise NotProven(
            Refusal.TCB_LAUNCH, f"it was launched with {report.launch_tcb} and has committed to {committed}"
        )
    for part, value, least in zip(minimum._fields, report.current_tcb, committed, strict=True):
        if value < least:
            raise NotProven(Refusal.TCB_CURRENT, f"{part} is {value}, the chip has committed to {least}")


def _compare(expected: Measurements, pcrs: Mapping[int, bytes]) -> tuple[str, ...]:
    warnings = []
    for index, each in sorted(expected.items()):
        found = pcrs.get(index)
        if found is not None and compare_digest(found, each.expected):
            continue
        shown = found.hex() if found is not None else "not there"
        text = f"PCR {index} is {shown}, expected {each.expected.hex()}"
        if not each.warn_only:
            raise NotProven(Refusal.MEASUREMENTS, text)
        warnings.append(text)
    return tuple(warnings)
