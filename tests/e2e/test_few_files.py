"""A process that may have few files open: its own shortage is not taken for a fault of its nodes."""

import resource
from pathlib import Path

from support.balancer import COMMAND, Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import always
from support.wire import post, request


def allow_no_more_files(balancer: Balancer) -> tuple[int, int]:
    """Let the program open nothing more, and return the limits that it had."""
    pid = balancer.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    first_free = next(number for number in range(limits[0]) if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, limits[1]))
    return limits


def test_a_request_for_which_there_is_no_socket_leaves_its_node_up(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"well"))
    balancer = launch("-nodes", node.uri, HEALTH_CHECK_INTERVAL="0")
    balancer.wait_for("Node is healthy", nodeURI=node.uri)
    client = connect(balancer)
    assert client.ask(request("GET", "/healthz"), "GET").status == 200  # it was accepted
    limits = allow_no_more_files(balancer)
    answer = client.ask(post())
    assert (answer.status, answer.field("Retry-After")) == (503, "1")
    line = balancer.wait_for("Request proxying failed", nodeURI=node.uri)
    assert (line["reason"], line["err"]) == ("no_socket", "Too many open files")
    resource.prlimit(balancer.process.pid, resource.RLIMIT_NOFILE, limits)
    assert client.ask(post()).body == b"well"
    assert balancer.detail(node.uri)["changes"] == {"unchecked": 1, "up": 1}


def test_clients_leave_files_to_the_nodes(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always(200, b"well"))
    balancer = launch("-nodes", node.uri, command=["prlimit", "--nofile=80:80", *COMMAND])
    clients = [connect(balancer) for _ in range(40)]
    assert [client.ask(post()).status for client in clients] == [200] * 40
    assert connect(balancer).receive().status == 429
    balancer.wait_for("Connection rejected", err="too_many_connections")
