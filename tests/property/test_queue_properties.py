"""The priority queue against a list that is searched from the front every time.

The sentences of `priolb.core.queueing.lanes` and `priolb.core.queueing.queue` are the assertions.
"""

from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from priolb.core.queueing.lanes import BySequence, Fifo
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import ENDED, NEW, NO_NODES_TRIED, RUNNING, WAITING, Ticket
from support.examples import examples
from support.tickets import new_queue

NODE_IDS = (1, 2)
WAIT_S = 5.0

free_nodes = st.frozensets(st.sampled_from(NODE_IDS), min_size=1)


class NaiveRule:
    """The discipline as the original's README tells it: how many fast-track in a row, and who is due."""

    def __init__(self, fast_per_high: int, drain_fast_first: bool) -> None:
        self.fast_per_high = inf if drain_fast_first else fast_per_high
        self.fast_in_a_row = 0

    def served(self, servable: dict[int, Ticket]) -> Ticket | None:
        """Return the next among the first servable ticket of each lane."""
        lane = next((lane for lane in (0, 1, 2) if lane in servable), None)
        if lane == 0 and 1 in servable and self.fast_in_a_row >= self.fast_per_high:
            lane = 1
        if lane == 0:
            self.fast_in_a_row += 1 in servable
        else:
            self.fast_in_a_row = 0
        return None if lane is None else servable[lane]


