"""From flags and environment to settings: who wins, and what a mistake is answered with."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from priolb.config.load import load_settings
from priolb.config.parse import Address
from priolb.config.settings import SETTINGS, Settings
from priolb.config.tables import LaneSpec
from priolb.errors import ConfigError


def mistake(argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(argv, environ or {})
    return str(caught.value)


def test_nothing_given_means_defaults() -> None:
    assert load_settings([], {}) == Settings()


@pytest.mark.parametrize(
    "argv",
    [
        ["-http", ":9000"],
        ["--http", ":9000"],
        ["-http=:9000"],
        ["--http=:9000"],
        ["-http", ":1", "-http", ":9000"],
        ["-http", ":9000", "--"],
    ],
)
def test_flag_takes_one_dash_or_two_and_a_word_or_equals_sign(argv: list[str]) -> None:
    assert load_settings(argv, {}).listen == Address("", 9000)


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["-mock-node"], True),
        (["--mock-node"], True),
        (["-mock-node=true"], True),
        (["-mock-node=1"], True),
        (["-mock-node=false"], False),
        (["--mock-node=0"], False),
        (["-mock-node", "-mock-node=false"], False),
    ],
)
def test_switch_is_on_unless_told_otherwise(argv: list[str], value: bool) -> None:
    assert load_settings(argv, {}).mock_node is value


def test_switch_never_takes_the_word_after_it() -> None:
    assert mistake(["-mock-node", "false"]) == "unexpected argument 'false'"
    assert load_settings(["-mock-node", "-http", ":1"], {}).mock_node is True


def test_every_flag_sets_its_field() -> None:
    argv = "-http :1 -redis host:1 -nodes a,b -backends c -node-workers 4 -mock-node -log-prod -log-service x"
    assert load_settings(argv.split(), {}) == Settings(
        listen=Address("", 1),
        redis_uri="host:1",
        nodes=("a", "b"),
        backends=("c",),
        node_workers=4,
        mock_node=True,
        log_prod=True,
        log_service="x",
    )


def test_flag_beats_variable_beats_default() -> None:
    environ = {"NUM_NODE_WORKERS": "5"}
    assert load_settings([], {}).node_workers == 8
    assert load_settings([], environ).node_workers == 5
    assert load_settings(["-node-workers", "6"], environ).node_workers == 6


def test_switch_can_be_turned_off_by_flag_when_the_variable_turns_it_on() -> None:
    assert load_settings(["-log-prod=false"], {"LOG_PROD": "1"}).log_prod is False


def test_empty_variable_counts_as_unset_but_for_the_prefix() -> None:
    environ = {setting.env: "" for setting in SETTINGS.values() if setting.env}
    assert load_settings([], environ) == Settings(redis_prefix="")


def test_text_flags_may_be_empty() -> None:
    assert load_settings(["-nodes", "", "-log-service="], {}) == Settings()


def test_unknown_variables_are_nobodys_business() -> None:
    assert load_settings([], {"PATH": "/bin", "retries_max": "x"}) == Settings()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RETRIES_MAX": "abc"}, "RETRIES_MAX: 'abc' is not a whole number (0 to 1000)"),
        ({"RETRIES_MAX": "-1"}, "RETRIES_MAX: '-1' is out of range (0 to 1000)"),
        ({"REQUEST_TIMEOUT": "5s"}, "REQUEST_TIMEOUT: '5s' is not a number of seconds (0.001 to 1000000)"),
        ({"JOB_CHAN_BUFFER": " 2"}, "JOB_CHAN_BUFFER: ' 2' is not a whole number (0 to 1000000000)"),
        ({"LOG_PROD": "2"}, "LOG_PROD: '2' is not a switch (1, true, yes, on or 0, false, no, off)"),
        (
            {"LISTEN_ADDR": "8080"},
            "LISTEN_ADDR: '8080' is not host:port (like localhost:8080, :8080 or [::1]:8080)",
        ),
        (
            {"ADMIN_LISTEN": "x:y"},
            "ADMIN_LISTEN: 'x:y' is not host:port (like localhost:8080, :8080 or [::1]:8080)",
        ),
        (
            {"ADMIN_ALLOW": "all"},
            (
                "ADMIN_ALLOW: 'all' is not a list of networks with commas between them "
                "(like 10.0.0.0/8,::1/128): see item 1"
            ),
        ),
        ({"LOG_SERVICE": "a\nb"}, "LOG_SERVICE: 'a\\nb' is not text without control characters"),
        ({"QUEUE_MAX_MB": "9" * 5000}, f"QUEUE_MAX_MB: '{'9' * 80}'... is out of range (1 to 1000000)"),
    ],
)
def test_mistake_in_a_variable_names_variable_and_value(environ: dict[str, str], message: str) -> None:
    assert mistake(environ=environ) == message


def test_mistake_in_a_variable_is_told_even_when_a_flag_overrides_it() -> None:
    message = mistake(["-node-workers", "4"], {"NUM_NODE_WORKERS": "many"})
    assert message == "NUM_NODE_WORKERS: 'many' is not a whole number (1 to 10000)"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-node-workers", "0"], "-node-workers: '0' is out of range (1 to 10000)"),
        (["--node-workers=abc"], "-node-workers: 'abc' is not a whole number (1 to 10000)"),
        (["-http", ""], "-http: '' is not host:port (like localhost:8080, :8080 or [::1]:8080)"),
        (
            ["-mock-node=maybe"],
            "-mock-node: 'maybe' is not a switch (1, true, yes, on or 0, false, no, off)",
        ),
        (["-mock-node="], "-mock-node: '' is not a switch (1, true, yes, on or 0, false, no, off)"),
        (["-http"], "-http needs a value (host:port)"),
        (["-redis", "-mock-node"], "-redis needs a value (URI)"),
        (["-redis", "--http=:1"], "-redis needs a value (URI)"),
        (["-htp", ":1"], "unknown flag -htp; did you mean -http?"),
        (["--htp=:1"], "unknown flag -htp; did you mean -http?"),
        (["-node-worker", "1"], "unknown flag -node-worker; did you mean -node-workers?"),
        (["-mocknode"], "unknown flag -mocknode; did you mean -mock-node?"),
        (["-HTTP", ":1"], "unknown flag -HTTP"),
        (["-hlep"], "unknown flag -hlep; did you mean -help?"),
        (["-zzz"], "unknown flag -zzz"),
        (["-retries-max", "3"], "unknown flag -retries-max; set RETRIES_MAX in the environment instead"),
        (["-x\x1b[31m"], "unknown flag -x\\x1b[31m"),
        (["---http", ":1"], "unknown flag --http; did you mean -http?"),
        (["-=x"], "unknown flag -"),
        (["serve"], "unexpected argument 'serve'"),
        (["-"], "unexpected argument '-'"),
        (["--", "-http"], "unexpected argument '-http'"),
        (["-log-prod", "-http", ":1", "extra"], "unexpected argument 'extra'"),
    ],
)
def test_mistake_in_a_flag_names_it(argv: list[str], message: str) -> None:
    assert mistake(argv) == message


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        ([], {"ADMIN_TOKEN": "s3cret with space"}),
        ([], {"ADMIN_TOKEN": "s3cret\n"}),
        ([], {"REDIS_URI": "redis://:s3cret@host\x00"}),
        (["-redis", "redis://:s3cret@host\n"], {}),
        (["-admin-token", "s3cret"], {}),
        (["-nodes", "http://node/?key=s3cret\n"], {}),
        ([], {"BACKENDS": "http://user:s3cret@node\t"}),
        (["-admin-token=s3cret"], {}),
        (["-admintoken=s3cret"], {}),
    ],
)
def test_mistake_never_shows_a_secret(argv: list[str], environ: dict[str, str]) -> None:
    assert "s3cret" not in mistake(argv, environ)


def test_mistake_in_a_secret_names_its_variable() -> None:
    assert mistake(environ={"ADMIN_TOKEN": "a b"}) == (
        "ADMIN_TOKEN: the value (not shown) is not a token (visible ASCII characters, no spaces)"
    )


def test_hedged_lanes_are_lanes_that_there_are() -> None:
    assert mistake(environ={"HEDGE_LANES": "fast-track,urgent"}) == (
        "HEDGE_LANES: 'fast-track,urgent' is not a list of fast-track, high-priority, low-priority"
    )
    settings = load_settings([], {"HEDGE_LANES": "high-priority, fast-track"})
    assert settings.hedge_lanes == ("high-priority", "fast-track")


THREE_LANES = """
[[lane]]
name = "one"
limit = 7
[[lane]]
name = "two"
[[lane]]
name = "three"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the file is that is taken without being named; it is not there yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "priolb.toml"


