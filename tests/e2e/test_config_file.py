"""The configuration file: settings and lanes from it, and what a mistake in it is answered with."""

import sys
from pathlib import Path

import pytest

from priolb.attest.sev.measurements import encode_user_part
from support.balancer import run_program
from support.factories import Connect, Launch, NewNode
from support.wire import post

# The program, with its line of lengths every 10 ms instead of every 10 s.
_EAGER = """
import sys
from priolb import app
from priolb.cli.main import main
app._SIZES_INTERVAL_S = 0.01
sys.exit(main())
"""

FILE = """\
REQUEST_TIMEOUT = 4
NUM_NODE_WORKERS = 1
HEDGE_LANES = ["auctions"]

[[lane]]
name = "auctions"

[[lane]]
name = "bundles"
limit = 1

[[lane]]
name = "queries"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lanes.toml"
    path.write_text(FILE)
    return path


def test_lanes_have_the_names_and_limits_of_the_file(
    file: Path, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-config", str(file), "-nodes", node.uri, ITEMS_HIGHPRIO_MAX="7")
    assert balancer.wait_for("Configuration file read")["file"] == str(file)
    reason = "the lanes of the configuration file have limits"
    balancer.wait_for("Setting has no effect", name="ITEMS_HIGHPRIO_MAX", reason=reason)
    connect(balancer).send(post(b"{}", "X-Request-ID: holds"))
    call = node.next_call()
    waiting = connect(balancer)
    waiting.send(post(b"{}", "X-High-Priority: true", "X-Request-ID: waits"))
    line = balancer.wait_for("Request added to queue", reqID="waits")
    assert list(line.items())[4:] == [
        ("lane", "bundles"),
        ("payloadSize", 2),
        ("startQueueSize", 1),
        ("startQueueSize_bundles", 1),
    ]
    refused = connect(balancer).ask(post(b"{}", "X-High-Priority: true", "X-Request-ID: refused"))
    assert refused.status == 503, "the lane has its limit"
    assert balancer.wait_for("Request refused", reqID="refused")["lane"] == "bundles"
    call.answer()
    node.next_call().answer()
    assert waiting.receive().status == 200
    line = balancer.wait_for("Request completed", reqID="waits")
    assert (line["lane"], line["endQueueSize_bundles"]) == ("bundles", 0)


def test_a_file_named_priolb_toml_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "priolb.toml").write_text("LOG_PROD = true\nLISTEN_ADDR = 'nonsense'\n")
    done = run_program()
    expected = "'nonsense' is not host:port (like localhost:8080, :8080 or [::1]:8080)"
    assert done.returncode == 2
    assert done.stderr == f"prio-load-balancer: priolb.toml:2: LISTEN_ADDR: {expected}\n"


def test_all_mistakes_of_the_file_are_told_at_once_and_nothing_starts(file: Path) -> None:
    file.write_text(f"{FILE}limit = -1\n[[lane]]\nweight = 0\n")
    done = run_program("-config", str(file), LISTEN_ADDR="127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"prio-load-balancer: {file}:14: [[lane]] limit: '-1' is out of range (0 to 1000000000)",
        f"prio-load-balancer: {file}:15: [[lane]]: needs name (word)",
        f"prio-load-balancer: {file}:16: [[lane]] weight: '0' is out of range (1 to 1000000)",
    ]


def test_the_line_of_lengths_names_the_lanes_of_the_file(file: Path, launch: Launch) -> None:
    balancer = launch("-config", str(file), command=[sys.executable, "-c", _EAGER])
    line = balancer.wait_for("prioQueue size")
    assert list(line) == [
        *("level", "ts", "msg"),
        *("queueSize_auctions", "queueSize_bundles", "queueSize_queries", "longestStallMs"),
    ]


def test_what_it_checks_is_told_whatever_the_output_can_show(tmp_path: Path) -> None:
    path = tmp_path / "priolb.toml"
    path.write_text('[[rule]]\nheader = "X-Who"\nvalue = "\u00e9"\nlane = "fast-track"\n', encoding="utf-8")
    result = run_program("config", "check", str(path), PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\\xe9" in result.stdout


def test_a_node_that_the_start_would_refuse_is_refused_by_the_check() -> None:
    """Measurements of `attest uri` with nothing named: placeholders, which no node has."""
    uri = f"https://SEV_{encode_user_part(b'{}')}@node"
    result = run_program("config", "check", NODES=uri)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("a value that no node has for PCR 4, 9, 12\n")
