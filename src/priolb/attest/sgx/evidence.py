"""Where a certificate carries its SGX quote, and what ties the quote to the key of the certificate.

Two forms exist. Gramine up to 1.7 has the raw quote in an extension of its own, and the quote's report data
begin with SHA-256 of the key. The interoperable form (TCG DICE tagged evidence) has the quote and a map of
claims in CBOR: the report data begin with SHA-256 of the claims, and these hold a hash of the key. Later
Gramine writes both. When the second form is there it alone counts: one that is broken is not made good by
the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Final

from priolb.attest.certificate import Certificate
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.cbor import Tagged, decode
from priolb.attest.verdict import NotProven, Refusal, refusing

# Gramine wrote the tag and length of the identifier into the identifier itself: 1.2.840.113741.1337.6 was
# meant.
_LEGACY: Final = ("0.6.9.42.840.113741.1337.6", "1.2.840.113741.1337.6")
_DICE: Final = "2.23.133.5.4.9"
_SGX_EVIDENCE_TAG: Final = 60000
_KEY_HASH_CLAIM: Final = "pubkey-hash"
# By their numbers in IANA's registry "Named Information Hash Algorithm".
_HASHES: Final[dict[int, Callable[[bytes], Any]]] = {
    1: hashlib.sha256,
    7: hashlib.sha384,
    8: hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote, and the 32 bytes with which its report data have to begin."""

    form: str
    quote: bytes
    bound_to: bytes


def find_evidence(certificate: Certificate) -> Evidence:
    """Return the evidence in a certificate.

    Raises:
        NotProven: there is none, it is malformed, or its claims are for another key than the certificate's.
    """
    dice = certificate.values(_DICE)
    if dice:
        return _from_dice(dice[0], certificate.spki)
    legacy = [value for oid in _LEGACY for value in certificate.values(oid)]
    if len(legacy) > 1:
        raise NotProven(Refusal.EVIDENCE_MALFORMED, "the certificate carries two quotes")
    if not legacy:
        raise NotProven(Refusal.EVIDENCE_MISSING, "the certificate carries no SGX quote")
    return Evidence("legacy", legacy[0], hashlib.sha256(certificate.spki).digest())


def _from_dice(value: bytes, spki: bytes) -> Evidence:
    with refusing(Refusal.EVIDENCE_MALFORMED):
        quote, claims = _parts(value)
        algorithm, digest = _key_hash(claims)
    if not compare_digest(_HASHES[algorithm](spki).digest(), digest):
        raise NotProven(Refusal.TLS_KEY, "the claims are for another TLS key")
    return Evidence("DICE", quote, hashlib.sha256(claims).digest())


def _parts(value: bytes) -> tuple[bytes, bytes]:
    tagged = decode(value)
    if not isinstance(tagged, Tagged) or tagged.tag != _SGX_EVIDENCE_TAG:
        raise MalformedError(f"the tagged evidence has not the tag {_SGX_EVIDENCE_TAG}")
    match tagged.value:
        case [bytes() as quote, bytes() as claims]:
            return quote, claims
    raise MalformedError("the tagged evidence is not a quote and claims")


def _key_hash(claims: bytes) -> tuple[int, bytes]:
    values = decode(claims)
    if not isinstance(values, dict) or not isinstance(values.get(_KEY_HASH_CLAIM), bytes):
        raise MalformedError(f"the claims have no {_KEY_HASH_CLAIM}")
    match decode(values[_KEY_HASH_CLAIM]):
        case [int() as algorithm, bytes() as digest] if algorithm in _HASHES:
            return algorithm, digest
    raise MalformedError(f"{_KEY_HASH_CLAIM} is not a known hash")
