"""HTTP of the mock node: framing, order, and what ends a connection."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from priolb.http.messages import LocalRequest, LocalResponse
from priolb.testing import connection
from priolb.testing.mock_node import MockNode
from support.mock_nodes import clients_of
from support.raw_client import RawClient, http_request

CALL = b'{"method":"eth_callBundle","id":%d}'
COOL = b'{"jsonrpc":"2.0","id":%d,"result":"cool"}\n'


def with_client(use: Callable[[MockNode, RawClient], Awaitable[None]], latency_s: float = 0.0) -> None:
    """Run `use` with a node that is up and a client that is connected to it."""

    async def main() -> None:
        node = MockNode(latency_s)
        async with clients_of(node, 1) as [client]:
            await use(node, client)

    asyncio.run(main())


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        for number in range(3):
            answer = await client.ask(http_request("POST", "/", CALL % number))
            assert (answer.status, answer.body) == (200, COOL % number)
            assert answer.fields == {"content-type": "application/json", "content-length": "41"}

    with_client(use)


@pytest.mark.parametrize("latency_s", [0.0, 0.001])
def test_pipelined_requests_are_answered_in_order(latency_s: float) -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        await client.send(b"".join(http_request("POST", "/", CALL % number) for number in range(20)))
        assert [(await client.answer()).body for _ in range(20)] == [COOL % number for number in range(20)]
        assert node.requests == 20
        assert node.max_in_flight == 1

    with_client(use, latency_s)


def test_what_is_pipelined_behind_a_slow_answer_is_read_when_its_turn_comes() -> None:
    """More than the node is willing to hold: it stops reading and goes on later."""

    async def use(node: MockNode, client: RawClient) -> None:
        sending = asyncio.create_task(
            client.send(b"".join(http_request("POST", "/", CALL % n + b" " * 500_000) for n in range(4)))
        )
        assert [(await client.answer()).body for _ in range(4)] == [COOL % number for number in range(4)]
        await sending
        assert [len(request.body) for request in node.received] == [len(CALL % 1) + 500_000] * 4

    with_client(use, latency_s=0.01)


def test_requests_may_come_byte_by_byte() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += b"7;x=y\r\n[1,2,3]\r\n0\r\nA: b\r\n\r\n"
        for number in http_request("POST", "/", b"[1,2,3]") + chunked + http_request("GET", "/last"):
            await client.send(bytes([number]))
            await asyncio.sleep(0)
        for _ in range(2):
            assert (await client.answer()).status == 200
        assert (await client.answer()).body == b"mock node: GET /last\n"
        assert [request.body for request in node.received] == [b"[1,2,3]", b"[1,2,3]", b""]

    with_client(use)


def test_chunked_bodies_are_taken_apart_and_what_follows_them_is_kept() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        head = b"POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"5\r\n[1,2,\r\n2\r\n3]\r\n0\r\n\r\n"
        await client.send(head % 1 + chunks + head % 2 + chunks)
        for _ in range(2):
            assert (await client.answer()).status == 200
        assert [(request.head.path, request.body) for request in node.received] == [
            (b"/1", b"[1,2,3]"),
            (b"/2", b"[1,2,3]"),
        ]

    with_client(use)


def test_a_head_request_is_answered_without_a_body() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        answer = await client.ask(http_request("HEAD", "/x"), to="HEAD")
        assert (answer.status, answer.fields["content-length"], answer.body) == (200, "19", b"")
        assert (await client.ask(http_request("GET", "/x"))).body == b"mock node: GET /x\n"

    with_client(use)


@pytest.mark.parametrize(
    ("request_", "connection_field"),
    [
        (http_request("GET", "/", b"", "Connection: close"), "close"),
        (b"GET / HTTP/1.0\r\n\r\n", "close"),
    ],
)
def test_the_connection_closes_when_the_client_wants_that(request_: bytes, connection_field: str) -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        answer = await client.ask(request_ + http_request("GET", "/too-late"))
        assert (answer.status, answer.fields["connection"]) == (200, connection_field)
        assert await client.end() == b""
        assert node.requests == 1

    with_client(use)


def test_a_client_of_http_1_0_may_keep_its_connection() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        for _ in range(2):
            answer = await client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (answer.status, answer.fields["connection"]) == (200, "keep-alive")

    with_client(use)


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        request = http_request("POST", "/", CALL % 1, "Expect: 100-continue")
        head, body = request[: -len(CALL % 1)], request[-len(CALL % 1) :]
        assert (await client.ask(head)).status == 100
        assert (await client.ask(body)).body == COOL % 1

    with_client(use)


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (b"BAD\r\n\r\n", 400, b"malformed request: the request line\n"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"malformed request: no Host field\n"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431, b"the head of the request is too large\n"),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n",
            413,
            b"the body of the request is too large\n",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d1\r\n" + b"x" * 2001,
            413,
            b"the body of the request is too large\n",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            400,
            b"a chunk size that is not a hexadecimal number\n",
        ),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(
    data: bytes, status: int, text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_MAX_BODY_BYTES", 2000)

    async def use(node: MockNode, client: RawClient) -> None:
        answer = await client.ask(data)
        assert (answer.status, answer.body, answer.fields["connection"]) == (status, text, "close")
        assert await client.end() == b""
        assert node.requests == 0

    with_client(use)


def test_the_address_of_the_client_is_known() -> None:
    async def use(node: MockNode, client: RawClient) -> None:
        await client.ask(http_request("GET", "/"))
        assert node.received[0].peer == "127.0.0.1"

    with_client(use)


@pytest.mark.parametrize("latency_s", [0.0, 0.001])
def test_a_handler_that_fails_ends_the_connection_and_shows_in_the_log_of_the_loop(latency_s: float) -> None:
    def fail(request: LocalRequest) -> LocalResponse:
        raise ZeroDivisionError("in the handler")

    async def use(node: MockNode, client: RawClient) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        node.handler = fail
        await client.send(http_request("POST", "/", CALL % 1))
        assert await client.end() == b""
        assert [str(each) for each in told] == ["in the handler"]
        assert node.in_flight == 0

    with_client(use, latency_s)
