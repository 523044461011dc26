"""What every SGX node is held to, besides the MRENCLAVE of its own URI. The defaults are Gramine's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from priolb.attest.anchors import INTEL_SGX_ROOT


class TcbState(Enum):
    """What Intel says about the state of a platform (Intel PCS API v4, "tcbStatus"), unless it is revoked."""

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"


@dataclass(frozen=True, slots=True)
class SgxPolicy:
    """What is accepted.

    Args:
        root: Intel's root certificate in DER; the only trust anchor.
        allowed_states: of the platform. A revoked one is refused whatever stands here.
    """

    root: bytes = INTEL_SGX_ROOT
    allowed_states: frozenset[TcbState] = frozenset({TcbState.UP_TO_DATE})


def states_of_flags(outdated: bool, configuration: bool, sw_hardening: bool) -> frozenset[TcbState]:
    """Return what Gramine accepts, from version 1.5 on, with these of its RA_TLS_ALLOW_* flags set."""
    allowed = {TcbState.UP_TO_DATE}
    if outdated:
        allowed.add(TcbState.OUT_OF_DATE)
    if configuration:
        allowed.add(TcbState.CONFIGURATION_NEEDED)
    if sw_hardening:
        allowed.add(TcbState.SW_HARDENING_NEEDED)
    if outdated and configuration:
        allowed.add(TcbState.OUT_OF_DATE_CONFIGURATION_NEEDED)
    if configuration and sw_hardening:
        allowed.add(TcbState.CONFIGURATION_AND_SW_HARDENING_NEEDED)
    return frozenset(allowed)


def parse_states(text: str) -> frozenset[TcbState]:
    """Return the states whose names stand with commas between them, and UpToDate.

    Raises:
        ValueError: one is unknown, or none is named.
    """
    known = {state.value: state for state in TcbState}
    names = text.split(",")
    if not set(names) <= known.keys():
        raise ValueError(f"is not a list of {', '.join(known)}")
    return frozenset({TcbState.UP_TO_DATE, *(known[name] for name in names)})
