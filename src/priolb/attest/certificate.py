"""X.509 certificates, taken apart but not judged, and the checks that all leaf certificates share."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from priolb.attest import der
from priolb.attest.der import Der
from priolb.attest.reader import MalformedError
from priolb.attest.signatures import EcKey, is_signed_by_ec_key, load_ec_key
from priolb.attest.verdict import NotProven, Refusal, refusing

LEAF_MAX_BYTES: Final = 256 * 1024
EXTENSIONS_MAX: Final = 64

_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_KEY_USAGE: Final = "2.5.29.15"
_EXTENDED_KEY_USAGE: Final = "2.5.29.37"
_SUBJECT_ALTERNATIVE_NAMES: Final = "2.5.29.17"
_UNDERSTOOD: Final = frozenset(
    {_BASIC_CONSTRAINTS, _KEY_USAGE, _EXTENDED_KEY_USAGE, _SUBJECT_ALTERNATIVE_NAMES}
)
_FOR_SERVERS: Final = frozenset({"1.3.6.1.5.5.7.3.1", "2.5.29.37.0"})
_PURPOSES_MAX_BYTES: Final = 1024
_CERT_SIGN: Final = 0x04  # of the first octet of KeyUsage

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of a certificate: its dotted OID, whether it is critical, its value."""

    oid: str
    is_critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """The parts of a certificate, each as it was sent.

    Args:
        tbs: the signed part.
        not_before: Unix seconds.
        not_after: Unix seconds.
        spki: DER of SubjectPublicKeyInfo.
        extensions: in their order.
        algorithm: dotted OID of the signature's algorithm.
        signature: what is in the bit string.
    """

    tbs: bytes
    not_before: float
    not_after: float
    spki: bytes
    extensions: tuple[Extension, ...]
    algorithm: str
    signature: bytes

    def values(self, oid: str) -> list[bytes]:
        """Return the values of all extensions with this OID."""
        return [each.value for each in self.extensions if each.oid == oid]

    def is_valid_at(self, now: float) -> bool:
        return self.not_before <= now <= self.not_after

    @property
    def may_sign_certificates(self) -> bool:
        """Whether it is the certificate of an authority (RFC 5280, sections 4.2.1.3 and 4.2.1.9).

        Raises:
            MalformedError: one of the two extensions is.
        """
        constraints = self.values(_BASIC_CONSTRAINTS)
        usages = self.values(_KEY_USAGE)
        if len(constraints) != 1 or len(usages) != 1:
            return False
        fields = Der(constraints[0]).inside(der.SEQUENCE)
        is_authority = fields.next_is(der.BOOLEAN) and fields.content(der.BOOLEAN) == b"\xff"
        bits = Der(usages[0]).content(der.BIT_STRING)
        return is_authority and len(bits) >= 2 and bool(bits[1] & _CERT_SIGN)


def parse_certificate(data: bytes) -> Certificate:
    """Take a certificate apart.

    Raises:
        MalformedError: it is none of version 3.
    """
    outer = Der(data)
    whole = outer.inside(der.SEQUENCE)
    outer.end()
    tbs = whole.raw(der.SEQUENCE)
    algorithm = whole.raw(der.SEQUENCE)
    signature = whole.content(der.BIT_STRING)
    whole.end()
    if signature[:1] != b"\0":
        raise MalformedError("the certificate has a broken signature")

    fields = Der(tbs).inside(der.SEQUENCE)
    if fields.content(0xA0) != b"\x02\x01\x02":
        raise MalformedError("the certificate is not of version 3")
    der.integer(fields.content(der.INTEGER))
    if fields.raw(der.SEQUENCE) != algorithm:
        raise MalformedError("the certificate names two algorithms for one signature")
    fields.raw(der.SEQUENCE)  # the issuer's name
    validity = fields.inside(der.SEQUENCE)
    not_before, not_after = der.time(validity), der.time(validity)
    validity.end()
    fields.raw(der.SEQUENCE)  # the subject's name
    spki = fields.raw(der.SEQUENCE)
    extensions = _extensions(fields) if fields.next_is(0xA3) else ()
    fields.end()
    return Certificate(
        tbs=tbs,
        not_before=not_before,
        not_after=not_after,
        spki=spki,
        extensions=extensions,
        algorithm=der.oid(Der(algorithm).inside(der.SEQUENCE).content(der.OID)),
        signature=signature[1:],
    )


def pem_blocks(text: str) -> list[bytes]:
    """Return the DER of each certificate in some PEM.

    Raises:
        MalformedError: there is none, or one is no base64.
    """
    bodies = _PEM.findall(text)
    if not bodies:
        raise MalformedError("there is no PEM certificate")
    try:
        return [base64.b64decode("".join(body.split()), validate=True) for body in bodies]
    except binascii.Error:
        raise MalformedError("a PEM certificate is no base64") from None


def to_pem(data: bytes) -> str:
    """Return a certificate, given in DER, as PEM that all readers take for the same (RFC 7468)."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"


def check_leaf(data: bytes) -> Certificate:
    """Return the certificate of a TLS server, whose own key has signed it.

    Who has shown it in a handshake has the key; that it signs itself shows that nobody changed it since.

    Raises:
        NotProven: it is malformed, has extensions twice or critical ones that nobody here understands, or its
            key or signature is not what it should be.
    """
    if len(data) > LEAF_MAX_BYTES:
        raise NotProven(Refusal.CERTIFICATE_MALFORMED, f"it is longer than {LEAF_MAX_BYTES} bytes")
    with refusing(Refusal.CERTIFICATE_MALFORMED):
        certificate = parse_certificate(data)
    with refusing(Refusal.CERTIFICATE_EXTENSIONS):
        _check_extensions(certificate)
    with refusing(Refusal.CERTIFICATE_KEY):
        key: EcKey = load_ec_key(certificate.spki, ("secp256r1", "secp384r1"))
    if not is_signed_by_ec_key(key, certificate.signature, certificate.tbs, certificate.algorithm):
        raise NotProven(Refusal.CERTIFICATE_SIGNATURE, "it is not signed with its own key")
    return certificate


def _extensions(fields: Der) -> tuple[Extension, ...]:
    wrapped = fields.inside(0xA3)
    listed = wrapped.inside(der.SEQUENCE)
    wrapped.end()
    extensions: list[Extension] = []
    while not listed.is_at_end:
        if len(extensions) == EXTENSIONS_MAX:
            raise MalformedError(f"the certificate has more than {EXTENSIONS_MAX} extensions")
        one = listed.inside(der.SEQUENCE)
        oid = der.oid(one.content(der.OID))
        is_critical = one.next_is(der.BOOLEAN) and one.content(der.BOOLEAN) != b"\0"
        extensions.append(Extension(oid, is_critical, one.content(der.OCTET_STRING)))
        one.end()
    return tuple(extensions)


def _check_extensions(certificate: Certificate) -> None:
    oids = [each.oid for each in certificate.extensions]
    if len(set(oids)) < len(oids):
        raise MalformedError("it has an extension twice")
    for each in certificate.extensions:
        if each.is_critical and each.oid not in _UNDERSTOOD:
            raise MalformedError(f"it has the critical extension {each.oid}, which is not understood")
    for value in certificate.values(_EXTENDED_KEY_USAGE):
        if len(value) > _PURPOSES_MAX_BYTES:
            raise MalformedError("it has too many purposes")
        purposes = Der(value).inside(der.SEQUENCE)
        found = set()
        while not purposes.is_at_end:
            found.add(der.oid(purposes.content(der.OID)))
        if not found & _FOR_SERVERS:
            raise MalformedError("it is not meant for TLS servers")
