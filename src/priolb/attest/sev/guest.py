"""The guest's TPM: the report names its attestation key, and this key signed the PCRs for this connection."""

from __future__ import annotations

import base64
import binascii
import hashlib
from hmac import compare_digest
from typing import Any, Final

from priolb.attest.certificate import parse_certificate
from priolb.attest.jsontext import member, parse_object
from priolb.attest.reader import MalformedError
from priolb.attest.sev.document import HASH_SHA256, BankQuote, Document
from priolb.attest.sev.measurements import PCR_BYTES
from priolb.attest.sev.report import Report
from priolb.attest.sev.tpm import HASHES, RsaPublic, parse_public, parse_quote, parse_signature
from priolb.attest.signatures import RsaKey, is_signed_pkcs1, load_rsa_key, rsa_key
from priolb.attest.verdict import NotProven, Refusal, refusing

_AK_NAME: Final = "HCLAkPub"
_AK_BITS: Final = 2048
_RESTRICTED_AND_SIGN: Final = 0x0005_0000


def check_attestation_key(document: Document, report: Report) -> RsaKey:
    """Return the TPM's attestation key, once it is shown that the report names it.

    The report holds the hash of the paravisor's runtime data, and these name the key.

    Raises:
        NotProven: the hash is another, the data are malformed, or the key is another or not fit for quotes.
    """
    digest = hashlib.sha256(document.runtime_data).digest()
    if not compare_digest(digest, report.report_data[:32]):
        raise NotProven(Refusal.RUNTIME_DATA, "the report holds the hash of other runtime data")
    with refusing(Refusal.AK_MALFORMED):
        public = parse_public(document.ak_public)
        if public.bits != _AK_BITS or len(public.modulus) * 8 != _AK_BITS:
            raise MalformedError(f"the TPM's attestation key is not of {_AK_BITS} bits")
        key = rsa_key(int.from_bytes(public.modulus, "big"), public.exponent)
    if public.attributes & _RESTRICTED_AND_SIGN != _RESTRICTED_AND_SIGN:
        raise NotProven(Refusal.AK_ATTRIBUTES, "the TPM's key may sign what no TPM made")
    with refusing(Refusal.RUNTIME_DATA_MALFORMED):
        modulus, exponent = _named_key(document.runtime_data)
    if modulus != public.modulus or exponent != public.exponent:
        raise NotProven(Refusal.AK_MISMATCH, "the runtime data name another attestation key")
    if document.ak_certificate is not None:
        _check_ak_certificate(document.ak_certificate, public)
    return key


def check_quote(document: Document, key: RsaKey, extra_data: bytes) -> dict[int, bytes]:
    """Return the values of the PCRs, once it is shown that the TPM has signed them for this connection.

    There has to be exactly one quote of the SHA-256 bank, and it is this one whose values count. Quotes of
    other banks are not looked at, so none of them can vouch for values that nobody signed.

    Args:
        extra_data: what the quote has to carry.

    Raises:
        NotProven: there is no such quote, it is malformed, or it is for other values or another nonce.
    """
    quotes = [each for each in document.quotes if each.bank == HASH_SHA256]
    if len(quotes) != 1:
        raise NotProven(Refusal.QUOTE_MISSING, f"there are {len(quotes)} quotes of SHA-256 PCRs instead of 1")
    signed = quotes[0]
    with refusing(Refusal.QUOTE_MALFORMED):
        quote = parse_quote(signed.attest)
        signature = parse_signature(signed.signature)
    digest = HASHES.get(signature.hash_id)
    if digest is None:
        raise NotProven(Refusal.QUOTE_ALGORITHM, f"the quote is signed with hash {signature.hash_id:#06x}")
    if not is_signed_pkcs1(key, signature.signature, signed.attest, digest):
        raise NotProven(Refusal.QUOTE_SIGNATURE, "the quote is not signed by the attestation key")
    if not compare_digest(quote.extra_data, extra_data):
        raise NotProven(Refusal.QUOTE_NONCE, "the quote was not made for this connection")
    if quote.selections != ((HASH_SHA256, frozenset(signed.pcrs)),):
        raise NotProven(Refusal.QUOTE_SELECTION, "the quote is about other PCRs than those given")
    if not compare_digest(_pcr_digest(signed, digest), quote.pcr_digest):
        raise NotProven(Refusal.QUOTE_PCRS, "the quote is about other values of the PCRs")
    return signed.pcrs


def _pcr_digest(signed: BankQuote, digest: str) -> bytes:
    # Values of other lengths could be cut anew from the same bytes, and so be others with the same digest.
    if any(len(value) != PCR_BYTES for value in signed.pcrs.values()):
        raise NotProven(Refusal.QUOTE_PCRS, f"a PCR is not {PCR_BYTES} bytes")
    values = b"".join(value for _, value in sorted(signed.pcrs.items()))
    return hashlib.new(digest, values).digest()


def _named_key(runtime_data: bytes) -> tuple[bytes, int]:
    """Return modulus and exponent of the attestation key in the runtime data, a JSON Web Key (RFC 7517)."""
    keys = member(parse_object(runtime_data, "the runtime data"), "keys", list)
    named = [key for key in keys if isinstance(key, dict) and key.get("kid") == _AK_NAME]
    if len(named) != 1:
        raise MalformedError(f"the runtime data have {len(named)} keys named {_AK_NAME} instead of 1")
    if named[0].get("kty") != "RSA":
        raise MalformedError(f"{_AK_NAME} is no RSA key")
    return _base64url(named[0], "n"), int.from_bytes(_base64url(named[0], "e"), "big")


def _base64url(owner: dict[str, Any], name: str) -> bytes:
    text = member(owner, name, str)
    try:
        if "=" in text or "+" in text or "/" in text:
            raise binascii.Error
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:  # binascii.Error is one
        raise MalformedError(f"{name} of {_AK_NAME} is no base64url without padding") from None


def _check_ak_certificate(data: bytes, public: RsaPublic) -> None:
    with refusing(Refusal.AK_CERTIFICATE):
        numbers = load_rsa_key(parse_certificate(data).spki, _AK_BITS).public_numbers()
    if numbers.n != int.from_bytes(public.modulus, "big") or numbers.e != public.exponent:
        raise NotProven(Refusal.AK_CERTIFICATE, "the certificate of the attestation key is for another key")
