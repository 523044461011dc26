"""Who may see and change what of the program itself, and where."""

import json
import sys

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import Client, post, request

STRANGERS_ONLY = {"ADMIN_ALLOW": "192.0.2.0/24"}
# Python 3.14 reads as deep as 64 KB can go, and finds no end.
TOO_DEEP = b"the body is nested too deep" if sys.version_info < (3, 14) else b"the body is not JSON"
BEARER = "Authorization: Bearer s3cret"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/", b"prio-load-balancer\n"), ("/healthz", b"ok\n"), ("/readyz", b"ready\n"), ("/nodes", b"[]\n")],
)
def test_what_only_shows_is_there_for_everybody(launch: Launch, path: str, body: bytes) -> None:
    balancer = launch(**STRANGERS_ONLY)
    answer = balancer.ask("GET", path)
    assert (answer.status, answer.body) == (200, body)
    answer = balancer.ask("HEAD", path)
    assert (answer.status, answer.field("Content-Length")) == (200, str(len(body)))


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/nodes"), ("DELETE", "/nodes"), ("GET", "/debug/pprof/")]
)
def test_changes_and_debug_pages_are_403_for_strangers(
    launch: Launch, new_node: NewNode, method: str, path: str
) -> None:
    node = new_node()
    balancer = launch(ENABLE_PPROF="1", ADMIN_TOKEN="s3cret", **STRANGERS_ONLY)
    body = json.dumps({"uri": node.uri}).encode()
    for fields in (
        (),
        ("Authorization: Bearer wrong",),
        ("Authorization: s3cret",),
        ("Authorization: Basic s3cret",),
    ):
        answer = balancer.ask(method, path, body, *fields)
        assert answer.status == 403
        assert answer.body.startswith(b"forbidden: 127.0.0.1 is not in ADMIN_ALLOW")
    assert balancer.nodes() == []
    assert node.health_checks.empty()
    refused = balancer.wait_for("Admin call refused", method=method, path=path)
    assert (refused["peer"], refused["status"]) == ("127.0.0.1", 403)


def test_a_stranger_is_refused_before_the_body_is_there(launch: Launch, connect: Connect) -> None:
    balancer = launch(**STRANGERS_ONLY)
    head = b"POST /nodes HTTP/1.1\r\nHost: b\r\nContent-Length: 65536\r\n"
    polite = connect(balancer)
    polite.send(head + b"Expect: 100-continue\r\n\r\n")
    assert polite.receive().status == 403
    pushy = connect(balancer)
    pushy.send(head + b"\r\n" + b"x" * 65535)
    assert pushy.receive().status == 403


def test_the_token_lets_a_stranger_in(launch: Launch, new_node: NewNode) -> None:
    node = new_node()
    balancer = launch(ENABLE_PPROF="1", ADMIN_TOKEN="s3cret", **STRANGERS_ONLY)
    body = json.dumps({"uri": node.uri}).encode()
    assert balancer.ask("POST", "/nodes", body, BEARER).status == 200
    assert balancer.ask("GET", "/debug/pprof/", b"", BEARER).status == 200
    url = f"http://127.0.0.1:{balancer.port}"
    assert run_program("nodes", "remove", node.uri, "--url", url, ADMIN_TOKEN="s3cret").returncode == 0
    refused = run_program("nodes", "add", node.uri, "--url", url)
    assert refused.returncode == 1 and "(403)" in refused.stderr
    assert balancer.nodes() == []
    balancer.stop()
    assert "s3cret" not in str(balancer.lines)


def test_networks_of_admin_allow_are_let_in_and_no_others(launch: Launch, new_node: NewNode) -> None:
    body = json.dumps({"uri": new_node().uri}).encode()
    assert launch(ADMIN_ALLOW="192.0.2.0/24,127.0.0.1").ask("POST", "/nodes", body).status == 200
    assert launch(ADMIN_ALLOW="127.0.0.2/31").ask("POST", "/nodes", body).status == 403


