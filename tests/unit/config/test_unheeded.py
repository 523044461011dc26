"""Settings that have no effect beside the others."""

from pathlib import Path

import pytest

from priolb.config.load import load_settings
from priolb.config.unheeded import unheeded

LANES = """\
discipline = "strict"
[[lane]]
name = "a"
preempts = true
[[lane]]
name = "b"
preemptible = true
"""


def said(environ: dict[str, str]) -> list[tuple[str, str]]:
    return list(unheeded(load_settings([], environ)))


@pytest.fixture
def with_lanes(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "lanes.toml"
    file.write_text(LANES)
    return {"CONFIG_FILE": str(file)}


def test_nothing_is_said_of_the_defaults() -> None:
    assert said({}) == []


def test_what_the_original_buffers_is_never_heeded() -> None:
    why = "a request stays in line until a node has a slot"
    variables = {"JOB_SEND_TIMEOUT": "0", "JOB_CHAN_BUFFER": "7"}
    assert said(variables) == [("JOB_SEND_TIMEOUT", why), ("JOB_CHAN_BUFFER", why)]


def test_debug_enclaves_are_never_allowed() -> None:
    name = "RA_TLS_ALLOW_DEBUG_ENCLAVE_INSECURE"
    assert said({name: "1"}) == [(name, "debug enclaves are always refused")]


def test_a_setting_of_the_configuration_file_is_told_of_as_well(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("JOB_SEND_TIMEOUT = 0\n")
    assert [name for name, _ in said({"CONFIG_FILE": str(file)})] == ["JOB_SEND_TIMEOUT"]


def test_limits_of_the_original_lanes_say_nothing_beside_own_lanes(with_lanes: dict[str, str]) -> None:
    names = ("ITEMS_FASTTRACK_MAX", "ITEMS_HIGHPRIO_MAX", "ITEMS_LOWPRIO_MAX")
    variables = dict.fromkeys(names, "5")
    assert said(variables) == []
    why = "the lanes of the configuration file have limits"
    assert said(variables | with_lanes) == [(name, why) for name in names]


def test_turns_of_the_original_say_nothing_beside_another_discipline(with_lanes: dict[str, str]) -> None:
    variables = {"ITEMS_FASTTRACK_PER_HIGHPRIO": "3", "FASTTRACK_DRAIN_FIRST": "1"}
    assert said(variables) == []
    why = "the discipline strict does not heed it"
    assert said(variables | with_lanes) == [(name, why) for name in variables]


def test_preemptions_need_a_lane_that_preempts(with_lanes: dict[str, str]) -> None:
    variables = {"PREEMPTIONS_PER_SECOND": "7"}
    assert said(variables) == [("PREEMPTIONS_PER_SECOND", "no lane preempts")]
    assert said(variables | with_lanes) == []


def test_only_trusted_proxies_name_tenants() -> None:
    variables = {"TENANT_HEADER": "X-Tenant"}
    assert said(variables) == [("TENANT_HEADER", "TRUSTED_PROXIES is empty")]
    assert said(variables | {"TRUSTED_PROXIES": "10.0.0.0/8"}) == []


def test_where_nobody_is_ejected_it_does_not_matter_how() -> None:
    variables = {"EJECT_TIME": "7", "EJECT_MAX_PERCENT": "70"}
    assert said(variables) == []
    assert said(variables | {"EJECT_AFTER": "0"}) == [(name, "EJECT_AFTER is 0") for name in variables]


def test_second_tries_need_a_lane_that_has_them() -> None:
    variables = {"HEDGE_MAX_PERCENT": "7"}
    assert said(variables) == [("HEDGE_MAX_PERCENT", "HEDGE_LANES is empty")]
    assert said(variables | {"HEDGE_LANES": "fast-track"}) == []
