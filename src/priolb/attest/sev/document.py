"""The attestation document of a SEV node: the JSON of Constellation 2.7, taken apart but not judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from priolb.attest.jsontext import member, octets, parse_object
from priolb.attest.reader import MalformedError

DOCUMENT_MAX_BYTES: Final = 256 * 1024
HASH_SHA256: Final = 11  # TPM_ALG_SHA256 and its fellows name banks of PCRs

_PCR: Final = re.compile(r"0|[1-9][0-9]?")
_QUOTES_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class BankQuote:
    """A TPM's quote over one bank of PCRs: what was signed, the signature, and the values it is about."""

    bank: int
    attest: bytes
    signature: bytes
    pcrs: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Document:
    """What the document holds.

    Args:
        ak_public: TPMT_PUBLIC of the TPM's attestation key.
        ak_certificate: its certificate in DER, None when there is none.
        quotes: one for each bank.
        vcek: PEM of the certificate of the chip's key.
        chain: PEM of the certificates above it.
        report: SNP report.
        runtime_data: JSON of the paravisor, whose hash the report holds.
        user_data: what the quotes bind besides the nonce: SHA-256 of the TLS key.
    """

    ak_public: bytes
    ak_certificate: bytes | None
    quotes: tuple[BankQuote, ...]
    vcek: str
    chain: str
    report: bytes
    runtime_data: bytes
    user_data: bytes


def parse_document(data: bytes) -> Document:
    """Take a document apart. The event logs in it are not read: nothing rests on them.

    Raises:
        MalformedError: it is too long, no JSON, or a part of it is missing or of the wrong type.
    """
    if len(data) > DOCUMENT_MAX_BYTES:
        raise MalformedError(f"the document is longer than {DOCUMENT_MAX_BYTES} bytes")
    top = parse_object(data, "the document")
    attestation = member(top, "Attestation", dict)
    if attestation.get("TeeAttestation") is not None:
        raise MalformedError("TeeAttestation is not null")
    instance = parse_object(octets(top, "InstanceInfo"), "InstanceInfo")
    quotes = member(attestation, "quotes", list)
    if len(quotes) > _QUOTES_MAX:
        raise MalformedError(f"there are more than {_QUOTES_MAX} quotes")
    return Document(
        ak_public=octets(attestation, "ak_pub"),
        ak_certificate=octets(attestation, "ak_cert") if attestation.get("ak_cert") is not None else None,
        quotes=tuple(map(_bank_quote, quotes)),
        vcek=_text(instance, "Vcek"),
        chain=_text(instance, "CertChain"),
        report=octets(instance, "AttestationReport"),
        runtime_data=octets(instance, "RuntimeData"),
        user_data=octets(top, "UserData"),
    )


def _bank_quote(value: Any) -> BankQuote:
    if not isinstance(value, dict):
        raise MalformedError("a quote is not an object")
    bank = member(value, "pcrs", dict)
    values = member(bank, "pcrs", dict)
    if not all(_PCR.fullmatch(key) and int(key) < 24 for key in values):
        raise MalformedError("a quote has a PCR that is not one of 0 to 23")
    return BankQuote(
        bank=member(bank, "hash", int),
        attest=octets(value, "quote"),
        signature=octets(value, "raw_sig"),
        pcrs={int(key): octets(values, key) for key in values},
    )


def _text(owner: dict[str, Any], name: str) -> str:
    try:
        return octets(owner, name).decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError(f"{name} is no PEM") from None
