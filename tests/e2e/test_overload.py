"""More requests than the nodes can serve: deadlines of clients, refusals, and who gives way."""

import statistics
import threading
import time
from pathlib import Path

import pytest

from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, ScriptedNode, reply
from support.wire import Client, post

LONG = "60"
FAST = "X-Fast-Track: true"
CALL = b'{"jsonrpc":"2.0","id":17,"method":"eth_call","params":[]}'

LANES = """
[[lane]]
name = "fast"
preempts = true
[[lane]]
name = "high"
[[lane]]
name = "low"
preemptible = true
order = "codel"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "priolb.toml"
    path.write_text(LANES)
    return str(path)


# The time that a client has


def test_a_request_whose_time_is_over_in_line_is_refused_then(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, "-node-workers", "1", REQUEST_TIMEOUT=LONG)
    holder, waiting = connect(balancer), connect(balancer)
    holder.send(post(b"1"))
    call = node.next_call()
    began = time.monotonic()
    answer = waiting.ask(post(CALL, "X-Request-Timeout: 0.3"))
    assert 0.3 <= time.monotonic() - began < 4
    assert answer.status == 504
    assert answer.body.startswith(b'{"jsonrpc":"2.0","id":17,"error":')
    call.answer()
    assert holder.receive().status == 200
    assert len(node.requests) == 1


def test_a_request_whose_time_is_over_at_a_node_is_refused_and_the_node_stays_in_use(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, EJECT_AFTER="1", REQUEST_TIMEOUT=LONG, REQUEST_PROXY_TIMEOUT=LONG)
    for _ in range(8):
        client = connect(balancer)
        client.send(post(b"{}", "grpc-timeout: 50m"))
        call = node.next_call()
        assert call.field("grpc-timeout") == "50m"
        assert client.receive().status == 504
        call.wait_left()
    detail = balancer.detail(node.uri)
    assert (detail["state"], detail["in_flight"], detail["failed"]) == ("up", 0, 0)


@pytest.mark.parametrize("field", ["X-Request-Timeout: 5s", "grpc-timeout: 0S"])
def test_a_malformed_time_is_400(
    balancer: Balancer, node: ScriptedNode, connect: Connect, field: str
) -> None:
    assert connect(balancer).ask(post(b"{}", field)).status == 400
    assert node.requests == []


# Refusals


def test_one_that_would_wait_longer_than_it_may_is_refused_at_once(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch(
        "-nodes",
        node.uri,
        "-node-workers",
        "1",
        EARLY_REFUSAL="1",
        REQUEST_TIMEOUT="2",
        REQUEST_PROXY_TIMEOUT=LONG,
    )
    first = connect(balancer)
    first.send(post())
    call = node.next_call()
    time.sleep(1.2)  # which the balancer takes for what requests need
    call.answer()
    assert first.receive().status == 200
    clients = [connect(balancer) for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(post(b"{}", f"X-Request-ID: {number}"))
        balancer.wait_queued(str(number))
    began = time.monotonic()
    answer = connect(balancer).ask(post(CALL, "X-Request-ID: late"))
    assert time.monotonic() - began < 1.8, "and not when its time is over"
    assert answer.status == 503
    assert 1 <= int(answer.field("Retry-After") or 0) <= 32
    assert answer.body == (
        b'{"jsonrpc":"2.0","id":17,"error":{"code":-32005,"message":"expected wait too long"}}\n'
    )
    assert balancer.wait_for("Request refused", reqID="late")["reason"] == "wait_too_long"
    expecting = connect(balancer)
    expecting.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert expecting.receive().status == 503, "before it is uploaded"
    node.next_call().answer()
    node.next_call().answer()


def test_a_better_request_takes_the_place_of_the_newest_of_the_worst_lane(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch(
        "-nodes",
        node.uri,
        "-node-workers",
        "1",
        QUEUE_MAX="2",
        REQUEST_TIMEOUT=LONG,
        REQUEST_PROXY_TIMEOUT=LONG,
    )
    holder, old, new, fast = [connect(balancer) for _ in range(4)]
    holder.send(post(b"holder"))
    call = node.next_call()
    for client, name in ((old, "old"), (new, "new")):
        client.send(post(CALL, f"X-Request-ID: {name}"))
        balancer.wait_queued(name)
    fast.send(post(b"fast", FAST))
    answer = new.receive()
    assert (answer.status, answer.field("Retry-After")) == (503, "1")
    assert b"displaced by a better request" in answer.body
    assert connect(balancer).ask(post(CALL)).status == 503, "no better than those who wait"
    call.answer()
    for body in (b"fast", CALL):
        call = node.next_call()
        assert call.body == body
        call.answer()
    assert [client.receive().status for client in (holder, fast, old)] == [200] * 3


# A congested lane


def test_a_congested_lane_serves_the_newest_and_sheds_the_others(
    file: str, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """With 2 s the lane is congested after 0.1 s, and what has waited for 0.04 s has waited for long."""
    node = new_node()
    balancer = launch(
        *("-config", file, "-nodes", node.uri, "-node-workers", "1"),
        REQUEST_TIMEOUT="2",
        REQUEST_PROXY_TIMEOUT=LONG,
    )
    holder, first, second = [connect(balancer) for _ in range(3)]
    holder.send(post(b"holder"))
    call = node.next_call()
    for client, name in ((first, "first"), (second, "second")):
        client.send(post(CALL, f"X-Request-ID: {name}"))
        balancer.wait_queued(name)
    answer = first.receive()
    assert (answer.status, answer.field("Retry-After")) == (503, "1")
    assert b"shed under overload" in answer.body
    third = connect(balancer)
    third.send(post(b"third"))
    assert second.receive().status == 503
    call.answer()
    call = node.next_call()
    assert call.body == b"third"
    call.answer()
    assert [holder.receive().status, third.receive().status] == [200, 200]


def test_at_three_times_what_the_nodes_can_do_answers_stay_quick_and_as_many(
    file: str, launch: Launch, new_node: NewNode
) -> None:
    """4 slots of 0.1 s are 40 a second; 120 are asked for. First in, first out would take 2 s for each."""

    def answer_in_a_tenth(call: Call) -> None:
        time.sleep(0.1)
        call.send(reply(200, b"ok"))

    node = new_node(answer_in_a_tenth)
    balancer = launch("-config", file, "-nodes", node.uri, "-node-workers", "4", REQUEST_TIMEOUT="2")
    waits: list[float] = []
    ends_at = time.monotonic() + 3

    def ask(number: int) -> None:
        time.sleep(number / 120)  # they do not come all at once
        with Client(balancer.port) as client:
            while time.monotonic() < ends_at:
                began = time.monotonic()
                is_answered = client.ask(post()).status == 200
                took = time.monotonic() - began
                if is_answered and ends_at - 2 < began:
                    waits.append(took)
                time.sleep(max(0.0, 0.5 - took))

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statistics.median(waits) <= 0.2
    assert len(waits) >= 0.6 * 2 * 40


# Slots taken from others


def test_a_fast_request_takes_the_slot_of_a_low_one_which_starts_again_later(
    file: str, launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer = launch(
        *("-config", file, "-nodes", node.uri, "-node-workers", "1"),
        REQUEST_TIMEOUT=LONG,
        REQUEST_PROXY_TIMEOUT=LONG,
        RETRIES_MAX="1",
    )
    low, fast = connect(balancer), connect(balancer)
    low.send(post(b"low", "X-Request-ID: loses"))
    lost = node.next_call()
    fast.send(post(b"fast", FAST, "X-Request-ID: wins"))
    lost.wait_left()
    call = node.next_call()
    assert call.body == b"fast"
    line = balancer.wait_for("Request preempted", reqID="loses")
    assert (line["lane"], line["by"]) == ("low", "wins")
    call.answer()
    assert fast.receive().status == 200
    call = node.next_call()
    assert call.body == b"low"
    again = connect(balancer)
    again.send(post(b"again", FAST, "X-Request-ID: again"))
    call.wait_left()
    node.next_call().answer()
    assert again.receive().status == 200
    call = node.next_call()
    assert call.body == b"low"
    call.answer()
    assert low.receive().status == 200
    assert balancer.wait_for("Request completed", reqID="loses")["requestTries"] == 1
    assert balancer.detail(node.uri)["failed"] == 0


def test_lanes_that_take_slots_from_nobody_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "priolb.toml"
    path.write_text(LANES.replace("preemptible = true", ""))
    done = run_program("-config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(":4: [[lane]] preempts: no lane below it is preemptible\n")
