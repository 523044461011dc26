"""The list of nodes, over HTTP and on the command line."""

import json

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, ScriptedNode, always
from support.wire import post, request


def change(balancer: Balancer, method: str, uri: str) -> tuple[int, bytes]:
    answer = balancer.ask(method, "/nodes", json.dumps({"uri": uri}).encode())
    return answer.status, answer.body


def test_the_list_is_json_with_a_newline_behind_it(balancer: Balancer, new_node: NewNode) -> None:
    assert balancer.ask("GET", "/nodes").body == b"[]\n"
    first, second = new_node(), new_node()
    balancer.add_node(first.uri)
    balancer.add_node(f"{second.uri}?_workers=2")
    answer = balancer.ask("GET", "/nodes")
    assert (answer.status, answer.field("Content-Type")) == (200, "application/json")
    assert answer.body == f'["{first.uri}","{second.uri}?_workers=2"]\n'.encode()


def test_a_node_is_added_only_after_a_health_check_in_the_words_of_the_original(
    balancer: Balancer, new_node: NewNode
) -> None:
    node = new_node()
    assert change(balancer, "POST", node.uri) == (200, b"")
    check = node.health_checks.get(timeout=5)
    assert (check.method, check.target, check.field("content-type")) == ("POST", "/", "application/json")
    assert json.loads(check.body) == {"jsonrpc": "2.0", "method": "net_version", "params": [], "id": 123}
    assert balancer.nodes() == [node.uri]
    check.wait_left()


def test_a_node_that_is_there_already_is_200_without_a_second_check(
    balancer: Balancer, new_node: NewNode
) -> None:
    node = new_node()
    assert change(balancer, "POST", node.uri) == (200, b"")
    assert change(balancer, "POST", node.uri) == (200, b"")
    assert balancer.nodes() == [node.uri]
    assert node.health_checks.qsize() == 1


@pytest.mark.parametrize("status", [400, 500])
def test_a_node_that_fails_its_check_is_400_with_the_reason(
    balancer: Balancer, new_node: NewNode, status: int
) -> None:
    node = new_node(health_status=status)
    answer = change(balancer, "POST", node.uri)
    assert answer == (
        400,
        f"health check of {node.uri} failed: it was answered with status {status}\n".encode(),
    )
    assert balancer.nodes() == []


def test_a_node_that_is_not_there_is_400_with_the_reason(balancer: Balancer, new_node: NewNode) -> None:
    gone = new_node()
    gone.stop()
    assert change(balancer, "POST", gone.uri) == (
        400,
        f"health check of {gone.uri} failed: Connection refused\n".encode(),
    )
    status, reason = change(balancer, "POST", "http://nowhere.invalid")
    assert (status, reason.partition(b": ")[0]) == (400, b"health check of http://nowhere.invalid failed")
    assert balancer.nodes() == []


