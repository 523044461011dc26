"""The log of limits: who is over which, told in time and not line by line."""

from collections.abc import Sequence
from typing import Final

from priolb.core.limits.limiter import LimitRule
from priolb.telemetry.logs import Logger

INTERVAL_S: Final = 1.0
"""How often it is to be written, seconds: somebody who storms the door must not fill the disk."""


class LimitLog:
    """Logs how many requests each limit has refused, or would have.

    Args:
        rules: the limits.
        logger: where the lines go.
    """

    __slots__ = ("_logger", "_rules", "_told")

    def __init__(self, rules: Sequence[LimitRule], logger: Logger) -> None:
        self._rules = rules
        self._logger = logger
        self._told = [0] * len(rules)

    def write(self) -> None:
        """Log, in one line for each limit, what has come since the last call."""
        for number, rule in enumerate(self._rules):
            refused = rule.limit.refused
            if refused != self._told[number]:
                self._logger.warning(
                    "Requests over a limit",
                    limit=rule.limit.name,
                    refused=refused - self._told[number],
                    last=rule.last_refused.decode(),
                    dryRun=rule.is_dry,
                )
                self._told[number] = refused
