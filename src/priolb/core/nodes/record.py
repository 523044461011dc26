"""What is remembered of a node's tries, for the operator and for the judgement of its checks."""

from __future__ import annotations

from math import inf
from typing import Final

from priolb.core.nodes.status import NodeStatus

# Weight of a new value in the averages: the last 10 answers make two thirds of the latency, and the last 100
# tries two thirds of the ratio.
_LATENCY_GAIN: Final = 0.1
_RATIO_GAIN: Final = 0.01


class NodeRecord:
    """Failures of a node, the share of its tries that succeeded, and how long its answers took.

    Both are exponentially weighted averages. They are brought up to date when somebody looks, so that an
    answer costs them nothing: of n answers since then, with a mean of m,

        ratio   = 1 - (1 - ratio) * (1 - gain) ** n
        latency = m + (latency - m) * (1 - gain) ** n
    """

    __slots__ = (
        "_answered",
        "_answered_at_failure",
        "_busy_s",
        "_latency_s",
        "_ratio",
        "entered",
        "failures",
        "last_error",
        "last_error_at",
    )

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        """How many tries failed in which way, by `Outcome.failure`."""
        self.last_error: str = ""
        self.last_error_at: float = 0.0
        self.entered: dict[NodeStatus, int] = {}
        """How often it came to do what."""
        self._ratio: float = 1.0
        self._answered_at_failure: int = 0
        self._latency_s: float = 0.0
        self._answered: int = 0
        self._busy_s: float = 0.0

    @property
    def failed(self) -> int:
        """Tries that failed."""
        return sum(self.failures.values())

    def fail(self, failure: str, error: str, answered: int, now: float) -> None:
        """Add a try that failed.

        Args:
            failure: how, in one word of a few.
            error: why, in words for the operator.
            answered: good answers of the node so far.
            now: monotonic seconds.
        """
        self._ratio = self.success_ratio(answered) * (1.0 - _RATIO_GAIN)
        self._answered_at_failure = answered
        self.failures[failure] = self.failures.get(failure, 0) + 1
        self.note(error, now)

    def note(self, error: str, now: float) -> None:
        """Keep `error` as the last one; it was no try."""
        self.last_error = error
        self.last_error_at = now

    def success_ratio(self, answered: int) -> float:
        """Return the share of recent tries that succeeded, 0 to 1; 1 before the first.

        Args:
            answered: good answers of the node so far.
        """
        since = answered - self._answered_at_failure
        failures: float = (1.0 - self._ratio) * (1.0 - _RATIO_GAIN) ** since
        return 1.0 - failures

    def latency_s(self, answered: int, busy_s: float) -> float:
        """Return how long recent answers took, from the start of the try to the last byte, seconds.

        Args:
            answered: good answers of the node so far.
            busy_s: time that all of them took, seconds.

        0 before the first. The more often it is looked at, the closer it is to the average of single answers.
        """
        new = answered - self._answered
        if new:
            mean_s = (busy_s - self._busy_s) / new
            left: float = (1.0 - _LATENCY_GAIN) ** new if self._answered else 0.0
            self._latency_s = mean_s + (self._latency_s - mean_s) * left
            self._answered, self._busy_s = answered, busy_s
        return self._latency_s


class Hysteresis:
    """Counts checks that contradict what is believed of a node, until they are believed.

    The first check of all is believed at once.
    """

    __slots__ = ("_contradictions", "has_failed", "is_new")

    def __init__(self) -> None:
        self.is_new: bool = True
        self.has_failed: bool = False
        """Whether one has failed since the node was last believed to have come back."""
        self._contradictions: int = 0

    def is_convinced(self, believed: bool, passed: bool, needed: int) -> bool:
        """Take note of a check; return whether `believed` is to be given up.

        Args:
            believed: whether the node is believed to be healthy.
            passed: whether the check passed.
            needed: checks in a row that it takes.
        """
        is_new, self.is_new = self.is_new, False
        self.has_failed = self.has_failed or not passed
        if passed is believed:
            self._contradictions = 0
            return False
        self._contradictions += 1
        if self._contradictions < needed and not (is_new and not believed):
            return False
        self._contradictions = 0
        return True

    def decide(self, healthy: bool) -> None:
        """Forget what was counted: what is believed now has been decided."""
        self.is_new = False
        self.has_failed = not healthy
        self._contradictions = 0


class Unanswered:
    """Counts requests in a row that were given up unanswered though the node had had time enough.

    Those that a second try has answered are counted by themselves, too, whatever time they had. That row no
    check ends, and one that had begun before the last of them ended does not lengthen it: what holds up a
    node for a moment holds up all that it has in flight.

    A good answer ends both rows, which has not to be told: who asks says how many there were so far.
    """

    __slots__ = ("_answered", "_count", "_outrun", "_outrun_at", "outrun_from")

    def __init__(self) -> None:
        self.outrun_from: float = inf
        """When the first of the last row of those began that a second try has answered, monotonic seconds."""
        self._count: int = 0
        self._outrun: int = 0
        self._outrun_at: float = -inf
        self._answered: int = 0

    def add(self, answered: int) -> None:
        """Add one.

        Args:
            answered: good answers of the node so far.
        """
        self._note(answered)
        self._count += 1

    def add_outrun(self, answered: int, started_at: float, now: float) -> None:
        """Add one that a second try has answered.

        Args:
            answered: as in `add`.
            started_at: when its first try began, monotonic seconds.
            now: monotonic seconds.
        """
        self._note(answered)
        if started_at >= self._outrun_at:
            if not self._outrun:
                self.outrun_from = started_at
            self._outrun += 1
            self._outrun_at = now

    def in_a_row(self, answered: int) -> int:
        """Return how many there are since the last sign of life, with `answered` as in `add`."""
        return self._count if answered == self._answered else 0

    def outrun_in_a_row(self, answered: int) -> int:
        """Return how many of those in the other row there are since the last answer."""
        return self._outrun if answered == self._answered else 0

    def heard(self) -> None:
        """Take note of an answer that has begun, or is no good one: both rows are over."""
        self._count = self._outrun = 0

    def checked(self) -> None:
        """Take note of a check in time."""
        self._count = 0

    def judged(self) -> None:
        """Take note that it has been decided what the second row means: it begins anew."""
        self._outrun = 0

    def _note(self, answered: int) -> None:
        if answered != self._answered:
            self.heard()
            self._answered = answered