def test_a_node_that_is_removed_gets_no_more_requests(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    leaving, staying = new_node(Call.answer), new_node(always(200, b"ok"))
    balancer.add_node(leaving.uri)
    balancer.add_node(staying.uri)
    assert change(balancer, "DELETE", leaving.uri) == (200, b"")
    assert balancer.nodes() == [staying.uri]
    assert [connect(balancer).ask(post()).body for _ in range(4)] == [b"ok"] * 4
    assert leaving.requests == []


def test_removing_what_is_not_there_is_400(balancer: Balancer) -> None:
    assert change(balancer, "DELETE", "http://foo") == (400, b"node not found\n")


def test_what_a_removed_node_has_in_flight_goes_on(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    balancer.remove_node(node.uri)
    call.answer(200, b"late but welcome")
    assert client.receive().body == b"late but welcome"
    call.wait_left()


def test_the_whole_uri_is_the_identity_of_a_node(balancer: Balancer, new_node: NewNode) -> None:
    node = new_node()
    balancer.add_node(node.uri)
    balancer.add_node(f"{node.uri}?_workers=1")
    balancer.add_node(f"{node.uri}/")
    assert change(balancer, "DELETE", f"{node.uri}?_workers=2") == (400, b"node not found\n")
    balancer.remove_node(node.uri)
    assert balancer.nodes() == [f"{node.uri}?_workers=1", f"{node.uri}/"]


def test_workers_are_not_sent_to_the_node(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    """The original does send them."""
    node = new_node(always(200))
    balancer.add_node(f"{node.uri}/rpc?a=1&_workers=2&b=2")
    connect(balancer).ask(post())
    check = node.health_checks.get(timeout=5)
    assert [call.target for call in (check, *node.requests)] == ["/rpc?a=1&b=2"] * 2


@pytest.mark.parametrize(
    ("uri", "shown", "reason"),
    [
        ("", "", "empty, or with spaces, control or non-ASCII characters"),
        ("foo", "foo", "the scheme must be http or https"),
        ("ftp://foo", "ftp://foo", "the scheme must be http or https"),
        ("http://", "http://", "its host is no host name and no address"),
        ("http://foo?_workers=0", "http://foo", "_workers must be a number from 1 to 10000"),
        ("http://foo?_workers=-1", "http://foo", "_workers must be a number from 1 to 10000"),
        ("http://foo?_workers=99999999", "http://foo", "_workers must be a number from 1 to 10000"),
        ("http://foo?_worker=1", "http://foo", "unknown parameter _worker; did you mean _workers?"),
        ("http://u:p@foo", "http://foo", "a user part is only for attested nodes (SEV_..., SGX_...)"),
    ],
)
def test_a_uri_that_cannot_be_used_is_400_and_says_what_is_wrong(
    balancer: Balancer, uri: str, shown: str, reason: str
) -> None:
    assert change(balancer, "POST", uri) == (400, f"node URI {shown!r}: {reason}\n".encode())
    assert balancer.nodes() == []


def test_nodes_of_flags_and_environment_are_all_added(launch: Launch, new_node: NewNode) -> None:
    uris = [new_node().uri for _ in range(4)]
    balancer = launch("-nodes", f"{uris[0]}, {uris[1]},", "--backends", f"{uris[2]},{uris[0]}")
    assert balancer.nodes() == uris[:3]
    balancer = launch(NODES=uris[3], BACKENDS=uris[1])
    assert balancer.nodes() == [uris[3], uris[1]]


def test_a_node_of_a_flag_that_is_down_does_not_stop_the_program(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """As it does in the original."""
    down, up = new_node(), new_node(always(200, b"ok"))
    down.stop()
    balancer = launch("-nodes", f"{down.uri},{up.uri}")
    assert connect(balancer).ask(post()).body == b"ok"
    assert balancer.nodes() == [down.uri, up.uri]


def test_the_subcommand_nodes_shows_and_changes_a_running_instance(
    balancer: Balancer, new_node: NewNode
) -> None:
    url, uri = f"http://127.0.0.1:{balancer.port}", f"{new_node().uri}?_workers=3"
    done = run_program("nodes", "add", uri, "--url", url)
    assert (done.returncode, done.stdout) == (0, f"registered {uri}\n")
    assert balancer.nodes() == [uri]
    done = run_program("nodes", "list", PRIOLB_URL=url)
    assert (done.returncode, done.stdout) == (0, f"{uri}\n")
    done = run_program("nodes", "remove", uri, f"-url={url}")
    assert (done.returncode, done.stdout) == (0, f"removed {uri}\n")
    done = run_program("nodes", "remove", uri, "--url", url)
    assert (done.returncode, done.stderr) == (1, f"prio-load-balancer: {url} refused: node not found (400)\n")
    assert balancer.nodes() == []


@pytest.mark.parametrize("words", [["show"], ["drain", "http://a"]])
def test_the_subcommand_nodes_shows_no_token_to_a_node(
    launch: Launch, new_node: NewNode, words: list[str]
) -> None:
    """Where the admin API has a port of its own, the data port sends whatever comes to a node."""
    node = new_node(always(200, b"[]"))
    balancer = launch(ADMIN_LISTEN="127.0.0.1:0", ADMIN_TOKEN="s3cret", NODES=node.uri)
    url = f"http://127.0.0.1:{balancer.port}"
    done = run_program("nodes", *words, "--url", url, ADMIN_TOKEN="s3cret")
    assert done.returncode == 1
    assert done.stderr.startswith(f"prio-load-balancer: {url} did not answer with a list of nodes: ")
    assert [(call.method, call.target, call.field("authorization")) for call in node.requests] == [
        ("GET", "/nodes", None)
    ]


def test_changes_over_one_connection_are_made_in_order(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    body = json.dumps({"uri": new_node().uri}).encode()
    client = connect(balancer)
    client.send(b"".join(request(method, "/nodes", body) for method in ("POST", "DELETE", "DELETE", "POST")))
    assert [client.receive().status for _ in range(4)] == [200, 200, 400, 200]
