"""A request and its answer: what the node is sent, and what the client is told."""

import pytest

from support.messages import (
    ANSWER,
    CLOSE,
    POST,
    answer_at_client,
    timings,
)
from support.rig import Rig

# What is noted


def test_who_asked_and_what_was_answered_is_noted() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST.replace(b"Host", b"X-Request-ID: r7\r\nX-Fast-Track: true\r\nHost"))
        node.accept().send(ANSWER)
        assert rig.notes.take() == [
            ("queued", b"r7", 0, 2, (1, 0, 0)),
            ("completed", b"r7", 200, "http://node-1", 1),
        ]


def test_of_a_long_request_id_512_bytes_are_remembered() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(POST.replace(b"Host", b"X-Request-ID: %s\r\nHost" % (b"r" * 1000)))
        assert rig.notes.take() == [("refused", b"r" * 512, "no_nodes", 503)]


# What the node is sent


@pytest.mark.parametrize(
    ("target", "at_node"),
    [
        (b"/", b"/rpc?key=1"),
        (b"/sim", b"/rpc?key=1"),
        (b"/sim?a=b", b"/rpc?key=1&a=b"),
        (b"/a/b", b"/rpc/a/b?key=1"),
        (b"/a/b?c=d", b"/rpc/a/b?key=1&c=d"),
        (b"http://elsewhere/a", b"/rpc/a?key=1"),
    ],
)
def test_a_path_of_the_client_is_appended_to_that_of_the_node_but_for_its_own_two(
    target: bytes, at_node: bytes
) -> None:
    with Rig() as rig:
        node, client = rig.node(path="/rpc", query="key=1"), rig.client()
        client.send(b"GET %s HTTP/1.1\r\nHost: balancer\r\n\r\n" % target)
        call = node.accept()
        assert call.take() == b"GET %s HTTP/1.1\r\nHost: node-1\r\nVia: 1.1 lb\r\n\r\n" % at_node
        call.send(ANSWER)


@pytest.mark.parametrize(
    ("target", "body", "type_at_node"),
    [
        (b"/", b" [1]", b"Content-Type: application/json\r\n"),
        (b"/sim", b"{}", b"Content-Type: application/json\r\n"),
        (b"/", b"text", b""),
        (b"/other", b"{}", b""),
    ],
)
def test_json_that_nobody_typed_is_typed_on_the_nodes_own_path(
    target: bytes, body: bytes, type_at_node: bytes
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(
            b"PUT %s HTTP/1.1\r\nHost: balancer\r\nContent-Length: %d\r\n\r\n%s" % (target, len(body), body)
        )
        call = node.accept()
        path = b"/" if type_at_node or body == b"text" else target
        assert call.take() == (
            b"PUT %s HTTP/1.1\r\nHost: node-1\r\n%sVia: 1.1 lb\r\nContent-Length: %d\r\n\r\n%s"
            % (path, type_at_node, len(body), body)
        )
        call.send(ANSWER)


# Answers in parts


def test_an_answer_in_parts_reaches_the_client_part_by_part() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for part in (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 4\r\n\r\n", b"a", b"bc", b"d"):
            call.send(part)
        head = answer_at_client(b"abcd")[:-4]
        assert client.writes == [head, b"a", b"bc", b"d"]
        client.send(POST)
        call.send(ANSWER)
        assert client.writes[-1] == answer_at_client()


def test_of_requests_with_ids_of_their_own_the_node_is_told_the_same_way_until_that_changes() -> None:
    ask = b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n%sTraceparent: %d\r\n\r\n%s"
    told = (
        b"POST / HTTP/1.1\r\nHost: node-1\r\nTraceparent: %d\r\n%sVia: %s1.1 lb\r\n"
        b"Content-Length: 2\r\n\r\n%s"
    )
    json, via = b"Content-Type: application/json\r\n", b"Via: 1.0 a\r\n"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(ANSWER)
        call.take()
        for number in (1, 2, 3, 4):
            client.send(ask % (b"", number, b"{}"))
            assert call.take() == told % (number, json, b"", b"{}")
            call.send(ANSWER)
        client.send(ask % (b"", 5, b"xy"))
        assert call.take() == told % (5, b"", b"", b"xy")
        call.send(ANSWER)
        for number in (6, 7, 8, 9):
            client.send(ask % (via, number, b"{}"))
            assert call.take() == told % (number, json, b"1.0 a, ", b"{}")
            call.send(ANSWER)


def test_chunks_reach_the_client_as_chunks_of_ours() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n1\r\nx\r\n2;e=f\r\nyz"
        )
        call.send(b"\r\n0\r\nTrailer: dropped\r\n\r\n")
        assert client.writes == [
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n"
            + timings()
            + b"\r\n3\r\nxyz\r\n",
            b"0\r\n\r\n",
        ]
        client.send(POST)
        call.send(ANSWER)
        assert client.writes[-1] == answer_at_client()


def test_chunks_reach_a_client_of_http_1_0_bare_and_end_with_the_connection() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        node.accept().send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        rig.run()
        assert client.take() == b"HTTP/1.1 200 OK\r\n" + timings() + CLOSE + b"\r\nx"
        assert client.is_lost and not client.was_reset


def test_an_answer_until_the_end_of_the_connection_is_chunked_for_http_1_1() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\n\r\nab")
        call.send(b"c")
        assert rig.counts() == (0, 1, 2)
        call.end()
        assert rig.counts() == (0, 0, 0)
        assert rig.engine.idle.count == 0
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
            + timings()
            + b"\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        assert not client.is_closing()


def test_an_answer_until_the_end_of_the_connection_is_the_same_for_http_1_0() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        call = node.accept()
        call.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
        call.end()
        rig.run()
        assert client.take() == b"HTTP/1.1 200 OK\r\n" + timings(minor=0) + CLOSE + b"\r\nabc"
        assert client.is_lost and not client.was_reset


def test_the_answer_to_head_has_the_length_that_the_body_would_have() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"HEAD / HTTP/1.1\r\nHost: balancer\r\n\r\n" * 2)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" + timings() + b"\r\n"
            b"HTTP/1.1 200 OK\r\n" + timings() + b"\r\n"
        )
