"""How a try ended, as data: retry, health and metrics are functions of it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from priolb.errors import Reason

_NODE_ERROR: Final = "node_error"
_CLIENT_STATUS: Final = "status_4xx"
_SERVER_STATUS: Final = "status_5xx"

_OURS: Final = (Reason.NODE_DRAINED, Reason.NO_SOCKET)

FAILURES: Final = (
    Reason.NODE_UNREACHABLE.value,
    Reason.NODE_TIMEOUT.value,
    Reason.NODE_BAD_ANSWER.value,
    Reason.NODE_UNATTESTED.value,
    _NODE_ERROR,
    _CLIENT_STATUS,
    _SERVER_STATUS,
)
"""All values of `Outcome.failure`."""


class Source(Enum):
    """Who ended the try."""

    NODE = "node"
    CLIENT = "client"
    US = "us"


class Phase(Enum):
    """How far the try had come."""

    CONNECT = "connect"
    SEND = "send"
    HEAD = "head"
    BODY = "body"
    DONE = "done"


class Outcome:
    """How one try ended.

    Args:
        source: who ended it.
        phase: how far it had come; DONE when the whole answer arrived.
        reason: what went wrong, None when the node answered.
        status: status of the node's answer, 0 when there was none.
        sent: whether any byte of the request may have reached the node.
        answering: whether any byte of the answer has gone to the client.
        node_error: whether the answer says, whatever its status, that this node cannot serve.
        retry_after_s: seconds for which the node asked not to be asked again, 0 when it did not.

    What follows from it, computed once, as outcomes are never changed:

    - `good`: a whole answer with a status below 400.
    - `failed`: no answer, a broken one, a status of 400 and above, or a `node_error`. A retry may help.
    - `at_fault`: failed in a way that speaks against the node and not against the request: all of the above
      but the statuses 400 to 499, `is_unproven` and `is_ours`.
    - `is_absence`: nobody was there. The connection was refused or the host is unreachable, so that no
      request was tried at all.
    - `is_unproven`: the node has not proven what it runs, and was sent nothing, or nothing more. Whether it
      is healthy nobody knows.
    - `is_ours`: we have ended it because the node is to leave, or could not begin it for want of a socket.
    """

    __slots__ = (
        "answering",
        "at_fault",
        "failed",
        "good",
        "is_absence",
        "is_ours",
        "is_unproven",
        "node_error",
        "phase",
        "reason",
        "retry_after_s",
        "sent",
        "source",
        "status",
    )

    def __init__(
        self,
        source: Source,
        phase: Phase,
        reason: Reason | None,
        status: int,
        sent: bool,
        answering: bool,
        node_error: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        self.source = source
        self.phase = phase
        self.reason = reason
        self.status = status
        self.sent = sent
        self.answering = answering
        self.node_error = node_error
        self.retry_after_s = retry_after_s
        is_broken = reason is not None or node_error
        self.failed: bool = source is Source.NODE and (is_broken or status >= 400)
        self.is_unproven: bool = source is Source.NODE and reason is Reason.NODE_UNATTESTED
        self.is_ours: bool = source is Source.NODE and reason in _OURS
        is_its_fault = not (self.is_unproven or self.is_ours)
        self.at_fault: bool = source is Source.NODE and (is_broken or status >= 500) and is_its_fault
        self.good: bool = source is Source.NODE and phase is Phase.DONE and not is_broken and status < 400
        self.is_absence: bool = (
            source is Source.NODE and phase is Phase.CONNECT and reason is Reason.NODE_UNREACHABLE
        )

    def not_before(self, now: float) -> float:
        """Return when its node wants the request again, monotonic seconds; 0 when it did not say."""
        return now + self.retry_after_s if self.retry_after_s else 0.0

    @property
    def failure(self) -> str:
        """How a failed try failed, in one word of a few: the metric label."""
        if self.reason is not None:
            return self.reason.value
        if self.node_error:
            return _NODE_ERROR
        return _CLIENT_STATUS if self.status < 500 else _SERVER_STATUS  # RFC 9110, 15: 600 and above are 5xx

    def __str__(self) -> str:
        """In words for the operator: what speaks against the node."""
        if self.reason is not None:
            return f"{self.reason.value} ({self.phase.value})"
        return "an error of the node's own" if self.node_error else f"status {self.status}"


def answered(status: int, answering: bool, node_error: bool = False, retry_after_s: float = 0.0) -> Outcome:
    """Return the outcome of a try whose answer came whole.

    Args:
        status: status of the answer.
        answering: whether a part of it has gone to the client already.
        node_error: as in `Outcome`.
        retry_after_s: as in `Outcome`.
    """
    if node_error or retry_after_s:
        return Outcome(Source.NODE, Phase.DONE, None, status, True, answering, node_error, retry_after_s)
    key = -status if answering else status
    outcome = _by_status.get(key)
    if outcome is None:
        outcome = _by_status[key] = Outcome(Source.NODE, Phase.DONE, None, status, True, answering)
    return outcome


# Those of nearly all tries, shared: by the status, which has three digits; negative once a part has gone on.
_by_status: Final[dict[int, Outcome]] = {}

GIVEN_UP: Final = Outcome(Source.US, Phase.HEAD, None, 0, sent=True, answering=False)
"""How a try ended that was cut short for a better one, or a better request: it says nothing of its node."""

OUTRUN: Final = Outcome(Source.US, Phase.HEAD, None, 0, sent=True, answering=False)
"""How a first try ended that was cut short as the second one was answered, while it had not been at all."""
