"""What of a request reaches the node, and what of its answer the client."""

import json

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always, reply
from support.wire import post, request

CALL = b'{"jsonrpc":"2.0","method":"eth_callBundle","params":[],"id":1}'


@pytest.mark.parametrize("target", ["/", "/sim"])
def test_post_to_root_and_sim_reaches_the_path_of_the_node(
    balancer: Balancer, new_node: NewNode, connect: Connect, target: str
) -> None:
    node = new_node(always(200, b'{"result":"cool"}'))
    balancer.add_node(f"{node.uri}/v1/rpc?key=1")
    answer = connect(balancer).ask(post(CALL, target=target))
    assert (answer.status, answer.body) == (200, b'{"result":"cool"}')
    [call] = node.requests
    assert (call.method, call.target, call.body) == ("POST", "/v1/rpc?key=1", CALL)


@pytest.mark.parametrize(
    ("node_path", "target", "reaches"),
    [
        ("", "/", "/"),
        ("", "/?a=1", "/?a=1"),
        ("/", "/sim?a=1", "/?a=1"),
        ("/rpc?key=1", "/?a=1", "/rpc?key=1&a=1"),
        ("", "/eth/v1/x%20y?a=1&b", "/eth/v1/x%20y?a=1&b"),
        ("/rpc/", "/eth", "/rpc/eth"),
        ("/rpc?key=1", "/eth?a=1", "/rpc/eth?key=1&a=1"),
        ("", "http://elsewhere.example/eth?a=1", "/eth?a=1"),
    ],
)
def test_other_paths_are_appended_to_the_path_of_the_node_and_queries_are_joined(
    balancer: Balancer, new_node: NewNode, connect: Connect, node_path: str, target: str, reaches: str
) -> None:
    node = new_node(always())
    balancer.add_node(node.uri + node_path)
    assert connect(balancer).ask(post(CALL, target=target)).status == 200
    assert [call.target for call in node.requests] == [reaches]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_every_method_is_forwarded_with_its_body(
    balancer: Balancer, new_node: NewNode, connect: Connect, method: str
) -> None:
    node = new_node(always(200, b"done", "Content-Type: text/plain"))
    balancer.add_node(node.uri)
    answer = connect(balancer).ask(request(method, "/thing", b"some bytes"), method)
    assert (answer.status, answer.body) == (200, b"done")
    assert [(call.method, call.body) for call in node.requests] == [(method, b"some bytes")]


def test_a_request_without_a_body_has_none_at_the_node(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"x"))
    balancer.add_node(node.uri)
    connect(balancer).ask(request("GET", "/thing"), "GET")
    connect(balancer).ask(request("POST", "/thing", b"", "Content-Length: 0"))
    assert [(call.method, call.field("content-length"), call.body) for call in node.requests] == [
        ("GET", None, b""),
        ("POST", "0", b""),
    ]


