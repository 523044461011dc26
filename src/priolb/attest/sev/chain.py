"""AMD's certificates: from a root that the policy trusts to the key of one chip (VCEK)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from priolb.attest import der
from priolb.attest.certificate import Certificate, parse_certificate, pem_blocks
from priolb.attest.der import Der
from priolb.attest.reader import MalformedError
from priolb.attest.sev.policy import Tcb
from priolb.attest.signatures import EcKey, is_signed_pss, load_ec_key, load_rsa_key
from priolb.attest.verdict import NotProven, Refusal, refusing

_RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
_ROOT_KEY_BITS: Final = 4096
_CHIP_ID: Final = "1.3.6.1.4.1.3704.1.4"
_TCB_PARTS: Final = (
    "1.3.6.1.4.1.3704.1.3.1",
    "1.3.6.1.4.1.3704.1.3.2",
    "1.3.6.1.4.1.3704.1.3.3",
    "1.3.6.1.4.1.3704.1.3.8",
)


class Vcek:
    """The key of one chip with one version of its firmware, as AMD has certified it (AMD 57230, "VCEK").

    Args:
        key: on P-384; it signs reports.
        certificate: AMD's.
    """

    __slots__ = ("_certificate", "key")

    def __init__(self, key: EcKey, certificate: Certificate) -> None:
        self.key = key
        self._certificate = certificate

    @property
    def chip_id(self) -> bytes:
        """The chip.

        Raises:
            MalformedError: the certificate does not name exactly one.
        """
        return self._one(_CHIP_ID)

    @property
    def tcb(self) -> Tcb:
        """The firmware that the key was derived for.

        Raises:
            MalformedError: the certificate does not name each part once.
        """
        parts = []
        for oid in _TCB_PARTS:
            value = Der(self._one(oid))
            parts.append(der.integer(value.content(der.INTEGER)))
            value.end()
        return Tcb(*parts)

    def _one(self, oid: str) -> bytes:
        values = self._certificate.values(oid)
        if len(values) != 1:
            raise MalformedError(f"the extension {oid} is there {len(values)} times")
        return values[0]


def check_chain(vcek_pem: str, chain_pem: str, arks: Sequence[bytes], now: float) -> Vcek:
    """Return the key of a chip, once it is shown that AMD signed it: ARK -> ASK -> VCEK.

    The first certificate of the chain is the ASK. An ARK in it is ignored: the one that counts is ours.
    Names are not compared and no list of revoked certificates is asked for; the keys and signatures leave
    nothing to choose.

    Args:
        vcek_pem: what the node gives as the chip's certificate; the first one counts.
        chain_pem: what it gives as the certificates above.
        arks: trusted roots, in DER.
        now: Unix seconds.

    Raises:
        NotProven: a certificate is malformed or not valid now, or a signature is missing in the chain.
    """
    with refusing(Refusal.ASK_MALFORMED):
        ask = parse_certificate(pem_blocks(chain_pem)[0])
    if not any(_has_signed(parse_certificate(ark), ask) for ark in arks):
        raise NotProven(Refusal.ASK_SIGNATURE, "the ASK is not signed by a root that the policy trusts")
    with refusing(Refusal.ASK_MALFORMED):
        if not ask.may_sign_certificates:
            raise NotProven(Refusal.ASK_NOT_AN_AUTHORITY, "the ASK is not the certificate of an authority")
    with refusing(Refusal.VCEK_MALFORMED):
        vcek = parse_certificate(pem_blocks(vcek_pem)[0])
    with refusing(Refusal.ASK_MALFORMED):
        is_signed = _has_signed(ask, vcek)
    if not is_signed:
        raise NotProven(Refusal.VCEK_SIGNATURE, "the VCEK is not signed by the ASK")
    if not (ask.is_valid_at(now) and vcek.is_valid_at(now)):
        raise NotProven(Refusal.AMD_DATES, "the ASK or the VCEK is not valid now")
    with refusing(Refusal.VCEK_MALFORMED):
        return Vcek(load_ec_key(vcek.spki, ("secp384r1",)), vcek)


def _has_signed(parent: Certificate, child: Certificate) -> bool:
    if child.algorithm != _RSASSA_PSS:
        return False
    return is_signed_pss(load_rsa_key(parent.spki, _ROOT_KEY_BITS), child.signature, child.tbs)
