"""Disciplines and orders of lanes against a list that is searched from the front every time.

The naive rules are written as an operator would tell them; the shares of time that follow are stated apart.
"""

from math import inf

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.queueing.deadline_lane import DeadlineLane
from priolb.core.queueing.discipline import Aged, Discipline, Strict, Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import ENDED, RUNNING, Ticket
from support.examples import examples

NODE_IDS = (1, 2)
LANES = 3
STEP_S = 1.0

free_nodes = st.frozensets(st.sampled_from(NODE_IDS), min_size=1)
weights = st.lists(st.integers(0, 4), min_size=LANES, max_size=LANES).filter(any)


class NaiveRule:
    """Tells the next lane among those that have somebody to be served."""

    def served(self, servable: dict[int, Ticket]) -> int:
        return min(servable)


class NaiveWeighted(NaiveRule):
    """A wheel with as many spokes for each lane as it has weight: the next spoke whose lane has somebody."""

    def __init__(self, weights: list[int]) -> None:
        self.strict = [lane for lane, weight in enumerate(weights) if not weight]
        self.wheel = [lane for lane, weight in enumerate(weights) for _ in range(weight)]

    def served(self, servable: dict[int, Ticket]) -> int:
        for lane in self.strict:
            if lane in servable:
                return lane
        while self.wheel[0] not in servable:
            self.wheel.append(self.wheel.pop(0))
        self.wheel.append(self.wheel.pop(0))
        return self.wheel[-1]


class NaiveAged(NaiveRule):
    def served(self, servable: dict[int, Ticket]) -> int:
        return min(servable, key=lambda lane: (servable[lane].enqueued_at + STEP_S * lane, lane))


def rules(kind: str, weights: list[int]) -> tuple[Discipline, NaiveRule]:
    if kind == "strict":
        return Strict(), NaiveRule()
    if kind == "aged":
        return Aged(STEP_S), NaiveAged()
    return Weighted(weights), NaiveWeighted(weights)


def place(ticket: Ticket, by_deadline: bool) -> tuple[float, int]:
    return (ticket.start_by if by_deadline else 0.0, ticket.sequence)


