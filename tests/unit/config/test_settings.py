"""The table of settings against what a user of the original must find again."""

from dataclasses import FrozenInstanceError, fields, replace
from ipaddress import IPv4Network, IPv6Network

import pytest

from priolb.config.parse import Address
from priolb.config.settings import SETTINGS, Settings
from priolb.config.tables import LaneSpec, Policy

# Variables of the original: name, flag, default.
ORIGINAL = [
    ("LISTEN_ADDR", "http", "localhost:8080"),
    ("REDIS_URI", "redis", "dev"),
    ("NODES", "nodes", ""),
    ("BACKENDS", "backends", ""),
    ("NUM_NODE_WORKERS", "node-workers", "8"),
    ("LOG_PROD", "log-prod", "false"),
    ("LOG_SERVICE", "log-service", ""),
    ("RETRIES_MAX", None, "3"),
    ("PAYLOAD_MAX_KB", None, "8192"),
    ("ITEMS_FASTTRACK_MAX", None, "0"),
    ("ITEMS_HIGHPRIO_MAX", None, "0"),
    ("ITEMS_LOWPRIO_MAX", None, "0"),
    ("ITEMS_FASTTRACK_PER_HIGHPRIO", None, "2"),
    ("FASTTRACK_DRAIN_FIRST", None, "false"),
    ("REQUEST_TIMEOUT", None, "5"),
    ("REQUEST_PROXY_TIMEOUT", None, "3"),
    ("JOB_SEND_TIMEOUT", None, "2"),
    ("JOB_CHAN_BUFFER", None, "2"),
    ("REDIS_PREFIX", None, "prio-load-balancer:"),
    ("ENABLE_ERROR_TEST_API", None, "false"),
    ("ENABLE_PPROF", None, "false"),
    ("ProxyMaxIdleConns", None, "100"),
    ("ProxyMaxConnsPerHost", None, "100"),
    ("ProxyMaxIdleConnsPerHost", None, "100"),
    ("ProxyIdleConnTimeout", None, "90"),
    # of Gramine, whose library the original uses
    ("RA_TLS_ALLOW_OUTDATED_TCB_INSECURE", None, "false"),
    ("RA_TLS_ALLOW_HW_CONFIG_NEEDED", None, "false"),
    ("RA_TLS_ALLOW_SW_HARDENING_NEEDED", None, "false"),
    ("RA_TLS_ALLOW_DEBUG_ENCLAVE_INSECURE", None, "false"),
]


@pytest.mark.parametrize(("env", "flag", "default"), ORIGINAL)
def test_each_variable_of_the_original_has_its_flag_and_default(
    env: str, flag: str | None, default: str
) -> None:
    found = [(setting.flag, setting.default) for setting in SETTINGS.values() if setting.env == env]
    assert found == [(flag, default)]


def test_mock_node_is_a_flag_only() -> None:
    assert (SETTINGS["mock_node"].env, SETTINGS["mock_node"].flag) == (None, "mock-node")


def test_each_field_is_a_setting_with_unit_and_meaning() -> None:
    assert [*SETTINGS, "policy", "lines"] == [field.name for field in fields(Settings)]
    for setting in SETTINGS.values():
        assert setting.unit
        assert setting.meaning.endswith(".")
        assert setting.kind.accepts
        assert setting.env or setting.flag


def test_no_two_settings_share_a_variable_or_flag() -> None:
    names = [
        name for setting in SETTINGS.values() for name in (setting.env, setting.flag) if name is not None
    ]
    assert len(names) == len(set(names))


def test_defaults_are_values_of_their_types() -> None:
    settings = Settings()
    assert settings.listen == Address("localhost", 8080)
    assert settings.nodes == ()
    assert settings.node_workers == 8
    assert settings.mock_node is False
    assert settings.request_timeout_s == 5.0
    assert settings.redis_prefix == "prio-load-balancer:"
    assert settings.admin_listen is None
    assert settings.admin_allow == (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def test_lanes_are_those_of_the_original_with_their_limits_unless_the_file_has_others() -> None:
    own = Settings(items_fasttrack_max=1, items_highprio_max=2, items_lowprio_max=3)
    assert own.lanes == (
        LaneSpec(name="fast-track", limit=1),
        LaneSpec(name="high-priority", limit=2),
        LaneSpec(name="low-priority", limit=3),
    )
    lanes = (LaneSpec(name="one"), LaneSpec(name="two", limit=9))
    assert replace(own, policy=Policy(lanes=lanes)).lanes == lanes


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().retries_max = 4  # type: ignore[misc]
    assert not hasattr(Settings(), "__dict__")


def test_repr_shows_settings_but_nothing_that_may_be_a_password() -> None:
    text = repr(Settings(admin_token="s3cret", redis_uri="redis://:s3cret@host", retries_max=7))
    assert "retries_max=7" in text
    assert "s3cret" not in text
