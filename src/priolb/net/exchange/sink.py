"""Who gets the answer to a request that was sent to a node."""

from __future__ import annotations

from typing import Protocol

from priolb.core.outcome import Phase
from priolb.errors import Reason
from priolb.http.messages import ResponseHead


class AnswerSink(Protocol):
    """Who sent a request to a node and gets the answer: an exchange, or a health probe.

    After `on_answer`, `on_end` or `on_failure` the connection belongs to the sink no more. Whoever derives
    from it is called directly where both are compiled; else by name, which takes longer.
    """

    __slots__ = ()

    method: bytes
    answer_by: float
    """When nobody waits for the answer any more, monotonic seconds; infinity when that is not known."""

    @property
    def upgrade(self) -> bytes:
        """Protocols to which the node may switch, empty for none."""
        return b""

    def on_interim(self, head: ResponseHead) -> None:
        """Take an interim answer (1xx); another one follows."""

    def on_upgrade(self, head: ResponseHead, now: float) -> None:
        """Take note that the node switches to a protocol of `upgrade`; `on_body` has what follows."""

    def on_answer(self, head: ResponseHead, body: bytes, now: float) -> None:
        """Take an answer that came whole."""

    def on_head(self, head: ResponseHead, body_bytes: int, now: float) -> None:
        """Take the head of an answer whose body follows; `body_bytes` as in `framing`."""

    def on_body(self, data: bytes) -> None:
        """Take a part of the body, never empty."""

    def on_end(self, trailers: bytes, now: float) -> None:
        """Take note that the body is complete; `trailers` are fields that follow it, rendered."""

    def on_failure(self, reason: Reason, phase: Phase, detail: str, now: float) -> None:
        """Take note that no more will come."""

    def on_stale(self) -> None:
        """Send again: the node had closed this reused connection before it saw the request."""
