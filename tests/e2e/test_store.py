"""The list of nodes outlives the program, is shared, and is never half changed."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.redis_server import RedisServer
from support.scripted_node import always
from support.wire import post

KEY = "prio-load-balancer:prio-load-balancer:nodes"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as running:
        yield running


def stored(server: RedisServer, key: str = KEY) -> list[str]:
    with redis.Redis(port=server.port) as client:
        text = client.get(key)
    assert isinstance(text, bytes)
    uris: list[str] = json.loads(text)
    return uris


def change(balancer: Balancer, method: str, uri: str) -> int:
    return balancer.ask(method, "/nodes", json.dumps({"uri": uri}).encode()).status


def wait_for_nodes(balancer: Balancer, uris: list[str]) -> None:
    """Ask, again and again, until a balancer has these nodes; it has a second."""
    expires = threading.Event()
    timer = threading.Timer(3.0, expires.set)
    timer.start()
    while balancer.nodes() != uris:
        assert not expires.is_set(), f"{balancer.nodes()} are not {uris}"
    timer.cancel()


def test_two_instances_on_one_redis_see_each_others_changes(
    server: RedisServer, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Within a second, requests that wait included."""
    node = new_node(always(200, b"ok"))
    one, other = [launch("-redis", server.address, REQUEST_TIMEOUT="60") for _ in range(2)]
    one.add_node(node.uri)
    assert stored(server) == [node.uri]
    wait_for_nodes(other, [node.uri])
    assert connect(other).ask(post()).body == b"ok"
    other.remove_node(node.uri)
    wait_for_nodes(one, [])
    assert stored(server) == []
    assert connect(one).ask(post()).status == 503


def test_changes_of_two_instances_at_the_same_moment_are_all_kept(
    server: RedisServer, launch: Launch, new_node: NewNode
) -> None:
    """The original overwrites those of the other instance."""
    node = new_node()
    instances = [launch("-redis", server.address) for _ in range(2)]
    uris = [f"{node.uri}/{number}" for number in range(20)]
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda b=b, u=u: statuses.append(change(b, "POST", u)))
        for b, part in zip(instances, (uris[::2], uris[1::2]), strict=True)
        for u in part
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20
    assert sorted(stored(server)) == sorted(uris)
    for instance in instances:
        wait_for_nodes(instance, stored(server))