def test_a_web_page_cannot_change_nodes_through_a_browser_here(balancer: Balancer) -> None:
    answer = balancer.ask("POST", "/nodes", b'{"uri":"http://127.0.0.1:1"}', "Origin: https://evil.example")
    assert answer.status == 403
    assert balancer.nodes() == []


def test_debug_pages_are_404_until_they_are_turned_on(balancer: Balancer, launch: Launch) -> None:
    for path in ("/debug/testLogLevels", "/debug/pprof/", "/debug/pprof/heap"):
        assert balancer.ask("GET", path).status == 404
    turned_on = launch(ENABLE_PPROF="1", ENABLE_ERROR_TEST_API="1")
    assert turned_on.ask("GET", "/debug/testLogLevels").status == 200
    for level in ("debug", "info", "warn", "error"):
        turned_on.wait_for(f"Test of log level {level}", level=level)
    for page in ("", "heap", "stacks", "profile?seconds=1"):
        assert turned_on.ask("GET", f"/debug/pprof/{page}").status == 200


def test_admin_listen_moves_every_admin_route(launch: Launch, new_node: NewNode) -> None:
    node = new_node(always(200, b"from the node"))
    balancer = launch(ADMIN_LISTEN="127.0.0.1:0", ENABLE_PPROF="1")
    assert balancer.admin_port != balancer.port
    balancer.add_node(node.uri)
    assert balancer.nodes() == [node.uri]
    for path in ("/", "/healthz", "/readyz", "/nodes", "/debug/pprof/"):
        assert balancer.ask("GET", path).status == 200
        with Client(balancer.port) as client:
            assert client.ask(request("GET", path), "GET").body == b"from the node"
    assert [(call.method, call.target) for call in node.requests] == [
        ("GET", path) for path in ("/", "/healthz", "/readyz", "/nodes", "/debug/pprof/")
    ]


def test_the_data_port_proxies_changes_of_nodes_too(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"mine"))
    balancer = launch("-nodes", node.uri, ADMIN_LISTEN="127.0.0.1:0")
    body = json.dumps({"uri": node.uri}).encode()
    for method in ("POST", "DELETE"):
        assert connect(balancer).ask(request(method, "/nodes", body), method).body == b"mine"
    assert balancer.nodes() == [node.uri]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 405), ("POST", "/sim", 404), ("GET", "/x", 404)]
)
def test_the_admin_listener_proxies_nothing(
    launch: Launch, new_node: NewNode, method: str, path: str, status: int
) -> None:
    node = new_node(always())
    balancer = launch("-nodes", node.uri, ADMIN_LISTEN="127.0.0.1:0")
    assert balancer.ask(method, path, b"{}").status == status
    assert node.requests == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", b"the body is not JSON"),
        (b"uri=http://foo", b"the body is not JSON"),
        (b'{"uri":', b"the body is not JSON"),
        (b'["http://foo"]', b"the body is not a JSON object"),
        (b"{}", b'"uri" is missing'),
        (b'{"uri":1}', b'"uri" is not a string'),
        (b"[" * 60_000, TOO_DEEP),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_wrong_json_is_400_and_the_connection_stays(
    balancer: Balancer, connect: Connect, method: str, body: bytes, reason: bytes
) -> None:
    client = connect(balancer)
    answer = client.ask(request(method, "/nodes", body), method)
    assert (answer.status, answer.body.startswith(reason)) == (400, True)
    assert client.ask(request("GET", "/nodes"), "GET").body == b"[]\n"


def test_another_method_is_405_and_told_which_there_are(balancer: Balancer) -> None:
    answer = balancer.ask("PUT", "/nodes", b"{}")
    assert (answer.status, answer.field("Allow")) == (405, "GET, HEAD, POST, DELETE, PATCH")


def test_readyz_and_post_work_side_by_side(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    """POST / is a request for a node, GET / one for the program."""
    balancer.add_node(new_node(always(200, b"node")).uri)
    client = connect(balancer)
    assert client.ask(request("GET", "/"), "GET").body == b"prio-load-balancer\n"
    assert client.ask(post()).body == b"node"
