"""httpx as the client."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from support.aiohttp_node import AiohttpNode
from support.balancer import Balancer
from support.factories import NewNode
from support.scripted_node import Call, always


@pytest.fixture
def client(balancer: Balancer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{balancer.port}", trust_env=False) as client:
        yield client


def test_a_request_with_everything(balancer: Balancer, new_node: NewNode, client: httpx.Client) -> None:
    node = new_node(
        always(200, b"answer", "Content-Type: a/b", "Set-Cookie: a=b", "Set-Cookie: c=d", "X: \xe9")
    )
    balancer.add_node(node.uri)
    answer = client.patch(
        "/path%20with/%2e/blanks",
        params={"q": "a b&c"},
        json={"x": [1, 2]},
        headers={"Cookie": "session=1"},
        auth=("me", "secret"),
    )
    [call] = node.requests
    assert (call.method, call.target) == ("PATCH", "/path%20with/%2e/blanks?q=a+b%26c")
    assert call.body == b'{"x":[1,2]}'
    assert call.field("authorization") == "Basic bWU6c2VjcmV0"
    assert call.field("cookie") == "session=1"
    assert call.field("content-type") == "application/json"
    assert answer.headers["Content-Type"] == "a/b"
    assert answer.headers.get_list("Set-Cookie") == ["a=b", "c=d"]
    assert answer.headers["X"] == "\xe9"
    assert (answer.text, answer.http_version) == ("answer", "HTTP/1.1")


def test_a_redirect_is_for_the_client_to_follow(
    balancer: Balancer, new_node: NewNode, client: httpx.Client
) -> None:
    def script(call: Call) -> None:
        if call.target == "/old":
            call.answer(307, b"", "Location: /new")
        else:
            call.answer(200, call.body)

    node = new_node(script)
    balancer.add_node(node.uri)
    answer = client.post("/old", content=b"body", follow_redirects=True)
    assert [(call.method, call.target) for call in node.requests] == [("POST", "/old"), ("POST", "/new")]
    assert answer.text == "body"
    assert answer.url == f"http://127.0.0.1:{balancer.port}/new"


def test_an_upload_in_parts(aiohttp_node: AiohttpNode, client: httpx.Client) -> None:
    parts = [bytes([number]) * 50_000 for number in range(100)]
    assert client.put("/echo", content=iter(parts)).content == b"".join(parts)


def test_each_part_of_an_answer_is_there_before_the_node_sends_the_next(
    aiohttp_node: AiohttpNode, client: httpx.Client
) -> None:
    with client.stream("GET", "/events") as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        parts = answer.iter_raw()
        assert next(parts) == b"data: first\n\n"
        for number in range(3):
            aiohttp_node.go_on(b"%d" % number)
            assert next(parts) == b"data: %d\n\n" % number
        aiohttp_node.finish()
        assert list(parts) == []
    assert client.post("/echo", content=b"next").text == "next", "the connection is where it was"


def test_a_hundred_requests_at_once(balancer: Balancer, aiohttp_node: AiohttpNode) -> None:
    async def ask_all() -> list[str]:
        url, limits = f"http://127.0.0.1:{balancer.port}", httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as client:
            asked = [client.post("/echo", content=b"%d" % number) for number in range(100)]
            return [answer.text for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [str(number) for number in range(100)]
