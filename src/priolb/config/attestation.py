"""From the settings to what attests nodes."""

from __future__ import annotations

from priolb.attest.attestors import Attestors, Log
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx.policy import SgxPolicy, states_of_flags
from priolb.config.settings import Settings


def attestors_of(settings: Settings, log: Log) -> Attestors:
    """Return what attests nodes by the policy of these settings, under the trust anchors of the program."""
    states = states_of_flags(
        outdated=settings.ra_tls_allow_outdated_tcb,
        configuration=settings.ra_tls_allow_hw_config_needed,
        sw_hardening=settings.ra_tls_allow_sw_hardening_needed,
    )
    return Attestors(
        SevPolicy(settings.sev_arks, settings.sev_min_tcb, settings.sev_id_keys),
        SgxPolicy(allowed_states=states),
        settings.sgx_collateral,
        log,
    )
