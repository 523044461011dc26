"""A lane with controlled delay against a naive model: the sentences of its invariants are the assertions."""

from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from priolb.core.queueing.codel import CodelLane
from priolb.core.ticket import Ticket
from support.examples import examples


class CodelMachine(RuleBasedStateMachine):
    """A lane with an interval of 1 and a target of 0.4 seconds, against two plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = CodelLane("low", 0, 0, 20.0)
        self.now = 0.0
        self.count = 0
        self.fresh: list[Ticket] = []
        self.back: list[Ticket] = []
        self.resting: list[Ticket] = []
        self.running: list[Ticket] = []
        self.stands_since = inf
        self.newest_at = 0.0

    def left(self) -> None:
        if not self.fresh and not self.back:
            self.stands_since = inf

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.3, 0.7]))
    def arrive(self, seconds: float) -> None:
        self.now += seconds
        self.count += 1
        ticket = Ticket(2, self.now, self.now + 20.0)
        ticket.sequence = self.count
        self.lane.append(ticket)
        self.fresh.append(ticket)
        self.newest_at = self.now
        self.stands_since = min(self.stands_since, self.now)

    @precondition(lambda self: self.fresh or self.back)
    @rule(is_lost=st.booleans())
    def serve(self, is_lost: bool) -> None:
        ticket = self.lane.first(lambda _tried: True)
        by_arrival = sorted(self.fresh + self.back, key=lambda each: each.sequence)
        if self.newest_at - self.stands_since < 1.0:
            assert ticket is by_arrival[0]
        else:
            assert ticket is min(self.back or self.fresh[-1:], key=lambda each: each.sequence)
        self.lane.remove(ticket)
        (self.fresh if ticket in self.fresh else self.back).remove(ticket)
        if not is_lost:
            self.running.append(ticket)
        self.left()

    @precondition(lambda self: self.running)
    @rule()
    def put_back(self) -> None:
        ticket = self.running.pop()
        ticket.tried |= {len(ticket.tried)}
        self.lane.put_back(ticket)
        self.back.append(ticket)

    @precondition(lambda self: self.running)
    @rule()
    def rest(self) -> None:
        ticket = self.running.pop()
        self.lane.rest(ticket)
        self.resting.append(ticket)

    @precondition(lambda self: self.resting)
    @rule(leaves=st.booleans())
    def end_a_rest(self, leaves: bool) -> None:
        ticket = self.resting.pop()
        if leaves:
            self.lane.remove(ticket)
            self.left()
        else:
            self.lane.wake(ticket)
            self.back.append(ticket)

    @rule(seconds=st.sampled_from([0.0, 0.2, 0.5]), most=st.sampled_from([1, 9]))
    def shed(self, seconds: float, most: int) -> None:
        """None of those that are late, unless the lane stands, and never the newest."""
        self.now += seconds
        expected: list[Ticket] = []
        if self.now >= self.stands_since + 1.0:
            late = [each for each in self.fresh if self.now >= each.enqueued_at + 0.4]
            expected = [each for each in late if each is not self.fresh[-1]][:most]
        shed: list[Ticket] = []
        while len(shed) < most and (ticket := self.lane.to_shed(self.now)) is not None:
            self.lane.remove(ticket)
            shed.append(ticket)
        assert shed == expected
        self.fresh = [each for each in self.fresh if each not in expected]
        self.left()

    @invariant()
    def all_are_there(self) -> None:
        assert self.lane.length == len(self.fresh) + len(self.back) + len(self.resting)
        if self.lane.next_shed_at() == inf:
            assert len(self.fresh) < 2


TestCodel = CodelMachine.TestCase
TestCodel.settings = settings(max_examples=examples(200), stateful_step_count=50)
