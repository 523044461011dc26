"""Rules, keys and networks over sockets: which lane the log says that a request went to."""

from hashlib import sha256
from pathlib import Path

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import post

FILE = f"""\
TRUSTED_PROXIES = "127.0.0.0/8"

[[lane]]
name = "urgent"
[[lane]]
name = "normal"
[[lane]]
name = "bulk"

[[key]]
name = "builder"
sha256 = "{sha256(b"secret").hexdigest()}"
allow = ["urgent", "normal", "bulk"]

[[network]]
cidr = "192.0.2.0/24"
allow = ["normal", "bulk"]

[[rule]]
rpc_method = ["eth_sendRawTransaction", "flashbots_*"]
lane = "urgent"

[[rule]]
path = "/sim*"
key = "builder"
lane = "urgent"

[[rule]]
urgency = {{ 0 = "urgent", 1 = "normal" }}
"""

SENDS = b'{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x%s"]}'
CALLS = b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[]}'
STRANGER = "X-Forwarded-For: 192.0.2.7"


@pytest.fixture
def balancer(tmp_path: Path, launch: Launch, new_node: NewNode) -> Balancer:
    path = tmp_path / "rules.toml"
    path.write_text(FILE)
    return launch("-config", str(path), "-nodes", new_node(always(200, b"{}")).uri)


@pytest.mark.parametrize(
    ("body", "fields", "target", "lane"),
    [
        (SENDS % b"00", [], "/", "urgent"),
        (b"[%b,%b]" % (SENDS % b"00", SENDS % b"01"), [], "/", "urgent"),
        (b"[%b,%b]" % (SENDS % b"00", CALLS), [], "/", "bulk"),
        (SENDS % (b"0" * 2_000_000), [], "/", "urgent"),
        (SENDS % b"00", [STRANGER], "/", "normal"),
        (SENDS % b"00", [STRANGER, "X-API-Key: secret"], "/", "urgent"),
        (SENDS % b"00", [STRANGER, "X-API-Key: guess"], "/", "normal"),
        (CALLS, [], "/", "bulk"),
        (CALLS, ["Authorization: Bearer secret"], "/simulate?x", "urgent"),
        (CALLS, [], "/simulate", "bulk"),
        (CALLS, ["Priority: u=0"], "/", "urgent"),
        (CALLS, ["Priority: u=1, i"], "/", "normal"),
        (CALLS, ["Priority: u=7"], "/", "bulk"),
        (CALLS, ["X-Fast-Track: true"], "/", "urgent"),
        (CALLS, ["X-Fast-Track: true", STRANGER], "/", "normal"),
    ],
)
def test_a_request_goes_to_the_lane_of_the_first_rule_if_its_caller_may(
    balancer: Balancer, connect: Connect, body: bytes, fields: list[str], target: str, lane: str
) -> None:
    assert connect(balancer).ask(post(body, *fields, "X-Request-ID: r", target=target)).status == 200
    assert balancer.wait_for("Request added to queue", reqID="r")["lane"] == lane


def test_a_function_chooses_and_its_mistakes_are_logged(
    tmp_path: Path, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    (tmp_path / "chooser_of_e2e.py").write_text(
        "def lane(request):\n"
        "    if request.header('X-Odd'):\n"
        "        raise ValueError('odd')\n"
        "    return 'fast-track' if request.rpc_methods == ['eth_call'] else None\n"
    )
    node = new_node(always(200, b"{}"))
    balancer = launch("-nodes", node.uri, LANE_FUNCTION="chooser_of_e2e:lane", PYTHONPATH=str(tmp_path))
    client = connect(balancer)
    for name, body, fields in (("a", CALLS, []), ("b", b"{}", []), ("c", CALLS, ["X-Odd: yes"])):
        assert client.ask(post(body, f"X-Request-ID: {name}", *fields)).status == 200
    lanes = {
        name: balancer.wait_for("Request added to queue", reqID=name)["requestIsFastTrack"] for name in "abc"
    }
    assert lanes == {"a": True, "b": False, "c": False}
    line = balancer.wait_for("Lane function failed")
    assert (line["name"], line["count"], line["reqID"]) == ("chooser_of_e2e:lane", 1, "c")
    assert line["error"] == f"{tmp_path}/chooser_of_e2e.py:3: ValueError: odd"


def test_a_function_that_cannot_be_had_ends_the_start() -> None:
    done = run_program(LANE_FUNCTION="no_such_module:lane", LISTEN_ADDR="127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    message = "LANE_FUNCTION: no_such_module:lane: ModuleNotFoundError: No module named 'no_such_module'"
    assert done.stderr.splitlines()[-1] == f"prio-load-balancer: {message}"


def test_a_rule_that_never_matches_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        "[[rule]]\npath = '/a*'\nlane = 'fast-track'\n[[rule]]\npath = '/ab'\nlane = 'low-priority'\n"
    )
    done = run_program("-config", str(path), LISTEN_ADDR="127.0.0.1:0")
    assert (done.returncode, done.stdout) == (2, "")
    what = "[[rule]]: never matches, as that of line 1 matches all of it"
    assert done.stderr == f"prio-load-balancer: {path}:4: {what}\n"
