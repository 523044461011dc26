"""The mock node: latency, errors, concurrency, and what it tells of itself."""

import asyncio
import random
import signal
import socket
import subprocess
import sys

import pytest

from priolb.config.parse import Address
from priolb.errors import ConfigError
from priolb.http.messages import LocalRequest, LocalResponse
from priolb.testing.mock_node import MockNode, serve
from support.mock_nodes import clients_of
from support.raw_client import RawClient, eventually, http_request

CALL = http_request("POST", "/", b'{"method":"eth_callBundle","id":1}')
HEALTH_CHECK = http_request("POST", "/", b'{"method":"net_version","id":1}')
COOL = b'{"jsonrpc":"2.0","id":1,"result":"cool"}\n'
HEALTHY = b'{"jsonrpc":"2.0","id":1,"result":"1"}\n'
MOCK_ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"mock error"}}\n'

NEVER_S = 3600.0


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (CALL, COOL),
        (http_request("POST", "/a/b?c=d", b'{"method":"eth_callBundle","id":1}'), COOL),
        (http_request("GET", "/a?b=c"), b"mock node: GET /a?b=c\n"),
        (http_request("PUT", "/a", b"x"), b"mock node: PUT /a\n"),
        (http_request("DELETE", "/"), b"mock node: DELETE /\n"),
    ],
)
def test_any_method_and_path_has_an_answer(request_: bytes, body: bytes) -> None:
    async def main() -> None:
        node = MockNode()
        async with clients_of(node, 1) as [client]:
            answer = await client.ask(request_)
            assert (answer.status, answer.body) == (200, body)

    asyncio.run(main())


def test_the_field_test_comes_back() -> None:
    async def main() -> None:
        node = MockNode()
        async with clients_of(node, 1) as [client]:
            answer = await client.ask(
                http_request("POST", "/", b"[]", "Testing: no", "tESt: a  b", "X-Test: no")
            )
            assert answer.fields == {
                "content-type": "application/json",
                "content-length": "3",
                "test": "a  b",
            }

    asyncio.run(main())


def test_it_counts_requests_and_remembers_the_last_thousand() -> None:
    async def main() -> None:
        node = MockNode()
        async with clients_of(node, 1) as [client]:
            await client.send(
                b"".join(http_request("GET", f"/{number}") for number in range(1001)) + HEALTH_CHECK
            )
            for _ in range(1002):
                await client.answer()
            assert (node.requests, node.in_flight, node.max_in_flight) == (1002, 0, 1)
            assert len(node.received) == 1000
            assert node.received[0].head.path == b"/2"
            assert node.received[-1].body == b'{"method":"net_version","id":1}'

    asyncio.run(main())


def test_a_request_takes_the_latency_and_a_health_check_does_not_wait_for_it() -> None:
    async def main() -> None:
        node = MockNode(latency_s=NEVER_S, concurrency=1)
        async with clients_of(node, 2) as [slow, prober]:
            await slow.send(CALL)
            await eventually(lambda: node.in_flight == 1)
            assert (await prober.ask(HEALTH_CHECK)).body == HEALTHY
            assert (node.in_flight, node.max_in_flight, node.requests) == (1, 1, 2)
            await node.stop()
            assert await slow.end() == b""
            assert node.in_flight == 0

    asyncio.run(main())


def test_the_latency_is_at_least_what_was_asked_for() -> None:
    async def main() -> None:
        node = MockNode(latency_s=0.05)
        async with clients_of(node, 1) as [client]:
            clock = asyncio.get_running_loop().time
            begun_at = clock()
            assert (await client.ask(CALL)).body == COOL
            # The loop may wake up one tick of its clock early.
            assert clock() - begun_at >= 0.049

    asyncio.run(main())


def test_without_a_limit_requests_are_served_at_the_same_time() -> None:
    async def main() -> None:
        node = MockNode(latency_s=NEVER_S)
        async with clients_of(node, 20) as clients:
            for client in clients:
                await client.send(CALL)
            await eventually(lambda: node.in_flight == 20)
            assert len(node._serving) == 20

    asyncio.run(main())


def test_above_the_limit_requests_wait_and_are_served_in_order() -> None:
    async def main() -> None:
        node = MockNode(latency_s=0.01, concurrency=1)
        answered: list[bytes] = []
        served_at_once: list[int] = []

        def note(request: LocalRequest) -> LocalResponse:
            answered.append(request.head.path)
            served_at_once.append(len(node._serving))
            return LocalResponse(200, b"")

        node.handler = note
        async with clients_of(node, 5) as clients:
            for number, client in enumerate(clients, start=1):
                await client.send(http_request("GET", f"/{number}"))
                await eventually(lambda number=number: node.requests == number)  # type: ignore[misc] # bound
            for client in clients:
                assert (await client.answer()).status == 200
        assert answered == [b"/1", b"/2", b"/3", b"/4", b"/5"]
        assert max(served_at_once) == 1
        assert node.in_flight == 0

    asyncio.run(main())


