"""What the library for quotes says in ways of its own."""

from __future__ import annotations

import dcap_qvl
import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sgx.dcap import check_with_intel, platform_of
from priolb.attest.sgx.policy import TcbState
from priolb.attest.verdict import NotProven, Refusal
from support.sgx_evidence import NOW, PLATFORM, SgxNode, intel


class PanicException(BaseException):
    """As the library raises it: no Exception."""


def give_up(*_arguments: object) -> None:
    raise PanicException


def be_interrupted(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_a_quote_names_its_platform() -> None:
    assert platform_of(SgxNode().quote()) == PLATFORM
    assert str(PLATFORM) == "00606A000000 (platform CA)"


def test_a_quote_that_names_no_platform_is_malformed() -> None:
    with pytest.raises(MalformedError, match=r"^the quote names no platform: "):
        platform_of(b"")


def test_a_library_that_gives_up_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcap_qvl, "parse_quote", give_up)
    monkeypatch.setattr(dcap_qvl, "verify_with_root_ca", give_up)
    with pytest.raises(MalformedError, match=r"^the quote names no platform: the library gave up$"):
        platform_of(b"")
    with pytest.raises(NotProven, match=r"^the library gave up$") as caught:
        check_with_intel(b"", intel().collateral(), intel().root.der, NOW)
    assert caught.value.refusal is Refusal.DCAP_REFUSED


def test_a_state_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a later release of the library may name one; this one takes none that we do not know."""

    class Report:
        status = "Splendid"
        advisory_ids = ()

        def to_json(self) -> str:
            return '{"qe_status": {"status": "UpToDate"}}'

    monkeypatch.setattr(dcap_qvl, "verify_with_root_ca", lambda *_arguments: Report())
    with pytest.raises(NotProven, match=r"^the platform is in the unknown state Splendid, ") as caught:
        check_with_intel(b"", intel().collateral(), intel().root.der, NOW)
    assert caught.value.refusal is Refusal.DCAP_REFUSED


def test_whoever_interrupts_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcap_qvl, "parse_quote", be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        platform_of(b"")


def test_what_intel_says_about_platforms_with_another_pce_counts_for_nothing() -> None:
    info = intel().collateral().tcb_info.replace('"pceId":"0000"', '"pceId":"00ab"')
    held = intel().collateral(
        tcb_info=info, tcb_info_signature=intel().tcb_signing.raw_signature(info.encode())
    )
    with pytest.raises(
        NotProven, match=r"^the TCB info is for PCE 00AB, and the platform has 0000$"
    ) as caught:
        check_with_intel(SgxNode().quote(), held, intel().root.der, NOW)
    assert caught.value.refusal is Refusal.COLLATERAL_INVALID


@pytest.mark.parametrize(
    "part", ["tcb_info_issuer_chain", "qe_identity_issuer_chain", "pck_crl_issuer_chain"]
)
@pytest.mark.parametrize(
    "behind",
    ["\ud800", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "-----BEGIN X-----"],
)
def test_what_stands_around_certificates_is_of_no_matter(part: str, behind: str) -> None:
    chain = getattr(intel().collateral(), part)
    for odd in (chain + behind, chain.replace("\n", "").replace("-----BEGIN", behind + "-----BEGIN")):
        held = intel().collateral(**{part: odd})
        assert check_with_intel(SgxNode().quote(), held, intel().root.der, NOW).state is TcbState.UP_TO_DATE


def test_it_refuses_debug_enclaves_by_itself_too() -> None:
    with pytest.raises(NotProven, match=r"^Debug mode is enabled$"):
        check_with_intel(SgxNode().quote(flags=0x07), intel().collateral(), intel().root.der, NOW)


def test_an_error_of_many_lines_becomes_one_of_300_characters() -> None:
    with pytest.raises(NotProven) as caught:
        check_with_intel(SgxNode().quote(), intel().collateral(status="Bogus"), intel().root.der, NOW)
    assert len(str(caught.value)) == 300
    assert "\n" not in str(caught.value)
