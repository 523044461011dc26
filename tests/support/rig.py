"""The path of a request in memory: an engine, a listener, nodes and clients, on a loop that a test drives."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from priolb.core.byte_budget import ByteBudget
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.node import NodeState
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.shares import Shares
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.hedge import Hedging
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import Ticket
from priolb.http.fields import FieldFinder
from priolb.http.forwarding import Forwarding
from priolb.http.node_errors import NodeErrors
from priolb.http.parser import HeadLimits
from priolb.http.rewrite import Target
from priolb.net.backend.backend import IdleBudget
from priolb.net.backend.traffic import NodeTraffic
from priolb.net.engine import Engine
from priolb.net.front.connection import FrontConnection
from priolb.net.front.door import Door
from priolb.net.front.listener import Listener, LocalHandler
from support.manual_loop import ManualClock, ManualLoop
from support.memory import MemoryTransport
from support.messages import ANSWER, NOON, POST, POST_AT_NODE, VIA_NAME
from support.tickets import new_queue

RETRY_METHODS = frozenset({b"POST", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})

# What a node answers to the bytes of a request; None while that is not complete.
Answers = Callable[[bytes], bytes | None]

# All that is told of a request, as a tuple that starts with what happened.
Note = tuple[object, ...]


class Notes:
    """An instrument that writes everything down."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def node_name(self, name: str) -> bytes:
        return name.encode()

    def queued(
        self, request_id: bytes, lane: int, payload_bytes: int, now: float, queue: PriorityQueue
    ) -> None:
        alone = tuple([int(each == lane) for each in range(len(queue.lanes))])
        sizes = queue.lengths() if queue.length else alone
        self.notes.append(("queued", request_id, lane, payload_bytes, sizes))

    def completed(
        self,
        ticket: Ticket,
        request_id: bytes,
        payload_bytes: int,
        status: int,
        node: bytes,
        started_at: float,
        now: float,
        queue: PriorityQueue,
    ) -> None:
        self.notes.append(("completed", request_id, status, node.decode(), ticket.tries))

    def refused(self, request_id: bytes, lane: int, reason: str, status: int, now: float) -> None:
        self.notes.append(("refused", request_id, reason, status))

    def preempted(self, request_id: bytes, lane: int, node: str, by: bytes) -> None:
        self.notes.append(("preempted", request_id, lane, node, by))

    def client_left(self, request_id: bytes, lane: int, tries: int, payload_bytes: int) -> None:
        self.notes.append(("client_left", request_id, tries, payload_bytes))

    def node_failed(self, request_id: bytes, node: str, reason: str, detail: str, tries: int) -> None:
        self.notes.append(("node_failed", request_id, node, reason, detail, tries))

    def rejected(self, request_id: bytes, peer: str, status: int, detail: str, now: float) -> None:
        self.notes.append(("rejected", *([request_id] if request_id else []), peer, status, detail))

    def take(self, *kinds: str) -> list[Note]:
        """Return what happened of these kinds (all, if none is named), and forget everything."""
        notes, self.notes = self.notes, []
        return [note for note in notes if not kinds or note[0] in kinds]


