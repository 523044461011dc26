"""What is made of an answer for its node: blame, rest and measure, and which node a request prefers."""

import gzip

import pytest

from priolb.core.nodes.affinity import Affinity
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight
from priolb.core.nodes.status import NodeStatus
from support.messages import ANSWER, POST, POST_AT_NODE
from support.rig import Rig

# What an answer says of its node


def rpc_error(code: int) -> bytes:
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"m"}}' % code
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("code", "request_", "is_retried"),
    [
        (-32005, POST, True),
        (-32000, POST, False),
        (-32005, POST.replace(b"POST / ", b"POST /a "), False),
        (-32005, POST.replace(b"POST", b"PUT"), False),
    ],
)
def test_an_error_of_the_list_in_an_answer_to_json_rpc_is_tried_again(
    code: int, request_: bytes, is_retried: bool
) -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(request_)
        first.accept().send(rpc_error(code))
        assert second.is_quiet() is not is_retried
        if is_retried:
            second.accept().send(ANSWER)
            assert client.take().endswith(b"\r\n\r\n[]")
        else:
            assert b'"code":%d' % code in client.take()
        assert first.state.record.failed == is_retried


LIMITED = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"m"}}'
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REST = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [SIZED % len(LIMITED), LIMITED],
        [SIZED % len(LIMITED) + LIMITED[:9], LIMITED[9:40], LIMITED[40:]],
        [CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(LIMITED), LIMITED)],
        [
            CHUNKED,
            b"9\r\n%s\r\n" % LIMITED[:9],
            b"%x\r\n%s\r\n" % (len(LIMITED) - 9, LIMITED[9:]),
            b"0\r\n\r\n",
        ],
    ],
    ids=["head first", "three parts", "one chunk", "chunks"],
)
def test_an_error_of_the_list_is_seen_however_its_answer_comes(parts: list[bytes]) -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        for part in parts:
            assert client.take() == b""
            call.send(part)
        second.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert (first.state.record.failed, first.state.record.last_error) == (1, "an error of the node's own")
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


ZIPPED = gzip.compress(LIMITED)
CODED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("size", [1, 20, 1000], ids=["byte by byte", "parts", "whole"])
def test_it_is_seen_in_an_answer_that_is_compressed(size: int) -> None:
    answer = CODED % len(ZIPPED) + ZIPPED
    with Rig(node_errors=frozenset({-32005})) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        for at in range(0, len(answer), size):
            assert client.take() == b""
            call.send(answer[at : at + size])
        second.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert first.state.record.last_error == "an error of the node's own"


@pytest.mark.parametrize(
    ("coding", "body", "held_bytes"),
    [
        (b"gzip", gzip.compress(b'{"id":1,"result":"%s"}' % bytes(1000)), 12),
        (b"gzip", gzip.compress(b'{"id":"%s"}' % (b"x" * 505)), 15),
        (b"gzip", LIMITED, 1),
        (b"gzip", gzip.compress(b'{"error":' + b"x" * 100_000), 10),
        (b"br", ZIPPED, 0),
    ],
    ids=["a result", "far behind the start", "not compressed", "too long", "another coding"],
)
def test_a_compressed_answer_reaches_the_client_as_it_came_once_it_cannot_be_such_an_error(
    coding: bytes, body: bytes, held_bytes: int
) -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(CODED.replace(b"gzip", coding) % len(body) + body[:held_bytes])
        seen = client.take()
        assert (seen == b"") is (held_bytes > 0)
        call.send(body[held_bytes:-1])
        seen += client.take()
        assert seen.endswith(b"\r\n\r\n" + body[:-1]) and b"\r\nContent-Encoding: %s\r\n" % coding in seen
        call.send(body[-1:])
        assert client.take() == body[-1:]


def test_a_compressed_answer_that_is_none_reaches_the_client_as_it_came() -> None:
    body = gzip.compress(b'{"id":1,"error":{"code":3}}')
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(CODED % len(body))
        call.send(body[:-1])
        assert client.take() == b""
        call.send(body[-1:])
        assert client.take().endswith(b"\r\n\r\n" + body)
        assert (node.state.answered, node.state.record.failed) == (1, 0)


def test_of_a_compressed_answer_no_more_than_64_kb_are_held_whatever_they_say() -> None:
    """Blocks of the coding may be empty."""
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(CODED.replace(b"Content-Length: %d", b"Connection: close") + ZIPPED[:10])
        empty = b"\0\0\0\xff\xff"
        call.send(empty * 13_105)
        assert client.take() == b""
        call.send(empty * 5)
        assert client.take().endswith(empty + b"\r\n")
        client.break_off()


def test_it_is_seen_when_only_the_end_of_the_connection_ends_it() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        call.send(REST + LIMITED)
        assert client.take() == b""
        call.end()
        second.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


@pytest.mark.parametrize(
    ("head", "start"),
    [
        (b"Content-Length: 100000\r\n", b""),
        (b"Transfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n", b""),
        (b"Content-Length: 1000\r\n", b'{"jsonrpc":"2.0","id":1,"result":'),
        (b"Content-Length: 1000\r\n", b"hello"),
        (b"Content-Length: 1000\r\n", b'{"id":"' + b"x" * 505),
    ],
    ids=["too long", "no JSON by its type", "a result", "no JSON", "far behind the start"],
)
def test_what_cannot_be_such_an_error_goes_on_at_once(head: bytes, start: bytes) -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\n%s\r\n" % head)
        assert (client.take() == b"") is (start != b"")
        if start:
            call.send(start)
            assert client.take().endswith(start)
        client.break_off()


