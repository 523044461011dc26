"""What `config check` and `explain` say of limits."""

from pathlib import Path

import pytest

from priolb.cli.main import main

FILE = """\
[[key]]
name = "builder-1"
sha256 = "{digest}"

[[limit]]
name = "per-address"
rate = 9
cost = {{ eth_call = 5 }}

[[limit]]
name = "keys"
by = "key"
concurrent = 4

[[limit]]
name = "slow"
by = "lane"
only = ["low-priority"]
rate = 1
dry_run = true
""".format(digest="ab" * 32)

PER_ADDRESS = (
    "per-address: each client network (/32, IPv6 /64) may have 9 requests per second, 9 at once; "
    "eth_call counts for 5"
)
KEYS = "keys: each API key may have 4 requests at a time"
SLOW = "slow: lane low-priority may have 1 request per second, 1 at once; dry run, refuses nobody"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("priolb.toml").write_text(FILE)
    return "priolb.toml"


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def limits_of(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("limit ")]


def test_check_says_what_each_limit_is(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "config", "check")
    assert lines[lines.index("[[limit]]") + 1 :] == [
        f"    1  line 5     {PER_ADDRESS}",
        f"    2  line 10    {KEYS}",
        f"    3  line 15    {SLOW}",
    ]


def test_explain_says_which_limits_concern_a_request_and_with_whom_it_counts(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(
        capsys, "explain", "-peer", "2001:db8::7", "-body", '[{"method":"eth_call"},{"method":"a"}]'
    )
    assert limits_of(lines) == [
        f"limit    {PER_ADDRESS} (priolb.toml:5); it counts for 6 with all of 2001:db8::/64",
        f"limit    {SLOW} (priolb.toml:15); it counts for 1 with all of low-priority",
    ]
    lines = printed(capsys, "explain", "-key", "builder-1", "-header", "X-Fast-Track: true")
    assert limits_of(lines) == [
        f"limit    {PER_ADDRESS} (priolb.toml:5); it counts for 1 with all of 127.0.0.1",
        f"limit    {KEYS} (priolb.toml:10); it counts for 1 with all of builder-1",
    ]


def test_without_limits_nothing_is_said_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert limits_of(printed(capsys, "explain")) == []