def test_with_redis_gone_serving_goes_on_and_changes_are_refused(
    server: RedisServer, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Nothing is half done, and all is well again by itself once Redis is back."""
    node, late = new_node(always(200, b"ok")), new_node()
    balancer = launch("-redis", server.address, "-nodes", node.uri)
    server.stop()
    balancer.wait_for("Store is away; serving goes on with the nodes known")
    assert change(balancer, "POST", late.uri) == 503
    assert change(balancer, "DELETE", node.uri) == 503
    assert balancer.nodes() == [node.uri]
    assert connect(balancer).ask(post()).body == b"ok"
    assert balancer.ask("GET", "/readyz").status == 200
    server.start()
    with redis.Redis(port=server.port) as client:
        client.set(KEY, json.dumps([node.uri]))
    balancer.wait_for("Store is back")
    balancer.add_node(late.uri)
    assert stored(server) == [node.uri, late.uri]
    assert sorted(balancer.nodes()) == sorted([node.uri, late.uri])


@pytest.mark.parametrize("taken_by", ["LISTEN_ADDR", "ADMIN_LISTEN"])
def test_a_start_that_fails_for_its_port_leaves_the_list_as_it_was(
    launch: Launch, tmp_path: Path, taken_by: str
) -> None:
    """Other instances may share the list: there the nodes of a start by mistake got requests."""
    store = f"sqlite:///{tmp_path}/nodes.db"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = {"LISTEN_ADDR": "127.0.0.1:0", taken_by: f"127.0.0.1:{taken.getsockname()[1]}"}
        done = run_program("-redis", store, "-nodes", "http://127.0.0.1:9", **port)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("Address already in use")
    assert launch("-redis", store).nodes() == []


def test_redis_away_at_start_is_a_clear_error_and_exit_status_2(server: RedisServer) -> None:
    server.stop()
    done = run_program("-redis", server.address, LISTEN_ADDR="127.0.0.1:0")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"prio-load-balancer: store redis://{server.address}/0: ")
    assert "Traceback" not in done.stderr
    assert "Listening" not in done.stderr


def test_a_list_of_the_original_program_is_taken_over(
    server: RedisServer, launch: Launch, new_node: NewNode
) -> None:
    """Under its own key, `null` for an empty one included."""
    with redis.Redis(port=server.port) as client:
        client.set(KEY, "null")
        client.set("mine:prio-load-balancer:nodes", '["http://127.0.0.1:9?_workers=4"]')
    balancer = launch("-redis", server.address)
    assert balancer.nodes() == []
    node = new_node()
    balancer.add_node(node.uri)
    assert stored(server) == [node.uri]
    assert launch("-redis", server.address, REDIS_PREFIX="mine:").nodes() == ["http://127.0.0.1:9?_workers=4"]


def test_a_key_that_holds_something_else_is_a_clear_error_at_start(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        client.set(KEY, "no list")
    done = run_program("-redis", server.address, LISTEN_ADDR="127.0.0.1:0")
    assert done.returncode == 2
    assert f"key '{KEY}' holds no JSON" in done.stderr
    assert stored_text(server) == "no list"


def stored_text(server: RedisServer) -> str:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        return str(client.get(KEY))


def test_a_stored_node_that_is_down_is_kept_and_the_others_serve(
    server: RedisServer, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """The original does not start with such a node."""
    down, up = new_node(), new_node(always(200, b"ok"))
    down.stop()
    with redis.Redis(port=server.port) as client:
        client.set(KEY, json.dumps([down.uri, "gopher://foo", up.uri]))
    balancer = launch("-redis", server.address)
    balancer.wait_for("Node is unhealthy and will be checked again", nodeURI=down.uri)
    balancer.wait_for("Node of the store cannot be used; it is kept in the list")
    assert connect(balancer).ask(post()).body == b"ok"
    assert balancer.nodes() == [down.uri, "gopher://foo", up.uri] == stored(server)
    balancer.remove_node("gopher://foo")
    assert stored(server) == [down.uri, up.uri]


def test_a_file_keeps_the_list_over_restarts_and_flags_add_to_it(
    tmp_path: Path, launch: Launch, new_node: NewNode
) -> None:
    store = f"sqlite:///{tmp_path}/nodes.db"
    first, second, third = [new_node() for _ in range(3)]
    balancer = launch("-redis", store, "-nodes", first.uri)
    balancer.add_node(f"{second.uri}?_workers=2")
    balancer.remove_node(first.uri)
    balancer.kill()
    assert balancer.process.returncode == -9, "not even a crash loses what was answered with 200"
    balancer = launch("-redis", store, "-nodes", third.uri)
    assert balancer.nodes() == [f"{second.uri}?_workers=2", third.uri]
    balancer.stop()
    assert launch(REDIS_URI=store).nodes() == [f"{second.uri}?_workers=2", third.uri]


def test_two_instances_share_one_file(tmp_path: Path, launch: Launch, new_node: NewNode) -> None:
    store = f"sqlite:///{tmp_path}/nodes.db"
    one, other = [launch("-redis", store) for _ in range(2)]
    node = new_node()
    one.add_node(node.uri)
    wait_for_nodes(other, [node.uri])


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    done = run_program("-redis", f"sqlite:///{tmp_path}/missing/nodes.db", LISTEN_ADDR="127.0.0.1:0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"prio-load-balancer: store sqlite:///{tmp_path}/missing/")
    assert "Traceback" not in done.stderr


def test_the_built_in_store_forgets_with_its_process(launch: Launch, new_node: NewNode) -> None:
    balancer = launch()
    balancer.add_node(new_node().uri)
    balancer.stop()
    assert launch("-redis", "dev").nodes() == []
