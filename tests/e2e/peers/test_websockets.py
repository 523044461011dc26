"""The library websockets on both sides."""

import asyncio
import signal
from contextlib import ExitStack

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always
from support.websocket_node import WebSocketScript
from support.wire import PATIENCE_S, post

MB = 1024 * 1024


def dial(
    exits: ExitStack, balancer: Balancer, target: str = "/socket", *subprotocols: str
) -> ClientConnection:
    """Return a client's end of a new WebSocket."""
    return exits.enter_context(
        connect(
            f"ws://127.0.0.1:{balancer.port}{target}",
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            max_size=None,
            open_timeout=PATIENCE_S,
            proxy=None,
        )
    )


@pytest.fixture
def script() -> WebSocketScript:
    return WebSocketScript()


@pytest.fixture
def node(new_node: NewNode, script: WebSocketScript) -> ScriptedNode:
    return new_node(script)


@pytest.fixture
def socket(balancer: Balancer, node: ScriptedNode, exits: ExitStack) -> ClientConnection:
    """A WebSocket that is open."""
    balancer.add_node(node.uri)
    return dial(exits, balancer)


def test_messages_of_any_kind_and_length_come_back(socket: ClientConnection) -> None:
    for message in (
        "",
        "text \N{GRINNING FACE}",
        b"",
        b"\x00\xff",
        b"x" * 126,
        b"y" * 65_536,
        b"z" * 16 * MB,
    ):
        socket.send(message)
        assert socket.recv(PATIENCE_S) == message


def test_a_message_in_fragments_comes_back_whole(socket: ClientConnection) -> None:
    socket.send(bytes([number]) * 10_000 for number in range(50))
    assert socket.recv(PATIENCE_S) == b"".join(bytes([number]) * 10_000 for number in range(50))


def test_pings_are_answered_by_the_node(socket: ClientConnection) -> None:
    assert socket.ping("are you there").wait(PATIENCE_S)


def test_the_node_learns_how_the_client_closes(socket: ClientConnection, script: WebSocketScript) -> None:
    socket.close(4002, "going home")
    assert script.closes.get(timeout=PATIENCE_S) == (4002, "going home")


def test_the_client_learns_how_the_node_closes(socket: ClientConnection) -> None:
    socket.send("close 1011 out of order")
    with pytest.raises(ConnectionClosedError) as closed:
        socket.recv(PATIENCE_S)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "out of order")


def test_a_node_that_vanishes_closes_nothing_in_order(socket: ClientConnection) -> None:
    socket.send("drop")
    with pytest.raises(ConnectionClosedError) as closed:
        socket.recv(PATIENCE_S)
    assert closed.value.rcvd is None


def test_the_node_chooses_among_the_protocols_of_the_client(
    balancer: Balancer, new_node: NewNode, exits: ExitStack
) -> None:
    node = new_node(WebSocketScript("v2.rpc", "v1.rpc"))
    balancer.add_node(node.uri)
    assert dial(exits, balancer, "/socket", "v0.rpc", "v1.rpc").subprotocol == "v1.rpc"


def test_what_the_client_asked_for_reaches_the_node(
    balancer: Balancer, node: ScriptedNode, exits: ExitStack
) -> None:
    balancer.add_node(node.uri)
    dial(exits, balancer, "/socket?key=1")
    [call] = node.requests
    assert (call.method, call.target, call.field("connection")) == ("GET", "/socket?key=1", "upgrade")
    assert call.field("sec-websocket-version") == "13"
    assert call.field("via") == f"1.1 {balancer.name}"


@pytest.mark.parametrize("target", ["/", "/sim"])
def test_a_websocket_at_the_own_path_of_a_node(
    balancer: Balancer, new_node: NewNode, exits: ExitStack, target: str
) -> None:
    """That is where Ethereum nodes have theirs; GET / without Upgrade is for the balancer itself."""
    node = new_node(WebSocketScript())
    balancer.add_node(f"{node.uri}/rpc")
    socket = dial(exits, balancer, target)
    socket.send("hello")
    assert socket.recv(PATIENCE_S) == "hello"
    assert [call.target for call in node.requests] == ["/rpc"]


