"""Answers of the balancer's own: statuses, words, and the id of the call."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call
from support.wire import Answer, post, request

CALL = b'{"jsonrpc":"2.0","method":"eth_callBundle","params":[],"id":7}'


@contextmanager
def refused(
    reason: str, launch: Launch, new_node: NewNode, connect: Connect, **settings: str
) -> Iterator[Balancer]:
    """A balancer that refuses the next request for this reason."""
    holder = None
    if reason == "no nodes available":
        balancer = launch(**settings)
    elif reason == "queue full":
        node = new_node()
        balancer = launch("-nodes", node.uri, "-node-workers", "1", ITEMS_LOWPRIO_MAX="1", **settings)
        holder, waiting = connect(balancer), connect(balancer)
        holder.send(post())
        node.next_call()
        waiting.send(post(b"{}", "X-Request-ID: waiting"))
        balancer.wait_queued("waiting")
    elif reason == "request timeout hit before processing":
        node = new_node(health_status=500)
        balancer = launch("-nodes", node.uri, REQUEST_TIMEOUT="0.05", **settings)
    elif reason == "node timeout":
        balancer = launch("-nodes", new_node().uri, REQUEST_PROXY_TIMEOUT="0.05", RETRIES_MAX="1", **settings)
    elif reason == "node unreachable":
        balancer = launch("-nodes", new_node(Call.close).uri, RETRIES_MAX="1", **settings)
    else:
        assert reason == "bad answer from node"
        node = new_node(lambda call: call.send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"))
        balancer = launch("-nodes", node.uri, RETRIES_MAX="1", **settings)
    yield balancer


REASONS = [
    ("no nodes available", 503, "1", -32002, "no_nodes"),
    ("queue full", 503, "1", -32005, "queue_full"),
    ("request timeout hit before processing", 504, None, -32002, "deadline"),
    ("node timeout", 504, None, -32002, "node_timeout"),
    ("node unreachable", 502, None, -32603, "node_unreachable"),
    ("bad answer from node", 502, None, -32603, "node_bad_answer"),
]


@pytest.mark.parametrize(("words", "status", "retry_after", "code", "reason"), REASONS)
def test_each_refusal_has_its_status_and_the_words_of_the_original_in_the_form_of_the_request(
    launch: Launch,
    new_node: NewNode,
    connect: Connect,
    words: str,
    status: int,
    retry_after: str | None,
    code: int,
    reason: str,
) -> None:
    """JSON-RPC gets an error object with its own id, anything else a problem document."""
    with refused(words, launch, new_node, connect) as balancer:
        client = connect(balancer)
        rpc = client.ask(post(CALL, "X-Request-ID: rpc"))
        other = client.ask(post(b"a=1", "X-Request-ID: other"))
    assert (rpc.status, rpc.field("Content-Type")) == (status, "application/json")
    assert json.loads(rpc.body) == {"jsonrpc": "2.0", "id": 7, "error": {"code": code, "message": words}}
    assert (other.status, other.field("Content-Type")) == (status, "application/problem+json")
    assert json.loads(other.body) == {
        "type": "about:blank",
        "title": words,
        "status": status,
        "detail": words,
    }
    assert [answer.field("Retry-After") for answer in (rpc, other)] == [retry_after] * 2
    for request_id in ("rpc", "other"):
        line = balancer.wait_for("Request refused", reqID=request_id)
        assert (line["reason"], line["statusCode"]) == (reason, status)


@pytest.mark.parametrize("words", [words for words, *_ in REASONS])
def test_legacy_errors_gives_status_500_and_plain_text(
    launch: Launch, new_node: NewNode, connect: Connect, words: str
) -> None:
    with refused(words, launch, new_node, connect, LEGACY_ERRORS="1") as balancer:
        answer = connect(balancer).ask(post(CALL))
    assert (answer.status, answer.body) == (500, words.encode() + b"\n")
    assert answer.field("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("body", [b"", b"x" * 2000], ids=["head alone", "whole"])
def test_a_body_too_large_is_413_and_with_legacy_errors_400(
    launch: Launch, connect: Connect, body: bytes
) -> None:
    too_large = request("POST", "/", body, *(() if body else ("Content-Length: 2000",)))
    answer = connect(launch(PAYLOAD_MAX_KB="1")).ask(too_large)
    assert (answer.status, json.loads(answer.body)["detail"]) == (413, "Payload too large")
    legacy = connect(launch(PAYLOAD_MAX_KB="1", LEGACY_ERRORS="1")).ask(too_large)
    assert (legacy.status, legacy.body) == (400, b"Payload too large\n")


def refuse_body(balancer: Balancer, connect: Connect, body: bytes) -> Answer:
    assert balancer.nodes() == []
    answer = connect(balancer).ask(post(body))
    assert answer.status == 503
    return answer


@pytest.mark.parametrize(
    ("body", "call_id"),
    [
        (b'{"method":"m","id":1}', 1),
        (b'{"method":"m","id":"a\\u00e9\\"b"}', 'aé"b'),
        (b'{"method":"m","id":1.5}', 1.5),
        (b'{"method":"m","id":-3}', -3),
        (b'{"method":"m","id":null}', None),
        (b'{"method":"m"}', None),
        (b'{"method":"m","id":{"x":1}}', None),
        (b'{"method":"m","id":true}', None),
        (b' \r\n\t{"method":"m","id":5} ', 5),
        (b'{"jsonrpc":"2.0","method":"m","id":9,"params":["' + b"x" * 100_000 + b'"]}', 9),
        (b'{"jsonrpc":"2.0","method":"m","params":["' + b"x" * 100_000 + b'"],"id":9}', 9),
    ],
)
def test_a_refused_call_gets_its_own_id_back(
    balancer: Balancer, connect: Connect, body: bytes, call_id: object
) -> None:
    answer = json.loads(refuse_body(balancer, connect, body).body)
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == call_id and type(answer["id"]) is type(call_id)


def test_each_call_of_a_refused_batch_gets_its_own_id_back(balancer: Balancer, connect: Connect) -> None:
    body = b'[{"method":"m","id":1},{"method":"n"},{"method":"o","id":"x"},7]'
    answers = json.loads(refuse_body(balancer, connect, body).body)
    assert [answer["id"] for answer in answers] == [1, "x"]
    assert {answer["error"]["message"] for answer in answers} == {"no nodes available"}


@pytest.mark.parametrize("body", [b"", b"a=1", b"{", b"[]", b'{"id":1}', b"\xff\xfe", b"[" * 60_000])
def test_what_is_no_json_rpc_gets_a_problem_document(
    balancer: Balancer, connect: Connect, body: bytes
) -> None:
    answer = refuse_body(balancer, connect, body)
    assert answer.field("Content-Type") == "application/problem+json"
    assert json.loads(answer.body)["title"] == "no nodes available"


def test_a_refusal_leaves_the_connection_open(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    client = connect(balancer)
    assert client.ask(post(CALL)).status == 503
    balancer.add_node(new_node(Call.answer).uri)
    assert client.ask(post(CALL)).status == 200


def test_a_refused_head_request_has_no_body(balancer: Balancer, connect: Connect) -> None:
    client = connect(balancer)
    answer = client.ask(request("HEAD", "/thing"), "HEAD")
    assert (answer.status, int(answer.field("Content-Length") or 0) > 0) == (503, True)
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


@pytest.mark.parametrize(
    ("lane", "setting"),
    [
        ("X-Fast-Track: true", "ITEMS_FASTTRACK_MAX"),
        ("X-High-Priority: true", "ITEMS_HIGHPRIO_MAX"),
        ("X-Neither: true", "ITEMS_LOWPRIO_MAX"),
    ],
)
def test_a_lane_takes_as_many_as_its_own_limit_and_the_others_do_not_suffer(
    launch: Launch, new_node: NewNode, connect: Connect, lane: str, setting: str
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", **{setting: "2"})
    connect(balancer).send(post())
    node.next_call()
    for number in range(2):
        connect(balancer).send(post(b"{}", lane, f"X-Request-ID: {number}"))
        balancer.wait_queued(str(number))
    full = connect(balancer).ask(post(b"{}", lane))
    assert (full.status, json.loads(full.body)["detail"]) == (503, "queue full")
    for other in {"X-Fast-Track: true", "X-High-Priority: true", "X-Neither: true"} - {lane}:
        connect(balancer).send(post(b"{}", other, f"X-Request-ID: {other}"))
        balancer.wait_queued(other)