def test_flag_beats_variable_beats_file_beats_default(file: Path) -> None:
    file.write_text("NUM_NODE_WORKERS = 4\n")
    environ = {"NUM_NODE_WORKERS": "5"}
    assert load_settings(["-node-workers", "6"], environ).node_workers == 6
    assert load_settings([], environ).node_workers == 5
    assert load_settings([], {}).node_workers == 4
    file.unlink()
    assert load_settings([], {}) == Settings()


def test_file_may_hold_every_setting_that_has_a_variable_but_its_own_name(file: Path) -> None:
    values = {
        "REQUEST_TIMEOUT": "0.25",
        "LOG_PROD": "true",
        "NODES": '["http://a", "http://b"]',
        "BACKENDS": '"http://c,http://d"',
        "RETRY_METHODS": '["GET", "PUT"]',
        "NODE_ERROR_CODES": "[-32002, 7]",
        "TRUSTED_PROXIES": '["10.0.0.0/8", "::1"]',
        "REDIS_PREFIX": '""',
        "ProxyMaxIdleConns": "3",
    }
    file.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    assert load_settings([], {}) == Settings(
        config_file="priolb.toml",
        request_timeout_s=0.25,
        log_prod=True,
        nodes=("http://a", "http://b"),
        backends=("http://c", "http://d"),
        retry_methods=frozenset({b"GET", b"PUT"}),
        node_error_codes=frozenset({-32002, 7}),
        trusted_proxies=(IPv4Network("10.0.0.0/8"), IPv6Network("::1/128")),
        redis_prefix="",
        proxy_max_idle_conns=3,
    )
    file.write_text('CONFIG_FILE = "other.toml"\n')
    assert mistake() == "priolb.toml:1: CONFIG_FILE: is not known"


