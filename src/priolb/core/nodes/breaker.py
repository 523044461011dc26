"""The breaker of one node: when its faults are enough, how long it rests, and which request ends the rest.

    CLOSED --due--> OPEN --rested--> HALF_OPEN --the one request fails--> OPEN
      ^                                  |
      '------- it is answered -----------'

Faults are counted by a leaky bucket: a fault adds `FAULT_COST`, an answer takes 1 away, and the bucket is
full at `limit * FAULT_COST`. So `limit` faults in a row fill it, and in the long run more than one fault for
every `FAULT_COST` answers; a node that fails now and then never gets there.

The rest doubles each time the request that should have ended it proves the node wrong again. Sources: Nygard,
"Release It!" (2007), for the three states; Finagle's failure accrual, for one request as the test.
"""

from __future__ import annotations

from math import inf
from typing import Final

CLOSED: Final = 0
OPEN: Final = 1
HALF_OPEN: Final = 2

FAULT_COST: Final = 4

# After having been closed for so many times its last rest, a node starts with a short rest again.
_FORGIVEN_AFTER: Final = 4.0
_NO_TICKET: Final = 0

# Of so many deciding requests that failed, it is remembered that another node may still answer them.
_TESTS_MAX: Final = 8


class Breaker:
    """The breaker of one node. It keeps the state; who asks it brings the numbers of the policy.

    The bucket leaks by the number of answers since the last fault, so that an answer has not to be told.
    """

    __slots__ = (
        "_answered_at_fault",
        "_closed_at",
        "_level",
        "_rest_s",
        "_rested_from",
        "_test_tickets",
        "older",
        "started_at",
        "state",
        "until",
    )

    def __init__(self) -> None:
        self.state: int = CLOSED
        self.until: float = 0.0
        """End of the rest, monotonic seconds."""
        self.started_at: float = 0.0
        """When it became half-open: the try that decides began then or later."""
        self.older: int = 0
        """While half-open: requests in flight that began before it opened."""
        self._level: int = 0
        self._answered_at_fault: int = 0
        self._rest_s: float = 0.0
        self._rested_from: float = 0.0
        self._closed_at: float = -inf
        self._test_tickets: tuple[int, ...] = ()
        """Deciding requests that failed since it was closed, and that no other node has answered yet."""

    def level(self, answered: int) -> int:
        """Return how full the bucket is, in units of which a fault has `FAULT_COST`.

        Args:
            answered: good answers of the node so far.
        """
        return max(0, self._level - (answered - self._answered_at_fault))

    def fault(self, answered: int, limit: int) -> bool:
        """Count a fault; return whether the bucket is full.

        Args:
            answered: good answers of the node so far.
            limit: faults in a row that fill it.
        """
        self._level = min(self.level(answered) + FAULT_COST, limit * FAULT_COST)
        self._answered_at_fault = answered
        return self._level >= limit * FAULT_COST

    def open(self, now: float, rest_s: float, rest_max_s: float) -> None:
        """Let the node rest for `rest_s`, or, soon after a rest, for twice that one, up to `rest_max_s`."""
        is_forgiven = now - self._closed_at > self._rest_s * _FORGIVEN_AFTER
        self._rest_s = rest_s if is_forgiven else min(self._rest_s * 2, rest_max_s)
        self._test_tickets = ()
        self._rest(now)

    def half_open(self, now: float, in_flight: int) -> None:
        """End the rest: the next request decides.

        Args:
            now: monotonic seconds.
            in_flight: requests that the node still has from before the rest.
        """
        self.state = HALF_OPEN
        self.started_at = now
        self.older = in_flight

    def is_older(self, started_at: float) -> bool:
        """Return whether, while half-open, a try that began at `started_at` is from before the rest."""
        return self.state == HALF_OPEN and started_at < self.started_at

    def reopen(self, now: float, rest_max_s: float, ticket: int = _NO_TICKET) -> None:
        """Rest again: the deciding request failed.

        Args:
            now: monotonic seconds.
            rest_max_s: longest rest, seconds.
            ticket: sequence number of the request, if another node will try it. Until that one answers it,
                the failure may be the request's own and the rest is no longer than the last one.
        """
        if ticket == _NO_TICKET:
            self._rest_s = min(self._rest_s * 2, rest_max_s)
        else:
            self._test_tickets = (*self._test_tickets, ticket)[-_TESTS_MAX:]
        self._rest(now)

    def proven(self, ticket: int, rest_max_s: float) -> bool:
        """Take note that another node answered a request that failed here; True when the rest became longer.

        Args:
            ticket: sequence number of the request. It matters only if it has decided, perhaps some rests ago,
                where others take longer than a rest for their answers.
            rest_max_s: longest rest, seconds.
        """
        if ticket not in self._test_tickets:
            return False
        self._test_tickets = tuple([each for each in self._test_tickets if each != ticket])
        self._rest_s = min(self._rest_s * 2, rest_max_s)
        if self.state == HALF_OPEN:
            return False  # the rest is over: the next one will be longer
        self.until = self._rested_from + self._rest_s
        return True

    def close(self, now: float) -> None:
        """Let the node work, with an empty bucket."""
        self.state = CLOSED
        self._test_tickets = ()
        self._level = 0
        self._closed_at = now

    def _rest(self, now: float) -> None:
        self.state = OPEN
        self._rested_from = now
        self.until = now + self._rest_s
