"""Certificates are taken apart, and leaves held to what all of them share."""

import ssl
from typing import Any

import pytest

from priolb.attest.certificate import LEAF_MAX_BYTES, check_leaf, parse_certificate, pem_blocks, to_pem
from priolb.attest.reader import MalformedError
from priolb.attest.verdict import NotProven, Refusal
from support.der_build import certificate, integer, name, oid, sequence, spki_of, time, tlv
from support.sev_evidence import ec_key, rsa_key

KEY = ec_key(4)
SERVER_AUTH = sequence(oid("1.3.6.1.5.5.7.3.1"))


def leaf(**options: Any) -> bytes:
    return certificate(options.pop("key", KEY), options.pop("signer", KEY), **options)


def test_a_certificate_is_taken_apart() -> None:
    parsed = parse_certificate(leaf(not_before=0.0, not_after=100.0, extensions=[("1.2.3", True, b"x")]))
    assert (parsed.not_before, parsed.not_after, parsed.spki) == (0.0, 100.0, spki_of(KEY))
    assert parsed.algorithm == "1.2.840.10045.4.3.2"
    assert [(each.oid, each.is_critical, each.value) for each in parsed.extensions] == [("1.2.3", True, b"x")]
    assert (parsed.values("1.2.3"), parsed.values("1.2.4")) == ([b"x"], [])
    assert [parsed.is_valid_at(now) for now in (-1.0, 0.0, 100.0, 101.0)] == [False, True, True, False]


def tbs(version: bytes = tlv(0xA0, integer(2)), end: bytes = b"") -> bytes:
    algorithm = sequence(oid("1.2.3"))
    validity = sequence(time(0), time(1))
    return sequence(version, integer(1), algorithm, name("a"), validity, name("b"), spki_of(KEY), end)


