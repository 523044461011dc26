"""A mock node that is up, with clients connected to it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from priolb.testing.mock_node import MockNode
from support.raw_client import RawClient


@asynccontextmanager
async def clients_of(node: MockNode, count: int) -> AsyncIterator[list[RawClient]]:
    """Start `node` and connect to it; end both, whatever happened."""
    async with AsyncExitStack() as exits:
        exits.push_async_callback(node.stop)
        port = await node.start("127.0.0.1", 0)
        clients = [await RawClient.connect(port) for _ in range(count)]
        for client in clients:
            exits.push_async_callback(client.close)
        yield clients
