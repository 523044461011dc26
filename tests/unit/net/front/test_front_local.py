"""Requests for the program itself: routed by the listener, answered by a handler, in line with the others."""

import asyncio

import pytest

from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from support.messages import ANSWER, CLOSE, DATE, POST, POST_AT_NODE, answer_at_client, problem
from support.rig import Rig

OWN = b"GET /own HTTP/1.1\r\nHost: balancer\r\n\r\n"


def own_answer(connection: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n"
        + DATE
        + connection
        + b"\r\nown\n"
    )


class Desk:
    """Owns `/own` and says so, but refuses 198.51.100.0/24; while `is_slow`, after `finish` only."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes, bytes, str]] = []
        self.is_slow = False
        self.cancelled = 0
        self._finished = asyncio.Event()

    def owns(self, method: bytes, path: bytes) -> bool:
        return path == b"/own"

    def refusal(self, head: RequestHead, peer: str) -> LocalResponse | None:
        return LocalResponse(403, b"no\n") if peer.startswith("198.51.100.") else None

    async def handle(self, request: LocalRequest) -> LocalResponse:
        head = request.head
        self.requests.append((head.method, head.path, request.body, request.peer))
        if self.is_slow:
            try:
                await self._finished.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return LocalResponse(200, b"own\n")

    def finish(self) -> None:
        self._finished.set()


class Page(Desk):
    """Owns `/` instead."""

    def owns(self, method: bytes, path: bytes) -> bool:
        return path == b"/"


@pytest.mark.parametrize("forwards", [True, False])
def test_another_protocol_at_the_own_path_is_for_a_node_where_anything_is(forwards: bool) -> None:
    """Ethereum nodes have their WebSocket there."""
    upgrade = b"GET / HTTP/1.1\r\nHost: balancer\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    desk = Page()
    with Rig(local=desk, forwards=forwards) as rig:
        node = rig.node()
        client = rig.client()
        client.send(upgrade)
        if forwards:
            assert node.accept().take() == (
                b"GET / HTTP/1.1\r\nHost: node-1\r\n"
                b"Connection: upgrade\r\nUpgrade: websocket\r\nVia: 1.1 lb\r\n\r\n"
            )
            client.end()
        else:
            rig.run()
            assert client.take() == own_answer()
            assert node.is_quiet()


def test_the_handler_gets_the_whole_request_and_the_peer() -> None:
    desk = Desk()
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(b"POST /own HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        client.send(b"0\r\n\r\n")
        assert (rig.counts(), rig.listener.local_budget.held_bytes) == ((0, 0, 0), 2)
        rig.run()
        assert desk.requests == [(b"POST", b"/own", b"{}", "192.0.2.1")]
        assert client.take() == own_answer()
        assert rig.notes.take() == []


def test_whose_a_request_is_is_told_by_its_own_head_whatever_came_before() -> None:
    desk = Desk()
    with Rig(local=desk) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        for _ in range(2):
            call.send(ANSWER)
            assert client.take() == answer_at_client()
            client.send(OWN)
            rig.run()
            assert client.take() == own_answer()
            client.send(OWN)
            rig.run()
            assert client.take() == own_answer()
            client.send(POST)
        assert len(desk.requests) == 4
        call.send(ANSWER)


def test_requests_are_answered_in_order_whoever_answers_them() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        node, client = rig.node(), rig.client()
        client.send(OWN + POST + OWN)
        assert node.is_quiet()
        desk.finish()
        call = node.accept()
        assert call.take() == POST_AT_NODE
        assert client.take() == own_answer()
        call.send(ANSWER)
        rig.run()
        assert client.take() == answer_at_client() + own_answer()


def test_http_1_0_and_head_are_answered_in_their_own_way() -> None:
    with Rig(local=Desk()) as rig:
        client = rig.client()
        client.send(b"HEAD /own HTTP/1.1\r\nHost: balancer\r\n\r\n")
        rig.run()
        assert client.take() == own_answer()[: -len(b"own\n")]
        client.send(b"GET /own HTTP/1.0\r\n\r\n")
        rig.run()
        assert client.take() == own_answer(CLOSE)
        assert client.is_lost


@pytest.mark.parametrize("sent", [b"", b"x" * 65537], ids=["head alone", "whole"])
def test_a_body_for_the_program_itself_is_bounded_more_tightly(sent: bytes) -> None:
    desk = Desk()
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(b"POST /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 65537\r\n\r\n" + sent)
        assert client.take() == problem(b"413 Content Too Large", "Payload too large", CLOSE)
        assert desk.requests == []


def test_a_body_with_trailers_for_the_program_itself_comes_decoded() -> None:
    desk = Desk()
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(
            b"POST /own HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"
        )
        rig.run()
        assert [body for _, _, body, _ in desk.requests] == [b"{}"]


def test_a_listener_that_forwards_nothing_hands_everything_to_the_handler() -> None:
    desk = Desk()
    with Rig(local=desk, forwards=False) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        assert node.is_quiet()
        assert desk.requests == [(b"POST", b"/", b"{}", "192.0.2.1")]
        assert client.take() == own_answer()


def test_there_is_room_for_the_operator_when_clients_have_taken_all_of_theirs() -> None:
    """Bodies that wait and bodies for the program itself were in one budget."""
    with Rig(local=Desk(), body_budget_bytes=100) as rig:
        rig.node(is_healthy=False)
        waiting = rig.client()
        waiting.send(POST[:-2].replace(b"Content-Length: 2", b"Content-Length: 100") + b"x" * 100)
        assert rig.counts() == (1, 0, 100)
        operator = rig.client()
        operator.send(
            b"POST /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert operator.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        operator.send(b"{}")
        rig.run()
        assert operator.take() == own_answer()
        waiting.break_off()


def test_bodies_for_the_program_itself_are_bounded_together() -> None:
    whole = b"POST /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 65536\r\n\r\n" + b"x" * 65535
    with Rig(local=Desk()) as rig:
        clients = [rig.client(f"192.0.2.{number}") for number in range(256)]
        for client in clients:
            client.send(whole)
        late = rig.client()
        late.send(b"POST /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 257\r\n\r\n" + b"x" * 257)
        assert late.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        clients[0].send(b"x")
        rig.run()
        assert clients[0].take() == own_answer()


FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
    + DATE
    + CLOSE
    + b"\r\nno\n"
)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 65536\r\nExpect: 100-continue\r\n\r\n",
        b"Content-Length: 65536\r\n\r\n" + b"x" * 65535,
        b"Content-Length: 65537\r\n\r\n",
        b"Content-Length: 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n",
    ],
    ids=["asks first", "not whole", "too long", "whole", "chunked"],
)
def test_who_is_refused_for_the_head_is_told_before_the_body_is_taken(rest: bytes) -> None:
    """Strangers filled the room for bodies, and the operator was locked out."""
    desk = Desk()
    with Rig(local=desk) as rig:
        stranger = rig.client("198.51.100.1")
        stranger.send(b"POST /own HTTP/1.1\r\nHost: balancer\r\n" + rest)
        assert stranger.take() == FORBIDDEN
        assert (rig.listener.local_budget.held_bytes, rig.counts()) == (0, (0, 0, 0))
        assert desk.requests == []
        assert rig.notes.take() == []


def test_the_body_of_what_only_reads_takes_no_room_from_changes() -> None:
    """Anybody may read."""
    desk = Desk()
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(b"GET /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n{")
        assert (rig.listener.local_budget.held_bytes, rig.counts()) == (0, (0, 0, 1))
        client.send(b"}")
        rig.run()
        assert desk.requests == [(b"GET", b"/own", b"{}", "192.0.2.1")]
        assert client.take() == own_answer()


@pytest.mark.parametrize("ways", ["end", "break_off"])
def test_who_leaves_cancels_its_request_and_gives_back_its_bytes(ways: str) -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(b"POST /own HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n{}")
        rig.run()
        assert rig.listener.local_budget.held_bytes == 2
        getattr(client, ways)()
        assert rig.listener.local_budget.held_bytes == 0
        rig.run()
        assert desk.cancelled == 1
        assert client.take() == b""


def test_who_leaves_in_the_turn_of_its_answer_gets_none() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(OWN)
        rig.run()
        desk.finish()
        client.end()
        rig.run()
        assert client.take() == b""


def test_an_answer_under_way_when_the_listener_drains_closes_the_connection() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(OWN)
        rig.run()
        rig.listener.drain()
        desk.finish()
        rig.run()
        assert client.take() == own_answer(CLOSE)
        assert client.is_lost


def test_shutting_down_cuts_what_the_handler_still_works_on() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        client = rig.client()
        client.send(OWN)
        rig.run()
        rig.listener.drain()
        rig.listener.shut_down()
        rig.run()
        assert desk.cancelled == 1
        assert client.is_lost
        assert client.take() == b""


def test_a_client_that_reads_late_while_its_own_request_is_under_way_is_not_cut_off_for_it_later() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST + POST + OWN)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 64000\r\n\r\n" + b"x" * 64000)
        rig.run()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"y" * 9000)
        rig.run()
        assert [request[1] for request in desk.requests] == [b"/own"]
        rig.advance(29)
        client.read()
        rig.advance(60)
        assert client.take().endswith(b"y" * 9000)
        desk.finish()
        rig.run()
        assert client.take() == own_answer()


def test_a_client_that_reads_nothing_while_its_own_request_is_under_way_is_cut_off() -> None:
    desk = Desk()
    desk.is_slow = True
    with Rig(local=desk) as rig:
        node, client = rig.node(), rig.client()
        client.stop_reading()
        client.send(POST + POST + OWN)
        call = node.accept()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 64000\r\n\r\n" + b"x" * 64000)
        rig.run()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"y" * 9000)
        rig.run()
        assert not client.was_reset
        rig.advance(30.1)
        assert desk.cancelled == 1
        assert rig.notes.take("rejected") == [
            ("rejected", "192.0.2.1", 0, "a client that does not read its answer")
        ]
