"""Whether a failed try is tried again."""

from __future__ import annotations

from priolb.core.outcome import Outcome


class RetryPolicy:
    """Retries what failed at the node, as long as the client has seen nothing of an answer.

    Args:
        max_tries: tries in all, the first one included; values below 1 count as 1.
    """

    __slots__ = ("max_tries",)

    def __init__(self, max_tries: int) -> None:
        self.max_tries: int = max(1, max_tries)

    def allows(self, tries: int, repeatable: bool, outcome: Outcome) -> bool:
        """Return whether a request may be tried again.

        Args:
            tries: tries so far.
            repeatable: whether sending the request twice is safe by its method.
            outcome: how the last try ended.
        """
        return (
            outcome.failed
            and not outcome.answering
            and tries < self.max_tries
            and (repeatable or not outcome.sent)
        )