@pytest.mark.parametrize(
    ("argv", "environ"), [(["-config", "own.toml"], {"CONFIG_FILE": "x"}), ([], {"CONFIG_FILE": "own.toml"})]
)
def test_a_file_that_is_named_is_taken_instead(file: Path, argv: list[str], environ: dict[str, str]) -> None:
    file.write_text("RETRIES_MAX = 9\n")
    file.with_name("own.toml").write_text(THREE_LANES)
    settings = load_settings(argv, environ)
    assert (settings.config_file, settings.retries_max) == ("own.toml", 3)
    assert settings.lanes == (LaneSpec(name="one", limit=7), LaneSpec(name="two"), LaneSpec(name="three"))


def test_a_file_that_is_named_has_to_be_there(file: Path) -> None:
    assert mistake(["-config", "none.toml"]) == "none.toml: there is no such file"
    file.symlink_to("nowhere")
    assert mistake() == "priolb.toml: there is no such file"


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_their_lines(file: Path) -> None:
    file.write_text(
        "RETRIES_MAX = -1\nLOG_PROD = 1\nretries = 3\n[[lane]]\nname = 'one'\nlimit = '9'\n"
        "REQUEST_TIMEOUT = 3\n[[lane]]\n"
    )
    assert mistake(["-node-workers", "4"], {"RETRIES_MAX": "4"}).split("\n") == [
        "priolb.toml:1: RETRIES_MAX: '-1' is out of range (0 to 1000)",
        "priolb.toml:2: LOG_PROD: '1' is not true or false",
        "priolb.toml:3: retries: is not known",
        "priolb.toml:6: [[lane]] limit: '9' is a string, and not a whole number (0 to 1000000000)",
        "priolb.toml:7: [[lane]] REQUEST_TIMEOUT: is a setting, which has to stand above the first table",
        "priolb.toml:8: [[lane]]: needs name (word)",
    ]


