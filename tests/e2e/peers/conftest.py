"""What tests with real peers share."""

from collections.abc import Iterator

import pytest

from support.aiohttp_node import AiohttpNode
from support.balancer import Balancer


@pytest.fixture(scope="session")
def _running_aiohttp() -> Iterator[AiohttpNode]:
    with AiohttpNode() as node:
        yield node


@pytest.fixture
def aiohttp_node(balancer: Balancer, _running_aiohttp: AiohttpNode) -> AiohttpNode:
    """The one node of `balancer`."""
    balancer.add_node(_running_aiohttp.uri)
    return _running_aiohttp
