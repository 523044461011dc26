"""What the tests of the whole program share."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.balancer import Balancer
from support.certificates import Authority
from support.factories import Connect, Launch, NewNode, NewStreamNode
from support.scripted_node import Script, ScriptedNode
from support.stream_node import Stream, StreamNode
from support.wire import Client


@pytest.fixture(scope="session")
def _running() -> Iterator[Balancer]:
    with Balancer() as balancer:
        yield balancer


@pytest.fixture
def balancer(_running: Balancer) -> Iterator[Balancer]:
    """A balancer with default settings, of which every test finds and leaves an empty node list."""
    assert _running.nodes() == []
    yield _running
    for uri in _running.nodes():
        _running.remove_node(uri)


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Return what starts a balancer; at the end of the test each is stopped, and its log checked."""
    started: list[Balancer] = []

    def launch_one(*flags: str, **settings: Any) -> Balancer:
        started.append(Balancer(*flags, **settings))
        return started[-1]

    yield launch_one
    for each in started:
        each.stop()


@pytest.fixture
def new_node() -> Iterator[NewNode]:
    """Return what starts a scripted node."""
    started: list[ScriptedNode] = []

    def start_one(
        script: Script | None = None,
        health_status: int = 200,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> ScriptedNode:
        started.append(ScriptedNode(script, health_status, tls, port))
        return started[-1]

    yield start_one
    for each in started:
        each.stop()


@pytest.fixture
def new_stream_node() -> Iterator[NewStreamNode]:
    """Return what starts a stream node."""
    started: list[StreamNode] = []

    def start_one(script: Callable[[Stream], None] | None = None, receive_bytes: int = 0) -> StreamNode:
        started.append(StreamNode(script, receive_bytes))
        return started[-1]

    yield start_one
    for each in started:
        each.stop()


@pytest.fixture
def node(balancer: Balancer, new_node: NewNode) -> ScriptedNode:
    """The one node of `balancer`; its answers are held."""
    started = new_node()
    balancer.add_node(started.uri)
    return started


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return what connects to a balancer."""
    clients: list[Client] = []

    def connect_one(to: Balancer, receive_bytes: int = 0, address: str = "") -> Client:
        clients.append(Client(to.port, receive_bytes, address))
        return clients[-1]

    yield connect_one
    for each in clients:
        each.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    """What a test enters here ends with it."""
    with ExitStack() as exits:
        yield exits
