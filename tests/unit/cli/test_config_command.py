"""`config check` and `config key`."""

import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from priolb.cli.main import main

FILE = f"""\
LANE_FUNCTION = "json:loads"

[[lane]]
name = "urgent"
limit = 1000
[[lane]]
name = "normal"
[[lane]]
name = "bulk"

[[key]]
name = "builder"
sha256 = "{"0" * 64}"
allow = ["urgent", "normal"]
[[key]]
name = "guest"
sha256 = "{"1" * 64}"

[[network]]
cidr = "0.0.0.0/0"
allow = "normal"
[[network]]
cidr = "::/0"

[[rule]]
header = "X-Who"
value = "me"
path = ["/sim*", "/"]
http_method = ["PUT", "POST"]
rpc_method = "eth_*"
network = ["10.0.0.0/8", "::1"]
key = "builder"
lane = "urgent"
[[rule]]
header = "X-Who"
urgency = {{ 0 = "urgent", 7 = "bulk" }}
[[rule]]
lane = "bulk"
"""

EXPLAINED = """\
: no mistakes
Lanes, the best one first; discipline original
    1  line 3     urgent: limit 1000
    2  line 6     normal
    3  line 8     bulk

[[key]]
    1  line 11    builder: may use urgent and normal, gets normal instead of bulk
    2  line 15    guest: may use what its network may

[[network]]
    1  line 19    0.0.0.0/0: may use normal, gets normal instead of urgent, gets normal instead of bulk
    2  line 22    ::/0: may use all lanes

[[rule]], the first that matches counts
    1  line 25    X-Who is 'me' and path /sim* or / and method POST or PUT and JSON-RPC eth_* and \
client in 10.0.0.0/8 or ::1/128 and key builder -> urgent
    2  line 34    X-Who is there -> urgency 0: urgent, 7: bulk
    3  line 37    every request -> bulk
                  otherwise -> the headers of the original: X-Fast-Track, X-High-Priority, high_prio

LANE_FUNCTION json:loads is asked before the rules
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_FILE", raising=False)


def test_check_says_what_every_table_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text(FILE)
    assert main(["config", "check", "a.toml"]) == 0
    assert capsys.readouterr() == (f"a.toml{EXPLAINED}", "")


def test_check_takes_the_file_that_a_start_would_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "priolb.toml").write_text(FILE)
    assert main(["config", "check"]) == 0
    assert capsys.readouterr() == (f"priolb.toml{EXPLAINED}", "")


def test_without_a_file_the_lanes_are_those_of_the_original(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 0
    assert (
        capsys.readouterr().out
        == """\
there is no configuration file: no mistakes
Lanes, the best one first; discipline original
    1             fast-track
    2             high-priority
    3             low-priority

[[rule]], the first that matches counts
                  otherwise -> the headers of the original: X-Fast-Track, X-High-Priority, high_prio
"""
    )


def test_check_tells_all_mistakes_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("[[rule]]\nlane = 'fast-track'\n[[rule]]\nlane = 'fast'\n")
    assert main(["config", "check", "a.toml"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "prio-load-balancer: a.toml:3: [[rule]]: never matches, as that of line 1 matches all of it",
        "prio-load-balancer: a.toml:4: [[rule]] lane: there is no lane 'fast'",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chek"], "config: unknown action 'chek'; did you mean check?"),
        (["check", "none.toml"], "none.toml: there is no such file"),
        (["key"], "config: key needs a name"),
        (["key", "a b"], "config: key: 'a b' is not a name (letters, digits, - . _, a letter first)"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", *words]) == 2
    assert capsys.readouterr() == ("", f"prio-load-balancer: {message}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "NODES = ['http://a', 'foo']",
            "a.toml:1: NODES, item 2: node URI 'foo': the scheme must be http or https",
        ),
        (
            "\nBACKENDS = 'http://a:99999'",
            "a.toml:2: BACKENDS, item 1: node URI 'http://a:99999': the port is no number from 1 to 65535",
        ),
        (
            "REDIS_URI = 'foo'",
            "REDIS_URI 'foo': it is none of dev, sqlite:///path, host:port, redis://host, rediss://host, unix:///path",
        ),
        (
            "REDIS_URI = 'rediss://r?ssl_ca_certs=no.pem'",
            "REDIS_URI 'rediss://r?ssl_ca_certs=no.pem': ssl_ca_certs 'no.pem': No such file or directory",
        ),
        ("TLS_CERT = 'none.pem'", "TLS_CERT 'none.pem': No such file or directory"),
        ("NODE_TLS_CA = 'none.pem'", "NODE_TLS_CA 'none.pem': No such file or directory"),
        ("NODE_TLS_KEY = 'none.pem'", "NODE_TLS_KEY: a key without a certificate (NODE_TLS_CERT)"),
    ],
)
def test_settings_that_no_program_starts_with_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "a.toml").write_text(text)
    assert main(["config", "check", "a.toml"]) == 2
    assert capsys.readouterr() == ("", f"prio-load-balancer: {message}\n")


def test_a_function_that_cannot_be_had_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("LANE_FUNCTION = 'json:lads'")
    assert main(["config", "check", "a.toml"]) == 2
    error = "AttributeError: module 'json' has no attribute 'lads'"
    assert capsys.readouterr() == ("", f"prio-load-balancer: a.toml:1: LANE_FUNCTION: json:lads: {error}\n")


def test_key_prints_a_table_and_apart_from_it_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    secrets = []
    for _ in range(2):
        assert main(["config", "key", "builder"]) == 0
        printed = capsys.readouterr()
        secret = printed.err.removesuffix("\n").rpartition("X-API-Key: ")[2]
        secrets.append(secret)
        digest = sha256(secret.encode()).hexdigest()
        assert tomllib.loads(printed.out) == {"key": [{"name": "builder", "sha256": digest}]}
        assert len(secret) == 43
    assert secrets[0] != secrets[1]