def signed(body: bytes, algorithm: str = "1.2.3", signature: bytes = b"\0x", end: bytes = b"") -> bytes:
    return sequence(body, sequence(oid(algorithm)), tlv(0x03, signature), end)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "DER ends early"),
        (signed(tbs()) + b"\0", "DER has bytes too many"),
        (signed(tbs(), end=b"\x05\x00"), "DER has bytes too many"),
        (signed(tbs(), signature=b"\1x"), "the certificate has a broken signature"),
        (signed(tbs(), signature=b""), "the certificate has a broken signature"),
        (signed(tbs(), algorithm="1.2.4"), "the certificate names two algorithms for one signature"),
        (signed(tbs(version=tlv(0xA0, integer(1)))), "the certificate is not of version 3"),
        (signed(tbs(version=b"")), "DER has tag 0x02 where 0xa0 should be"),
        (signed(tbs(end=b"\x05\x00")), "DER has bytes too many"),
        (signed(tbs(end=tlv(0xA3, sequence(), b"\x05\x00"))), "DER has bytes too many"),
        (
            signed(tbs(end=tlv(0xA3, sequence(sequence(oid("1.2"), tlv(4), b"\x05\x00"))))),
            "DER has bytes too many",
        ),
    ],
)
def test_bytes_that_are_no_certificate(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse_certificate(data)


def test_a_certificate_without_extensions() -> None:
    assert parse_certificate(signed(tbs())).extensions == ()


@pytest.mark.parametrize(
    "options", [{}, {"null_parameters": True}, {"key": ec_key(5, 384), "signer": ec_key(5, 384)}]
)
def test_a_leaf_that_its_own_key_signed(options: dict[str, Any]) -> None:
    assert check_leaf(leaf(**options)).algorithm == "1.2.840.10045.4.3.2"


@pytest.mark.parametrize(
    "extension",
    [
        ("2.5.29.19", True, b"\x30\x00"),
        ("2.5.29.37", True, SERVER_AUTH),
        ("2.5.29.37", False, sequence(oid("1.3.6.1.5.5.7.3.2"), oid("2.5.29.37.0"))),
        ("2.5.29.37", False, sequence(*[oid("1.3.6.1.5.5.7.3.1")] * 102)),
        ("1.2.3", False, b"whatever"),
    ],
)
def test_a_leaf_with_extensions_that_are_no_reason(extension: tuple[str, bool, bytes]) -> None:
    assert check_leaf(leaf(extensions=[extension])).extensions[0].oid == extension[0]


@pytest.mark.parametrize(
    ("options", "refusal", "detail"),
    [
        (
            {"extensions": [("1.2", False, b"")] * 2},
            Refusal.CERTIFICATE_EXTENSIONS,
            "it has an extension twice",
        ),
        (
            {"extensions": [("1.2.3", True, b"")]},
            Refusal.CERTIFICATE_EXTENSIONS,
            "it has the critical extension 1.2.3, which is not understood",
        ),
        (
            {"extensions": [("2.5.29.37", False, sequence(oid("1.3.6.1.5.5.7.3.2")))]},
            Refusal.CERTIFICATE_EXTENSIONS,
            "it is not meant for TLS servers",
        ),
        (
            {"extensions": [("2.5.29.37", False, sequence(*[oid("1.3.6.1.5.5.7.3.1")] * 103))]},
            Refusal.CERTIFICATE_EXTENSIONS,
            "it has too many purposes",
        ),
        (
            {"extensions": [(f"1.2.{number}", False, b"") for number in range(65)]},
            Refusal.CERTIFICATE_MALFORMED,
            "the certificate has more than 64 extensions",
        ),
        ({"extensions": [("2.5.29.37", False, b"")]}, Refusal.CERTIFICATE_EXTENSIONS, "DER ends early"),
        (
            {"key": ec_key(6, 521), "signer": ec_key(6, 521)},
            Refusal.CERTIFICATE_KEY,
            "the key is not on one of the curves secp256r1, secp384r1",
        ),
        (
            {"key": rsa_key(5), "signer": KEY},
            Refusal.CERTIFICATE_KEY,
            "the key is not on one of the curves secp256r1, secp384r1",
        ),
        ({"key": sequence(oid("1.2.3"))}, Refusal.CERTIFICATE_KEY, "the key cannot be read"),
        ({"signer": ec_key(5)}, Refusal.CERTIFICATE_SIGNATURE, "it is not signed with its own key"),
        (
            {"algorithm": "1.2.840.10045.4.1"},
            Refusal.CERTIFICATE_SIGNATURE,
            "it is not signed with its own key",
        ),
    ],
)
def test_a_leaf_that_is_refused(options: dict[str, Any], refusal: Refusal, detail: str) -> None:
    with pytest.raises(NotProven) as caught:
        check_leaf(leaf(**options))
    assert (caught.value.refusal, str(caught.value)) == (refusal, detail)


def test_each_byte_of_a_leaf_counts() -> None:
    good = leaf(extensions=[("1.2.3", False, b"x")])
    for offset in range(len(good)):
        changed = bytearray(good)
        changed[offset] ^= 1
        with pytest.raises(NotProven):
            check_leaf(bytes(changed))


def test_a_leaf_has_a_longest_length() -> None:
    with pytest.raises(NotProven, match=r"^DER has tag 0x00 where 0x30 should be$"):
        check_leaf(bytes(LEAF_MAX_BYTES))
    with pytest.raises(NotProven, match=f"^it is longer than {LEAF_MAX_BYTES} bytes$") as caught:
        check_leaf(bytes(LEAF_MAX_BYTES + 1))
    assert caught.value.refusal is Refusal.CERTIFICATE_MALFORMED


def test_pem_blocks_in_their_order_whatever_stands_around_them() -> None:
    first, second = leaf(), leaf(subject="other")
    text = f"\n# note\n{ssl.DER_cert_to_PEM_cert(first)}\n{ssl.DER_cert_to_PEM_cert(second)}tail"
    assert pem_blocks(text) == [first, second]


@pytest.mark.parametrize("size_bytes", [1, 57, 58, 1000])
def test_to_pem_and_back(size_bytes: int) -> None:
    data = bytes(size_bytes)
    assert ssl.PEM_cert_to_DER_cert(to_pem(data)) == data
    assert pem_blocks(to_pem(data) * 2) == [data, data]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----", "there is no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "a PEM certificate is no base64"),
    ],
)
def test_text_that_is_no_pem(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        pem_blocks(text)