def test_end_to_end_fields_reach_the_node_and_those_of_the_connection_do_not(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    connect(balancer).send(
        post(
            CALL,
            "Authorization: Bearer mine",
            "X-Twice: 1",
            "X-Twice: 2",
            "X-Empty:",
            "X-Request-ID: r1",
            "Connection: keep-alive, X-Mine",
            "X-Mine: 1",
            "Keep-Alive: timeout=5",
            "TE: gzip",
            "Upgrade: websocket",
            "Proxy-Connection: keep-alive",
        )
    )
    call = node.next_call()
    assert call.lines == [
        ("host", f"127.0.0.1:{node.port}"),
        ("authorization", "Bearer mine"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x-empty", ""),
        ("x-request-id", "r1"),
        ("content-type", "application/json"),
        ("via", f"1.1 {balancer.name}"),
        ("forwarded", 'for=127.0.0.1;proto=http;host="balancer"'),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "balancer"),
        ("content-length", str(len(CALL))),
    ]
    call.answer()


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Forwarded-For"])
def test_requests_that_differ_in_one_value_reach_the_node_each_with_its_own(
    launch: Launch, new_node: NewNode, connect: Connect, name: str
) -> None:
    """A proxy that is trusted asks for many clients over one connection."""
    node = new_node(always(200, b"{}"))
    client = connect(launch("-nodes", node.uri, TRUSTED_PROXIES="127.0.0.0/8"))
    values = [f"192.0.2.{number}" for number in range(1, 7)]
    assert [client.ask(post(CALL, f"{name}: {value}")).status for value in values] == [200] * 6
    sent_by = ", 127.0.0.1" if name == "X-Forwarded-For" else ""
    lines = [dict(call.lines) for call in node.requests]
    assert [line[name.lower()] for line in lines] == [f"{value}{sent_by}" for value in values]


@pytest.mark.parametrize(
    ("body", "sent", "reaches"),
    [
        (CALL, None, "application/json"),
        (b"[" + CALL + b"]", None, "application/json"),
        (CALL, "application/x-www-form-urlencoded", "application/json"),
        (CALL, "text/plain", "text/plain"),
        (b"a=1", None, None),
        (b"a=1", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
    ],
)
def test_a_json_body_that_nobody_typed_is_sent_as_json(
    balancer: Balancer,
    new_node: NewNode,
    connect: Connect,
    body: bytes,
    sent: str | None,
    reaches: str | None,
) -> None:
    node = new_node(always())
    balancer.add_node(node.uri)
    fields = [] if sent is None else [f"Content-Type: {sent}"]
    assert connect(balancer).ask(post(body, *fields)).status == 200
    assert [call.field("content-type") for call in node.requests] == [reaches]


def test_status_phrase_fields_and_body_of_the_node_reach_the_client(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    """Fields of the connection do not, and neither do fields that claim to be ours."""
    client = connect(balancer)
    client.send(post(CALL))
    call = node.next_call()
    fields = ("Content-Type: text/csv", "X-Twice: 1", "X-Twice: 2", "Keep-Alive: timeout=5")
    own = ("X-PrioLB-QueueSizeEnd: 77", "Connection: X-Mine", "X-Mine: 1")
    call.send(reply(201, b"a,b\n", *fields, *own, phrase="Made it"))
    answer = client.receive()
    assert (answer.version, answer.status, answer.phrase, answer.body) == (
        "HTTP/1.1",
        201,
        "Made it",
        b"a,b\n",
    )
    ours = ("X-PrioLB-", "Server-Timing", "Via", "Date")
    theirs = [line for line in answer.lines if not line[0].startswith(ours)]
    assert theirs == [
        ("Content-Type", "text/csv"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Content-Length", "4"),
    ]
    assert answer.field("X-PrioLB-QueueSizeEnd") == "0"


def test_a_body_whose_type_the_node_does_not_tell_is_json(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    balancer.add_node(new_node(always(200, b"{}")).uri)
    assert connect(balancer).ask(post(CALL)).field("Content-Type") == "application/json"


def test_an_answer_tells_durations_in_microseconds_and_the_lengths_of_its_queue(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post(CALL))
    node.next_call().answer(200, b"{}")
    answer = client.receive()
    names = ("QueueDurationUs", "SimDurationUs", "TotalDurationUs", "QueueSizeStart", "QueueSizeEnd")
    queued, simulated, total, at_start, at_end = [
        int(answer.field(f"X-PrioLB-{name}") or -1) for name in names
    ]
    assert queued + simulated - 1 <= total <= queued + simulated + 1
    assert (at_start, at_end) == (1, 0)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_has_none_for_the_client(
    balancer: Balancer, node: ScriptedNode, connect: Connect, status: int
) -> None:
    client = connect(balancer)
    client.send(request("GET", "/thing"))
    node.next_call().send(b"HTTP/1.1 %d Empty\r\nETag: x\r\n\r\n" % status)
    answer = client.receive("GET")
    assert (answer.status, answer.body, answer.field("ETag")) == (status, b"", "x")
    assert answer.field("Content-Length") is None
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_head_has_the_fields_of_the_answer_and_no_body(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(request("HEAD", "/thing"))
    node.next_call().send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/plain\r\n\r\n")
    answer = client.receive("HEAD")
    assert (answer.status, answer.field("Content-Length")) == (200, "1234")
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_interim_answers_of_a_node_are_passed_on_but_for_100(
    balancer: Balancer, node: ScriptedNode, connect: Connect
) -> None:
    client = connect(balancer)
    client.send(post(CALL))
    call = node.next_call()
    call.send(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, b"x")
    )
    hints, answer = client.receive(), client.receive()
    assert (hints.status, hints.phrase, hints.lines) == (103, "Early Hints", [("Link", "</a>")])
    assert (answer.status, answer.field("Link"), answer.body) == (200, None, b"x")


def test_an_answer_may_come_byte_by_byte(balancer: Balancer, node: ScriptedNode, connect: Connect) -> None:
    client = connect(balancer)
    client.send(post(CALL))
    call = node.next_call()
    for byte in reply(200, b"slow but sure", "X-A: b"):
        call.send(bytes([byte]))
    answer = client.receive()
    assert (answer.status, answer.body, answer.field("X-A")) == (200, b"slow but sure", "b")


def test_a_request_may_come_byte_by_byte(balancer: Balancer, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always(200, b"x"))
    balancer.add_node(node.uri)
    client = connect(balancer)
    for byte in post(CALL, "X-Request-ID: slow"):
        client.send(bytes([byte]))
    assert client.receive().body == b"x"
    assert [(call.body, call.field("x-request-id")) for call in node.requests] == [(CALL, "slow")]


def test_an_error_of_json_rpc_in_an_answer_of_200_is_the_clients_affair(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"reverted"}}\n'
    balancer.add_node(new_node(always(200, body, "Content-Type: application/json")).uri)
    answer = connect(balancer).ask(post(CALL))
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (200, -32000)
