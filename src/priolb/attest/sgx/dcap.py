"""Intel's verification of quotes, done by the library `dcap-qvl`; the only user of it.

It checks every signature from Intel's root down to the quote, lists of revoked keys, and the dates of
collateral, and finds the state of the platform. It does not look at what the enclave is, nor whether that
state is acceptable. Nothing here lets it fetch anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final, TypeVar

import dcap_qvl

from priolb.attest.certificate import pem_blocks, to_pem
from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.policy import TcbState
from priolb.attest.verdict import NotProven, Refusal

T = TypeVar("T")

# Words of the library's errors, the telling ones first. They only choose the label of a refusal: what it
# refuses stays refused, under DCAP_REFUSED when it uses words that are not known here.
_CAUSES: Final = (
    ("CertRevoked", Refusal.INTEL_REVOKED),
    ("TCB status is invalid", Refusal.TCB_REVOKED),
    ("for qe_report in quote", Refusal.SGX_QUOTE_SIGNATURE),
    ("QE report hash mismatch", Refusal.SGX_QUOTE_SIGNATURE),
    ("ISV enclave report signature", Refusal.SGX_QUOTE_SIGNATURE),
    ("CRL", Refusal.COLLATERAL_INVALID),
    ("Crl", Refusal.COLLATERAL_INVALID),
    ("Fmspc mismatch", Refusal.COLLATERAL_INVALID),
    ("quote_collateral", Refusal.COLLATERAL_INVALID),
    ("TCBInfo", Refusal.COLLATERAL_INVALID),
    ("TcbInfo", Refusal.COLLATERAL_INVALID),
    ("QeIdentity", Refusal.COLLATERAL_INVALID),
    ("QE Identity", Refusal.COLLATERAL_INVALID),
    ("certificate chain", Refusal.INTEL_CHAIN),
)
# The states that Intel gives to quoting enclaves. The library lets others count for nothing.
_QE_STATES: Final = frozenset({TcbState.UP_TO_DATE.value, TcbState.OUT_OF_DATE.value})
_CHAINS: Final = ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain")
_DETAIL_MAX_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class PlatformState:
    """What Intel says about the platform that made a quote, and which of its advisories apply."""

    state: TcbState
    advisories: tuple[str, ...]


def platform_of(quote: bytes) -> Platform:
    """Return the platform that a quote says it comes from.

    Raises:
        MalformedError: the quote does not carry the certificate of its platform.
    """
    try:
        parsed = _calling(lambda: dcap_qvl.parse_quote(quote))
        return _calling(lambda: Platform(parsed.fmspc(), parsed.ca()))
    except ValueError as error:
        raise MalformedError(f"the quote names no platform: {_one_line(error)}") from None


def check_with_intel(quote: bytes, collateral: Collateral, root: bytes, now: float) -> PlatformState:
    """Return the state of the platform, once it is shown that it signed the quote.

    Args:
        root: Intel's root certificate in DER.
        now: Unix seconds.

    Raises:
        NotProven: a signature, a date or a certificate is not right, or a key was revoked.
    """
    try:
        report = _calling(lambda: dcap_qvl.verify_with_root_ca(quote, _prepared(collateral), root, int(now)))
    except ValueError as error:
        text = _one_line(error)
        causes = (refusal for words, refusal in _CAUSES if words in text)
        raise NotProven(next(causes, Refusal.DCAP_REFUSED), text) from None
    known = {state.value: state for state in TcbState}
    qe_state = json.loads(report.to_json())["qe_status"]["status"]
    if report.status not in known or qe_state not in _QE_STATES:
        states = f"{report.status}, its quoting enclave in the state {qe_state}"
        raise NotProven(Refusal.DCAP_REFUSED, f"the platform is in the unknown state {states}")
    pce_id = _pce_id_of(quote)
    if pce_id != collateral.pce_id:  # the library compares FMSPC alone
        other = f"the TCB info is for PCE {collateral.pce_id}, and the platform has {pce_id}"
        raise NotProven(Refusal.COLLATERAL_INVALID, other)
    return PlatformState(known[report.status], tuple(report.advisory_ids))


def _pce_id_of(quote: bytes) -> str:
    """Return the PCE that a quote's platform has, in hex; the quote is one that the library has verified."""
    extension = dcap_qvl.parse_quote(quote).pck_extension()
    assert extension is not None
    return extension.pce_id.hex().upper()


@lru_cache(maxsize=64)
def _prepared(collateral: Collateral) -> dcap_qvl.QuoteCollateralV3:
    """Return collateral in the library's own form.

    How chains are written is not signed, and the library takes fewer ways of it than we do: it is given the
    very certificates that were looked at when they came.
    """
    parts = {part.name: getattr(collateral, part.name) for part in fields(collateral)}
    for name in _CHAINS:
        parts[name] = "".join(map(to_pem, pem_blocks(parts[name])))
    return dcap_qvl.QuoteCollateralV3(*parts.values())


def _calling(function: Callable[[], T]) -> T:
    """Call the library; its panics, which no `except Exception` catches, end here as a ValueError."""
    try:
        return function()
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise ValueError("the library gave up") from None
        raise


def _one_line(error: ValueError) -> str:
    text = " ".join(str(error).split()).removeprefix("Verification failed: ")
    return text[:_DETAIL_MAX_CHARACTERS]
