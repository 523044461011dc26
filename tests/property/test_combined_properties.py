"""All parts of the path of a request at once: in any configuration each ends once, and nothing is left.

Lanes in any order and discipline, with limits, shares, preemption, early refusal, a bound on all that waits,
second tries, limits of callers, and bodies that pass through, against clients and nodes that do what they
want. Nobody has to know who is next, only that

  1. each request gets one answer, or its connection ends, and none comes later than its time;
  2. no node ever has more requests in flight than slots;
  3. when all are gone, nothing is held, and no account is off.
"""

import re
from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import given

from priolb.core.limits.limiter import BY_LANE, BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit
from priolb.core.nodes.fleet import Fleet
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.shares import Shares
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Aged, Discipline, FastHighLow, Strict, Weighted
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.hedge import Hedging
from priolb.http.callers import Callers
from priolb.http.rules import NO_LANE, Rules
from priolb.net.front.door import Door
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.rig import MemoryNode, Rig

LANES = ("fast", "high", "low")
FIELDS = (b"X-Fast-Track: true\r\n", b"X-High-Priority: true\r\n", b"")
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
BODY_BYTES = 4
WAIT_S = 2.0
TRY_S = 1.0

ANSWERS = {
    "good": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "failing": b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno",
    "busy": b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    "begun": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[",
}


@dataclass(frozen=True)
class LaneCase:
    """How a lane is configured."""

    order: type[Lane]
    limit: int
    limit_bytes: int
    reserved: int
    most_percent: int


@dataclass(frozen=True)
class Case:
    """How a balancer is configured."""

    lanes: tuple[LaneCase, LaneCase, LaneCase]
    discipline: str
    preemptible: frozenset[int]
    queue_max: int
    refuses_early: bool
    hedges: bool
    at_a_time: int
    burst: int
    slots: tuple[int, ...]
    replay_max_bytes: int


lane_cases = st.builds(
    LaneCase,
    st.sampled_from([Lane, DeadlineLane, FairLane, CodelLane]),
    st.sampled_from([0, 0, 1, 3]),
    st.sampled_from([0, 0, 2 * BODY_BYTES]),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([100, 100, 50]),
)
cases = st.builds(
    Case,
    st.tuples(lane_cases, lane_cases, lane_cases),
    st.sampled_from(["original", "strict", "weighted", "aged"]),
    st.sampled_from([frozenset[int](), frozenset({1, 2}), frozenset({2})]),
    st.sampled_from([0, 0, 1, 3]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 0, 2, 5]),
    st.sampled_from([0, 0, 4]),
    st.lists(st.integers(1, 2), min_size=1, max_size=2).map(tuple),
    st.sampled_from([1024, 1024, 2]),
)

