"""What the settings say about attested nodes."""

import pytest

from priolb.attest.anchors import ARK_GENOA, ARK_MILAN
from priolb.attest.attestors import Attestors
from priolb.attest.sev.policy import SevPolicy, Tcb
from priolb.attest.sgx.policy import SgxPolicy, TcbState
from priolb.config.attestation import attestors_of
from priolb.config.load import load_settings
from priolb.errors import ConfigError
from support.memory_log import MemoryLog


def made(**environ: str) -> Attestors:
    return attestors_of(load_settings([], environ), MemoryLog())


def test_the_defaults_are_those_of_the_policies() -> None:
    attestors = made()
    assert (attestors._sev_policy, attestors._sgx_policy) == (SevPolicy(), SgxPolicy())
    assert attestors._collateral == ""


def test_each_setting_of_sev_is_heeded() -> None:
    policy = made(SEV_ARKS="genoa,milan", SEV_MIN_TCB="1.2.3.4", SEV_ID_KEYS="00" * 48)._sev_policy
    assert policy == SevPolicy((ARK_GENOA, ARK_MILAN), Tcb(1, 2, 3, 4), frozenset({bytes(48)}))


@pytest.mark.parametrize(
    ("variables", "state"),
    [
        (("RA_TLS_ALLOW_OUTDATED_TCB_INSECURE",), TcbState.OUT_OF_DATE),
        (("RA_TLS_ALLOW_HW_CONFIG_NEEDED",), TcbState.CONFIGURATION_NEEDED),
        (("RA_TLS_ALLOW_SW_HARDENING_NEEDED",), TcbState.SW_HARDENING_NEEDED),
    ],
)
def test_each_flag_of_gramine_is_heeded(variables: tuple[str, ...], state: TcbState) -> None:
    policy = made(**dict.fromkeys(variables, "1"))._sgx_policy
    assert policy == SgxPolicy(allowed_states=frozenset({TcbState.UP_TO_DATE, state}))


def test_debug_enclaves_are_never_allowed() -> None:
    assert made(RA_TLS_ALLOW_DEBUG_ENCLAVE_INSECURE="1")._sgx_policy == SgxPolicy()


@pytest.mark.parametrize(
    "place", ["https://pccs.example:8081", "http://10.0.0.1/sgx/certification/v4/", "/var/lib/it"]
)
def test_collateral_comes_from_a_url_or_a_directory(place: str) -> None:
    assert made(SGX_COLLATERAL=place)._collateral == place


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SEV_ARKS", "ours", "SEV_ARKS: 'ours' is not a list of milan, genoa"),
        ("SEV_MIN_TCB", "1", "SEV_MIN_TCB: '1' is not bootloader.tee.snp.microcode"),
        ("SEV_ID_KEYS", "00", "SEV_ID_KEYS: '00' is not a list of SHA-384 digests"),
        ("SGX_COLLATERAL", "relative", "SGX_COLLATERAL: 'relative' is not a URL"),
        ("SGX_COLLATERAL", "ftp://host", "SGX_COLLATERAL: 'ftp://host' is not a URL"),
        ("SGX_COLLATERAL", "https://user@host", "SGX_COLLATERAL: 'https://user@host' is not a URL"),
        ("SGX_COLLATERAL", "https://host?x", "SGX_COLLATERAL: 'https://host?x' is not a URL"),
        ("SGX_COLLATERAL", "https://host:x", "SGX_COLLATERAL: 'https://host:x' is not a URL"),
        ("SGX_COLLATERAL", "https://", "SGX_COLLATERAL: 'https://' is not a URL"),
        ("SGX_COLLATERAL", "/a\nb", "SGX_COLLATERAL: '/a\\nb' is not a URL"),
        ("RA_TLS_ALLOW_HW_CONFIG_NEEDED", "2", "RA_TLS_ALLOW_HW_CONFIG_NEEDED: '2' is not a switch"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings([], {name: value})
    assert str(caught.value).startswith(message)
