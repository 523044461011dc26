"""Structures of a TPM, byte by byte."""

import struct

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sev.tpm import parse_public, parse_quote, parse_signature
from support.sev_evidence import SHA256, SHA384, ak_public, attest, rsa_key, signature, sized

KEY = rsa_key(5)
MODULUS = KEY.public_key().public_numbers().n.to_bytes(256, "big")


def test_a_public_key() -> None:
    public = parse_public(ak_public(KEY))
    assert (public.attributes, public.bits, public.exponent, public.modulus) == (
        0x50072,
        2048,
        65537,
        MODULUS,
    )
    assert parse_public(ak_public(KEY, exponent=3)).exponent == 3


def test_a_public_key_with_a_policy_a_cipher_and_no_scheme() -> None:
    head = (
        struct.pack(">HHI", 1, 11, 0) + sized(b"policy") + struct.pack(">HHHHHI", 6, 128, 0x43, 0x10, 2048, 0)
    )
    assert parse_public(head + sized(MODULUS)).modulus == MODULUS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\x23", "the TPM's public key is no RSA key"),
        (
            struct.pack(">HHIHHH", 1, 11, 0, 0, 0x10, 0x16),
            "the TPM's public key is for another scheme than RSASSA",
        ),
        (ak_public(KEY) + b"\0", "the TPM's public key has 1 bytes too many"),
        (ak_public(KEY)[:-1], "the TPM's public key ends early"),
        (b"", "the TPM's public key ends early"),
    ],
)
def test_a_public_key_that_is_none(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse_public(data)


def test_a_quote() -> None:
    quote = parse_quote(attest(b"extra", {0: b"a", 9: b"b", 23: b"c"}))
    assert (quote.extra_data, quote.selections) == (b"extra", ((SHA256, frozenset({0, 9, 23})),))
    assert len(quote.pcr_digest) == 32
    two = parse_quote(attest(b"", {}, selections=[(SHA256, b"\1"), (SHA384, b"")]))
    assert len(parse_quote(attest(b"", {}, selections=[(SHA256, b"")] * 16)).selections) == 16
    assert two.selections == ((SHA256, frozenset({0})), (SHA384, frozenset()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (attest(b"", {}, magic=1), "the TPM's quote was not made by a TPM: its magic is wrong"),
        (attest(b"", {}, kind=0x8017), "what the TPM has signed is no quote"),
        (attest(b"", {}, selections=[(11, b"")] * 17), "the TPM's quote has too many selections"),
        (attest(b"", {}, selections=[(11, bytes(4))]), "the TPM's quote selects PCRs beyond 23"),
        (attest(b"", {}) + b"\0", "the TPM's quote has 1 bytes too many"),
        (attest(b"", {})[:-1], "the TPM's quote ends early"),
    ],
)
def test_a_quote_that_is_none(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse_quote(data)


def test_a_signature() -> None:
    parsed = parse_signature(signature(KEY, b"data"))
    assert (parsed.hash_id, len(parsed.signature)) == (SHA256, 256)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (signature(KEY, b"", scheme=0x18), "the TPM's signature is not of the scheme RSASSA"),
        (signature(KEY, b"") + b"\0", "the TPM's signature has 1 bytes too many"),
        (b"\0\x14\0", "the TPM's signature ends early"),
    ],
)
def test_a_signature_that_is_none(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse_signature(data)