class DisciplineMachine(RuleBasedStateMachine):
    """Whatever happens, the queue gives what the naive rule gives."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self.resting: set[Ticket] = set()
        self.queue: PriorityQueue
        self.rule: NaiveRule

    @initialize(
        kind=st.sampled_from(["strict", "weighted", "aged"]),
        weights=weights,
        by_deadline=st.lists(st.booleans(), min_size=LANES, max_size=LANES),
    )
    def start(self, kind: str, weights: list[int], by_deadline: list[bool]) -> None:
        discipline, self.rule = rules(kind, weights)
        self.by_deadline = by_deadline
        lanes = [
            DeadlineLane(str(lane)) if each else Lane(str(lane), max_wait_s=5.0)
            for lane, each in enumerate(by_deadline)
        ]
        self.queue = PriorityQueue(lanes, discipline)

    def in_lane(self, lane: int) -> list[Ticket]:
        """The waiting tickets of a lane, the next one first."""
        return sorted(
            (each for each in self.waiting if each.lane == lane),
            key=lambda each: place(each, self.by_deadline[lane]),
        )

    @rule(
        lanes=st.lists(st.integers(0, LANES - 1), min_size=1, max_size=5),
        wait_s=st.sampled_from([1.0, 2.0, 5.0]),
    )
    def push(self, lanes: list[int], wait_s: float) -> None:
        for lane in lanes:
            ticket = Ticket(lane, self.now, self.now + wait_s)
            assert self.queue.push(ticket) is True
            self.waiting.append(ticket)

    @precondition(lambda self: not self.waiting)
    @rule(lane=st.integers(0, LANES - 1))
    def pass_by(self, lane: int) -> None:
        ticket = Ticket(lane, self.now, self.now + 5.0)
        self.queue.pass_by(ticket)
        assert self.rule.served({lane: ticket}) == lane
        self.running.append(ticket)

    @rule(free=free_nodes, count=st.sampled_from([1, 2, 5, 100]))
    def pop_some(self, free: frozenset[int], count: int) -> None:
        for _ in range(count):
            servable: dict[int, Ticket] = {}
            for lane in range(LANES):
                for ticket in self.in_lane(lane):
                    if free - ticket.tried and ticket not in self.resting:
                        servable.setdefault(lane, ticket)
            expected = servable[self.rule.served(servable)] if servable else None
            assert self.queue.pop(lambda tried: bool(free - tried)) is expected
            if expected is None:
                break
            assert expected.state == RUNNING
            self.waiting.remove(expected)
            self.running.append(expected)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), node_id=st.sampled_from(NODE_IDS), rest_s=st.sampled_from([0.0, 0.0, 1.0]))
    def fail(self, data: st.DataObject, node_id: int, rest_s: float) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        ticket.tried = ticket.tried | {node_id}
        if rest_s:
            self.queue.rest(ticket, self.now + rest_s)
            self.resting.add(ticket)
        else:
            self.queue.put_back(ticket)
        self.running.remove(ticket)
        self.waiting.append(ticket)

    @rule()
    def wake_all(self) -> None:
        self.queue.wake(inf)
        self.resting.clear()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.queue.remove(ticket)
        ticket.state = ENDED
        self.waiting.remove(ticket)
        self.resting.discard(ticket)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(most=st.sampled_from([0, 1, 2, 100]))
    def pop_expired(self, most: int) -> None:
        late = [
            each
            for lane in range(LANES)
            for each in sorted(self.in_lane(lane), key=lambda each: place(each, by_deadline=True))
            if each.start_by <= self.now
        ]
        assert self.queue.take_expired(self.now, most) == late[:most]
        for ticket in late[:most]:
            ticket.state = ENDED
            self.waiting.remove(ticket)
            self.resting.discard(ticket)

    @invariant()
    def the_lengths_are_those_of_the_list(self) -> None:
        assert self.queue.lengths() == tuple(len(self.in_lane(lane)) for lane in range(LANES))
        assert self.queue.length == len(self.waiting)
        occupied = {lane for lane, length in enumerate(self.queue.lengths()) if length}
        assert self.queue.occupied == sum(1 << lane for lane in occupied)

    @invariant()
    def the_next_deadline_is_the_lowest(self) -> None:
        assert self.queue.next_deadline() == min((each.start_by for each in self.waiting), default=inf)


TestDisciplines = DisciplineMachine.TestCase
TestDisciplines.settings = settings(max_examples=examples(200), stateful_step_count=40)


@given(weights=st.lists(st.integers(1, 20), min_size=2, max_size=4), rounds=st.integers(1, 5), data=st.data())
def test_lanes_that_always_wait_are_served_exactly_in_the_ratio_of_their_weights(
    weights: list[int], rounds: int, data: st.DataObject
) -> None:
    """In each run of as many tickets as the weights sum up to, wherever it begins."""
    queue = PriorityQueue([Lane(str(lane)) for lane in range(len(weights))], Weighted(weights))
    for lane in range(len(weights)):
        assert queue.push(Ticket(lane, 0.0, 5.0)) is True
    served = []
    for _ in range((rounds + 1) * sum(weights)):
        ticket = queue.pop()
        assert ticket is not None
        served.append(ticket.lane)
        assert queue.push(Ticket(ticket.lane, 0.0, 5.0)) is True
    first = data.draw(st.integers(0, sum(weights)))
    window = served[first : first + rounds * sum(weights)]
    assert [window.count(lane) for lane in range(len(weights))] == [rounds * weight for weight in weights]


arrivals = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.integers(0, LANES - 1), st.booleans()), min_size=1, max_size=60
)


@given(arrivals=arrivals)
def test_nobody_is_overtaken_by_who_came_more_than_the_aging_bound_later(
    arrivals: list[tuple[float, int, bool]],
) -> None:
    """A ticket of lane k is served before each of a better lane j that came more than (k - j) steps later."""
    queue = PriorityQueue([Lane(str(lane)) for lane in range(LANES)], Aged(STEP_S))
    now = 0.0
    waiting: list[Ticket] = []

    def serve() -> None:
        served = queue.pop()
        assert served is not None
        waiting.remove(served)
        for other in waiting:
            overtakes_by_s = served.enqueued_at - other.enqueued_at
            if served.lane <= other.lane:
                assert overtakes_by_s <= STEP_S * (other.lane - served.lane) + 1e-9
            else:
                assert -overtakes_by_s >= STEP_S * (served.lane - other.lane) - 1e-9

    for after_s, lane, is_served in arrivals:
        now += after_s
        ticket = Ticket(lane, now, now + 100.0)
        assert queue.push(ticket) is True
        waiting.append(ticket)
        if is_served:
            serve()
    while waiting:
        serve()
