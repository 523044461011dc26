"""Answers that break off: no client takes one for complete."""

import pytest

from support.messages import (
    POST,
    answer_at_client,
)
from support.rig import Rig


def test_an_answer_that_breaks_off_is_seen_to_be_incomplete_by_its_length() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        call.end()
        rig.run()
        assert client.take() == answer_at_client(b"0123456789")[:-10] + b"abc"
        assert client.is_lost and not client.was_reset


@pytest.mark.parametrize("broken", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
def test_an_answer_in_chunks_that_breaks_off_has_no_last_chunk(broken: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(broken)
        call.end()
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost


def test_an_answer_in_chunks_that_breaks_its_framing_has_no_last_chunk() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        call.send(b"nonsense\r\n")
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost
        assert rig.notes.take("node_failed") == [
            (
                "node_failed",
                b"",
                "http://node-1",
                "node_bad_answer",
                "a chunk size that is not a hexadecimal number",
                1,
            )
        ]


def test_an_answer_until_the_end_that_ends_in_a_reset_has_no_last_chunk() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        call.break_off()
        rig.run()
        assert client.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
        assert client.is_lost


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ],
)
def test_an_answer_that_only_the_end_of_the_connection_delimits_ends_in_a_reset_when_it_breaks_off(
    answer: bytes,
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        call = node.accept()
        call.send(answer)
        call.break_off()
        rig.run()
        assert client.was_reset