class MemoryNode:
    """A node that does what a test tells it.

    Args:
        loop: who calls.
        state: what the scheduler knows of it.
        end_turn: what connections put off to the end of a turn of the loop.

    `fault`, when set, is how connecting to it fails; `on_dial` is called before it does. `is_silent` means
    that connecting to it takes until `let_in`; `answers`, when set, makes the answer to each request.
    `is_busy` means that it reads nothing of new connections until told.
    """

    def __init__(self, loop: ManualLoop, state: NodeState, end_turn: Callable[[], None]) -> None:
        self.state = state
        self._end_turn = end_turn
        self.connections: list[MemoryTransport] = []
        self.fault: OSError | UnicodeError | None = None
        self.on_dial: Callable[[], None] = lambda: None
        self.is_silent = False
        self.is_busy = False
        self.answers: Answers | None = None
        self.attempts = 0
        self.given_up = 0
        self._loop = loop
        self._accepted = 0
        self._waiting: list[asyncio.Future[None]] = []

    def accept(self) -> MemoryTransport:
        """Let the loop run, and return the one connection that was made since the last call."""
        self._loop.run()
        self._accepted += 1
        assert len(self.connections) == self._accepted
        return self.connections[-1]

    def is_quiet(self) -> bool:
        """Let the loop run, and return whether every connection has been accepted by the test."""
        self._loop.run()
        return len(self.connections) == self._accepted

    def let_in(self) -> None:
        """Accept those who are connecting, and all who come later."""
        self.is_silent = False
        for each in self._waiting:
            _settle(each)

    async def dial(self, protocol_factory: Callable[[], Any]) -> tuple[MemoryTransport, Any]:
        self.attempts += 1
        if self.is_silent:
            waiting = self._loop.create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        self.on_dial()
        if self.fault is not None:
            raise self.fault
        protocol = protocol_factory()
        if self.answers is None:
            transport = MemoryTransport(self._loop, protocol, end_turn=self._end_turn)
        else:
            transport = AnsweringTransport(self._loop, protocol, self.answers, self._end_turn)
        if self.is_busy:
            transport.stop_reading()
        self.connections.append(transport)
        # As event loops do it: a turn passes, and who gives up in it has a connection made all the same.
        is_made = self._loop.create_future()
        self._loop.call_soon(protocol.connection_made, transport)
        self._loop.call_soon(_settle, is_made)
        try:
            await is_made
        except asyncio.CancelledError:
            transport.close()
            raise
        return transport, protocol


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class AnsweringTransport(MemoryTransport):
    """A connection to a node whose answers come by themselves, in the turn after the end of the request."""

    def __init__(
        self, loop: ManualLoop, protocol: Any, answers: Answers, end_turn: Callable[[], None]
    ) -> None:
        super().__init__(loop, protocol, end_turn=end_turn)
        self._answers = answers
        self._request = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self._request += self.take()
        answer = self._answers(self._request)
        if answer is not None:
            self._request = b""
            self._loop.call_soon(self.send, answer)


