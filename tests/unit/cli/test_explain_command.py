"""`explain`: what becomes of one request."""

from hashlib import sha256
from pathlib import Path

import pytest

from priolb.cli import explain
from priolb.cli.main import main
from priolb.cli.nodes import InstanceError

FILE = f"""\
TRUSTED_PROXIES = "10.0.0.0/8"
NODES = ["http://a:1"]

[[lane]]
name = "urgent"
limit = 1000
[[lane]]
name = "normal"
[[lane]]
name = "bulk"

[[key]]
name = "builder"
sha256 = "{sha256(b"secret").hexdigest()}"
allow = ["urgent", "normal"]

[[network]]
cidr = "192.0.2.0/24"
allow = ["normal", "bulk"]

[[rule]]
rpc_method = "eth_send*"
lane = "urgent"
[[rule]]
path = "/a"
http_method = "GET"
lane = "bulk"
"""

NODE = "node     http://a:1, as it is configured; --url asks a running instance"
BY_SEND = "rule     1 (a.toml:21): JSON-RPC eth_send* -> urgent"
OTHERWISE = "rule     none -> the headers of the original: X-Fast-Track, X-High-Priority, high_prio"
SENDS = '{"method":"eth_sendX"}'


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("CONFIG_FILE", "PRIOLB_URL", "ADMIN_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "a.toml"
    path.write_text(FILE)
    return path


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["explain", "-config", "a.toml", *words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out.splitlines()


def test_a_request_goes_to_the_lane_of_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("-header", "X-API-Key: secret", "-body", SENDS)
    assert explained(capsys, *words) == [
        "client   127.0.0.1, key builder (a.toml:12)",
        "tenant   key builder",
        "calls    eth_sendX",
        BY_SEND,
        "lane     1 of 3: urgent: limit 1000",
        NODE,
    ]


def test_a_key_may_be_given_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    lines = explained(capsys, "-key", "builder", "-peer", "192.0.2.7", "-body", f"[{SENDS},{SENDS}]")
    assert lines[:3] == [
        "client   192.0.2.7, network 192.0.2.0/24 (a.toml:17), key builder (a.toml:12)",
        "tenant   key builder",
        "calls    eth_sendX, eth_sendX (a batch)",
    ]
    assert lines[-2] == "lane     1 of 3: urgent: limit 1000"


def test_a_lane_that_is_not_allowed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("-peer", "10.1.1.1", "-header", "X-Forwarded-For: 192.0.2.7", "-body", f"{SENDS},")
    assert explained(capsys, *words) == [
        "client   192.0.2.7, network 192.0.2.0/24 (a.toml:17), no key",
        "tenant   192.0.2.7",
        "calls    eth_sendX, and what cannot be read",
        BY_SEND,
        "access   urgent is not allowed to it",
        "lane     2 of 3: normal",
        NODE,
    ]


def test_a_request_that_no_rule_matches_has_the_lane_of_its_headers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("-header", "Host: b", "-header", "High_prio: true", "-peer", "", "-body", "[]")
    assert explained(capsys, *words) == [
        "client   of an unknown address, no key",
        "tenant   unknown",
        "calls    nothing, and what cannot be read (a batch)",
        OTHERWISE,
        "lane     2 of 3: normal",
        NODE,
    ]


def test_method_and_path_count(capsys: pytest.CaptureFixture[str]) -> None:
    lines = explained(capsys, "-method", "GET", "-path", "/a?b")
    assert lines[2:4] == [
        "rule     2 (a.toml:24): path /a and method GET -> bulk",
        "lane     3 of 3: bulk",
    ]


def test_a_function_that_chooses_is_told_and_so_is_its_mistake(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "chooser_for_explain.py").write_text(
        "def lane(request): return {'/a': 'urgent', '/b': 'slow'}.get(request.path)"
    )
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.setenv("LANE_FUNCTION", "chooser_for_explain:lane")
    assert explained(capsys, "-path", "/a")[2] == "rule     LANE_FUNCTION chooser_for_explain:lane -> urgent"
    assert explained(capsys, "-path", "/b")[2:4] == [
        "function chooser_for_explain:lane fails: returned 'slow', which is no lane",
        OTHERWISE,
    ]
    assert explained(capsys, "-path", "/c")[2] == OTHERWISE


def test_a_running_instance_tells_of_its_nodes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []

    def details_at(url: str, token: str) -> list[dict[str, str]]:
        asked.append((url, token))
        up = {"uri": "http://a", "state": "up", "reason": ""}
        return [up, {"uri": "http://b", "state": "down", "reason": "no answer\x1b"}]

    monkeypatch.setattr(explain, "details_at", details_at)
    monkeypatch.setenv("ADMIN_TOKEN", "t")
    lines = explained(capsys, "-url", "http://lb:80")
    assert lines[-2:] == ["node     http://a: up", "node     http://b: down, no answer\\x1b"]
    assert asked == [("http://lb:80", "t")]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/healthz"), ("POST", "/nodes?a=1"), ("GET", "/"), ("GET", "/debug/x")]
)
def test_what_the_program_answers_itself_has_no_lane(
    capsys: pytest.CaptureFixture[str], file: Path, method: str, path: str
) -> None:
    own = "answered by the program itself: no lane, no limit and no node has to do with it"
    assert explained(capsys, "-method", method, "-path", path) == [own]
    file.write_text('ADMIN_LISTEN = ":81"\n' + FILE)
    assert explained(capsys, "-method", method, "-path", path)[-1] == NODE


def test_another_protocol_is_a_matter_of_nodes_also_at_the_own_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fields = ("-header", "Connection: upgrade", "-header", "Upgrade: websocket")
    assert explained(capsys, "-method", "GET", "-path", "/", *fields)[-1] == NODE


def test_an_instance_that_is_not_there_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def details_at(url: str, token: str) -> list[dict[str, str]]:
        raise InstanceError(f"cannot reach {url}")

    monkeypatch.setattr(explain, "details_at", details_at)
    monkeypatch.setenv("PRIOLB_URL", "http://lb:80")
    assert main(["explain"]) == 1
    assert capsys.readouterr() == ("", "prio-load-balancer: cannot reach http://lb:80\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-key", "buildr"], "--key: there is no key 'buildr'; did you mean builder?"),
        (["-peer", "10.0.0"], "--peer: '10.0.0' is no address"),
        (["-method", "G ET"], "malformed request: the request line"),
        (["-header", "A"], "--header: 'A' is no 'NAME: VALUE'"),
        (["-header", "A b: c"], "malformed request: Invalid header token"),
        (["-header", "A: " + "b" * 70_000], "the head is longer than HEAD_MAX_KB (64)"),
        (
            ["-key", "builder", "-header", "x-api-key: secret"],
            "--key and --header X-API-Key say both which key it has: give one of them",
        ),
        (["-header", "A: b\nC: d"], "a header, the method or the path has control characters"),
        (["-hedr", "A"], "unknown flag --hedr; did you mean --header?"),
    ],
)
def test_what_is_no_request_is_told_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "-config", "a.toml", *words]) == 2
    assert capsys.readouterr() == ("", f"prio-load-balancer: explain: {message}\n")
