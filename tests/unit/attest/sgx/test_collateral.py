"""Collateral says for whom it is, and until when it may be used."""

import json
from typing import Any

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sgx.collateral import Collateral
from support.der_build import integer, name, sequence, time
from support.sgx_evidence import DAY_S, NOW, PLATFORM, Authority, intel


def crl(version: int = 1, issuer: str = "Intel SGX PCK Platform CA", end: float = NOW + DAY_S) -> bytes:
    return sequence(sequence(integer(version), sequence(), name(issuer), time(NOW), time(end)))


def test_it_names_its_platform_and_the_time_in_which_all_parts_are_valid() -> None:
    held = intel().collateral()
    assert (held.platform, held.valid_from, held.expires_at) == (PLATFORM, NOW - DAY_S, NOW + 30 * DAY_S)
    moments = (held.valid_from - 1, held.valid_from, held.expires_at - 1, held.expires_at)
    assert [held.is_valid_at(moment) for moment in moments] == [False, True, True, False]
    assert intel().collateral(pck_crl=crl(issuer="Intel SGX PCK Processor CA")).platform.ca == "processor"
    assert intel().collateral(fmspc=bytes.fromhex("abcdef012345")).platform.fmspc == "ABCDEF012345"


@pytest.mark.parametrize(
    ("changes", "valid_from", "expires_at"),
    [
        ({"pck_crl": crl()}, NOW, NOW + DAY_S),
        ({"root_ca_crl": crl()}, NOW, NOW + DAY_S),
        ({"start": NOW, "end": NOW + 2 * DAY_S}, NOW, NOW + 2 * DAY_S),
        ({"end": NOW + 5000 * DAY_S}, NOW - DAY_S, NOW + 30 * DAY_S),
    ],
)
def test_the_part_that_expires_first_counts(
    changes: dict[str, Any], valid_from: float, expires_at: float
) -> None:
    held = intel().collateral(**changes)
    assert (held.valid_from, held.expires_at) == (valid_from, expires_at)


def test_certificates_expire_too() -> None:
    far = NOW + 5000 * DAY_S
    lists = {"pck_crl": intel().ca.crl(end=far), "root_ca_crl": intel().root.crl(end=far)}
    assert intel().collateral(end=far, **lists).expires_at == NOW + 3000 * DAY_S


def test_each_dated_part_tells_when_it_was_issued() -> None:
    changes = {"pck_crl": intel().ca.crl(start=NOW - 3), "root_ca_crl": intel().root.crl(start=NOW - 4)}
    assert intel().collateral(start=NOW - 1, **changes).issued_at == (NOW - 1, NOW - 1, NOW - 3, NOW - 4)


def test_json_and_back() -> None:
    held = intel().collateral()
    again = Collateral.from_json(held.to_json())
    assert (again, again.digest) == (held, held.digest)
    assert intel().collateral(start=NOW).digest != held.digest


@pytest.mark.parametrize(
    ("name_of_part", "value", "message"),
    [
        ("tcb_info", None, "tcb_info is not text"),
        ("tcb_info", "{", "TCB info is no JSON"),
        ("tcb_info", "{}", "fmspc is not text"),
        ("tcb_info", '{"fmspc": "x"}', "issueDate is not text"),
        ("tcb_info", '{"fmspc": "x", "issueDate": "today"}', "issueDate is no time"),
        ("tcb_info", intel().collateral().tcb_info.replace("pceId", "pce"), "pceId is not text"),
        ("qe_identity", "{}", "issueDate is not text"),
        ("pck_crl", "zz", "pck_crl is not in hex"),
        ("pck_crl", "", "DER ends early"),
        ("pck_crl", crl(version=0).hex(), "a CRL is not of version 2"),
        (
            "pck_crl",
            crl(issuer="Somebody").hex(),
            "the PCK CRL is neither of the platform CA nor of the processor CA",
        ),
        ("root_ca_crl", 1, "root_ca_crl is not text"),
        ("tcb_info_issuer_chain", "", "there is no PEM certificate"),
        ("tcb_info_signature", "00", "a signature of the collateral is not 64 bytes"),
        ("qe_identity_signature", "00" * 65, "a signature of the collateral is not 64 bytes"),
    ],
)
def test_a_part_that_is_malformed(name_of_part: str, value: object, message: str) -> None:
    parts = {**json.loads(intel().collateral().to_json()), name_of_part: value}
    with pytest.raises(MalformedError, match=f"^{message}$"):
        Collateral.from_json(json.dumps(parts))


def test_the_list_of_another_authority_is_of_no_known_platform() -> None:
    stranger = Authority("Somebody", 30)
    with pytest.raises(MalformedError, match=r"^the PCK CRL is neither"):
        intel().collateral(pck_crl=stranger.crl())