def test_what_might_have_been_one_reaches_the_client_whole_and_framed_as_it_came() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(CHUNKED + b"3\r\n[{}\r\n")
        assert client.take() == b""
        call.send(b"1\r\n]\r\n0\r\nX-Sum: 7\r\n\r\n")
        answer = client.take()
        assert b"\r\nTransfer-Encoding: chunked\r\n" in answer
        assert answer.endswith(b"\r\n\r\n4\r\n[{}]\r\n0\r\nX-Sum: 7\r\n\r\n")
        assert (node.state.answered, node.state.record.failed) == (1, 0)


def test_an_empty_body_in_chunks_is_none() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(CHUNKED)
        assert client.take() == b""
        call.send(b"0\r\n\r\n")
        assert client.take().endswith(b"\r\n\r\n0\r\n\r\n")
        assert (node.state.answered, node.state.record.failed) == (1, 0)


def test_one_that_breaks_off_before_the_client_has_seen_of_it_is_tried_again() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(POST)
        call = first.accept()
        call.send(SIZED % 1000 + LIMITED[:30])
        call.end()
        second.accept().send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


def test_one_that_grows_over_64_kb_goes_on() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        start = b'{"error":{"code":-32005,"data":"'
        call.send(CHUNKED + b"%x\r\n%s" % (1 << 20, start))
        call.send(b"x" * (65536 - len(start)))
        assert client.take() == b""
        call.send(b"x")
        assert client.take().endswith(b"x" * 1000 + b"\r\n")
        client.break_off()


def test_when_all_nodes_say_so_the_client_gets_what_the_last_one_said() -> None:
    with Rig(node_errors=frozenset({-32005})) as rig:
        client = rig.client()
        nodes = [rig.node() for _ in range(3)]
        client.send(POST)
        for node in nodes:
            assert client.take() == b""
            node.accept().send(rpc_error(-32005))
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b'"code":-32005' in answer
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-3", 3)]


@pytest.mark.parametrize("is_split", [False, True])
def test_a_node_that_asks_for_a_rest_gets_it_before_it_is_tried_again(is_split: bool) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\nno"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.take()
        if is_split:
            call.send(busy[:-1])
            call.send(busy[-1:])
        else:
            call.send(busy)
        rig.advance(1.9)
        assert call.take() == b""
        rig.advance(0.2)
        assert call.take() == POST_AT_NODE
        call.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


def test_a_node_that_asks_for_a_longer_rest_than_there_is_time_is_not_waited_for() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\nno")
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\n") and answer.endswith(b"no")


# What is measured of a node


def test_a_switch_of_protocols_says_nothing_of_how_fast_a_node_is() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        node.accept().send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        rig.advance(100)
        client.end()
        assert (node.state.answered, node.state.busy_s, node.state.record.failed) == (0, 0.0, 0)


@pytest.mark.parametrize("how", ["silence", "a drain"])
def test_a_switch_of_protocols_whose_time_is_over_ends_and_is_nobodys_fault(how: str) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET /a HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        call = node.accept()
        call.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        rig.notes.take()
        if how == "silence":
            rig.advance(601)
        else:
            rig.traffic.fleet.drain(node.state, 1.0, rig.clock.now)
            rig.traffic.settle()
            rig.advance(2)
        assert (call.is_lost, client.is_ended) == (True, True)
        assert (node.state.in_flight, node.state.record.failed) == (0, 0)
        assert rig.notes.take() == [("completed", b"", 101, "http://node-1", 1)]


def test_the_time_that_a_client_takes_to_send_is_not_the_nodes() -> None:
    with Rig(replay_max_bytes=1) as rig:
        node, client = rig.node(), rig.client()
        client.send(b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nab")
        call = node.accept()
        rig.advance(20)
        client.send(b"c")
        rig.advance(0.5)
        call.send(ANSWER)
        assert (node.state.answered, node.state.busy_s) == (1, 0.5)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", b"cd"),
        (b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", b""),
    ],
)
def test_a_node_that_has_rested_is_back_with_the_head_of_a_good_answer(answer: bytes, end: bytes) -> None:
    """Its end may be hours away."""
    policy = HealthPolicy(eject_after=1, rest_s=1.0)
    with Rig(fleet=Fleet(policy=policy), max_tries=1) as rig:
        node, other, client, second = rig.node(), rig.node(), rig.client(), rig.client()
        states = []
        client.send(POST)
        node.accept().break_off()
        states.append(node.state.status)
        rig.advance(1.1)
        states.append(node.state.status)
        second.send(POST)
        other.accept()
        client.send(b"GET /a HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        call = node.accept()
        call.send(answer)
        states.append(node.state.status)
        assert states == [NodeStatus.EJECTED, NodeStatus.PROBING, NodeStatus.UP]
        call.send(end)
        client.end()
        second.end()


# Affinity


def test_requests_with_the_same_value_of_the_header_go_to_the_same_node() -> None:
    with Rig(fleet=Fleet(Affinity(LeastInFlight(), factor=8.0)), affinity="X-User") as rig:
        nodes = [rig.node() for _ in range(4)]
        for node in nodes:
            node.answers = lambda _request: ANSWER
        seen = set()
        for user in (b"a", b"b", b"c", b"d", b"e"):
            for _ in range(4):
                before = [len(node.connections) + node.state.answered for node in nodes]
                client = rig.client()
                client.send(POST.replace(b"Host", b"x-user: %s\r\nHost" % user))
                rig.run()
                assert client.take().endswith(b"\r\n\r\n[]")
                after = [len(node.connections) + node.state.answered for node in nodes]
                seen.add((user, next(i for i in range(4) if after[i] != before[i])))
        assert len(seen) == 5
        assert len({node for _, node in seen}) > 1
