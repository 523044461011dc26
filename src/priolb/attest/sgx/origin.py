"""Whether collateral comes from Intel: asked once, when it is fetched, so that nothing else takes its place.

`dcap` checks the same signatures again with every quote, and more. But what was forged would by then stand
where the right collateral belongs, and seem newer.
"""

from __future__ import annotations

from typing import Final

from priolb.attest import der
from priolb.attest.certificate import parse_certificate, pem_blocks
from priolb.attest.der import Der
from priolb.attest.jsontext import parse_object
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import Collateral
from priolb.attest.signatures import EcKey, is_signed_by_ec_key, is_signed_by_numbers, load_ec_key

_CURVES: Final = ("secp256r1",)
_NUMBER_BYTES: Final = 32

_TCB_INFO: Final = "TCB info"
_QE_IDENTITY: Final = "QE identity"
# Intel signs the same for TDX, with the same key.
_KINDS: Final = {
    _TCB_INFO: {"id": "SGX", "version": 3, "tcbType": 0},
    _QE_IDENTITY: {"id": "QE", "version": 2},
}


def check_origin(held: Collateral, root: bytes) -> None:
    """Do nothing if each part is signed by a key that the root has certified.

    Args:
        held: collateral of any platform and date.
        root: Intel's root certificate in DER.

    Raises:
        MalformedError: a part is not; the text names it.
    """
    root_key = load_ec_key(parse_certificate(root).spki, _CURVES)
    issuer = _issuer(held.tcb_info_issuer_chain, root, root_key, _TCB_INFO)
    _check_json(held.tcb_info, held.tcb_info_signature, issuer, _TCB_INFO)
    issuer = _issuer(held.qe_identity_issuer_chain, root, root_key, _QE_IDENTITY)
    _check_json(held.qe_identity, held.qe_identity_signature, issuer, _QE_IDENTITY)
    _check_crl(held.pck_crl, _issuer(held.pck_crl_issuer_chain, root, root_key, "PCK CRL"), "PCK CRL")
    _check_crl(held.root_ca_crl, root_key, "root CRL")


def _check_json(text: str, signature: bytes, issuer: EcKey, what: str) -> None:
    r, s = (int.from_bytes(half) for half in (signature[:_NUMBER_BYTES], signature[_NUMBER_BYTES:]))
    if not is_signed_by_numbers(issuer, r, s, text.encode(errors="surrogatepass"), "sha256"):
        raise MalformedError(f"the {what} is not signed by its issuer")
    values = parse_object(text, what)
    if any(values.get(name) != value for name, value in _KINDS[what].items()):
        raise MalformedError(f"the {what} is not of the kind of {_KINDS[what]}")


def _issuer(chain: str, root: bytes, root_key: EcKey, what: str) -> EcKey:
    first, *others = pem_blocks(chain)
    issuer = parse_certificate(first)
    if not is_signed_by_ec_key(root_key, issuer.signature, issuer.tbs, issuer.algorithm):
        raise MalformedError(f"the issuer of the {what} is not certified by Intel's root")
    # What stands behind is in no signature, and would decide from when to when the collateral may be used.
    if others not in ([], [root]):
        raise MalformedError(f"the chain of the {what} holds more than its issuer and Intel's root")
    return load_ec_key(issuer.spki, _CURVES)


def _check_crl(crl: bytes, key: EcKey, what: str) -> None:
    outer = Der(crl)
    whole = outer.inside(der.SEQUENCE)
    outer.end()
    tbs = whole.raw(der.SEQUENCE)
    algorithm = whole.raw(der.SEQUENCE)
    signature = whole.content(der.BIT_STRING)
    whole.end()
    inner = Der(tbs).inside(der.SEQUENCE)
    inner.content(der.INTEGER)
    # Neither is signed, and `dcap` would take no list in which they are odd.
    if inner.raw(der.SEQUENCE) != algorithm or signature[:1] != b"\0":
        raise MalformedError(f"the {what} is not in the form in which it is signed")
    named = der.oid(Der(algorithm).inside(der.SEQUENCE).content(der.OID))
    if not is_signed_by_ec_key(key, signature[1:], tbs, named):
        raise MalformedError(f"the {what} is not signed by its issuer")
