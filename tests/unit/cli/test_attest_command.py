"""`attest`: URIs made and shown, nodes probed, collateral fetched."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from priolb.attest import attestors as attestors_module
from priolb.attest.sev import verifier
from priolb.attest.sev.measurements import encode_user_part
from priolb.attest.sgx import sources
from priolb.attest.sgx.collateral import Collateral
from priolb.cli import attest_collateral, attest_probe
from priolb.cli.main import main
from priolb.config.settings import SETTINGS
from priolb.nodes.uri import parse_node_uri
from support.attested_node import AttestedNode, sev_node, sgx_node
from support.pccs import Pccs
from support.sev_evidence import SevNode
from support.sgx_evidence import MRENCLAVE, intel

Output = pytest.CaptureFixture[str]
HEX = "ab" * 32


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS.values():
        if setting.env:
            monkeypatch.delenv(setting.env, raising=False)
    monkeypatch.delenv("http_proxy", raising=False)


def file_with(folder: Path, document: object) -> str:
    path = folder / "measurements.json"
    path.write_text(json.dumps(document))
    return str(path)


# uri and show


def test_a_uri_of_a_sev_node_is_made_and_shown(tmp_path: Path, capsys: Output) -> None:
    measurements = {"4": HEX, "9": HEX, "12": HEX, "1": {"expected": HEX, "warnOnly": True}}
    assert main(["attest", "uri", "foo:8545/rpc", "--measurements", file_with(tmp_path, measurements)]) == 0
    uri, errors = capsys.readouterr()
    assert (uri.startswith("https://SEV_"), uri.endswith("@foo:8545/rpc\n"), errors) == (True, True, "")
    assert main(["attest", "show", uri.strip()]) == 0
    zero = "00" * 32
    assert capsys.readouterr().out.splitlines() == [
        "node       https://foo:8545/rpc",
        "kind       SEV: AMD SEV-SNP with a virtual TPM, as Constellation on Azure",
        f"PCR 1      warn only {HEX}",
        f"PCR 4      enforced  {HEX}",
        f"PCR 8      enforced  {zero}  (default)",
        f"PCR 9      enforced  {HEX}",
        f"PCR 11     enforced  {zero}  (default)",
        f"PCR 12     enforced  {HEX}",
        f"PCR 13     enforced  {zero}  (default)",
        f"PCR 15     enforced  {zero}  (default)",
    ]


def test_measurements_that_no_node_can_have_are_warned_of(tmp_path: Path, capsys: Output) -> None:
    assert main(["attest", "uri", "foo", "--measurements", file_with(tmp_path, {"4": HEX, "9": HEX})]) == 0
    uri, errors = capsys.readouterr()
    warning = "no node can match: PCR 12 is enforced with a value that no node has; name it in the JSON"
    assert errors == f"prio-load-balancer: {warning}\n"
    assert main(["attest", "show", uri.strip()]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == warning


def test_a_uri_of_a_sgx_node_is_made_and_shown(capsys: Output) -> None:
    assert main(["attest", "uri", "foo?_allow_tcb=OutOfDate", "-mrenclave", HEX]) == 0
    uri = f"https://SGX_{HEX}@foo?_allow_tcb=OutOfDate"
    assert capsys.readouterr() == (f"{uri}\n", "")
    assert main(["attest", "show", uri]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "node       https://foo",
        "kind       SGX: Intel SGX with DCAP, as Gramine's RA-TLS",
        f"MRENCLAVE  {HEX}",
        "policy     _allow_tcb=OutOfDate for this node alone",
    ]


@pytest.mark.parametrize("scheme", ["", "https://", "HTTPS://"])
def test_the_host_may_stand_as_the_uri_that_it_will_be(scheme: str, capsys: Output) -> None:
    assert main(["attest", "uri", f"{scheme}foo:8545/rpc?a=b://c", "--mrenclave", HEX]) == 0
    assert capsys.readouterr().out == f"https://SGX_{HEX}@foo:8545/rpc?a=b://c\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prove", "x"], "attest: unknown action 'prove'; did you mean probe?"),
        (["uri"], "attest: uri needs the host of a node, and nothing else"),
        (["show", "a", "b"], "attest: show needs the URI of a node, and nothing else"),
        (
            ["collateral", "get", "x"],
            "attest: collateral needs the word fetch and a directory, and nothing else",
        ),
        (["uri", "foo"], "attest: uri needs either --measurements or --mrenclave"),
        (
            ["uri", "foo", "--measurements", "x", "--mrenclave", HEX],
            "attest: uri needs either --measurements or --mrenclave",
        ),
        (
            ["uri", "foo", "--mrenclave", "00"],
            "node URI 'https://foo': what follows SGX_ is no MRENCLAVE (64 hex digits)",
        ),
        (
            ["uri", "foo", "--measurements", "/nowhere"],
            "--measurements: '/nowhere': No such file or directory",
        ),
        (
            ["uri", "http://foo", "--mrenclave", HEX],
            "attest: uri needs a host, with or without https:// in front; an attested node needs https",
        ),
        (["uri", "foo", "--mrenclave", HEX, "--ca", "platform"], "attest: --ca is not for uri"),
        (["show", "x", "--measurements", "x"], "attest: --measurements is not for show"),
        (["probe", "x", "--url", "x"], "attest: --url is not for probe"),
        (["collateral", "fetch", "/", "--mrenclave", HEX], "attest: --mrenclave is not for collateral"),
        (
            ["show", "https://foo"],
            "attest: https://foo has no user part (SEV_... or SGX_...), so it proves nothing",
        ),
        (
            ["probe", "http://foo:x"],
            "node URI 'http://foo:...': the port is no number from 1 to 65535",
        ),
        (
            ["collateral", "fetch", "/"],
            "attest: collateral needs --url, or SGX_COLLATERAL with the URL of a PCCS",
        ),
        (["collateral", "fetch", "/", "--url", "x"], "--url: 'x' is not a URL"),
        (["collateral", "fetch", "/nowhere", "--url", "http://x"], "attest: '/nowhere' is no directory"),
        (
            ["collateral", "fetch", "/", "--url", "http://x"],
            "attest: collateral needs --fmspc with 12 hex digits (attest probe URI tells them)",
        ),
        (
            ["collateral", "fetch", "/", "--url", "http://x", "--fmspc", "0" * 12, "--ca", "root"],
            "--ca: 'root' is neither platform nor processor",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(words: list[str], message: str, capsys: Output) -> None:
    assert main(["attest", *words]) == 2
    assert capsys.readouterr().err.startswith(f"prio-load-balancer: {message}")


def test_measurements_that_are_none_are_refused(tmp_path: Path, capsys: Output) -> None:
    assert main(["attest", "uri", "foo", "--measurements", file_with(tmp_path, None)]) == 2
    assert capsys.readouterr().err.endswith("measurements.json': measurements is no JSON object\n")


def test_a_file_of_measurements_that_is_too_long_is_refused_for_that(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps({"4": HEX}) + " " * 65_536)
    assert main(["attest", "uri", "foo", "--measurements", str(path)]) == 2
    assert capsys.readouterr().err.endswith("long.json': the measurements are longer than 65536 bytes\n")


def test_without_the_packages_for_it_the_command_says_so(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "priolb.cli.attest_collateral", raising=False)
    monkeypatch.setitem(sys.modules, "priolb.attest.sgx.collateral", None)
    assert main(["attest", "collateral", "fetch", "/"]) == 2
    assert "pip install '.[tee]' in the checkout (" in capsys.readouterr().err


# probe


@pytest.fixture
def sev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AttestedNode]:
    """A SEV node under the authority of the tests, which the command trusts here and only here."""
    node = SevNode()
    original = attestors_module.Attestors.__init__

    def under_our_roots(self: attestors_module.Attestors, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)  # type: ignore[arg-type]
        object.__setattr__(self, "_sev_policy", node.policy)
        object.__setattr__(self, "_sgx_policy", intel().policy)

    monkeypatch.setattr(attestors_module.Attestors, "__init__", under_our_roots)
    with sev_node(tmp_path, node) as running:
        yield running


def sev_uri(node: SevNode, port: int, **changes: str) -> str:
    return f"https://{node.user_part(**changes)}@127.0.0.1:{port}"


def test_a_node_that_proves_itself_is_told_step_by_step(sev: AttestedNode, capsys: Output) -> None:
    node = SevNode()
    assert main(["attest", "probe", sev_uri(node, sev.port)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"node https://127.0.0.1:{sev.port}"
    assert [line[:9] for line in lines[1:13]] == ["ok       "] * 12
    assert f"claim    pcr_4 = {node.pcrs[4].hex()}" in lines
    needs = next(line for line in lines if line.startswith("needs    --measurements"))
    named = json.loads(needs.partition("with ")[2])
    warned = (1, 2, 3, 5, 6, 7, 14)
    assert {index: each["warnOnly"] for index, each in named.items()} == {
        str(index): index in warned for index in (*range(1, 10), *range(11, 16))
    }
    assert named["4"]["expected"] == node.pcrs[4].hex()
    assert lines[-1] == "attested"


def test_a_node_that_does_not_is_told_where_and_what_it_would_need(sev: AttestedNode, capsys: Output) -> None:
    assert main(["attest", "probe", sev_uri(SevNode(), sev.port, **{"15": HEX})]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines[1:12]] == ["ok       "] * 11
    assert lines[12].startswith(
        "REFUSED  the PCRs have the values that the node's URI names: measurements: PCR 15 is"
    )
    assert "needs    SEV_MIN_TCB of 3.0.8.115 or lower" in lines
    assert lines[-1] == "not attested"


def test_steps_that_are_not_reached_are_told_as_such(tmp_path: Path, capsys: Output) -> None:
    with sev_node(tmp_path, SevNode()) as running:
        assert main(["attest", "probe", sev_uri(SevNode(), running.port)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].startswith("REFUSED  the chip's key is signed by AMD: ask_signature: ")
    assert {line[:9] for line in lines[5:13]} == {"-        "}
    assert lines[13] == "not attested"


def test_warnings_are_told(sev: AttestedNode, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    node = SevNode()
    named: dict[str, object] = {str(index): value.hex() for index, value in node.pcrs.items()}
    named["7"] = {"expected": HEX, "warnOnly": True}
    uri = f"https://SEV_{encode_user_part(json.dumps(named).encode())}@127.0.0.1:{sev.port}"
    assert main(["attest", "probe", uri]) == 0
    assert f"warning  PCR 7 is {node.pcrs[7].hex()}, expected {HEX}" in capsys.readouterr().out.splitlines()


def test_a_fault_of_the_verifier_is_told_at_the_end(
    sev: AttestedNode, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(verifier, "verify_sev", fail)
    assert main(["attest", "probe", sev_uri(SevNode(), sev.port)]) == 1
    assert "REFUSED  the verifier works: verifier_failed: TypeError: a bug" in capsys.readouterr().out


def test_a_sgx_node_is_probed_with_collateral_from_a_service(
    sev: AttestedNode, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sgx_node(tmp_path) as running, Pccs(running.collateral()) as service:
        monkeypatch.setenv("SGX_COLLATERAL", service.url)
        assert main(["attest", "probe", f"https://SGX_{MRENCLAVE.hex()}@127.0.0.1:{running.port}"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line[:9] for line in lines[1:9]] == ["ok       "] * 8
        assert lines[-4:] == [
            f"needs    --mrenclave {MRENCLAVE.hex()}",
            "needs    a policy that allows UpToDate",
            "needs    collateral: attest collateral fetch DIR --fmspc 00606A000000 --ca platform",
            "attested",
        ]
        service.answers["tcb"] = (503, b"", {})
        assert main(["attest", "probe", f"https://SGX_{MRENCLAVE.hex()}@127.0.0.1:{running.port}"]) == 1
        out, errors = capsys.readouterr()
        assert "REFUSED  valid collateral for the platform is at hand: collateral_missing: " in out
        assert "SGX collateral cannot be fetched: http://127.0.0.1:" in errors


def test_that_nobody_is_asked_for_collateral_is_told(
    sev: AttestedNode, tmp_path: Path, capsys: Output
) -> None:
    with sgx_node(tmp_path) as running:
        assert main(["attest", "probe", f"https://SGX_{MRENCLAVE.hex()}@127.0.0.1:{running.port}"]) == 1
    out, errors = capsys.readouterr()
    assert ": collateral_missing: " in out
    assert errors == "prio-load-balancer: SGX_COLLATERAL is not set, so no SGX node can prove itself\n"


def test_a_node_that_cannot_be_asked(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"https://SGX_{HEX}@"
    assert main(["attest", "probe", f"{uri}127.0.0.1:9"]) == 1
    assert "https://127.0.0.1:9 cannot be asked: " in capsys.readouterr().err
    monkeypatch.setattr(attest_probe, "CONNECT_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert main(["attest", "probe", f"{uri}127.0.0.1:{silent.getsockname()[1]}"]) == 1
    assert "cannot be asked: no handshake in time" in capsys.readouterr().err


def test_collateral_that_does_not_come_in_time_is_missing(
    sev: AttestedNode, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attest_probe, "COLLATERAL_TIMEOUT_S", 0.05)
    monkeypatch.setattr(sources, "TIMEOUT_S", 0.5)
    with sgx_node(tmp_path) as running, socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SGX_COLLATERAL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert main(["attest", "probe", f"https://SGX_{MRENCLAVE.hex()}@127.0.0.1:{running.port}"]) == 1
    assert ": collateral_missing: " in capsys.readouterr().out


# collateral


def test_collateral_is_fetched_into_files(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = intel().collateral()
    monkeypatch.setattr(attest_collateral, "INTEL_SGX_ROOT", intel().root.der)
    with Pccs(held) as service:
        monkeypatch.setenv("SGX_COLLATERAL", service.url)
        words = ["attest", "collateral", "fetch", str(tmp_path), "--fmspc", "00606a000000,00606A000000"]
        assert main([*words, "--ca", "platform"]) == 0
        file = tmp_path / "00606A000000-platform.json"
        assert capsys.readouterr() == (f"{file}: valid until 2025-07-15 15:06 UTC\n", "")
        assert Collateral.from_json(file.read_text()) == held
        assert main([*words, "--url", service.url]) == 1
        out, errors = capsys.readouterr()
        assert out == f"{file}: valid until 2025-07-15 15:06 UTC\n"
        assert errors == (
            "prio-load-balancer: 00606A000000 (processor CA): "
            "the service gave collateral for 00606A000000 (platform CA)\n"
        )
        assert [each.name for each in tmp_path.iterdir()] == ["00606A000000-platform.json"]


def test_collateral_that_intel_has_not_signed_is_not_kept(tmp_path: Path, capsys: Output) -> None:
    with Pccs(intel().collateral()) as service:
        words = ["--url", service.url, "--fmspc", "00606A000000", "--ca", "platform"]
        assert main(["attest", "collateral", "fetch", str(tmp_path), *words]) == 1
    message = "the issuer of the TCB info is not certified by Intel's root"
    assert capsys.readouterr().err == f"prio-load-balancer: 00606A000000 (platform CA): {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_uris_of_the_command_are_uris_of_nodes(tmp_path: Path, capsys: Output) -> None:
    main(["attest", "uri", "foo", "--mrenclave", HEX])
    assert parse_node_uri(capsys.readouterr().out.strip()).expectation is not None
