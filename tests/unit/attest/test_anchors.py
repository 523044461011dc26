"""The trust anchors are the ones that their makers publish, and there is no way to add one."""

import hashlib
import inspect
import os

import pytest

from priolb.attest.anchors import ARK_GENOA, ARK_MILAN, INTEL_SGX_ROOT
from priolb.attest.certificate import parse_certificate
from priolb.attest.sev.policy import ARKS, SevPolicy
from priolb.attest.sgx.policy import SgxPolicy
from priolb.config.attestation import attestors_of
from priolb.config.load import load_settings
from priolb.config.settings import SETTINGS
from priolb.nodes.uri import parse_node_uri
from support.memory_log import MemoryLog


@pytest.mark.parametrize(
    ("anchor", "sha256"),
    [
        (ARK_MILAN, "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
        (ARK_GENOA, "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
        (INTEL_SGX_ROOT, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"),
    ],
)
def test_an_anchor_is_the_published_one(anchor: bytes, sha256: str) -> None:
    assert hashlib.sha256(anchor).hexdigest() == sha256
    assert parse_certificate(anchor).may_sign_certificates


def test_the_defaults_trust_the_published_anchors_alone() -> None:
    assert SevPolicy().arks == (ARK_MILAN,)
    assert SgxPolicy().root == INTEL_SGX_ROOT
    assert set(ARKS.values()) == {ARK_MILAN, ARK_GENOA}


def test_no_setting_names_an_anchor_that_is_not_published() -> None:
    everything = {
        setting.env: "1" for setting in SETTINGS.values() if setting.env and "RA_TLS" in setting.env
    }
    settings = load_settings([], {**everything, "SEV_ARKS": "milan,genoa"})
    attestors = attestors_of(settings, MemoryLog())
    assert set(attestors._sev_policy.arks) == {ARK_MILAN, ARK_GENOA}
    assert attestors._sgx_policy.root == INTEL_SGX_ROOT


@pytest.mark.parametrize("parameter", ["_root=00", "_ark=milan", "_arks=ours", "_arks=/etc/ark.pem"])
def test_no_uri_names_one(parameter: str) -> None:
    for user_part in ("SGX_" + "00" * 32, "SEV_"):
        with pytest.raises(Exception, match=r"^node URI 'https://foo': "):
            parse_node_uri(f"https://{user_part}@foo?{parameter}")


def test_what_judges_reads_no_environment_and_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from priolb.attest import anchors, signatures  # noqa: PLC0415
    from priolb.attest.sev import chain, verify  # noqa: PLC0415
    from priolb.attest.sgx import dcap  # noqa: PLC0415

    for module in (anchors, signatures, chain, verify, dcap):
        source = inspect.getsource(module)
        assert not {"environ", "open(", "Path("} & set(source.replace("(", "( ").split())
        assert os.__name__ not in vars(module)
