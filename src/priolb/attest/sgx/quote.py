"""The SGX quote of version 3, taken apart but not judged (Intel SGX ECDSA QuoteLibReference, A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from priolb.attest.reader import MalformedError, Reader

INITIALIZED: Final = 0x01
DEBUG: Final = 0x02
MODE_64_BIT: Final = 0x04
PROVISION_KEY: Final = 0x10
EINITTOKEN_KEY: Final = 0x20

QUOTE_MAX_BYTES: Final = 32 * 1024

_VERSION: Final = 3
_ECDSA_P256: Final = 2
_SGX: Final = 0
_HEADER_REST_BYTES: Final = 40
_REPORT_BYTES: Final = 384


@dataclass(frozen=True, slots=True)
class SgxQuote:
    """What the quote says about the enclave.

    Args:
        flags: of its attributes, a bit set.
        mrenclave: hash of what was loaded, 32 bytes.
        mrsigner: hash of the key that signed it, 32 bytes.
        product: number that the signer gave it.
        security_version: its version, as the signer counts.
        report_data: 64 bytes that the enclave chose.
    """

    flags: int
    mrenclave: bytes
    mrsigner: bytes
    product: int
    security_version: int
    report_data: bytes


def parse_sgx_quote(data: bytes) -> SgxQuote:
    """Take a quote apart.

    Raises:
        MalformedError: it is none of version 3 for SGX, or its length is not the one it says, or beyond
            QUOTE_MAX_BYTES.
    """
    if len(data) > QUOTE_MAX_BYTES:
        raise MalformedError(f"the SGX quote is longer than {QUOTE_MAX_BYTES} bytes")
    reader = Reader(data, "the SGX quote", "little")
    header = reader.number(2), reader.number(2), reader.number(4)
    if header != (_VERSION, _ECDSA_P256, _SGX):
        raise MalformedError("it is no ECDSA quote of version 3 for SGX")
    reader.take(_HEADER_REST_BYTES)
    body = Reader(reader.take(_REPORT_BYTES), "the report", "little")
    reader.sized(4)  # signatures and certificates, which are the business of `dcap`
    reader.end()
    body.take(16 + 4 + 28)
    flags = body.number(8)
    body.take(8)
    mrenclave = body.take(32)
    body.take(32)
    mrsigner = body.take(32)
    body.take(96)
    product, security_version = body.number(2), body.number(2)
    body.take(60)
    return SgxQuote(flags, mrenclave, mrsigner, product, security_version, body.take(64))
