"""Second tries while errors that mean the node are looked for."""

import gzip

import pytest

from support.messages import ANSWER, FAILURE, POST
from support.rig import Rig
from support.second_tries import hedged, hedging

LIMITED = b'{"id":1,"error":{"code":-32005}}'
LIMITED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LIMITED)


def test_the_first_answer_wins_once_it_cannot_be_such_an_error() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        client, first, second = hedged(rig)
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        aborted = [second.was_aborted]
        first.send(b'{"result":')
        assert [*aborted, second.was_aborted] == [False, True]
        first.send(b"1}")
        assert client.take().endswith(b'\r\n\r\n{"result":1}')
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-1", 2)]


def test_the_second_answer_wins_while_the_first_may_be_such_an_error() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        client, first, second = hedged(rig)
        first.send(LIMITED_HEAD)
        second.send(ANSWER)
        assert first.was_aborted
        assert client.take().endswith(b"\r\n\r\n[]")


def test_the_second_try_goes_on_when_the_first_answer_is_such_an_error() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig)
        first.send(LIMITED_HEAD)
        first.send(LIMITED)
        assert client.take() == b"" and not second.was_aborted
        second.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert [node.state.record.failed for node in rig.nodes.values()] == [1, 0]


def test_the_first_try_goes_on_when_the_second_answer_is_such_an_error() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig)
        second.send(LIMITED_HEAD)
        second.send(LIMITED)
        assert client.take() == b"" and not first.was_aborted
        first.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")
        assert [node.state.record.failed for node in rig.nodes.values()] == [0, 1]


def test_an_answer_that_is_compressed_is_held_as_long_as_it_may_be_such_an_error() -> None:
    body = gzip.compress(b'{"id":1,"result":1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig)
        second.send(head + body[:12])
        assert client.take() == b""
        aborted = [first.was_aborted]
        second.send(body[12:-1])
        assert [*aborted, first.was_aborted] == [False, True]
        second.send(body[-1:])
        assert client.take().endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "parts", [[b'{"result":', b"1}"], [b"", b'["a long b']], ids=["a result", "no error"]
)
def test_the_second_answer_wins_once_it_cannot_be_such_an_error(parts: list[bytes]) -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        client, first, second = hedged(rig)
        body = b"".join(parts)
        second.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), parts[0]))
        assert first.was_aborted is (parts[0] != b"")
        second.send(parts[1])
        assert first.was_aborted
        assert client.take().endswith(b"\r\n\r\n" + body)
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


def test_a_second_answer_in_chunks_that_is_empty_after_all_wins() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        client, first, second = hedged(rig)
        second.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        aborted = [first.was_aborted]
        second.send(b"0\r\n\r\n")
        assert [*aborted, first.was_aborted] == [False, True]
        assert client.take().endswith(b"\r\n\r\n0\r\n\r\n")


def test_a_second_answer_that_breaks_off_while_it_is_held_lets_the_first_go_on() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005})) as rig:
        client, first, second = hedged(rig)
        second.send(LIMITED_HEAD + LIMITED[:9])
        second.end()
        first.send(ANSWER)
        assert client.take().endswith(b"\r\n\r\n[]")


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_the_second_answer_goes_on_that_is_held_when_the_first_try_fails(how: str) -> None:
    body = b'{"id":1,"result":2}'
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig)
        if how == "length":
            second.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body[:8]))
            rest = body[8:]
        else:
            second.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%s\r\n" % body[:8])
            rest = b"b\r\n%s\r\n0\r\n\r\n" % body[8:]
        first.send(FAILURE)
        assert client.take() == b""
        second.send(rest)
        expected = body if how == "length" else b"13\r\n%s\r\n0\r\n\r\n" % body
        assert client.take().endswith(b"\r\n\r\n" + expected)
        assert rig.notes.take("completed") == [("completed", b"", 200, "http://node-2", 2)]


def test_the_second_answer_is_an_error_that_is_held_when_the_first_try_fails() -> None:
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig)
        second.send(LIMITED_HEAD + LIMITED[:9])
        first.send(FAILURE)
        second.send(LIMITED[9:])
        assert client.take().endswith(b"\r\n\r\n" + LIMITED)
        assert [node.state.record.failed for node in rig.nodes.values()] == [1, 1]


def test_a_second_try_that_is_late_does_not_end_a_first_answer_that_has_begun() -> None:
    request = POST.replace(b"Host", b"X-Request-Timeout: 1\r\nHost")
    with Rig(hedging=hedging(), node_errors=frozenset({-32005}), max_tries=1) as rig:
        client, first, second = hedged(rig, request)
        first.send(LIMITED_HEAD)
        rig.advance(1)
        assert second.was_aborted
        assert client.take() == b""
        first.send(b"x" * len(LIMITED))
        assert client.take().endswith(b"\r\n\r\n" + b"x" * len(LIMITED))
