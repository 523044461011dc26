"""Whether a failed try is tried again, and when.

As long as the client has seen no part of an answer, exactly these failures are retried:

    the connection was refused, or came to nothing       whatever the method
    the node closed it without an answer, was late,      if the method may be repeated
    broke its answer, answered with a status of 400
    and above, or with an error that means the node
"""

from __future__ import annotations

from typing import Final

from priolb.core.chance import Chance
from priolb.core.outcome import Outcome

_DOUBLINGS_MAX: Final = 16


class RetryPolicy:
    """Retries what failed at the node, as long as the client has seen nothing of an answer.

    Args:
        max_tries: tries in all, the first one included; values below 1 count as 1.
        backoff_s: unit of the back-off, seconds; 0 for none.
        backoff_max_s: longest back-off, seconds.
    """

    __slots__ = ("backoff_max_s", "backoff_s", "max_tries")

    def __init__(self, max_tries: int, backoff_s: float = 0.0, backoff_max_s: float = 0.25) -> None:
        self.max_tries: int = max(1, max_tries)
        self.backoff_s: float = backoff_s
        self.backoff_max_s: float = backoff_max_s

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

    def rest_s(self, repeats: int, chance: Chance) -> float:
        """Return how long a request rests before the same node is tried again, seconds.

        Exponential back-off with full jitter (Brooker, "Exponential backoff and jitter", 2015), in the form
        that Envoy gives it: `uniform(0, min(max, unit * (2 ** repeats - 1)))`. The first time there is no
        rest, as in the original.

        Args:
            repeats: how often a node that had been tried was tried again so far.
            chance: gives the jitter.
        """
        doublings: int = 2 ** min(max(repeats, 0), _DOUBLINGS_MAX)
        ceiling_s = min(self.backoff_max_s, self.backoff_s * (doublings - 1))
        return ceiling_s * chance.random()