def test_a_node_that_refuses_has_its_say(launch: Launch, new_node: NewNode, exits: ExitStack) -> None:
    balancer = launch("-nodes", new_node(always(403, b"not you")).uri, RETRIES_MAX="1")
    with pytest.raises(InvalidStatus) as refusal:
        dial(exits, balancer)
    assert (refusal.value.response.status_code, refusal.value.response.body) == (403, b"not you")


def test_hundreds_at_once_keep_their_messages_apart(launch: Launch, node: ScriptedNode) -> None:
    balancer = launch("-nodes", node.uri, "-node-workers", "300", ProxyMaxConnsPerHost="0")

    async def talk(number: int) -> None:
        url = f"ws://127.0.0.1:{balancer.port}/socket"
        async with connect_async(url, open_timeout=PATIENCE_S, proxy=None) as socket:
            opened.append(number)
            if len(opened) == 300:
                all_open.set()
            await all_open.wait()
            for count in range(3):
                await socket.send(f"{number} {count}")
                assert await socket.recv() == f"{number} {count}"

    async def talk_all() -> None:
        async with asyncio.timeout(6 * PATIENCE_S), asyncio.TaskGroup() as talks:
            for number in range(300):
                talks.create_task(talk(number))

    opened: list[int] = []
    all_open = asyncio.Event()
    asyncio.run(talk_all())
    assert sorted(opened) == list(range(300))


def test_no_more_than_allowed_are_open_at_a_time(
    launch: Launch, node: ScriptedNode, exits: ExitStack, connect: Connect, script: WebSocketScript
) -> None:
    balancer = launch("-nodes", node.uri, UPGRADE_SLOTS="2")
    first, second = dial(exits, balancer), dial(exits, balancer)
    with pytest.raises(InvalidStatus) as refusal:
        dial(exits, balancer)
    assert refusal.value.response.status_code == 503
    assert refusal.value.response.headers["Retry-After"] == "1"
    assert connect(balancer).ask(post()).body == b"plain", "other requests have slots of their own"
    first.close(4000)
    assert script.closes.get(timeout=PATIENCE_S) == (4000, "")
    balancer.wait_for("Request completed", statusCode=101)
    third = dial(exits, balancer)
    for socket in (second, third):
        socket.send("still here")
        assert socket.recv(PATIENCE_S) == "still here"


@pytest.mark.parametrize("end", ["close", "reset", "drop"])
def test_an_open_websocket_holds_a_slot_of_its_node_until_it_ends(
    launch: Launch, node: ScriptedNode, exits: ExitStack, connect: Connect, end: str
) -> None:
    balancer = launch("-nodes", node.uri, "-node-workers", "1")
    socket = dial(exits, balancer)
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: waits"))
    balancer.wait_queued("waits")
    socket.send("still here")
    assert socket.recv(PATIENCE_S) == "still here"
    assert len(node.requests) == 1
    if end == "close":
        socket.close()
    elif end == "reset":
        socket.socket.close()
    else:
        socket.send("drop")
    assert client.receive().body == b"plain"


def test_a_silent_websocket_is_ended_in_time(launch: Launch, node: ScriptedNode, exits: ExitStack) -> None:
    socket = dial(exits, launch("-nodes", node.uri, UPGRADE_IDLE_TIMEOUT="0.2"))
    with pytest.raises(ConnectionClosed):
        socket.recv(PATIENCE_S)


def test_an_open_websocket_does_not_keep_the_program_from_ending(
    launch: Launch, node: ScriptedNode, exits: ExitStack
) -> None:
    balancer = launch("-nodes", node.uri, SHUTDOWN_TIMEOUT="0.3")
    socket = dial(exits, balancer)
    balancer.signal(signal.SIGTERM)
    balancer.wait_for("Shutting down...")
    socket.send("last words")
    assert socket.recv(PATIENCE_S) == "last words"
    with pytest.raises(ConnectionClosed):
        socket.recv(PATIENCE_S)
    assert balancer.wait() == 0