class Rig:
    """The parts between the sockets of clients and those of nodes, with the program's usual bounds.

    Used as a context: while it lasts, its loop is the running one; at its end it checks that every request
    has given back what it held, and that nothing is left behind once the clients are gone.
    """

    def __init__(
        self,
        *,
        lane_limits: tuple[int, int, int] = (0, 0, 0),
        queue: PriorityQueue | None = None,
        max_tries: int = 3,
        body_budget_bytes: int = 1 << 30,
        max_idle: int = 100,
        max_idle_per_node: int = 100,
        idle_timeout_s: float = 90.0,
        max_open_per_node: int = 0,
        request_timeout_s: float = 5.0,
        try_timeout_s: float = 3.0,
        head_limits: HeadLimits | None = None,
        max_body_bytes: int = 8192 * 1024,
        local: LocalHandler | None = None,
        forwards: bool = True,
        legacy_errors: bool = False,
        forwarding: Forwarding | None = None,
        replay_max_bytes: int = 1024 * 1024,
        body_min_bytes_per_s: int = 0,
        connections_max: int = 0,
        connections_per_peer: int = 0,
        upgrades_max: int = 0,
        keeps_host: bool = False,
        hedging: Hedging | None = None,
        fleet: Fleet | None = None,
        shares: Shares | None = None,
        node_errors: frozenset[int] = frozenset(),
        affinity: str = "",
        queue_max: int = 0,
        estimate: WaitEstimate | None = None,
        preemption: Preemption | None = None,
        door: Door | None = None,
    ) -> None:
        self.clock = ManualClock()
        # The rest of an event loop is of no use here, and refuses to be used.
        self.loop = ManualLoop(self.clock, self._dial)  # type: ignore[abstract]
        self.nodes: dict[str, MemoryNode] = {}
        self.clients: list[MemoryTransport] = []
        self.notes = Notes()
        self._keeps_host = keeps_host
        head_limits = head_limits or HeadLimits(65536, 100)
        asyncio._set_running_loop(self.loop)
        queue = queue or new_queue(limits=lane_limits, max_wait_s=request_timeout_s)
        fleet = fleet or Fleet()
        fleet.estimate = estimate
        if preemption is not None:
            shares = Shares(queue.lanes, fleet, [0] * 3, [100] * 3, preemption)
        has_admission = queue_max > 0 or estimate is not None
        self.scheduler = Scheduler(
            queue,
            RetryPolicy(max_tries),
            fleet,
            hedging=hedging,
            admission=AdmissionControl(queue, fleet, queue_max, estimate, shares) if has_admission else None,
            shares=shares,
        )
        self.wall_s = NOON
        self.engine = Engine(
            self.scheduler,
            ByteBudget(body_budget_bytes),
            IdleBudget(max_idle, max_idle_per_node, idle_timeout_s, max_open_per_node),
            self.notes,
            self.clock,
            lambda: self.wall_s,
            try_timeout_s=try_timeout_s,
            node_idle_timeout_s=30.0,
            upgrade_idle_timeout_s=600.0,
            upgrades_max=upgrades_max,
            head_limits=head_limits,
            retry_methods=RETRY_METHODS,
            via_name=VIA_NAME,
            legacy_errors=legacy_errors,
            node_errors=NodeErrors(node_errors),
            affinity=FieldFinder(affinity) if affinity else None,
            door=door,
        )
        self.traffic = NodeTraffic(self.engine)
        self.listener = Listener(
            self.engine,
            local,
            forwards=forwards,
            head_limits=head_limits,
            forwarding=forwarding or Forwarding(VIA_NAME, "http", tells_client=False, trusted=()),
            max_body_bytes=max_body_bytes,
            replay_max_bytes=replay_max_bytes,
            body_min_bytes_per_s=body_min_bytes_per_s,
            connections_max=connections_max,
            connections_per_peer=connections_per_peer,
            head_timeout_s=10.0,
            keepalive_timeout_s=75.0,
            stall_timeout_s=30.0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.check_nothing_held()
                self._check_nothing_left()
        finally:
            asyncio._set_running_loop(None)

    def client(self, address: str = "192.0.2.1", can_half_close: bool = True) -> MemoryTransport:
        """Return the client's end of a new connection from `address`."""
        connection = FrontConnection(self.listener)
        transport = MemoryTransport(
            self.loop, connection, (address, 50000), can_half_close, end_turn=self.engine.flush
        )
        self.clients.append(transport)
        connection.connection_made(transport)
        return transport

    def node(self, slots: int = 8, path: str = "", query: str = "", is_healthy: bool = True) -> MemoryNode:
        """Return a new node, `node-1` for the first, that takes part."""
        host = f"node-{len(self.nodes) + 1}"
        state = self.traffic.register(
            f"http://{host}", host, 80, None, Target(host, path, query, self._keeps_host), slots
        )
        self.nodes[host] = node = MemoryNode(self.loop, state, self.engine.flush)
        self.traffic.attach(state)
        self.set_healthy(state, is_healthy)
        return node

    def run(self) -> None:
        self.loop.run()

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def set_healthy(self, node: NodeState, healthy: bool) -> None:
        """Decide that a node is healthy, or not."""
        self.traffic.fleet.set_healthy(node, healthy, "it was decided", self.engine.clock())
        self.traffic.settle()

    @property
    def running(self) -> int:
        """Requests that are at a node."""
        return sum(node.state.in_flight for node in self.nodes.values())

    def counts(self) -> tuple[int, int, int]:
        """Return how many requests wait, how many are at a node, and how many bytes are held for them."""
        return self.scheduler.queue.length, self.running, self.engine.body_budget.held_bytes

    def check_nothing_held(self) -> None:
        """Check that no request is under way, and that the last one took nothing with it."""
        assert self.counts() == (0, 0, 0)
        assert self.engine.upgrades == 0
        assert [node.state.in_flight for node in self.nodes.values()] == [0] * len(self.nodes)

    def _check_nothing_left(self) -> None:
        for client in self.clients:
            client.break_off()
        self.run()
        assert self.listener.connections == set()
        self.loop.complete(self.listener.close())
        self.loop.complete(self.engine.close())
        self.run()
        assert self.loop.errors == []
        assert self.engine.idle.count == 0
        assert self.listener.local_budget.held_bytes == 0
        assert [item for items in self.engine._wheel._slots.values() for item in items] == []
        for node in self.nodes.values():
            assert all(connection.is_lost for connection in node.connections)

    async def _dial(self, protocol_factory: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        return await self.nodes[host].dial(protocol_factory)


def serve_one(rig: Rig, node: MemoryNode, answer: bytes = ANSWER) -> MemoryTransport:
    """Serve a request over a connection that is new, and return the node's end."""
    client = rig.client()
    client.send(POST)
    call = node.accept()
    assert call.take() == POST_AT_NODE
    call.send(answer)
    client.end()
    return call
