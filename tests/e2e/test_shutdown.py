"""The end: what is queued and running is finished, within a time."""

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.balancer import COMMAND, environment
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, always
from support.wire import CUT, PATIENCE_S, Client, post, request

DOWN = "Shutting down..."


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_program_at_once_with_status_0(
    launch: Launch, connect: Connect, number: signal.Signals
) -> None:
    balancer = launch()
    idle = connect(balancer)
    used = connect(balancer)
    assert used.ask(request("GET", "/"), "GET").status == 200
    began_a_head = connect(balancer)
    began_a_head.send(b"GET / HT")
    balancer.signal(number)
    assert balancer.wait(timeout_s=10) == 0
    assert [client.is_ended() for client in (idle, used, began_a_head)] == [True] * 3
    assert [line["msg"] for line in balancer.lines[-2:]] == [DOWN, "bye"]


def test_what_is_queued_and_running_is_finished(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1")
    clients = [connect(balancer) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(post(b"%d" % number, f"X-Request-ID: {number}"))
        balancer.wait_queued(str(number))
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    with pytest.raises(ConnectionRefusedError):
        Client(balancer.port)
    for number in range(3):
        call = node.next_call()
        assert call.body == b"%d" % number
        call.answer(200, b"done")
    for client in clients:
        answer = client.receive()
        assert (answer.status, answer.body, answer.field("Connection")) == (200, b"done", "close")
        assert client.is_ended()
    assert balancer.wait() == 0


def test_a_failed_try_is_repeated_during_the_shutdown_too(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri)
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    call.answer(500)
    node.next_call().answer(200, b"ok")
    assert client.receive().body == b"ok"
    assert balancer.wait() == 0


def test_an_answer_under_way_is_finished_and_then_nothing_is_waited_for(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Although the client was told, before the signal, that its connection would stay open."""
    node = new_node()
    balancer = launch("-nodes", node.uri, SHUTDOWN_TIMEOUT="60")
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    client.receive_head()
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    call.send(b"half")
    assert client.read_exactly(8) == b"halfhalf"
    assert client.is_ended()
    assert balancer.wait(timeout_s=10) == 0


def test_readyz_is_503_while_requests_are_finished_and_healthz_is_200(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, ADMIN_LISTEN="127.0.0.1:0")
    assert balancer.ask("GET", "/readyz").status == 200
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    answer = balancer.ask("GET", "/readyz")
    assert (answer.status, answer.body) == (503, b"shutting down\n")
    assert balancer.ask("GET", "/healthz").status == 200
    call.answer(200, b"ok")
    assert client.receive().body == b"ok"
    assert balancer.wait() == 0


def test_an_admin_call_under_way_is_finished_on_a_port_of_its_own_too(
    launch: Launch,
) -> None:
    balancer = launch(ADMIN_LISTEN="127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as node, Client(balancer.admin_port) as admin:
        uri = f"http://127.0.0.1:{node.getsockname()[1]}"
        admin.send(request("POST", "/nodes", json.dumps({"uri": uri}).encode()))
        node.settimeout(PATIENCE_S)
        check, _ = node.accept()
        balancer.signal(signal.SIGTERM)
        balancer.wait_for(DOWN)
        with check:
            body = b'{"jsonrpc":"2.0","id":1,"result":"1"}'
            check.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = admin.receive()
        assert (answer.status, answer.field("Connection")) == (200, "close")
        assert admin.is_ended()
    assert balancer.wait() == 0


def test_an_admin_call_that_takes_too_long_is_cut(launch: Launch) -> None:
    balancer = launch(ADMIN_LISTEN="127.0.0.1:0", SHUTDOWN_TIMEOUT="0.1")
    with socket.create_server(("127.0.0.1", 0)) as node, Client(balancer.admin_port) as admin:
        uri = f"http://127.0.0.1:{node.getsockname()[1]}"
        admin.send(request("POST", "/nodes", json.dumps({"uri": uri}).encode()))
        node.settimeout(PATIENCE_S)
        with node.accept()[0]:
            balancer.signal(signal.SIGTERM)
            assert balancer.wait() == 0
        with pytest.raises(CUT):
            admin.receive()


def test_a_body_that_is_complete_only_after_the_signal_is_refused(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri)
    client = connect(balancer)
    client.send(request("POST", "/", b"", "Content-Length: 4", "Expect: 100-continue"))
    assert client.receive().status == 100
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    client.send(b"late")
    answer = client.receive()
    assert (answer.status, answer.field("Connection"), answer.field("Retry-After")) == (503, "close", "1")
    assert b"shutting down" in answer.body
    assert balancer.wait() == 0
    assert node.requests == []


def test_what_is_not_finished_in_time_is_refused_and_the_status_is_still_0(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    def script(call: Call) -> None:
        if call.body == b"streams":
            call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")

    node = new_node(script)
    balancer = launch("-nodes", node.uri, "-node-workers", "2", SHUTDOWN_TIMEOUT="0.2")
    streams, runs, waits, uploads = [connect(balancer) for _ in range(4)]
    for name, client in (("streams", streams), ("runs", runs), ("waits", waits)):
        client.send(post(name.encode(), f"X-Request-ID: {name}"))
        balancer.wait_queued(name)
    streams.receive_head()
    uploads.send(request("POST", "/", b"", "Content-Length: 4", "Expect: 100-continue"))
    assert uploads.receive().status == 100
    began = time.monotonic()
    balancer.signal(signal.SIGTERM)
    for client in (runs, waits, uploads):
        answer = client.receive()
        assert (answer.status, answer.field("Retry-After")) == (503, "1")
        assert b"shutting down" in answer.body
    assert time.monotonic() - began >= 0.2
    with pytest.raises(CUT):
        streams.read_exactly(8)
    for client in (runs, waits):
        assert client.is_ended()
    uploads.close()
    assert balancer.wait() == 0
    balancer.wait_for("Not everything was finished in time; the rest is refused")


def test_a_shutdown_timeout_of_0_refuses_everything_at_once(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, SHUTDOWN_TIMEOUT="0")
    client = connect(balancer)
    client.send(post())
    node.next_call()
    balancer.signal(signal.SIGTERM)
    assert client.receive().status == 503
    assert balancer.wait() == 0


def test_one_stop_that_comes_as_two_signals_finishes_what_runs(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """As from `timeout`, which passes on a signal that the whole process group has got."""
    node = new_node()
    balancer = launch("-nodes", node.uri, command=COMMAND)
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    balancer.signal(signal.SIGTERM)
    balancer.signal(signal.SIGINT)  # two of the same kind at once are one to the system
    balancer.wait_for(DOWN)
    call.answer(200, b"done")
    assert client.receive().body == b"done"
    assert balancer.wait() == 0


def test_sighup_is_told_and_ends_nothing(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri)
    client = connect(balancer)
    client.send(post())
    call = node.next_call()
    balancer.signal(signal.SIGHUP)
    balancer.wait_for("SIGHUP ignored: a change of settings takes a restart", level="warn")
    call.answer(200, b"done")
    assert client.receive().body == b"done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_the_start_is_heeded_at_once_with_status_0(number: signal.Signals) -> None:
    """Not only when the store has answered, or the time for that is over."""
    with socket.create_server(("127.0.0.1", 0)) as redis:
        process = subprocess.Popen(
            [*COMMAND, "-redis", f"127.0.0.1:{redis.getsockname()[1]}"],
            env=environment({"LISTEN_ADDR": "127.0.0.1:0", "LOG_PROD": "1"}),
            stderr=subprocess.PIPE,
        )
        try:
            asked, _ = redis.accept()
            with asked:
                asked.recv(1)
                process.send_signal(number)
                log = process.communicate(timeout=PATIENCE_S)[1]
        finally:
            process.kill()
            process.wait()
    lines = [json.loads(line)["msg"] for line in log.splitlines()]
    assert (process.returncode, lines) == (0, ["Starting prio-load-balancer", DOWN, "bye"])


def test_a_second_signal_ends_at_once(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, SHUTDOWN_TIMEOUT="60", REQUEST_PROXY_TIMEOUT="60")
    client = connect(balancer)
    client.send(post())
    node.next_call()
    balancer.signal(signal.SIGTERM)
    balancer.wait_for(DOWN)
    balancer.signal(signal.SIGTERM)
    assert balancer.wait(timeout_s=10) == 128 + signal.SIGTERM
    assert client.is_ended()
    assert balancer.lines[-1]["msg"] == "Ended at once, by another signal"


def test_a_client_that_does_not_read_does_not_hold_the_shutdown_longer_than_its_time(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"x" * 32_000_000))
    balancer = launch("-nodes", node.uri, SHUTDOWN_TIMEOUT="0.2")
    client = connect(balancer, receive_bytes=4096)
    client.send(post())
    client.receive_head()
    balancer.signal(signal.SIGTERM)
    assert balancer.wait(timeout_s=12) == 0


def test_what_was_refused_and_not_told_one_by_one_is_counted_at_the_end(
    launch: Launch, new_node: NewNode, connect: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('[[limit]]\nname = "api"\nrate = 1\nper = 3600\n')
    balancer = launch("-config", str(path), "-nodes", new_node(always(200, b"{}")).uri)
    limited = connect(balancer)
    assert [limited.ask(post()).status for _ in range(3)] == [200, 429, 429]
    admin = connect(balancer)
    for _ in range(150):  # of refused calls, as of refused requests, a hundred a second have a line each
        assert admin.ask(request("POST", "/nodes", b"{}")).status == 400
    balancer.signal(signal.SIGTERM)
    assert balancer.wait() == 0
    assert balancer.wait_for("Requests over a limit")["refused"] == 2
    assert sum(line["refused"] for line in balancer.lines if line["msg"] == "Requests over a limit") == 2
    told = [line for line in balancer.lines if line["msg"] == "Admin call refused"]
    others = [line["calls"] for line in balancer.lines if line["msg"] == "More admin calls refused"]
    assert len(told) + sum(others) == 150
