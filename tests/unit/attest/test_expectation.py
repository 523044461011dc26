"""What a URI says that a node has to prove."""

import gzip
from base64 import urlsafe_b64encode

import pytest

from priolb.attest.anchors import ARK_GENOA
from priolb.attest.expectation import SevExpectation, SgxExpectation, parse_expectation
from priolb.attest.reader import MalformedError
from priolb.attest.sev.measurements import DEFAULTS
from priolb.attest.sev.policy import SevPolicy, Tcb
from priolb.attest.sgx.policy import SgxPolicy, TcbState

SEV = "SEV_" + urlsafe_b64encode(gzip.compress(b"{}")).decode()
SGX = "SGX_" + "aB" * 32


def test_measurements_and_mrenclave() -> None:
    assert parse_expectation(SEV, {}) == SevExpectation(DEFAULTS)
    assert parse_expectation(SGX, {}) == SgxExpectation(b"\xab" * 32)


def test_parameters_change_the_policy_of_one_node_and_nothing_else() -> None:
    sev = parse_expectation(SEV, {"_arks": "genoa", "_min_tcb": "1.2.3.4", "_id_keys": "00" * 48})
    assert isinstance(sev, SevExpectation)
    assert sev.policy(SevPolicy()) == SevPolicy((ARK_GENOA,), Tcb(1, 2, 3, 4), frozenset({bytes(48)}))
    one = parse_expectation(SEV, {"_min_tcb": "1.2.3.4"})
    assert isinstance(one, SevExpectation)
    assert one.policy(SevPolicy()) == SevPolicy(minimum_tcb=Tcb(1, 2, 3, 4))
    sgx = parse_expectation(SGX, {"_allow_tcb": "OutOfDate"})
    assert isinstance(sgx, SgxExpectation)
    policy = sgx.policy(SgxPolicy())
    assert policy == SgxPolicy(allowed_states=frozenset({TcbState.UP_TO_DATE, TcbState.OUT_OF_DATE}))


@pytest.mark.parametrize(
    ("user_part", "parameters", "message"),
    [
        ("", {}, "the user part begins with neither SEV_ nor SGX_"),
        ("sgx_" + "00" * 32, {}, "the user part begins with neither SEV_ nor SGX_"),
        ("SEV", {}, "the user part begins with neither SEV_ nor SGX_"),
        ("SGX_", {}, "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("SGX_" + "00" * 31, {}, "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("SGX_" + "00" * 33, {}, "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("SGX_" + "0x" * 32, {}, "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("SGX_" + "00" * 32 + "\n", {}, "what follows SGX_ is no MRENCLAVE (64 hex digits)"),
        ("SEV_*", {}, "what follows SEV_ is no base64url with padding"),
        (SGX, {"_min_tcb": "1.2.3.4"}, "_min_tcb has no meaning for a SGX node"),
        (SEV, {"_allow_tcb": "OutOfDate"}, "_allow_tcb has no meaning for a SEV node"),
        (SEV, {"_arks": "ours"}, "_arks is not a list of milan, genoa"),
        (SGX, {"_allow_tcb": "Revoked"}, "_allow_tcb is not a list of UpToDate, SWHardeningNeeded, "),
    ],
)
def test_what_cannot_be_used_names_its_part(user_part: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_expectation(user_part, parameters)
    assert str(caught.value).startswith(message)
