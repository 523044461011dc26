"""Signatures of the four kinds that evidence uses; the only user of `cryptography`.

A key that cannot be loaded is `MalformedError`; a signature that does not fit is False, whatever the library
raises.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from priolb.attest.reader import MalformedError

EcKey: TypeAlias = EllipticCurvePublicKey
RsaKey: TypeAlias = RSAPublicKey

_SHA256: Final = hashes.SHA256()
_SHA384: Final = hashes.SHA384()
_SHA512: Final = hashes.SHA512()
_ECDSA_HASHES: Final = {
    "1.2.840.10045.4.3.2": _SHA256,
    "1.2.840.10045.4.3.3": _SHA384,
    "1.2.840.10045.4.3.4": _SHA512,
}
_HASHES: Final = {"sha256": _SHA256, "sha384": _SHA384, "sha512": _SHA512}
_PSS: Final = padding.PSS(mgf=padding.MGF1(_SHA384), salt_length=48)
_PKCS1V15: Final = padding.PKCS1v15()


def load_ec_key(spki: bytes, curves: Collection[str]) -> EcKey:
    """Return a key on one of these curves from its SubjectPublicKeyInfo.

    Raises:
        MalformedError: it is none, or of another kind or curve.
    """
    key = _load(spki)
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in curves:
        raise MalformedError(f"the key is not on one of the curves {', '.join(curves)}")
    return key


def load_rsa_key(spki: bytes, bits: int) -> RsaKey:
    """Return an RSA key of this size from its SubjectPublicKeyInfo.

    Raises:
        MalformedError: it is none, or of another kind or size.
    """
    key = _load(spki)
    if not isinstance(key, RSAPublicKey) or key.key_size != bits:
        raise MalformedError(f"the key is not of the kind RSA-{bits}")
    return key


def rsa_key(modulus: int, exponent: int) -> RsaKey:
    """Return the RSA key of these numbers.

    Raises:
        MalformedError: no RSA key has them.
    """
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise MalformedError("the numbers are not those of an RSA key") from None


def is_signed_by_ec_key(key: EcKey, signature: bytes, data: bytes, algorithm: str) -> bool:
    """Return whether an ECDSA signature in DER is right; `algorithm` is its dotted OID (RFC 5758)."""
    digest = _ECDSA_HASHES.get(algorithm)
    if digest is None:
        return False
    try:
        key.verify(signature, data, ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def is_signed_by_numbers(key: EcKey, r: int, s: int, data: bytes, digest: str) -> bool:
    """Return whether r and s are an ECDSA signature with this hash."""
    try:
        key.verify(encode_dss_signature(r, s), data, ECDSA(_HASHES[digest]))
    except InvalidSignature:
        return False
    return True


def is_signed_pss(key: RsaKey, signature: bytes, data: bytes) -> bool:
    """Return whether an RSASSA-PSS signature with SHA-384 and 48 bytes of salt is right (RFC 8017)."""
    try:
        key.verify(signature, data, _PSS, _SHA384)
    except InvalidSignature:
        return False
    return True


def is_signed_pkcs1(key: RsaKey, signature: bytes, data: bytes, digest: str) -> bool:
    """Return whether an RSASSA-PKCS1-v1_5 signature with this hash is right (RFC 8017)."""
    try:
        key.verify(signature, data, _PKCS1V15, _HASHES[digest])
    except InvalidSignature:
        return False
    return True


def _load(spki: bytes) -> object:
    try:
        return load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedError("the key cannot be read") from None
