"""Early refusal, displacement and preemption against naive models.

The sentences of the invariants in the modules of `core.overload` are the assertions.
"""

from collections import Counter
from math import ceil, inf
from statistics import median_low

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.median import RecentMedian
from priolb.core.nodes.node import OVER, Lease, NodeState
from priolb.core.overload.admission import AdmissionControl
from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.overload.retry_advice import RetryAdvice
from priolb.core.overload.shares import Shares
from priolb.core.queueing.discipline import Discipline, FastHighLow, Strict, Weighted
from priolb.core.queueing.fair_lane import FairLane
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.policy import RetryPolicy
from priolb.core.scheduler import Scheduler
from priolb.core.ticket import ENDED, RUNNING, WAITING, Ticket
from priolb.core.timers import AT_ONCE
from priolb.errors import Reason
from support.chance import Fixed
from support.examples import examples
from support.tickets import answered, client_left, new_queue, node

WAIT_S = 5.0
FAST, HIGH, LOW = 0, 1, 2
lanes = st.integers(0, 2)


class OverloadMachine(RuleBasedStateMachine):
    """Too many tickets for two nodes: fast ones preempt low ones, and the line has a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leases: list[Lease] = []  # in the order in which they began
        self.waiting: list[Ticket] = []  # in order of arrival
        self.accepted: list[Ticket] = []
        self.left: list[Ticket] = []
        self.preemptions: list[float] = []
        self.losers: list[Ticket] = []

    @initialize(limit=st.sampled_from([0, 1, 3]), per_second=st.integers(1, 3))
    def start(self, limit: int, per_second: int) -> None:
        self.limit, self.per_second = limit, per_second
        queue, fleet = new_queue(), Fleet()
        self.admission = AdmissionControl(queue, fleet, limit, None)
        preemption = Preemption(frozenset({FAST}), frozenset({LOW}), per_second, self.now)
        shares = Shares(queue.lanes, fleet, [0] * 3, [100] * 3, preemption)
        self.scheduler = Scheduler(queue, RetryPolicy(3), fleet, admission=self.admission, shares=shares)
        self.nodes = [node(1, 1), node(2, 2)]
        for each in self.nodes:
            fleet.add(each, self.now)

    def dispatch(self) -> None:
        while (lease := self.scheduler.next_dispatch(self.now)) is not None:
            assert lease.ticket.start_by > self.now
            self.waiting.remove(lease.ticket)
            self.leases.append(lease)

    @rule(lane=lanes)
    def arrive(self, lane: int) -> None:
        ticket = Ticket(lane, self.now, self.now + WAIT_S)
        lease = self.scheduler.start_at_once(ticket, self.now)
        if lease is not None:
            self.accepted.append(ticket)
            self.leases.append(lease)
            return
        new = [each for each in self.waiting if not each.tries and each not in self.losers]
        worse = [each for each in new if each.lane > lane]
        before = len(self.in_line())
        is_full = 0 < self.limit <= before
        reason = self.scheduler.submit(ticket)
        assert reason is (Reason.QUEUE_FULL if is_full and not worse else None)
        displaced = self.admission.take_displaced(AT_ONCE)
        expected = []
        if is_full and worse:
            worst = max(each.lane for each in worse)
            expected = [max((e for e in worse if e.lane == worst), key=lambda e: e.sequence)]
        assert displaced == expected, "the newest of the worst lane"
        if reason is None:
            self.accepted.append(ticket)
            self.waiting.append(ticket)
        for each in displaced:
            assert each.state == ENDED
            self.waiting.remove(each)
            self.left.append(each)
        assert not self.limit or len(self.in_line()) <= max(self.limit, before)
        self.pump()

    def pump(self) -> None:
        """Do what the engine does after each event."""
        self.dispatch()
        assert all(self.scheduler.victim_of(lane, self.now) is None for lane in (HIGH, LOW))
        while self.preempt(FAST):
            pass
        self.dispatch()
        for ticket in self.in_line():
            assert all(each.in_flight >= each.slots for each in self.open_to(ticket)), (
                "nobody waits for a free one"
            )

    def open_to(self, ticket: Ticket) -> list[NodeState]:
        """Return the nodes that may serve a ticket."""
        usable = [each for each in self.nodes if each.usable]
        return [each for each in usable if each.node_id not in ticket.tried] or usable

    def losers_to(self, ticket: Ticket) -> list[Lease]:
        """Return the leases that may be cut short for a ticket."""
        return [
            lease
            for lease in self.leases
            if lease.ticket.lane == LOW
            and lease.node.usable
            and lease.node.node_id not in ticket.tried
            and lease.node.in_flight <= lease.node.slots
        ]

    def preempt(self, lane: int) -> bool:
        """Let the next ticket of a lane take a slot, and check from whom; False when it may not."""
        in_lane = [each for each in self.waiting if each.lane == lane]
        ticket = next((each for each in in_lane if self.losers_to(each)), None)
        if ticket is None:
            assert self.scheduler.victim_of(lane, self.now) is None
            return False
        may_be = self.losers_to(ticket)
        is_full = all(each.in_flight >= each.slots for each in self.open_to(ticket))
        recent = [at for at in self.preemptions if at > self.now - 1.0]
        victim = self.scheduler.victim_of(lane, self.now)
        if victim is None:
            # A token is there at the latest when none has been spent for as long as all of them take.
            assert lane != FAST or not may_be or not is_full or recent
            return False
        assert lane == FAST and is_full
        have_time = [lease for lease in may_be if lease.ticket.start_by > self.now]
        assert victim is (have_time or may_be)[-1], (
            "the youngest, of those that can start again when there are any"
        )
        loser, tries, tried = victim.ticket, victim.ticket.tries, victim.ticket.tried
        lease = self.scheduler.preempt(victim, lane, self.now)
        assert victim.state == OVER
        assert (loser.state, loser.tries, loser.tried) == (WAITING, tries - 1, tried)
        assert (lease.ticket, lease.node, ticket.state) == (ticket, victim.node, RUNNING)
        self.leases.remove(victim)
        self.leases.append(lease)
        self.waiting.remove(ticket)
        self.waiting.append(loser)
        self.waiting.sort(key=lambda each: each.sequence)
        self.losers.append(loser)
        self.preemptions.append(self.now)
        assert len([at for at in self.preemptions if at > self.now - 1.0]) <= 2 * self.per_second
        return True

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=st.sampled_from([answered(200), answered(500), client_left()]))
    def finish(self, data: st.DataObject, outcome: object) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        self.leases.remove(lease)
        if self.scheduler.finished(lease, outcome, True, self.now):  # type: ignore[arg-type]
            self.waiting.append(lease.ticket)
            self.waiting.sort(key=lambda each: each.sequence)
        else:
            self.left.append(lease.ticket)
        self.pump()

    @rule(is_healthy=st.booleans())
    def a_node_falls_ill_or_recovers(self, is_healthy: bool) -> None:
        self.scheduler.fleet.set_healthy(self.nodes[1], is_healthy, "", self.now)
        self.pump()

    def in_line(self) -> list[Ticket]:
        """Return those who wait, without losers whose time was over and who have yet to be told."""
        return [each for each in self.waiting if each.state == WAITING]

    @precondition(lambda self: self.in_line())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.in_line()))
        self.scheduler.cancel(ticket)
        self.waiting.remove(ticket)
        self.left.append(ticket)

    @rule(seconds=st.sampled_from([0.25, 1.0, WAIT_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.scheduler.advance(self.now)
        for each in self.scheduler.take_expired(self.now):
            assert each.start_by <= self.now
            self.waiting.remove(each)
            self.left.append(each)
        self.pump()

    @invariant()
    def every_accepted_ticket_is_in_one_place(self) -> None:
        places = self.waiting + [lease.ticket for lease in self.leases] + self.left
        assert sorted(map(id, places)) == sorted(map(id, self.accepted))

    @invariant()
    def the_nodes_have_what_has_been_leased(self) -> None:
        counts = Counter(lease.node.node_id for lease in self.leases)
        assert [each.in_flight for each in self.nodes] == [counts[1], counts[2]]

    @invariant()
    def what_may_be_cut_short_is_what_runs(self) -> None:
        preemption = self.scheduler.preemption
        assert preemption is not None
        assert list(preemption._running) == [each for each in self.leases if each.ticket.lane == LOW]


TestOverload = OverloadMachine.TestCase
TestOverload.settings = settings(max_examples=examples(200), stateful_step_count=50)


disciplines = st.one_of(
    st.builds(FastHighLow, st.integers(0, 3), st.booleans()),
    st.builds(Strict),
    st.builds(Weighted, st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any)),
)


def queue_of(discipline: Discipline) -> PriorityQueue:
    return PriorityQueue([Lane(name) for name in ("a", "b", "c")], discipline)


@settings(max_examples=examples(400))
@given(
    discipline=disciplines,
    waiting=st.lists(lanes, min_size=6, max_size=30),
    served=st.integers(0, 3),
    lane=lanes,
)
def test_no_more_than_is_said_goes_before_a_new_ticket(
    discipline: Discipline, waiting: list[int], served: int, lane: int
) -> None:
    """Of those that wait already; and hardly less, as only a turn that has begun may be nearly over."""
    queue = queue_of(discipline)
    for each in waiting:
        assert queue.push(Ticket(each, 0.0, inf))
    for _ in range(served):
        queue.pop()
    new = Ticket(lane, 1.0, inf)
    ahead = queue.ahead_of(new)
    queue.push(new)
    before: Counter[int] = Counter()
    while (ticket := queue.pop()) is not new:
        assert ticket is not None
        before[ticket.lane] += 1
    assert all(before[other] <= ahead[other] for other in range(3))
    assert before[lane] == ahead[lane]
    assert sum(ahead) - sum(before.values()) <= 2 * 3


@given(
    waiting=st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=30),
    served=st.integers(0, 10),
    tenant=st.sampled_from([b"a", b"b", b"e"]),
)
def test_no_more_of_a_fair_lane_than_is_said_goes_before_a_new_ticket(
    waiting: list[bytes], served: int, tenant: bytes
) -> None:
    """As long as requests take what they are expected to take, and one after the other."""
    lane = FairLane("fair", seed=b"secret", max_wait_s=1000.0)
    queue, fleet = PriorityQueue([lane], Strict()), Fleet()
    scheduler = Scheduler(queue, RetryPolicy(1), fleet, shares=Shares([lane], fleet, [0], [100]))
    fleet.add(node(1, 1), 0.0)
    now = 0.0

    def serve() -> Ticket | None:
        nonlocal now
        lease = scheduler.next_dispatch(now)
        if lease is None:
            return None
        now += 1.0
        scheduler.finished(lease, answered(200), True, now)
        return lease.ticket

    def join(who: bytes) -> Ticket:
        ticket = Ticket(0, now, inf)
        ticket.tenant = who
        assert scheduler.submit(ticket) is None
        return ticket

    for each in waiting:
        join(each)
    for _ in range(served):
        serve()
    expected = Ticket(0, now, inf)
    expected.tenant = tenant
    [ahead] = queue.ahead_of(expected)
    assert ahead <= queue.length
    new, before = join(tenant), 0
    while serve() is not new:
        before += 1
    assert before <= ahead


@given(discipline=disciplines, lane=lanes, other=lanes)
def test_a_lane_is_overtaken_for_ever_by_those_that_are_said_to(
    discipline: Discipline, lane: int, other: int
) -> None:
    queue = queue_of(discipline)
    new = Ticket(lane, 0.0, inf)
    queue.push(new)
    is_starved = True
    for _ in range(10):
        queue.push(Ticket(other, 1.0, inf))
        is_starved = is_starved and queue.pop() is not new
    assert is_starved is (other in queue.overtaking(new))


@given(
    slots=st.integers(1, 4),
    service_s=st.sampled_from([0.1, 1.0, 3.0]),
    gaps=st.lists(st.sampled_from([0.0, 0.05, 0.2, 1.0]), min_size=1, max_size=60),
)
def test_whoever_is_refused_would_have_waited_too_long_and_nobody_else(
    slots: int, service_s: float, gaps: list[float]
) -> None:
    """But for one service, as nobody knows which of the slots will be free when."""
    queue, fleet = new_queue(), Fleet()
    fleet.estimate = WaitEstimate(3)
    fleet.estimate.observe(LOW, service_s, -1000.0)
    admission = AdmissionControl(queue, fleet, 0, fleet.estimate)
    scheduler = Scheduler(queue, RetryPolicy(1), fleet, admission=admission)
    fleet.add(node(1, slots), 0.0)
    leases: list[Lease] = []
    free_at = [0.0] * slots  # the model: when each slot is free for one that comes now
    now = 0.0
    for gap in gaps:
        now += gap
        while leases and leases[0].started_at + service_s <= now:
            ended_at = leases[0].started_at + service_s
            scheduler.finished(leases.pop(0), answered(200), True, ended_at)
            started = scheduler.next_dispatch(ended_at)
            leases += [] if started is None else [started]
        starts_at = max(now, min(free_at))
        ticket = Ticket(LOW, now, now + WAIT_S)
        lease = scheduler.start_at_once(ticket, now)
        reason = None if lease is not None else scheduler.submit(ticket)
        leases += [] if lease is None else [lease]
        if reason is None:
            assert starts_at - now <= WAIT_S + service_s
            ticket.start_by = inf  # so that all who are let in are served, as in the model
            free_at.remove(min(free_at))
            free_at.append(starts_at + service_s)
        else:
            assert reason is Reason.WAIT_TOO_LONG
            assert starts_at - now >= WAIT_S - service_s


@given(values=st.lists(st.tuples(st.floats(0, 100), st.sampled_from([0.0, 1.0, 11.0])), max_size=200))
def test_the_median_is_that_of_the_last_values(values: list[tuple[float, float]]) -> None:
    median, kept, now = RecentMedian(), list[float](), 0.0
    for value, seconds in values:
        now += seconds
        if seconds > 10.0:
            assert median.value(now) == 0.0
            kept = []
        median.add(value, now)
        kept = [*kept, value][-64:]
        assert median.value(now) == median_low(kept)


@given(
    refusals=st.lists(
        st.tuples(st.sampled_from([0, 1, 1, 1, 2, 5, 40, 70]), st.integers(1, 200)), min_size=1, max_size=60
    ),
    wait_s=st.floats(0, 100),
    chance=st.floats(0, 0.999),
)
def test_the_advice_follows_from_the_refusals_of_the_last_seconds(
    refusals: list[tuple[int, int]], wait_s: float, chance: float
) -> None:
    advice = RetryAdvice(Fixed(chance))
    counts: Counter[int] = Counter()
    now, model_s, changed = 1000, 1, 1000
    advice.refuse(0.0, now)
    counts[now] += 1
    for seconds, times in refusals:
        for _ in range(seconds):
            now += 1
            refused = sum(counts[now - age] for age in range(1, model_s + 1))
            if refused >= 3 * model_s and now - changed >= model_s:
                model_s, changed = min(32, 2 * model_s), now
            elif refused < model_s and model_s > 1:
                model_s, changed = model_s - 1, now
        for _ in range(times):
            told = advice.refuse(wait_s, now + 0.5)
        counts[now] += times
        assert advice.retry_after_s == model_s
        most = max(model_s, min(32, ceil(wait_s)))
        assert most / 2 <= told <= most
