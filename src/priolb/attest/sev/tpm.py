"""Structures of a TPM, taken apart but not judged (TCG TPM 2.0 Library, part 2); numbers are big-endian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from priolb.attest.reader import MalformedError, Reader

HASHES: Final = {0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
"""Hashes that a signature may use, by TPM_ALG_ID. SHA-1 is not among them."""

_ALG_RSA: Final = 0x0001
_ALG_NULL: Final = 0x0010
_ALG_RSASSA: Final = 0x0014
_MAGIC: Final = 0xFF544347
_ST_ATTEST_QUOTE: Final = 0x8018
_DEFAULT_EXPONENT: Final = 65537
_SELECTIONS_MAX: Final = 16
_BITMAP_BYTES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class RsaPublic:
    """An RSA key of a TPM: its attributes (TPMA_OBJECT), size in bits, exponent and modulus."""

    attributes: int
    bits: int
    exponent: int
    modulus: bytes


@dataclass(frozen=True, slots=True)
class Quote:
    """What a TPM has signed about its PCRs.

    Args:
        extra_data: what the asker gave, its nonce.
        selections: of which banks (TPM_ALG_ID) which PCRs.
        pcr_digest: of their values, one after the other.
    """

    extra_data: bytes
    selections: tuple[tuple[int, frozenset[int]], ...]
    pcr_digest: bytes


@dataclass(frozen=True, slots=True)
class RsaSignature:
    """A signature of the scheme RSASSA, with the TPM_ALG_ID of its hash."""

    hash_id: int
    signature: bytes


def parse_public(data: bytes) -> RsaPublic:
    """Take a TPMT_PUBLIC apart.

    Raises:
        MalformedError: it is none, or not of an RSA key.
    """
    reader = Reader(data, "the TPM's public key", "big")
    if reader.number(2) != _ALG_RSA:
        raise MalformedError("the TPM's public key is no RSA key")
    reader.number(2)  # the hash of its name
    attributes = reader.number(4)
    reader.sized(2)  # the policy that lets use it
    if reader.number(2) != _ALG_NULL:
        reader.take(4)  # key size and mode of the symmetric cipher
    scheme = reader.number(2)
    if scheme == _ALG_RSASSA:
        reader.number(2)
    elif scheme != _ALG_NULL:
        raise MalformedError("the TPM's public key is for another scheme than RSASSA")
    bits = reader.number(2)
    exponent = reader.number(4) or _DEFAULT_EXPONENT
    modulus = reader.sized(2)
    reader.end()
    return RsaPublic(attributes, bits, exponent, modulus)


def parse_quote(data: bytes) -> Quote:
    """Take a TPMS_ATTEST apart.

    Raises:
        MalformedError: it is none, or is about something else than PCRs.
    """
    reader = Reader(data, "the TPM's quote", "big")
    if reader.number(4) != _MAGIC:
        raise MalformedError("the TPM's quote was not made by a TPM: its magic is wrong")
    if reader.number(2) != _ST_ATTEST_QUOTE:
        raise MalformedError("what the TPM has signed is no quote")
    reader.sized(2)  # the name of the key
    extra_data = reader.sized(2)
    reader.take(8 + 4 + 4 + 1 + 8)  # clock, two counters, whether the clock is safe, firmware
    count = reader.number(4)
    if count > _SELECTIONS_MAX:
        raise MalformedError("the TPM's quote has too many selections")
    selections = tuple(_selection(reader) for _ in range(count))
    pcr_digest = reader.sized(2)
    reader.end()
    return Quote(extra_data, selections, pcr_digest)


def parse_signature(data: bytes) -> RsaSignature:
    """Take a TPMT_SIGNATURE apart.

    Raises:
        MalformedError: it is none, or not of the scheme RSASSA.
    """
    reader = Reader(data, "the TPM's signature", "big")
    if reader.number(2) != _ALG_RSASSA:
        raise MalformedError("the TPM's signature is not of the scheme RSASSA")
    hash_id = reader.number(2)
    signature = reader.sized(2)
    reader.end()
    return RsaSignature(hash_id, signature)


def _selection(reader: Reader) -> tuple[int, frozenset[int]]:
    bank = reader.number(2)
    bitmap = reader.sized(1)
    if len(bitmap) > _BITMAP_BYTES_MAX:
        raise MalformedError("the TPM's quote selects PCRs beyond 23")
    bits = int.from_bytes(bitmap, "little")
    return bank, frozenset(index for index in range(8 * len(bitmap)) if bits >> index & 1)
