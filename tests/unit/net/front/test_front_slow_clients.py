"""Clients that take their time: with a head, with a body, with reading their answer."""

import pytest

from support.messages import ANSWER, CLOSE, GET, POST, answer_at_client, post, problem, timings
from support.rig import Rig

SLOW_HEAD = problem(
    b"408 Request Timeout", "bad request: the head of the request did not come in time", CLOSE
)
SLOW_BODY = problem(b"408 Request Timeout", "bad request: the body of the request stopped coming", CLOSE)


def test_a_head_that_takes_more_than_10_seconds_is_refused() -> None:
    with Rig() as rig:
        client = rig.client()
        rig.advance(60)
        for position in range(10):
            client.send(POST[position : position + 1])
            rig.advance(0.99)
        assert client.take() == b""
        rig.advance(0.15)
        assert client.take() == SLOW_HEAD
        assert rig.notes.take() == [
            ("rejected", "192.0.2.1", 408, "the head of the request did not come in time")
        ]


def test_the_time_of_a_head_that_was_there_during_an_answer_starts_with_the_end_of_that_answer() -> None:
    with Rig(request_timeout_s=60, try_timeout_s=60) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST + POST[:10])
        call = node.accept()
        rig.advance(50)
        call.send(ANSWER)
        assert client.take() == answer_at_client(times=timings(0, 50_000_000, 50_000_000))
        rig.advance(9.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_HEAD


def test_a_body_that_stops_for_30_seconds_is_refused_and_its_bytes_are_free() -> None:
    with Rig() as rig:
        rig.node()
        client = rig.client()
        client.send(post(body=b"x" * 100)[:-50])
        rig.advance(29)
        client.send(b"y")
        assert rig.counts() == (0, 0, 51)
        rig.advance(29.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_BODY
        assert rig.counts() == (0, 0, 0)


def test_a_body_that_never_starts_is_refused_after_30_seconds() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(post(body=b"{}")[:-2])
        rig.advance(29.9)
        assert client.take() == b""
        rig.advance(0.2)
        assert client.take() == SLOW_BODY


def test_a_client_that_reads_nothing_for_30_seconds_is_cut_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
        rig.advance(29.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.was_reset
        assert call.is_lost
        assert rig.notes.take("rejected") == [
            ("rejected", "192.0.2.1", 0, "a client that does not read its answer")
        ]


def test_a_client_that_reads_nothing_of_a_whole_answer_is_cut_off_as_soon() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        rig.advance(29.9)
        assert not client.is_closing()
        rig.advance(0.2)
        assert client.was_reset


def test_a_client_that_reads_a_little_now_and_then_is_not_cut_off() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        body = b"x" * 100000
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        for _ in range(20):
            client.read(1000)
            rig.advance(29)
        client.read()
        assert client.take() == answer_at_client(body)
        assert not client.is_closing()


@pytest.mark.parametrize(("read_bytes", "is_cut"), [(7199, True), (7200, False), (20_000, False)])
def test_a_client_that_reads_by_drips_is_cut_off(read_bytes: int, is_cut: bool) -> None:
    """It could hold a node for ever with a byte now and then."""
    with Rig(body_min_bytes_per_s=240) as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
        rig.advance(29.0)
        client.read(read_bytes)
        rig.advance(2.0)
        assert (client.was_reset, call.is_lost) == (is_cut, is_cut)
        client.break_off()


def test_a_slow_reader_of_its_last_answer_is_not_cut_off_while_it_reads() -> None:
    """The last 16 KB, for which nobody is held back any more, may take their time as well."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        body = b"x" * 100000
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        for _ in range(100):
            client.read(1000)
            rig.advance(29)
        assert not client.was_aborted
        client.read()
        rig.run()
        assert client.is_ended
        assert client.take() == answer_at_client(body, connection=CLOSE, is_json=False)
        client.end()
        assert client.calls[-1] == "close"


@pytest.mark.parametrize("more", [b"\r\n", GET % 2], ids=["an empty line", "another request"])
def test_a_slow_reader_of_its_last_answer_that_says_more_gets_it_whole(more: bytes) -> None:
    """On a connection that was closed on both sides, what it says would be answered by a reset."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(ANSWER)
        rig.run()
        client.send(more)
        client.read()
        assert client.take() == answer_at_client(connection=CLOSE, is_json=False)
        assert client.is_ended and not client.is_closing()
        client.end()
        rig.run()
        assert client.is_lost and not client.was_aborted


def test_who_has_all_of_its_last_answer_is_closed_at_once() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(ANSWER)
        rig.run()
        assert client.take() == answer_at_client(connection=CLOSE, is_json=False)
        assert client.calls == ["close"] and client.is_lost


def test_who_is_idle_for_too_long_but_has_not_read_its_answer_gets_it_whole() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1)
        node.accept().send(ANSWER)
        rig.advance(75.1)
        assert client.calls == ["write_eof"]
        client.read()
        assert client.take() == answer_at_client(is_json=False)


def test_who_has_read_its_last_answer_slowly_and_goes_on_sending_has_30_seconds_from_then_on() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(ANSWER)
        rig.advance(28)
        client.read()
        for _ in range(31):
            rig.advance(1)
            client.send(b"more")
        assert not client.is_closing()
        rig.advance(2)
        assert client.is_lost and not client.was_reset


def test_who_has_read_its_last_answer_slowly_and_is_silent_is_let_go_when_that_is_seen() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(ANSWER)
        rig.advance(18)
        client.read()
        rig.advance(2.5)
        assert client.is_lost and not client.was_reset


def test_a_slow_reader_of_its_last_answer_that_stops_is_cut_off_after_30_seconds() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
        rig.advance(29.9)
        assert not client.is_lost
        rig.advance(0.2)
        assert client.was_reset
        assert rig.notes.take("rejected") == [
            ("rejected", "192.0.2.1", 0, "a client that does not read its answer")
        ]


@pytest.mark.parametrize("more", [1, 3000], ids=["taken in", "left in the kernel"])
def test_who_has_sent_more_than_is_answered_gets_the_last_answer_whole(more: int) -> None:
    """To close over requests that nobody has read would reset the connection, and lose what is on its way."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        client.send(more * (GET % 1))
        rig.listener.drain()
        body = b"x" * 100_000
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body)
        assert client.is_reading() and "close" not in client.calls
        for _ in range(50):
            client.read(1000)
            rig.advance(29)
        assert not client.was_aborted
        client.read()
        assert client.take() == answer_at_client(body, connection=CLOSE)
        assert client.is_ended and not client.was_reset
        client.end()
        assert client.calls[-1] == "close"


def test_who_has_sent_more_and_reads_nothing_of_the_last_answer_is_cut_off_after_30_seconds() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        client.send(GET % 1)
        rig.listener.drain()
        node.accept().send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
        rig.advance(29.9)
        assert not client.is_lost
        rig.advance(0.2)
        assert client.was_reset


def test_what_an_answer_adds_after_the_pause_does_not_hide_that_the_client_reads() -> None:
    """The head of the answer passes the mark, a body much longer than what is read in 30 seconds follows."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(GET % 1 + GET % 2)
        first = b"x" * 65200
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 65200\r\n\r\n" + first)
        second = b"y" * 200000
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200001\r\n\r\n" + second)
        for _ in range(30):
            rig.advance(29)
            client.read(1000)
        assert not client.is_closing()
        client.read()
        call.resume_reading()
        call.send(b"y")
        assert client.take() == (
            answer_at_client(first, is_json=False) + answer_at_client(second + b"y", is_json=False)
        )


def test_a_client_that_closes_but_does_not_read_its_answer_is_let_go_after_30_seconds() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
        client.end()
        assert rig.counts() == (0, 0, 0)
        rig.advance(29.9)
        assert not client.is_lost
        rig.advance(0.2)
        assert client.is_lost
