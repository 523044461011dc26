"""The policy for SGX nodes, and how an operator writes it."""

from itertools import product

import pytest

from priolb.attest.sgx.policy import SgxPolicy, TcbState, parse_states, states_of_flags

OUTDATED = {"OutOfDate"}
CONFIGURATION = {"ConfigurationNeeded"}
HARDENING = {"SWHardeningNeeded"}


def test_only_up_to_date_platforms_are_accepted_by_default() -> None:
    assert SgxPolicy().allowed_states == {TcbState.UP_TO_DATE}
    assert states_of_flags(False, False, False) == {TcbState.UP_TO_DATE}


@pytest.mark.parametrize("flags", list(product([False, True], repeat=3)))
def test_the_flags_allow_what_they_allow_in_gramine(flags: tuple[bool, bool, bool]) -> None:
    outdated, configuration, hardening = flags
    expected = {"UpToDate"}
    expected |= OUTDATED if outdated else set()
    expected |= CONFIGURATION if configuration else set()
    expected |= HARDENING if hardening else set()
    expected |= {"OutOfDateConfigurationNeeded"} if outdated and configuration else set()
    expected |= {"ConfigurationAndSWHardeningNeeded"} if configuration and hardening else set()
    assert {state.value for state in states_of_flags(*flags)} == expected


def test_states_are_named_as_intel_names_them() -> None:
    assert parse_states("OutOfDate,SWHardeningNeeded") == {
        TcbState.UP_TO_DATE,
        TcbState.OUT_OF_DATE,
        TcbState.SW_HARDENING_NEEDED,
    }
    assert parse_states("UpToDate") == {TcbState.UP_TO_DATE}
    assert parse_states(",".join(state.value for state in TcbState)) == set(TcbState)


@pytest.mark.parametrize(
    "text", ["", "Revoked", "OutOfDate,Revoked", "outofdate", "OutOfDate,", "OutOfDate, UpToDate"]
)
def test_other_names_and_revoked_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a list of UpToDate, "):
        parse_states(text)
