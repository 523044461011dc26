"""Bodies that pass through: what ends them before their end."""

import pytest

from support.memory import MemoryTransport
from support.messages import ANSWER, CLOSE, POST, answer_at_client, problem, timings
from support.uploads import CHUNKED, begun, rig, upload


@pytest.mark.parametrize("leaves", [MemoryTransport.end, MemoryTransport.break_off])
def test_a_client_that_leaves_in_the_middle_frees_the_slot_and_the_node_sees_a_broken_request(
    leaves: object,
) -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        leaves(client)  # type: ignore[operator]
        assert rig_.counts() == (0, 0, 0)
        assert call.was_aborted
        assert call.take() == b"x" * 500


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_an_answer_before_the_body_is_complete_reaches_the_client_and_ends_both_connections(
    connection: bytes,
) -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        call.send(b"HTTP/1.1 413 Too Much\r\n%sContent-Length: 2\r\n\r\nno" % connection)
        rig_.run()
        assert client.take() == (
            b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n" + timings() + CLOSE + b"\r\nno"
        )
        assert call.was_aborted and rig_.engine.idle.count == 0
        assert client.is_ended and not client.is_lost
        client.send(b"y" * 500 + POST)
        assert client.take() == b"", "what comes behind an answer like that is not looked at"
        rig_.advance(5.1)
        assert client.is_lost


def test_an_answer_may_stream_while_the_body_still_does() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"x" * 100)
        assert call.take() == b"x" * 100
        call.send(b"3\r\nabc\r\n")
        client.send(b"y" * 100)
        assert call.take() == b"y" * 100
        call.send(b"0\r\n\r\n")
        rig_.run()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + timings() + CLOSE + b"\r\n"
        assert client.take() == head + b"3\r\nabc\r\n0\r\n\r\n"
        assert client.is_lost


def test_a_node_that_answers_while_the_client_is_slow_waits_for_the_client() -> None:
    """Its silence is for want of the body, as long as that comes."""
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        for _ in range(20):
            rig_.advance(20)
            client.send(b"x" * 10)
        call.send(b"0\r\n\r\n")
        assert client.take().endswith(b"1\r\na\r\n0\r\n\r\n")


def test_a_node_that_closes_in_the_middle_of_the_body_is_502() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        client.send(b"x" * 500)
        call.end()
        rig_.run()
        assert client.take() == problem(b"502 Bad Gateway", "node unreachable", CLOSE)
        assert client.is_ended


BAD_CHUNK = "malformed request: a chunk size that is not a hexadecimal number"


def test_a_body_that_breaks_its_framing_is_refused_and_the_node_sees_no_end_of_it() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        call.take()
        client.send(b"bad\n")
        assert client.take() == problem(
            b"400 Bad Request",
            "bad request: malformed request: a line of a chunked body that does not end in CR LF",
            CLOSE,
        )
        assert call.was_aborted and call.take() == b""


def test_a_body_that_breaks_its_framing_while_the_answer_streams_resets_the_client() -> None:
    with rig() as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        client.send(b"x\r\n")
        rig_.run()
        assert client.was_reset and call.was_aborted
        assert rig_.notes.take("rejected") == [("rejected", "192.0.2.1", 400, BAD_CHUNK)]


def test_a_chunked_body_that_grows_too_large_is_refused_on_the_way() -> None:
    with rig(max_body_bytes=300) as rig_:
        node, client = rig_.node(), rig_.client()
        client.send(CHUNKED + b"C8\r\n" + b"x" * 200 + b"\r\n")
        call = node.accept()
        client.send(b"64\r\n" + b"x" * 100 + b"\r\n")
        assert client.take() == b""
        client.send(b"1\r\nx\r\n")
        assert client.take().startswith(b"HTTP/1.1 413 ")
        assert call.was_aborted


def test_without_a_limit_a_body_may_be_as_long_as_it_likes() -> None:
    with rig(max_body_bytes=0) as rig_:
        _, client, call = begun(rig_, 10**12)
        client.send(b"x" * 100)
        assert call.take() == b"x" * 100
        client.end()


def test_a_body_for_which_there_is_no_room_is_refused() -> None:
    with rig(body_budget_bytes=50) as rig_:
        node, first, client = rig_.node(slots=1), rig_.client(), rig_.client()
        first.send(POST)
        node.accept()
        client.send(upload(1000) + b"x" * 49)
        assert client.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"queue full: no room for the body of the request" in client.take() or client.is_ended
        first.end()


def test_the_end_of_the_program_refuses_a_body_on_its_way() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 1000)
        rig_.listener.drain()
        assert not client.is_ended
        rig_.listener.shut_down()
        rig_.run()
        assert client.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert call.was_aborted and client.is_ended


def test_draining_lets_a_body_pass_to_its_end() -> None:
    with rig() as rig_:
        _, client, call = begun(rig_, 200)
        rig_.listener.drain()
        client.send(b"x" * 200)
        call.send(ANSWER)
        rig_.run()
        assert client.take() == answer_at_client(is_json=False, connection=CLOSE)
        assert client.is_lost
