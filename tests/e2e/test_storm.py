"""Everything at once: clients that come, go and stall, and a node that fails in every way it can."""

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable

import pytest

from priolb.net.exchange.exchange import Exchange
from priolb.net.front.connection import FrontConnection
from support.balancer import Balancer
from support.factories import Launch, NewNode
from support.scripted_node import Call, ScriptedNode, reply
from support.wire import CUT, PATIENCE_S, Client, post

SLOTS = 4
CLIENTS = 16
REQUESTS_PER_CLIENT = 60
# How many types the page of objects lists, those of which there are most.
LISTED_TYPES = 100
HEAD = b"HTTP/1.1 200 OK\r\n"


def echo(call: Call) -> None:
    call.answer(200, call.body)


def echo_in_chunks(call: Call) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(call.body), call.body)
    call.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")


def echo_until_close(call: Call) -> None:
    call.send(HEAD + b"\r\n" + call.body)
    call.close()


def fail(call: Call) -> None:
    call.answer(500, b"x" * 100)


def break_off(call: Call) -> None:
    call.send(HEAD + b"Content-Length: 100000\r\n\r\npart")
    call.close()


def hang(call: Call) -> None:
    """Give no answer."""


# What the first node does, by the first byte of the body. After all but one of them a client that stays
# gets its answer in the end: from this node, or from another one.
WHIMS: dict[bytes, Callable[[Call], None]] = {
    b"o": echo,
    b"c": echo_in_chunks,
    b"u": echo_until_close,
    b"f": fail,
    b"d": Call.close,
    b"r": Call.reset,
    b"h": hang,
    b"p": break_off,
}
LANES = ("X-Fast-Track: true", "X-High-Priority: true", "X-Neither: true")


class Visitor:
    """One client after another, with moods of their own."""

    def __init__(self, balancer: Balancer, number: int) -> None:
        self.faults: list[BaseException] = []
        self.answered = 0
        self._balancer = balancer
        self._random = random.Random(number)
        self._number = number
        self.thread = threading.Thread(target=self._run, name=f"visitor {number}")

    def _run(self) -> None:
        try:
            done = 0
            while done < REQUESTS_PER_CLIENT:
                with Client(self._balancer.port) as client:
                    done += self._visit(client, done)
        except BaseException as fault:  # noqa: BLE001 - the test looks at it in its own thread
            self.faults.append(fault)

    def _visit(self, client: Client, done: int) -> int:
        """Use one connection; return how many requests it was good for."""
        bodies = [self._body(done + more) for more in range(self._random.choice((1, 1, 2, 5)))]
        client.send(b"".join(post(body, self._random.choice(LANES)) for body in bodies))
        mood = self._random.random()
        if mood < 0.15:
            client.reset()
        elif mood < 0.3:
            client.half_close()
        elif mood >= 0.4:  # else it leaves as it is closed
            for body in bodies:
                if body.startswith(b"p"):
                    self._expect_whole_or_cut(client, body)
                    break
                answer = client.receive()
                assert (answer.status, answer.body) == (200, body)
                self.answered += 1
        return len(bodies)

    def _expect_whole_or_cut(self, client: Client, body: bytes) -> None:
        with contextlib.suppress(*CUT):
            assert client.receive().body == body, "from a node that does not break off"

    def _body(self, count: int) -> bytes:
        whim = self._random.choice(b"oooocccuufdrp" if self._random.random() < 0.98 else b"h")
        return b"%c %d %d %b" % (whim, self._number, count, b"." * self._random.choice((0, 10, 70_000)))


@pytest.fixture
def nodes(new_node: NewNode) -> list[ScriptedNode]:
    wild = new_node(lambda call: WHIMS[call.body[:1]](call))
    return [
        wild,
        new_node(echo),
        new_node(lambda call: call.send(reply(200, call.body, "Connection: close"))),
    ]


def test_nobody_gets_a_wrong_answer_and_nothing_is_left_behind(
    launch: Launch, nodes: list[ScriptedNode]
) -> None:
    # A try takes no longer than that, also one that the nodes hold at the end until all have come.
    times = {"REQUEST_TIMEOUT": "30", "REQUEST_PROXY_TIMEOUT": "2"}
    # Else the wild node would have to rest, and could not do its worst.
    balancer = launch("-node-workers", str(SLOTS), ENABLE_PPROF="1", EJECT_AFTER="0", **times)
    for node in nodes:
        balancer.add_node(node.uri)
    visitors = [Visitor(balancer, number) for number in range(CLIENTS)]
    for visitor in visitors:
        visitor.thread.start()
    for visitor in visitors:
        visitor.thread.join()
    assert [fault for visitor in visitors for fault in visitor.faults] == []
    assert sum(visitor.answered for visitor in visitors) > CLIENTS * REQUESTS_PER_CLIENT / 4
    wait_until_done_with(balancer)
    check_that_every_slot_is_free(balancer, nodes)
    assert held(balancer, Exchange) == 0


def held(balancer: Balancer, kind: type) -> int:
    """Return how many objects of a class there are."""
    page = balancer.ask("GET", "/debug/pprof/heap").body.decode()
    counts = {name: int(count) for count, name in re.findall(r"^ *(\d+)  ([\w.]+)$", page, re.MULTILINE)}
    assert len(counts) < LISTED_TYPES, "what there is least of may be missing"
    return counts.get(f"{kind.__module__}.{kind.__qualname__}", 0)


def wait_until_done_with(balancer: Balancer) -> None:
    """Ask, again and again, until no connection is left but the one that asks.

    Who half closes its connection gets its answers, and is gone before the balancer has read all it sent.
    """
    ends_at = time.monotonic() + PATIENCE_S
    while (connections := held(balancer, FrontConnection)) != 1:
        assert time.monotonic() < ends_at, f"{connections - 1} connections are left"


def check_that_every_slot_is_free(balancer: Balancer, nodes: list[ScriptedNode]) -> None:
    """Fill every slot of every node at once; the request after that is alone in line."""
    for node in nodes:
        node.script = None
    clients = [Client(balancer.port) for _ in range(SLOTS * len(nodes))]
    try:
        for client in clients:
            client.send(post(b"last"))
        calls = [node.next_call() for node in nodes for _ in range(SLOTS)]
        assert {call.body for call in calls} == {b"last"}
        with Client(balancer.port) as waiting:
            waiting.send(post(b"waits", "X-Request-ID: waits"))
            assert balancer.wait_for("Request added to queue", reqID="waits")["startQueueSize"] == 1
        for call in calls:
            call.answer(200, b"ok")
        assert {client.receive().body for client in clients} == {b"ok"}
    finally:
        for client in clients:
            client.close()
