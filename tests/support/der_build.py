"""Certificates of every shape, the odd ones of Gramine and AMD included, written byte by byte."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey
Extension = tuple[str, bool, bytes]

ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return an element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octet_string(value: bytes) -> bytes:
    return tlv(0x04, value)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    octets = b""
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(groups))
    return tlv(0x06, octets)


def name(common_name: str) -> bytes:
    return sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(0x0C, common_name.encode()))))


def time(unix_s: float) -> bytes:
    moment = datetime.fromtimestamp(unix_s, UTC)
    if moment.year < 2050:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def spki_of(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(
    key: PrivateKey | bytes,
    signer: PrivateKey,
    *,
    subject: str = "node",
    issuer: str = "node",
    serial: int = 1,
    not_before: float = 978_307_200.0,  # 2001-01-01, as Gramine has it
    not_after: float = 1_924_991_999.0,  # 2030-12-31
    extensions: Sequence[Extension] = (),
    null_parameters: bool = False,
    algorithm: str = ECDSA_SHA256,
    algorithm_id: bytes | None = None,
) -> bytes:
    """Return a certificate for a key, or for the SubjectPublicKeyInfo given in its place."""
    if algorithm_id is None:
        algorithm_id = _algorithm_id(signer, algorithm, null_parameters)
    listed = [
        sequence(oid(each), tlv(0x01, b"\xff") if critical else b"", octet_string(value))
        for each, critical, value in extensions
    ]
    tbs = sequence(
        tlv(0xA0, integer(2)),
        integer(serial),
        algorithm_id,
        name(issuer),
        sequence(time(not_before), time(not_after)),
        name(subject),
        key if isinstance(key, bytes) else spki_of(key),
        tlv(0xA3, sequence(*listed)) if listed else b"",
    )
    return sequence(tbs, algorithm_id, tlv(0x03, b"\0" + sign(signer, tbs)))


def _algorithm_id(signer: PrivateKey, algorithm: str, null_parameters: bool) -> bytes:
    if not isinstance(signer, RSAPrivateKey):
        return sequence(oid(algorithm), tlv(0x05) if null_parameters else b"")
    sha384 = sequence(oid("2.16.840.1.101.3.4.2.2"))
    parameters = sequence(
        tlv(0xA0, sha384),
        tlv(0xA1, sequence(oid("1.2.840.113549.1.1.8"), sha384)),
        tlv(0xA2, integer(48)),
    )
    return sequence(oid("1.2.840.113549.1.1.10"), parameters)


def sign(signer: PrivateKey, data: bytes) -> bytes:
    """Sign as the makers do: RSASSA-PSS with SHA-384, or ECDSA with SHA-256."""
    if isinstance(signer, RSAPrivateKey):
        return signer.sign(data, _PSS, hashes.SHA384())
    return signer.sign(data, ECDSA(hashes.SHA256()))