sends = st.tuples(
    st.just("send"),
    st.integers(0, 2),
    st.sampled_from(ADDRESSES),
    st.sampled_from([b"", b"", b"", b"X-Request-Timeout: 0.5\r\n", b"Expect: 100-continue\r\n"]),
    st.sampled_from([BODY_BYTES, BODY_BYTES, BODY_BYTES, BODY_BYTES // 2, 0]),
)
steps = st.one_of(
    sends,
    sends,
    sends,
    st.tuples(st.just("send more"), st.integers(0, 20)),
    st.tuples(st.just("leave"), st.integers(0, 20)),
    st.tuples(st.sampled_from(["good", "good", "failing", "busy", "begun", "lost"]), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.sampled_from([0.125, 0.25, 0.25, 0.5, 2.5])),
    st.tuples(st.sampled_from(["ill", "well", "gone"]), st.integers(0, 3)),
)


class Clients:
    """Clients, each with one request: how much of it is to come, and what it has been answered."""

    def __init__(self) -> None:
        self.all: list[MemoryTransport] = []
        self.missing: list[int] = []
        self.sent_at: list[float] = []
        self.answers: list[list[bytes]] = []

    def look(self, now: float) -> None:
        """Read what has come, and check that it is no second answer, and that none is late."""
        for which, client in enumerate(self.all):
            answers = self.answers[which]
            answers += re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", client.take())
            assert len(answers) <= 1
            if self.missing[which] == 0 and now > self.sent_at[which] + WAIT_S + TRY_S + 2 * TICK_S:
                assert answers or client.is_ended


def discipline_of(name: str) -> Discipline:
    if name == "strict":
        return Strict()
    if name == "weighted":
        return Weighted([0, 3, 1])
    return Aged(0.5) if name == "aged" else FastHighLow(2)


def lane_of(name: str, case: LaneCase) -> Lane:
    return case.order(name, case.limit, case.limit_bytes, WAIT_S)


def limiter_of(case: Case) -> Limiter | None:
    rules: list[LimitRule] = []
    if case.at_a_time:
        limit = ConcurrencyLimit("at-a-time", case.at_a_time)
        rules.append(LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, is_dry=False, policy=b"a"))
    if case.burst:
        rate = RateLimit("rate", 1, 1, case.burst, capacity=64)
        rules.append(LimitRule(rate, BY_LANE, frozenset({b"low"}), 32, 64, None, is_dry=False, policy=b"b"))
    return Limiter(rules, LANES) if rules else None


def rig_of(case: Case, limiter: Limiter | None) -> tuple[Rig, Shares]:
    queue = PriorityQueue(
        [lane_of(name, lane) for name, lane in zip(LANES, case.lanes, strict=True)],
        discipline_of(case.discipline),
    )
    fleet = Fleet()
    estimate = fleet.estimate = WaitEstimate(3) if case.refuses_early else None
    shares = Shares(
        queue.lanes,
        fleet,
        [lane.reserved for lane in case.lanes],
        [lane.most_percent for lane in case.lanes],
        Preemption(frozenset({0}), case.preemptible, 2, 1000.0) if case.preemptible else None,
    )
    hedging = None
    if case.hedges:
        hedging = Hedging(frozenset({0, 2}), 100, 1000.0)
        hedging.budget._floor = 100.0
        for lane in [0, 2] * 64:
            hedging.answered(lane, 0.125)
    rig = Rig(
        queue=queue,
        fleet=fleet,
        shares=shares,
        estimate=estimate,
        hedging=hedging,
        queue_max=case.queue_max,
        try_timeout_s=TRY_S,
        replay_max_bytes=case.replay_max_bytes,
        door=Door(Callers(), Rules([], NO_LANE), limiter=limiter),
    )
    return rig, shares


def calls_at(nodes: list[MemoryNode], asked: set[MemoryTransport]) -> list[MemoryTransport]:
    """Return the connections that have a request which is not answered, or not to its end."""
    for node in nodes:
        for call in node.connections:
            if call.take():
                asked.add(call)
    return [call for node in nodes for call in node.connections if call in asked and not call.is_lost]


def check_accounts(case: Case, rig: Rig, shares: Shares, limiter: Limiter | None) -> None:
    """Check that nobody counts anything any more."""
    rig.check_nothing_held()
    rig.advance(WAIT_S + TICK_S)
    assert (shares.bounds().in_flight, shares._at_nodes) == ([0, 0, 0], {})
    assert (shares._common, shares._unused) == (0, sum(lane.reserved for lane in case.lanes))
    if shares.preemption is not None:
        assert not shares.preemption._running
    for lane in rig.scheduler.queue.lanes:
        assert (lane.length, lane.held_bytes, lane.first_to_expire()) == (0, 0, None)
        assert not lane._early
        if isinstance(lane, FairLane):
            assert (lane._tenants, lane._charges, lane._active) == ({}, {}, 0)
    if limiter is not None:
        for rule in limiter.rules:
            if isinstance(rule.limit, ConcurrencyLimit):
                assert rule.limit._counts == {}


@given(
    case=cases,
    script=st.lists(steps, min_size=20, max_size=60),
    ends=st.sampled_from(["served", "shut down", "left"]),
)
def test_each_request_ends_once_and_takes_nothing_with_it(
    case: Case, script: list[tuple[object, ...]], ends: str
) -> None:
    limiter = limiter_of(case)
    rig, shares = rig_of(case, limiter)
    clients, asked = Clients(), set[MemoryTransport]()
    with rig:
        nodes = [rig.node(slots) for slots in case.slots]
        for step in script:
            do(step, rig, nodes, clients, asked)
            rig.run()
            clients.look(rig.clock())
            for node in nodes:
                assert 0 <= node.state.in_flight <= node.state.slots
            assert sum(sum(tries.values()) for tries in shares._at_nodes.values()) == rig.running
        end(ends, rig, nodes, clients, asked)
        for client, answers in zip(clients.all, clients.answers, strict=True):
            assert answers or client.is_ended or ends == "left"
        check_accounts(case, rig, shares, limiter)


def do(
    step: tuple[object, ...],
    rig: Rig,
    nodes: list[MemoryNode],
    clients: Clients,
    asked: set[MemoryTransport],
) -> None:
    """Let a client, a node or the clock do something."""
    match step:
        case ("send", int(lane), str(address), bytes(field), int(body_bytes)):
            client = rig.client(address)
            clients.all.append(client)
            clients.missing.append(BODY_BYTES - body_bytes)
            clients.sent_at.append(rig.clock())
            clients.answers.append([])
            start = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s%s\r\n"
            client.send(start % (BODY_BYTES, FIELDS[lane], field) + b"x" * body_bytes)
        case ("send more", int(which)) if clients.all:
            which %= len(clients.all)
            if clients.missing[which] and not clients.all[which].is_ended:
                clients.all[which].send(b"x" * clients.missing[which])
                clients.missing[which] = 0
                clients.sent_at[which] = rig.clock()
        case ("leave", int(which)) if clients.all:
            client = clients.all[which % len(clients.all)]
            if not client.is_lost:
                client.end()
        case ("wait", float(seconds)):
            rig.advance(seconds)
        case ("ill" | "well", int(which)):
            node = nodes[which % len(nodes)].state
            if node.node_id in rig.traffic.fleet.nodes:
                rig.set_healthy(node, step[0] == "well")
        case ("gone", int()):
            come_or_go(rig, nodes)
        case (str(what), int(which)):
            calls = calls_at(nodes, asked)
            if calls:
                answer(calls[which % len(calls)], what, asked)


def come_or_go(rig: Rig, nodes: list[MemoryNode]) -> None:
    """Take the last node away, if it is not the only one, or bring another one."""
    attached = rig.traffic.fleet.nodes
    if len(attached) > 1 and nodes[-1].state.node_id in attached:
        rig.traffic.detach(nodes[-1].state)
    else:
        nodes.append(rig.node(1))


def answer(call: MemoryTransport, what: str, asked: set[MemoryTransport]) -> None:
    if what == "lost":
        call.break_off()
        return
    asked.discard(call)
    call.send(ANSWERS[what])


def end(ends: str, rig: Rig, nodes: list[MemoryNode], clients: Clients, asked: set[MemoryTransport]) -> None:
    """Let all requests come to their ends."""
    if ends == "left":
        for client in clients.all:
            if not client.is_lost:
                client.end()
    elif ends == "shut down":
        rig.listener.shut_down()
        rig.advance(TICK_S)  # the timer tells those who were displaced just before
    else:
        nodes.append(rig.node(1))
        for node in nodes:
            if node.state.node_id in rig.traffic.fleet.nodes:
                rig.set_healthy(node.state, True)
        for _ in range(100):
            for call in calls_at(nodes, asked):
                answer(call, "good", asked)
            rig.run()
            clients.look(rig.clock())
            rig.advance(0.5)
    rig.run()
    clients.look(rig.clock())