def test_a_client_that_leaves_makes_room_and_is_not_in_flight_any_more() -> None:
    async def main() -> None:
        node = MockNode(latency_s=NEVER_S, concurrency=1)
        async with clients_of(node, 3) as clients:
            served, given_up, waiting = clients
            for number, client in enumerate(clients, start=1):
                await client.send(http_request("GET", f"/{number}"))
                await eventually(lambda number=number: node.in_flight == number)  # type: ignore[misc] # bound
            await given_up.close()
            await eventually(lambda: node.in_flight == 2)
            assert (len(node._serving), len(node._waiting)) == (1, 1)
            await served.close()
            await eventually(lambda: node.in_flight == 1)
            assert (len(node._serving), len(node._waiting)) == (1, 0)
            assert node.max_in_flight == 3
            await waiting.close()
            await eventually(lambda: node.in_flight == 0)

    asyncio.run(main())


def test_which_requests_fail_is_a_matter_of_the_seed_and_health_checks_never_do() -> None:
    async def main() -> None:
        node = MockNode(error_rate=0.3, seed=7)
        async with clients_of(node, 1) as [client]:
            draws = random.Random(7)
            for _ in range(50):
                answer = await client.ask(CALL)
                expected = (500, MOCK_ERROR) if draws.random() < 0.3 else (200, COOL)
                assert (answer.status, answer.body) == expected
                assert (await client.ask(HEALTH_CHECK)).body == HEALTHY

    asyncio.run(main())


def test_with_an_error_rate_of_one_everything_fails_but_health_checks() -> None:
    async def main() -> None:
        node = MockNode(error_rate=1.0)
        node.handler = lambda _: LocalResponse(200, b"handler")
        async with clients_of(node, 1) as [client]:
            assert [(await client.ask(CALL)).status for _ in range(5)] == [500] * 5
            assert (await client.ask(http_request("GET", "/"))).status == 500
            assert (await client.ask(HEALTH_CHECK)).body == b"handler"

    asyncio.run(main())


def test_a_handler_answers_instead_health_checks_included() -> None:
    async def main() -> None:
        node = MockNode()
        node.handler = lambda request: LocalResponse(503, request.body[:9], b"text/x", b"X-A: b\r\n")
        async with clients_of(node, 1) as [client]:
            for request in (CALL, HEALTH_CHECK):
                answer = await client.ask(request)
                assert (answer.status, answer.body) == (503, b'{"method"')
                assert answer.fields == {"content-type": "text/x", "content-length": "9", "x-a": "b"}
            assert (node.requests, len(node.received)) == (2, 2)

    asyncio.run(main())


def test_stopped_it_drops_its_clients_and_refuses_new_ones_and_can_be_started_again() -> None:
    async def main() -> None:
        node = MockNode()
        async with clients_of(node, 1) as [client]:
            port = client.port
            assert (await client.ask(CALL)).body == COOL
            await node.stop()
            assert await client.end() == b""
            with pytest.raises(ConnectionRefusedError):
                await RawClient.connect(port)
            assert await node.start("127.0.0.1", port) == port
            again = await RawClient.connect(port)
            assert (await again.ask(CALL)).body == COOL
            await again.close()
        assert node.requests == 2

    asyncio.run(main())


def test_a_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refusal:
            serve(Address("127.0.0.1", port), 0.0, 0.0, 0)
        assert str(refusal.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("", "localhost")]
)
def test_as_a_program_it_says_where_it_is_and_ends_with_status_0_on_a_signal(
    number: signal.Signals, host: str, shown: str
) -> None:
    code = (
        "import sys; from priolb.config.parse import Address; from priolb.testing.mock_node import serve; "
        f"sys.exit(serve(Address({host!r}, 0), 0.0, 1.0, 1))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        start, _, port = process.stdout.readline().decode().rstrip("\n").rpartition(":")
        assert start == f"mock node on http://{shown}"

        async def main() -> None:
            client = await RawClient.connect(int(port))
            assert (await client.ask(HEALTH_CHECK)).body == HEALTHY
            assert (await client.ask(CALL)).body == MOCK_ERROR
            await client.close()

        asyncio.run(main())
        process.send_signal(number)
        assert process.stdout.read() == b""
        assert process.wait() == 0