def test_a_lane_may_wait_no_longer_than_any_request_whoever_says_how_long_that_is(file: Path) -> None:
    file.write_text("REQUEST_TIMEOUT = 9\ndiscipline = 'strict'\n[[lane]]\nname = 'one'\nmax_wait = 6\n")
    assert load_settings([], {}).lanes[0].max_wait_s == 6.0
    told = "priolb.toml:5: [[lane]] max_wait: 6 is more than REQUEST_TIMEOUT (5.5)"
    assert mistake([], {"REQUEST_TIMEOUT": "5.5"}) == told


def test_mistake_in_a_file_never_shows_a_secret(file: Path) -> None:
    file.write_text("ADMIN_TOKEN = 's3cret with space'\nREDIS_URI = ['s3cret']\n")
    refusal = "the value (not shown) is not a token (visible ASCII characters, no spaces)"
    assert mistake().split("\n") == [
        f"priolb.toml:1: ADMIN_TOKEN: {refusal}",
        "priolb.toml:2: REDIS_URI: the value (not shown) is not text without control characters",
    ]


def test_hedged_lanes_may_be_lanes_of_the_file(file: Path) -> None:
    file.write_text(f"HEDGE_LANES = ['two', 'one']\n{THREE_LANES}")
    assert load_settings([], {}).hedge_lanes == ("two", "one")
    assert mistake(environ={"HEDGE_LANES": "fast-track"}) == (
        "HEDGE_LANES: 'fast-track' is not a list of one, two, three"
    )


def test_what_is_found_late_is_named_with_its_line_if_it_stands_in_the_file(file: Path) -> None:
    file.write_text("\nHEDGE_LANES = 'urgent'\n")
    lanes = "is not a list of fast-track, high-priority, low-priority"
    assert mistake() == f"priolb.toml:2: HEDGE_LANES: 'urgent' {lanes}"
    assert mistake(environ={"HEDGE_LANES": "fast"}) == f"HEDGE_LANES: 'fast' {lanes}"
    file.write_text("TLS_KEY = 'a.pem'")
    assert mistake() == "priolb.toml:1: TLS_KEY: a key without a certificate (TLS_CERT)"
    file.write_text("LISTEN_ADDR = ':90'\nADMIN_LISTEN = ':90'")
    assert mistake() == "priolb.toml:2: ADMIN_LISTEN: ':90' is taken by the address for clients (LISTEN_ADDR)"


def test_admin_and_clients_cannot_share_an_address() -> None:
    message = mistake(["-http", ":9000"], {"ADMIN_LISTEN": ":9000"})
    assert message == "ADMIN_LISTEN: ':9000' is taken by the address for clients (LISTEN_ADDR)"
    free_ports = load_settings(["-http", "localhost:0"], {"ADMIN_LISTEN": "localhost:0"})
    assert free_ports.admin_listen == Address("localhost", 0)


@pytest.mark.parametrize(
    ("clients", "admin", "is_taken"),
    [
        (":90", "127.0.0.1:90", True),
        ("127.0.0.1:90", ":90", True),
        ("0.0.0.0:90", "127.0.0.1:90", True),
        ("0.0.0.0:90", "localhost:90", True),
        ("[::]:90", "[::1]:90", True),
        ("[::]:90", "127.0.0.1:90", False),
        ("0.0.0.0:90", "[::1]:90", False),
        ("127.0.0.1:90", "127.0.0.2:90", False),
        (":90", "127.0.0.1:91", False),
    ],
)
def test_nor_a_part_of_one(clients: str, admin: str, is_taken: bool) -> None:
    if is_taken:
        message = mistake(["-http", clients], {"ADMIN_LISTEN": admin})
        assert message == f"ADMIN_LISTEN: '{admin}' is taken by the address for clients (LISTEN_ADDR)"
    else:
        assert load_settings(["-http", clients], {"ADMIN_LISTEN": admin}).admin_listen is not None


def test_a_key_without_its_certificate_is_refused() -> None:
    assert mistake([], {"TLS_KEY": "key.pem"}) == "TLS_KEY: a key without a certificate (TLS_CERT)"
    assert load_settings([], {"TLS_CERT": "both.pem"}).tls_key == ""
