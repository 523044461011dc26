"""Each part of collateral has to be signed by a key that the root has certified."""

from typing import Any

import pytest

from priolb.attest import der
from priolb.attest.der import Der
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.origin import check_origin
from support.der_build import oid, sequence, tlv
from support.sgx_evidence import Intel, intel

STRANGER = Intel(60)
GOOD = intel().collateral()
STRANGE_CHAIN = STRANGER.tcb_signing.pem + STRANGER.root.pem


def flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


def list_with(algorithm: bytes | None = None, unused_bits: int = 0) -> bytes:
    """Return the PCK CRL with something else where nothing is signed."""
    whole = Der(GOOD.pck_crl).inside(der.SEQUENCE)
    tbs, named, signature = whole.raw(), whole.raw(), whole.content(der.BIT_STRING)
    return sequence(tbs, algorithm or named, tlv(der.BIT_STRING, bytes([unused_bits]) + signature[1:]))


def signed(part: str, text: str) -> dict[str, Any]:
    """Return a part of collateral that Intel has signed."""
    return {part: text, f"{part}_signature": intel().tcb_signing.raw_signature(text.encode())}


def test_collateral_of_the_root_is_fine_whatever_its_date() -> None:
    check_origin(GOOD, intel().root.der)
    assert list_with() == GOOD.pck_crl
    check_origin(intel().collateral(start=0.0, end=1.0), intel().root.der)
    check_origin(STRANGER.collateral(), STRANGER.root.der)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tcb_info": GOOD.tcb_info + " "}, "the TCB info is not signed by its issuer"),
        (
            {"tcb_info_signature": flipped(GOOD.tcb_info_signature)},
            "the TCB info is not signed by its issuer",
        ),
        ({"tcb_info_signature": bytes(64)}, "the TCB info is not signed by its issuer"),
        (
            {"tcb_info_issuer_chain": STRANGE_CHAIN},
            "the issuer of the TCB info is not certified by Intel's root",
        ),
        (
            {"tcb_info_issuer_chain": intel().pck.pem},
            "the issuer of the TCB info is not certified by Intel's root",
        ),
        ({"qe_identity": GOOD.qe_identity + " "}, "the QE identity is not signed by its issuer"),
        ({"qe_identity_signature": bytes(64)}, "the QE identity is not signed by its issuer"),
        (
            {"qe_identity_issuer_chain": STRANGE_CHAIN},
            "the issuer of the QE identity is not certified by Intel's root",
        ),
        ({"pck_crl": STRANGER.ca.crl()}, "the PCK CRL is not signed by its issuer"),
        (
            {"pck_crl": STRANGER.ca.crl(), "pck_crl_issuer_chain": STRANGER.ca.pem},
            "the issuer of the PCK CRL is not certified by Intel's root",
        ),
        ({"root_ca_crl": STRANGER.root.crl()}, "the root CRL is not signed by its issuer"),
        ({"root_ca_crl": GOOD.root_ca_crl + b"\0"}, "DER has bytes too many"),
        ({"pck_crl": GOOD.pck_crl + b"\0"}, "DER has bytes too many"),
        (
            {"pck_crl": list_with(algorithm=sequence(oid("1.2.840.10045.4.3.2"), tlv(0x05, b"")))},
            "the PCK CRL is not in the form in which it is signed",
        ),
        ({"pck_crl": list_with(unused_bits=1)}, "the PCK CRL is not in the form in which it is signed"),
        (
            {"tcb_info_issuer_chain": GOOD.tcb_info_issuer_chain + STRANGER.root.pem},
            "the chain of the TCB info holds more than its issuer and Intel's root",
        ),
        ({"tcb_info": GOOD.tcb_info[:-1] + ',"a":"\ud800"}'}, "the TCB info is not signed by its issuer"),
        (
            signed("tcb_info", GOOD.tcb_info.replace('"SGX"', '"TDX"')),
            "the TCB info is not of the kind of {'id': 'SGX', 'version': 3, 'tcbType': 0}",
        ),
        (
            signed("qe_identity", GOOD.qe_identity.replace('"QE"', '"TD_QE"')),
            "the QE identity is not of the kind of {'id': 'QE', 'version': 2}",
        ),
    ],
)
def test_what_is_signed_by_others_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        check_origin(intel().collateral(**changes), intel().root.der)
    assert str(caught.value) == message
