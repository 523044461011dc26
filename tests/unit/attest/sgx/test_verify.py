"""A SGX node of our own making: accepted as it is, and refused at its own step when one thing is changed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.policy import SgxPolicy, TcbState
from priolb.attest.sgx.quote import QUOTE_MAX_BYTES
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import SGX_STEPS, Refusal, Verdict
from support.sev_evidence import ec_key
from support.sgx_evidence import (
    DAY_S,
    DICE,
    LEGACY,
    LEGACY_MEANT,
    MRENCLAVE,
    NOW,
    PLATFORM,
    PRODUCTION,
    Intel,
    SgxNode,
    cbor,
    intel,
)
from support.verdicts import refused

EVERY_STATE = SgxPolicy(root=intel().root.der, allowed_states=frozenset(TcbState))
STRANGER = Intel(60)


@pytest.fixture
def node() -> SgxNode:
    return SgxNode()


@pytest.fixture(scope="module")
def collateral() -> Collateral:
    return intel().collateral()


def judge(leaf: bytes, collateral: Collateral | None, **changes: Any) -> Verdict:
    return verify_sgx(
        leaf,
        changes.get("mrenclave", MRENCLAVE),
        changes.get("policy", intel().policy),
        {} if collateral is None else {PLATFORM: collateral},
        changes.get("now", NOW),
    )


# What is accepted


def test_a_good_node_is_accepted_and_its_claims_are_told(node: SgxNode, collateral: Collateral) -> None:
    verdict = judge(node.certificate(), collateral)
    assert (verdict.ok, verdict.detail, verdict.steps) == (True, "", SGX_STEPS)
    assert verdict.claims == {
        "mrenclave": MRENCLAVE.hex(),
        "mrsigner": "22" * 32,
        "product": "0",
        "security_version": "0",
        "form": "legacy",
        "fmspc": "00606A000000",
        "ca": "platform",
        "tcb_status": "UpToDate",
        "advisories": "",
    }
    assert (verdict.platform, verdict.valid_until) == (PLATFORM, NOW + 30 * DAY_S)


@pytest.mark.parametrize("bits", [256, 384])
@pytest.mark.parametrize("oid", [LEGACY, LEGACY_MEANT])
def test_both_spellings_of_the_legacy_form_and_both_curves(
    collateral: Collateral, oid: str, bits: int
) -> None:
    node = SgxNode(key_bits=bits)
    assert judge(node.certificate((oid, False, node.quote())), collateral).ok


@pytest.mark.parametrize("algorithm", [1, 7, 8])
def test_dice_evidence_with_each_hash(node: SgxNode, collateral: Collateral, algorithm: int) -> None:
    claims = node.claims(algorithm, nonce=b"ignored", other=[1, {"x": "y"}])
    verdict = judge(node.certificate((DICE, False, node.dice(claims))), collateral)
    assert (verdict.ok, verdict.claims["form"]) == (True, "DICE")


def test_dice_evidence_counts_when_both_are_there(node: SgxNode, collateral: Collateral) -> None:
    good, bad = node.quote(), node.quote(report_data=bytes(32))
    both = node.certificate((LEGACY, False, bad), (DICE, False, node.dice()))
    assert judge(both, collateral).ok
    broken = node.certificate((LEGACY, False, good), (DICE, False, b"\0"))
    refused(judge(broken, collateral), Refusal.EVIDENCE_MALFORMED)


def test_the_dates_of_the_certificate_mean_nothing(node: SgxNode, collateral: Collateral) -> None:
    assert judge(node.certificate(not_before=0.0, not_after=1.0), collateral).ok


@pytest.mark.parametrize(
    "status",
    [
        "OutOfDate",
        "OutOfDateConfigurationNeeded",
        "ConfigurationNeeded",
        "SWHardeningNeeded",
        "ConfigurationAndSWHardeningNeeded",
    ],
)
def test_a_platform_that_is_not_up_to_date_needs_a_policy_that_allows_its_state(
    node: SgxNode, status: str
) -> None:
    leaf, held = node.certificate(), intel().collateral(status=status)
    detail = refused(judge(leaf, held), Refusal.TCB_STATUS)
    assert detail == f"Intel says {status}, which the policy does not allow"
    allowed = SgxPolicy(intel().root.der, frozenset({TcbState.UP_TO_DATE, TcbState(status)}))
    verdict = judge(leaf, held, policy=allowed)
    assert verdict.ok
    assert (verdict.claims["tcb_status"], verdict.claims["advisories"]) == (status, "INTEL-SA-00001")


# Certificate and evidence


def test_a_certificate_that_another_key_has_signed(node: SgxNode, collateral: Collateral) -> None:
    refused(judge(node.certificate(signer=ec_key(9)), collateral), Refusal.CERTIFICATE_SIGNATURE)


def test_no_evidence_or_a_quote_twice(node: SgxNode, collateral: Collateral) -> None:
    none = node.certificate(("1.2.3", False, b""))
    refused(judge(none, collateral), Refusal.EVIDENCE_MISSING)
    quote = node.quote()
    two = node.certificate((LEGACY, False, quote), (LEGACY_MEANT, False, quote))
    refused(judge(two, collateral), Refusal.EVIDENCE_MALFORMED)
    twice = node.certificate((LEGACY, False, quote), (LEGACY, False, quote))
    refused(judge(twice, collateral), Refusal.CERTIFICATE_EXTENSIONS)


def test_a_quote_for_another_key(node: SgxNode, collateral: Collateral) -> None:
    other = SgxNode()
    other.tls_key = ec_key(41, 384)
    legacy = other.certificate((LEGACY, False, node.quote()))
    refused(judge(legacy, collateral), Refusal.TLS_KEY)
    dice = other.certificate((DICE, False, node.dice()))
    assert refused(judge(dice, collateral), Refusal.TLS_KEY) == "the claims are for another TLS key"


def test_dice_claims_that_the_quote_is_not_for(node: SgxNode, collateral: Collateral) -> None:
    forged = node.claims(extra=1)
    value = b"\xd9\xea\x60" + cbor([node.authority.quote(hashlib.sha256(node.claims()).digest()), forged])
    verdict = judge(node.certificate((DICE, False, value)), collateral)
    assert refused(verdict, Refusal.TLS_KEY) == "the quote is for another TLS key"


@pytest.mark.parametrize(
    "claims",
    [
        cbor({}),
        cbor({"nonce": b"x"}),
        cbor({"pubkey-hash": "text"}),
        cbor({"pubkey-hash": cbor([1])}),
        cbor({"pubkey-hash": cbor([1, b"", b""])}),
        cbor({"pubkey-hash": cbor([2, bytes(32)])}),
        cbor({"pubkey-hash": cbor([1, "text"])}),
        cbor({"pubkey-hash": cbor(["1", bytes(32)])}),
        cbor({"pubkey-hash": b""}),
        cbor([b"pubkey-hash"]),
        b"\xbf\xff",
    ],
)
def test_dice_claims_without_a_hash_of_the_key(node: SgxNode, collateral: Collateral, claims: bytes) -> None:
    leaf = node.certificate((DICE, False, node.dice(claims)))
    refused(judge(leaf, collateral), Refusal.EVIDENCE_MALFORMED)


@pytest.mark.parametrize(
    "value", [cbor([b"", b""]), b"\xd9\xea\x60" + cbor([b""]), b"\xd9\xea\x60" + cbor([b"", "x"]), b""]
)
def test_dice_evidence_of_another_shape(node: SgxNode, collateral: Collateral, value: bytes) -> None:
    refused(judge(node.certificate((DICE, False, value)), collateral), Refusal.EVIDENCE_MALFORMED)


def test_dice_evidence_of_another_kind(node: SgxNode, collateral: Collateral) -> None:
    leaf = node.certificate((DICE, False, node.dice(tag=60001)))
    refused(judge(leaf, collateral), Refusal.EVIDENCE_MALFORMED)


def test_each_bit_of_the_key_hash_counts(node: SgxNode, collateral: Collateral) -> None:
    digest = hashlib.sha256(node.spki).digest()
    leaf = node.certificate((DICE, False, node.dice(node.claims(1, digest[:31] + bytes([digest[31] ^ 1])))))
    refused(judge(leaf, collateral), Refusal.TLS_KEY)
    leaf = node.certificate((DICE, False, node.dice(node.claims(1, digest[:31]))))
    refused(judge(leaf, collateral), Refusal.TLS_KEY)


# The quote


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 4},
        {"version": 5},
        {"key_type": 3},
        {"tee_type": 0x81},
        {"pck": "no PEM"},
    ],
)
def test_a_quote_of_another_kind(node: SgxNode, collateral: Collateral, changed: dict[str, Any]) -> None:
    leaf = node.certificate((LEGACY, False, node.quote(**changed)))
    refused(judge(leaf, collateral), Refusal.SGX_QUOTE_MALFORMED)


def test_a_quote_with_bytes_behind_it_or_missing(node: SgxNode, collateral: Collateral) -> None:
    quote = node.quote()
    for changed in (quote + b"\0", quote[:-1], quote[:435], b""):
        refused(judge(node.certificate((LEGACY, False, changed)), collateral), Refusal.SGX_QUOTE_MALFORMED)


def test_a_quote_is_looked_into_up_to_a_length(node: SgxNode, collateral: Collateral) -> None:
    """Real ones have 5 KB; the time that a chain of certificates takes grows with its length."""
    chain = node.authority.pck.pem + node.authority.ca.pem + node.authority.root.pem
    longest = chain + "\n" * (QUOTE_MAX_BYTES - len(node.quote()))
    assert judge(node.certificate((LEGACY, False, node.quote(pck=longest))), collateral).ok
    longer = node.certificate((LEGACY, False, node.quote(pck=longest + "\n")))
    detail = refused(judge(longer, collateral), Refusal.SGX_QUOTE_MALFORMED)
    assert detail == f"the SGX quote is longer than {QUOTE_MAX_BYTES} bytes"


@pytest.mark.parametrize(
    ("flags", "refusal"),
    [
        (PRODUCTION | 0x02, Refusal.ENCLAVE_DEBUG),
        (PRODUCTION & ~0x01, Refusal.ENCLAVE_NOT_INITIALIZED),
        (PRODUCTION & ~0x04, Refusal.ENCLAVE_32_BIT),
        (PRODUCTION | 0x10, Refusal.ENCLAVE_PROVISION_KEY),
        (PRODUCTION | 0x20, Refusal.ENCLAVE_EINITTOKEN_KEY),
    ],
)
def test_an_enclave_with_other_attributes(
    node: SgxNode, collateral: Collateral, flags: int, refusal: Refusal
) -> None:
    leaf = node.certificate((LEGACY, False, node.quote(flags=flags)))
    refused(judge(leaf, collateral, policy=EVERY_STATE), refusal)


HEADER = {0: Refusal.SGX_QUOTE_MALFORMED, 2: Refusal.SGX_QUOTE_MALFORMED, 4: Refusal.SGX_QUOTE_MALFORMED}
SIGNED = Refusal.SGX_QUOTE_SIGNATURE


@pytest.mark.parametrize(
    ("offset", "refusal"),
    [
        *HEADER.items(),
        (8, SIGNED),  # qe_svn
        (10, SIGNED),  # pce_svn
        (12, Refusal.DCAP_REFUSED),  # vendor
        (28, SIGNED),  # user data
        (48, SIGNED),  # cpusvn of the enclave's report
        (64, SIGNED),  # miscselect
        (104, SIGNED),  # xfrm
        (112, SIGNED),  # MRENCLAVE
        (176, SIGNED),  # MRSIGNER
        (304, SIGNED),  # product
        (306, SIGNED),  # security version
        (368, Refusal.TLS_KEY),  # report data
        (400, SIGNED),  # the other half of them
        (432, Refusal.SGX_QUOTE_MALFORMED),  # length
        (436, SIGNED),  # signature over the report
        (500, SIGNED),  # attestation key
        (564, SIGNED),  # report of the quoting enclave
        (948, SIGNED),  # signature over that
        (1014, SIGNED),  # authentication data
        (1200, Refusal.INTEL_CHAIN),  # PCK certificate
    ],
)
def test_a_bit_of_the_quote_flipped(
    node: SgxNode, collateral: Collateral, offset: int, refusal: Refusal
) -> None:
    quote = bytearray(node.quote())
    quote[offset] ^= 1
    refused(judge(node.certificate((LEGACY, False, bytes(quote))), collateral), refusal)


# Collateral


def test_no_collateral_or_that_of_another_platform(node: SgxNode, collateral: Collateral) -> None:
    verdict = judge(node.certificate(), None)
    detail = refused(verdict, Refusal.COLLATERAL_MISSING)
    assert detail == "no collateral is at hand for the platform 00606A000000 (platform CA)"
    assert verdict.platform == PLATFORM
    other = {Platform("00606A000000", "processor"): collateral}
    verdict = verify_sgx(node.certificate(), MRENCLAVE, intel().policy, other, NOW)
    refused(verdict, Refusal.COLLATERAL_MISSING)


def test_collateral_before_and_after_its_time(node: SgxNode, collateral: Collateral) -> None:
    leaf = node.certificate()
    assert judge(leaf, collateral, now=collateral.valid_from).ok
    refused(judge(leaf, collateral, now=collateral.valid_from - 1), Refusal.COLLATERAL_NOT_YET_VALID)
    assert judge(leaf, collateral, now=collateral.expires_at - 1).ok
    refused(judge(leaf, collateral, now=collateral.expires_at), Refusal.COLLATERAL_EXPIRED)


def test_expired_collateral_is_refused_whatever_the_policy_allows(
    node: SgxNode, collateral: Collateral
) -> None:
    verdict = judge(node.certificate(), collateral, now=collateral.expires_at, policy=EVERY_STATE)
    refused(verdict, Refusal.COLLATERAL_EXPIRED)


@pytest.mark.parametrize("crl", ["root_ca_crl", "pck_crl"])
def test_an_expired_list_of_revoked_keys(node: SgxNode, crl: str) -> None:
    authority = {"root_ca_crl": intel().root, "pck_crl": intel().ca}[crl]
    held = intel().collateral(**{crl: authority.crl(end=NOW - 1)})
    refused(judge(node.certificate(), held), Refusal.COLLATERAL_EXPIRED)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("platform", lambda: {"pck_crl": intel().ca.crl([intel().pck.serial])}),
        ("authority", lambda: {"root_ca_crl": intel().root.crl([intel().ca.serial])}),
        ("signer of collateral", lambda: {"root_ca_crl": intel().root.crl([intel().tcb_signing.serial])}),
    ],
)
def test_a_revoked_key(node: SgxNode, name: str, make: Any) -> None:
    refused(judge(node.certificate(), intel().collateral(**make())), Refusal.INTEL_REVOKED)


@pytest.mark.parametrize("which", ["status", "qe_status"])
def test_a_revoked_state_is_refused_whatever_the_policy_allows(node: SgxNode, which: str) -> None:
    held = intel().collateral(**{which: "Revoked"})
    refused(judge(node.certificate(), held, policy=EVERY_STATE), Refusal.TCB_REVOKED)


def test_a_quoting_enclave_that_is_out_of_date_makes_the_platform_so(node: SgxNode) -> None:
    held = intel().collateral(qe_status="OutOfDate")
    refused(judge(node.certificate(), held), Refusal.TCB_STATUS)
    assert judge(node.certificate(), held, policy=EVERY_STATE).claims["tcb_status"] == "OutOfDate"


def test_a_quoting_enclave_in_a_state_that_counts_for_nothing_elsewhere(node: SgxNode) -> None:
    held = intel().collateral(qe_status="ConfigurationNeeded")
    refused(judge(node.certificate(), held, policy=EVERY_STATE), Refusal.DCAP_REFUSED)


def test_a_state_of_machines_of_another_kind(node: SgxNode) -> None:
    held = intel().collateral(status="TDRelaunchAdvised")
    refused(judge(node.certificate(), held, policy=EVERY_STATE), Refusal.DCAP_REFUSED)


GOOD = intel().collateral()


@pytest.mark.parametrize(
    "changes",
    [
        {"tcb_info": GOOD.tcb_info.replace('"pcesvn":13', '"pcesvn":12')},
        {"tcb_info": GOOD.tcb_info + " "},
        {"tcb_info_signature": bytes(64)},
        {"qe_identity": GOOD.qe_identity.replace('"isvprodid":1', '"isvprodid":2')},
        {"qe_identity_signature": bytes(64)},
        {"fmspc": bytes(6)},
        {"status": "Bogus"},
        {"root_ca_crl": STRANGER.root.crl()},
        {"pck_crl": STRANGER.ca.crl()},
    ],
)
def test_collateral_that_intel_did_not_sign_or_that_is_for_others(
    node: SgxNode, changes: dict[str, Any]
) -> None:
    refused(judge(node.certificate(), intel().collateral(**changes)), Refusal.COLLATERAL_INVALID)


def test_collateral_under_another_root(node: SgxNode) -> None:
    chain = STRANGER.tcb_signing.pem + STRANGER.root.pem
    for part in ("tcb_info_issuer_chain", "qe_identity_issuer_chain"):
        refused(judge(node.certificate(), intel().collateral(**{part: chain})), Refusal.INTEL_CHAIN)


# Trust anchors


def test_evidence_under_our_own_root_is_nothing_to_the_default_policy(
    node: SgxNode, collateral: Collateral
) -> None:
    refused(judge(node.certificate(), collateral, policy=SgxPolicy()), Refusal.COLLATERAL_INVALID)


def test_a_platform_under_another_root(collateral: Collateral) -> None:
    refused(judge(SgxNode(STRANGER).certificate(), collateral), Refusal.INTEL_CHAIN)


# The enclave


def test_each_bit_of_mrenclave_counts(node: SgxNode, collateral: Collateral) -> None:
    for offset in (0, 31):
        other = bytearray(MRENCLAVE)
        other[offset] ^= 1
        verdict = judge(node.certificate(), collateral, mrenclave=bytes(other))
        assert refused(verdict, Refusal.MRENCLAVE) == f"the enclave is {MRENCLAVE.hex()}"
        assert verdict.claims["mrenclave"] == MRENCLAVE.hex(), "authentic, so it is told"
    for short in (b"", MRENCLAVE[:31]):
        refused(judge(node.certificate(), collateral, mrenclave=short), Refusal.MRENCLAVE)


def test_nothing_is_claimed_that_is_not_authentic(node: SgxNode) -> None:
    assert judge(node.certificate(), None).claims == {}