class QueueMachine(RuleBasedStateMachine):
    """Whatever happens, the queue gives what the list gives."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.accepted = 0
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self.resting: dict[Ticket, float] = {}  # of those who wait
        self.slow: dict[Ticket, frozenset[int]] = {}  # the nodes that are too slow for those who wait
        self.queue: PriorityQueue
        self.rule: NaiveRule

    @initialize(
        fast_per_high=st.integers(0, 3),
        drain_fast_first=st.booleans(),
        limits=st.tuples(*[st.sampled_from([0, 0, 1, 3])] * 3),
        limit_bytes=st.sampled_from([0, 0, 12]),
    )
    def start(
        self, fast_per_high: int, drain_fast_first: bool, limits: tuple[int, int, int], limit_bytes: int
    ) -> None:
        self.limits = limits
        self.limit_bytes = limit_bytes
        self.queue = new_queue(fast_per_high, drain_fast_first, limits, limit_bytes, WAIT_S)
        self.rule = NaiveRule(fast_per_high, drain_fast_first)

    def in_lane(self, lane: int) -> list[Ticket]:
        """The waiting tickets of a lane in the order of their arrival."""
        return sorted((t for t in self.waiting if t.lane == lane), key=lambda ticket: ticket.sequence)

    def new_ticket(self, lane: int, wait_s: float = WAIT_S, body_bytes: int = 0) -> Ticket:
        ticket = Ticket(lane, self.now, self.now + wait_s)
        ticket.body_bytes = body_bytes
        return ticket

    def passed(self, ticket: Ticket) -> frozenset[int]:
        return ticket.tried | self.slow.get(ticket, NO_NODES_TRIED)

    def held_bytes(self, lane: int) -> int:
        return sum(ticket.body_bytes for ticket in self.in_lane(lane))

    @rule(
        lane=st.integers(0, 2),
        wait_s=st.sampled_from([WAIT_S, WAIT_S, 1.0, 2.0]),
        body_bytes=st.sampled_from([0, 3, 10]),
    )
    def push(self, lane: int, wait_s: float, body_bytes: int) -> None:
        ticket = self.new_ticket(lane, wait_s, body_bytes)
        limit, limit_bytes = self.limits[lane], self.limit_bytes
        has_room = limit == 0 or len(self.in_lane(lane)) < limit
        if limit_bytes and self.held_bytes(lane) + body_bytes > limit_bytes:
            has_room = False
        assert self.queue.push(ticket) is has_room
        if has_room:
            self.accepted += 1
            self.waiting.append(ticket)
        assert (ticket.state, ticket.sequence) == ((WAITING, self.accepted) if has_room else (NEW, 0))

    @precondition(lambda self: not self.waiting)
    @rule(lane=st.integers(0, 2))
    def pass_by(self, lane: int) -> None:
        ticket = self.new_ticket(lane)
        self.queue.pass_by(ticket)
        self.accepted += 1
        self.rule.served({lane: ticket})
        assert (ticket.state, ticket.sequence) == (RUNNING, self.accepted)
        self.running.append(ticket)

    @rule(free=free_nodes, count=st.sampled_from([1, 2, 3, 100]))
    def pop_some(self, free: frozenset[int], count: int) -> None:
        for _ in range(count):
            self.pop(free)

    def pop(self, free: frozenset[int]) -> None:
        servable = {}
        for lane in (2, 1, 0):
            for ticket in reversed(self.in_lane(lane)):
                if free - self.passed(ticket) and ticket not in self.resting:
                    servable[lane] = ticket
        # Of an empty queue nothing is asked, so that nothing is learned from it either.
        expected = self.rule.served(servable) if self.waiting else None
        assert self.queue.pop(lambda tried: bool(free - tried)) is expected
        if expected is not None:
            assert expected.state == RUNNING
            self.waiting.remove(expected)
            self.running.append(expected)
            self.slow.pop(expected, None)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), node_id=st.sampled_from(NODE_IDS))
    def put_back(self, data: st.DataObject, node_id: int) -> None:
        self.fail(data.draw(st.sampled_from(self.running)), node_id)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), node_id=st.sampled_from(NODE_IDS))
    def put_all_back(self, data: st.DataObject, node_id: int) -> None:
        for ticket in data.draw(st.permutations(self.running)):
            self.fail(ticket, node_id)

    def fail(self, ticket: Ticket, node_id: int) -> None:
        sequence = ticket.sequence
        ticket.tried = ticket.tried | {node_id}
        self.queue.put_back(ticket)
        assert ticket.sequence == sequence
        self.running.remove(ticket)
        self.waiting.append(ticket)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), slow=st.frozensets(st.sampled_from(NODE_IDS)))
    def pass_over(self, data: st.DataObject, slow: frozenset[int]) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        self.queue.put_back(ticket, ticket.tried | slow)
        self.running.remove(ticket)
        self.waiting.append(ticket)
        self.slow[ticket] = slow

    @precondition(lambda self: self.running)
    @rule(data=st.data(), node_id=st.sampled_from(NODE_IDS), rest_s=st.sampled_from([0.5, 1.0, 9.0]))
    def rest(self, data: st.DataObject, node_id: int, rest_s: float) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        ticket.tried = ticket.tried | {node_id}
        self.queue.rest(ticket, self.now + rest_s)
        self.running.remove(ticket)
        self.waiting.append(ticket)
        self.resting[ticket] = self.now + rest_s

    @rule(is_for_all=st.booleans())
    def wake(self, is_for_all: bool) -> None:
        now = inf if is_for_all else self.now
        self.queue.wake(now)
        self.resting = {ticket: until for ticket, until in self.resting.items() if until > now}
        assert self.queue.next_wake() <= min(self.resting.values(), default=inf)
        assert self.queue.next_wake() > now or is_for_all

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.running))
        self.running.remove(ticket)
        ticket.state = ENDED

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.waiting))
        self.queue.drop(ticket)
        self.waiting.remove(ticket)
        self.resting.pop(ticket, None)
        assert ticket.state == ENDED

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(most=st.sampled_from([0, 1, 2, 100]))
    def pop_expired(self, most: int) -> None:
        late = [
            t
            for lane in (0, 1, 2)
            for t in sorted(self.in_lane(lane), key=lambda ticket: ticket.start_by)
            if t.start_by <= self.now
        ]
        expected = late[:most]
        assert self.queue.take_expired(self.now, most) == expected
        for ticket in expected:
            self.waiting.remove(ticket)
            self.resting.pop(ticket, None)
            ticket.state = ENDED

    @invariant()
    def the_lengths_are_those_of_the_list(self) -> None:
        assert self.queue.lengths() == tuple(len(self.in_lane(lane)) for lane in (0, 1, 2))
        assert self.queue.length == len(self.waiting)
        occupied = {lane for lane, length in enumerate(self.queue.lengths()) if length}
        assert self.queue.occupied == sum(1 << lane for lane in occupied)
        assert [lane.held_bytes for lane in self.queue.lanes] == [self.held_bytes(lane) for lane in (0, 1, 2)]

    @invariant()
    def the_next_deadline_is_the_lowest(self) -> None:
        assert self.queue.next_deadline() == min((t.start_by for t in self.waiting), default=inf)

    @invariant()
    def a_ticket_is_waiting_exactly_while_it_is_in_the_fifo_that_it_names(self) -> None:
        found = [ticket for fifo in self.fifos() for ticket in tickets_of(fifo)]
        assert sorted(map(id, found)) == sorted(map(id, self.waiting))
        for ticket in self.waiting:
            assert ticket.state == WAITING
        for ticket in self.running:
            assert (ticket.state, ticket.fifo) == (RUNNING, None)

    @invariant()
    def tickets_of_one_fifo_stand_in_order_and_pass_over_the_same_nodes(self) -> None:
        for lane in self.queue.lanes:
            for passed, fifo in [(NO_NODES_TRIED, lane.fresh), *lane.retries.items()]:
                sequences = [ticket.sequence for ticket in tickets_of(fifo)]
                assert sequences == sorted(set(sequences))
                assert fifo.passed == passed
                assert {self.passed(ticket) for ticket in tickets_of(fifo)} <= {passed}

    @invariant()
    def those_who_rest_stand_apart_in_order(self) -> None:
        for lane in self.queue.lanes:
            found = tickets_of(lane.resting)
            assert set(found) == {ticket for ticket in self.resting if self.queue.lanes[ticket.lane] is lane}
            assert [ticket.sequence for ticket in found] == sorted(ticket.sequence for ticket in found)

    @invariant()
    def nothing_is_kept_of_those_who_rest_no_more(self) -> None:
        assert set(self.queue._resting.values()) == set(self.resting)
        assert len(self.queue._wakes) <= 2 * len(self.resting) + 16

    @invariant()
    def empty_retry_fifos_are_dropped(self) -> None:
        for lane in self.queue.lanes:
            assert all(fifo.head is not None for fifo in lane.retries.values())

    def fifos(self) -> list[Fifo]:
        return [
            fifo for lane in self.queue.lanes for fifo in (lane.fresh, lane.resting, *lane.retries.values())
        ]


def tickets_of(fifo: Fifo) -> list[Ticket]:
    """Return who stands in a line; where there are links, check that they lead back the same way."""
    found: list[Ticket] = []
    if isinstance(fifo, BySequence):
        assert all(ticket.fifo is fifo for ticket in fifo._tickets)
        assert [ticket.sequence for ticket in fifo._tickets] == fifo._sequences
        assert fifo.head is (fifo._tickets[0] if fifo._tickets else None)
        return list(fifo._tickets)
    ticket = fifo.head
    while ticket is not None:
        assert ticket.fifo is fifo
        assert ticket.previous is (found[-1] if found else None)
        found.append(ticket)
        ticket = ticket.next
    assert fifo.tail is (found[-1] if found else None)
    return found


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=examples(200), stateful_step_count=40)
