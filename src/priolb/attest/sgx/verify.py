"""From the certificate of a SGX node to a verdict; what Gramine checks, and what it leaves open.

What is proven, step by step, is written for operators in docs/attestation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from typing import Final

from priolb.attest.certificate import check_leaf
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.dcap import check_with_intel, platform_of
from priolb.attest.sgx.evidence import Evidence, find_evidence
from priolb.attest.sgx.policy import SgxPolicy, TcbState
from priolb.attest.sgx.quote import (
    DEBUG,
    EINITTOKEN_KEY,
    INITIALIZED,
    MODE_64_BIT,
    PROVISION_KEY,
    SgxQuote,
    parse_sgx_quote,
)
from priolb.attest.verdict import NotProven, Refusal, Verdict, refusing

# Flag of the enclave's attributes, the value it must have, and what the other one means.
_ATTRIBUTES: Final = (
    (DEBUG, False, Refusal.ENCLAVE_DEBUG, "its host can read and change its memory: it is a debug enclave"),
    (INITIALIZED, True, Refusal.ENCLAVE_NOT_INITIALIZED, "it is not initialized"),
    (MODE_64_BIT, True, Refusal.ENCLAVE_32_BIT, "it is no 64-bit enclave"),
    (PROVISION_KEY, False, Refusal.ENCLAVE_PROVISION_KEY, "it may use the provisioning key"),
    (EINITTOKEN_KEY, False, Refusal.ENCLAVE_EINITTOKEN_KEY, "it may use the launch key"),
)


def verify_sgx(
    leaf: bytes,
    mrenclave: bytes,
    policy: SgxPolicy,
    collateral: Mapping[Platform, Collateral],
    now: float,
) -> Verdict:
    """Return whether the node that showed this certificate proves that it is the enclave.

    What can be refused without collateral is refused before it is looked up.

    Args:
        leaf: DER of the certificate of the TLS connection, whose key the node has shown to have. Its dates
            mean nothing: Gramine leaves them to the deployment.
        mrenclave: hash of the enclave, 32 bytes.
        policy: everything else that it is held to, the trust anchor included.
        collateral: what is at hand, by platform.
        now: Unix seconds.
    """
    claims: dict[str, str] = {}
    platform: Platform | None = None
    try:
        evidence = find_evidence(check_leaf(leaf))
        with refusing(Refusal.SGX_QUOTE_MALFORMED):
            quote = parse_sgx_quote(evidence.quote)
            platform = platform_of(evidence.quote)
        _check_attributes(quote)
        if not compare_digest(quote.report_data[:32], evidence.bound_to):
            raise NotProven(Refusal.TLS_KEY, "the quote is for another TLS key")
        held = _check_collateral(collateral.get(platform), platform, now)
        state = check_with_intel(evidence.quote, held, policy.root, now)
        claims.update(_claims_of(quote, evidence, platform, state.state, state.advisories))
        _check_state(state.state, policy)
        if not compare_digest(quote.mrenclave, mrenclave):
            raise NotProven(Refusal.MRENCLAVE, f"the enclave is {quote.mrenclave.hex()}")
    except NotProven as found:
        return Verdict("SGX", found.refusal, str(found), claims, platform=platform)
    return Verdict("SGX", claims=claims, platform=platform, valid_until=held.expires_at)


def _check_attributes(quote: SgxQuote) -> None:
    for flag, must_be_set, refusal, text in _ATTRIBUTES:
        if bool(quote.flags & flag) is not must_be_set:
            raise NotProven(refusal, text)


def _check_collateral(held: Collateral | None, platform: Platform, now: float) -> Collateral:
    if held is None:
        raise NotProven(Refusal.COLLATERAL_MISSING, f"no collateral is at hand for the platform {platform}")
    if now < held.valid_from:
        raise NotProven(Refusal.COLLATERAL_NOT_YET_VALID, f"the collateral for {platform} is not valid yet")
    if now >= held.expires_at:
        raise NotProven(Refusal.COLLATERAL_EXPIRED, f"the collateral for {platform} has expired")
    return held


def _check_state(state: TcbState, policy: SgxPolicy) -> None:
    if state not in policy.allowed_states:
        raise NotProven(Refusal.TCB_STATUS, f"Intel says {state.value}, which the policy does not allow")


def _claims_of(
    quote: SgxQuote, evidence: Evidence, platform: Platform, state: TcbState, advisories: tuple[str, ...]
) -> dict[str, str]:
    return {
        "mrenclave": quote.mrenclave.hex(),
        "mrsigner": quote.mrsigner.hex(),
        "product": str(quote.product),
        "security_version": str(quote.security_version),
        "form": evidence.form,
        "fmspc": platform.fmspc,
        "ca": platform.ca,
        "tcb_status": state.value,
        "advisories": ", ".join(advisories),
    }
