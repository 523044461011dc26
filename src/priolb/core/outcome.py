"""How a try ended, as data: retry, health and metrics are functions of it."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from priolb.errors import Reason


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

    `failed` says whether the node is to blame: no answer, a broken one, or a status of 400 and above. It is
    never changed.
    """

    __slots__ = ("answering", "failed", "phase", "reason", "sent", "source", "status")

    def __init__(
        self,
        source: Source,
        phase: Phase,
        reason: Reason | None,
        status: int,
        sent: bool,
        answering: bool,
    ) -> None:
        self.source = source
        self.phase = phase
        self.reason = reason
        self.status = status
        self.sent = sent
        self.answering = answering
        self.failed: bool = source is Source.NODE and (reason is not None or status >= 400)


@lru_cache(maxsize=2048)
def answered(status: int, answering: bool) -> Outcome:
    """Return the outcome of a try whose answer came whole; the same object for all such tries.

    Args:
        status: status of the answer.
        answering: whether a part of it has gone to the client already.
    """
    return Outcome(Source.NODE, Phase.DONE, None, status, sent=True, answering=answering)
