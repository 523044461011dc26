"""What comes out of a verification: accepted, or refused at one step for one reason.

Steps stand in the order in which they are taken. What makes evidence authentic comes first and what is held
against a policy last, so that a verdict that refuses an authentic node can still say what the node runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from priolb.attest.reader import MalformedError


class Step(Enum):
    """A step of a verification; the value says what has to hold."""

    VERIFIER = "the verifier works"
    CERTIFICATE = "the certificate is well formed and signed with its own key"
    DOCUMENT = "the certificate carries one attestation document of the right kind"
    TLS_KEY = "the evidence names the key of this TLS connection"
    AMD_CHAIN = "the chip's key is signed by AMD"
    REPORT = "the report is signed by the chip's key"
    CHIP = "the chip's certificate is for this chip and its firmware"
    TPM_KEY = "the report names the TPM's attestation key"
    QUOTE = "the TPM signed the PCRs and the nonce of this connection"
    GUEST = "the guest cannot be debugged and runs at the highest privilege level"
    TCB = "the firmware is not older than the policy allows"
    ID_KEY = "the launch was signed with an accepted id key"
    MEASUREMENTS = "the PCRs have the values that the node's URI names"
    EVIDENCE = "the certificate carries one SGX quote"
    ENCLAVE = "the enclave is a production enclave"
    COLLATERAL = "valid collateral for the platform is at hand"
    DCAP = "the quote is signed by a platform that Intel vouches for"
    TCB_STATUS = "the platform's state is one that the policy allows"
    MRENCLAVE = "the enclave is the one that the node's URI names"


SEV_STEPS: Final = (
    Step.CERTIFICATE,
    Step.DOCUMENT,
    Step.TLS_KEY,
    Step.AMD_CHAIN,
    Step.REPORT,
    Step.CHIP,
    Step.TPM_KEY,
    Step.QUOTE,
    Step.GUEST,
    Step.TCB,
    Step.ID_KEY,
    Step.MEASUREMENTS,
)
SGX_STEPS: Final = (
    Step.CERTIFICATE,
    Step.EVIDENCE,
    Step.ENCLAVE,
    Step.TLS_KEY,
    Step.COLLATERAL,
    Step.DCAP,
    Step.TCB_STATUS,
    Step.MRENCLAVE,
)


class Refusal(Enum):
    """Why evidence was refused; the value is the log field and the metric label."""

    step: Step

    def __new__(cls, label: str, step: Step) -> Self:
        """Make a member whose value is its label alone."""
        member = object.__new__(cls)
        member._value_ = label
        member.step = step
        return member

    VERIFIER_FAILED = ("verifier_failed", Step.VERIFIER)

    CERTIFICATE_MALFORMED = ("certificate_malformed", Step.CERTIFICATE)
    CERTIFICATE_EXTENSIONS = ("certificate_extensions", Step.CERTIFICATE)
    CERTIFICATE_DATES = ("certificate_dates", Step.CERTIFICATE)
    CERTIFICATE_KEY = ("certificate_key", Step.CERTIFICATE)
    CERTIFICATE_SIGNATURE = ("certificate_signature", Step.CERTIFICATE)

    DOCUMENT_MISSING = ("document_missing", Step.DOCUMENT)
    DOCUMENT_VARIANT = ("document_variant", Step.DOCUMENT)
    DOCUMENT_MALFORMED = ("document_malformed", Step.DOCUMENT)
    TLS_KEY = ("tls_key", Step.TLS_KEY)

    ASK_MALFORMED = ("ask_malformed", Step.AMD_CHAIN)
    ASK_SIGNATURE = ("ask_signature", Step.AMD_CHAIN)
    ASK_NOT_AN_AUTHORITY = ("ask_not_an_authority", Step.AMD_CHAIN)
    VCEK_MALFORMED = ("vcek_malformed", Step.AMD_CHAIN)
    VCEK_SIGNATURE = ("vcek_signature", Step.AMD_CHAIN)
    AMD_DATES = ("amd_dates", Step.AMD_CHAIN)
    REPORT_MALFORMED = ("report_malformed", Step.REPORT)
    REPORT_ALGORITHM = ("report_algorithm", Step.REPORT)
    REPORT_SIGNATURE = ("report_signature", Step.REPORT)
    VCEK_CHIP = ("vcek_chip", Step.CHIP)
    VCEK_TCB = ("vcek_tcb", Step.CHIP)

    RUNTIME_DATA = ("runtime_data", Step.TPM_KEY)
    RUNTIME_DATA_MALFORMED = ("runtime_data_malformed", Step.TPM_KEY)
    AK_MALFORMED = ("ak_malformed", Step.TPM_KEY)
    AK_ATTRIBUTES = ("ak_attributes", Step.TPM_KEY)
    AK_MISMATCH = ("ak_mismatch", Step.TPM_KEY)
    AK_CERTIFICATE = ("ak_certificate", Step.TPM_KEY)

    QUOTE_MISSING = ("quote_missing", Step.QUOTE)
    QUOTE_MALFORMED = ("quote_malformed", Step.QUOTE)
    QUOTE_ALGORITHM = ("quote_algorithm", Step.QUOTE)
    QUOTE_SIGNATURE = ("quote_signature", Step.QUOTE)
    QUOTE_NONCE = ("quote_nonce", Step.QUOTE)
    QUOTE_SELECTION = ("quote_selection", Step.QUOTE)
    QUOTE_PCRS = ("quote_pcrs", Step.QUOTE)

    GUEST_DEBUG = ("guest_debug", Step.GUEST)
    GUEST_VMPL = ("guest_vmpl", Step.GUEST)
    TCB_MINIMUM = ("tcb_minimum", Step.TCB)
    TCB_LAUNCH = ("tcb_launch", Step.TCB)
    TCB_CURRENT = ("tcb_current", Step.TCB)
    ID_KEY = ("id_key", Step.ID_KEY)
    MEASUREMENTS = ("measurements", Step.MEASUREMENTS)

    EVIDENCE_MISSING = ("evidence_missing", Step.EVIDENCE)
    EVIDENCE_MALFORMED = ("evidence_malformed", Step.EVIDENCE)
    SGX_QUOTE_MALFORMED = ("sgx_quote_malformed", Step.EVIDENCE)
    ENCLAVE_DEBUG = ("enclave_debug", Step.ENCLAVE)
    ENCLAVE_NOT_INITIALIZED = ("enclave_not_initialized", Step.ENCLAVE)
    ENCLAVE_32_BIT = ("enclave_32_bit", Step.ENCLAVE)
    ENCLAVE_PROVISION_KEY = ("enclave_provision_key", Step.ENCLAVE)
    ENCLAVE_EINITTOKEN_KEY = ("enclave_einittoken_key", Step.ENCLAVE)
    COLLATERAL_MISSING = ("collateral_missing", Step.COLLATERAL)
    COLLATERAL_EXPIRED = ("collateral_expired", Step.COLLATERAL)
    COLLATERAL_NOT_YET_VALID = ("collateral_not_yet_valid", Step.COLLATERAL)
    COLLATERAL_INVALID = ("collateral_invalid", Step.DCAP)
    INTEL_CHAIN = ("intel_chain", Step.DCAP)
    INTEL_REVOKED = ("intel_revoked", Step.DCAP)
    SGX_QUOTE_SIGNATURE = ("sgx_quote_signature", Step.DCAP)
    DCAP_REFUSED = ("dcap_refused", Step.DCAP)
    TCB_REVOKED = ("tcb_revoked", Step.DCAP)
    TCB_STATUS = ("tcb_status", Step.TCB_STATUS)
    MRENCLAVE = ("mrenclave", Step.MRENCLAVE)


class NotProven(Exception):  # noqa: N818 - no error of anybody: it is one of the two outcomes
    """The evidence does not prove what it has to; the text says what was found."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


@contextmanager
def refusing(refusal: Refusal) -> Iterator[None]:
    """Make of whatever is malformed within a refusal for this reason."""
    try:
        yield
    except MalformedError as error:
        raise NotProven(refusal, str(error)) from error


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one verification.

    Args:
        kind: "SEV" or "SGX".
        refusal: None when the evidence was accepted.
        detail: what was found, for people; empty when accepted.
        claims: what authentic evidence says, by name, as text: measurements, firmware, keys.
        warnings: what does not match and may, by the policy.
        platform: whose collateral was wanted, for a verdict on SGX that got so far.
        valid_until: Unix seconds after which the verdict has to be made anew, infinite when time changes
            nothing.
    """

    kind: str
    refusal: Refusal | None = None
    detail: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    platform: tuple[str, str] | None = None
    valid_until: float = float("inf")

    @property
    def ok(self) -> bool:
        return self.refusal is None

    @property
    def reason(self) -> str:
        """The label of the refusal, empty when accepted."""
        return self.refusal.value if self.refusal is not None else ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of this kind of verification, in order."""
        return SEV_STEPS if self.kind == "SEV" else SGX_STEPS

    def __str__(self) -> str:
        return "attested" if self.refusal is None else f"not attested: {self.reason}: {self.detail}"
