"""The health checks of a node, one after the other for as long as it is in the list."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from priolb.core.chance import Chance
from priolb.core.nodes.node import NodeState
from priolb.errors import NodeError, UnaskedError, UnattestedError

# How soon a node that is not well is asked again, if checks come less often than that.
_RECHECK_S: Final = 1.0

# The same for one that has not proven what it runs: to find that out costs milliseconds each time.
_REPROVE_S: Final = 5.0

# Pauses vary by a fifth, so that many nodes, and many instances, do not fall into step.
_JITTER: Final = 0.2


class Checked(Protocol):
    """Who asks nodes and takes note of what they say; see `net.backend.traffic`."""

    async def probe(self, node: NodeState, timeout_s: float) -> None: ...
    def checked(self, node: NodeState, failure: str | None, is_late: bool) -> None: ...


class Rhythm:
    """How often nodes are asked, and how long they have for an answer.

    Args:
        interval_s: between two checks of a node that is well, seconds; 0 for no more checks then.
        timeout_s: longest wait for an answer, seconds.
        chance: spreads the checks.
    """

    __slots__ = ("_chance", "_interval_s", "timeout_s")

    def __init__(self, interval_s: float, timeout_s: float, chance: Chance) -> None:
        self._interval_s = interval_s
        self.timeout_s = timeout_s
        self._chance = chance

    def pause_s(self, is_well: bool) -> float | None:
        """Return how long to wait before the next check, seconds; None for until somebody asks for it."""
        if is_well and not self._interval_s:
            return None
        pause_s = self._interval_s if is_well else min(self._interval_s or _RECHECK_S, _RECHECK_S)
        return self._spread(pause_s)

    def unattested_pause_s(self) -> float:
        """Return how long to wait before a node is asked for its proof again, seconds."""
        return self._spread(min(self._interval_s or _REPROVE_S, _REPROVE_S))

    def _spread(self, pause_s: float) -> float:
        return pause_s * (1.0 - _JITTER + 2.0 * _JITTER * self._chance.random())


class Checks:
    """Checks one node, and reports each result.

    Args:
        node: the node, attached.
        traffic: asks it and takes note.
        rhythm: how often.
        on_failure: called with the cause after a check that did not pass, in words for the operator.
    """

    __slots__ = ("_is_wanted", "_node", "_on_failure", "_rhythm", "_traffic")

    def __init__(
        self, node: NodeState, traffic: Checked, rhythm: Rhythm, on_failure: Callable[[str], None]
    ) -> None:
        self._node = node
        self._traffic = traffic
        self._rhythm = rhythm
        self._on_failure = on_failure
        self._is_wanted = asyncio.Event()

    def hurry(self) -> None:
        """Check at once, for there is news of the node."""
        self._is_wanted.set()

    async def run(self, has_passed: bool) -> None:
        """Check for ever.

        Args:
            has_passed: the first check was made already, and well.
        """
        if has_passed:
            await self._pause(self._rhythm.pause_s(is_well=True))
        while True:
            await self._pause(await self._check())

    async def _check(self) -> float | None:
        """Check once, and return how long to wait before the next check, as `_pause` takes it."""
        failure: str | None = None
        is_late = False
        try:
            await self._traffic.probe(self._node, self._rhythm.timeout_s)
        except UnattestedError:
            return self._rhythm.unattested_pause_s()  # nobody asked it how it is
        except UnaskedError:
            return self._rhythm.pause_s(is_well=False)
        except NodeError as error:
            failure, is_late = str(error), error.is_late
        self._traffic.checked(self._node, failure, is_late)
        if failure is not None:
            self._on_failure(failure)
        self._is_wanted.clear()  # whoever wanted it, also because of it, has it now
        return self._rhythm.pause_s(is_well=failure is None and self._node.healthy)

    async def _pause(self, pause_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._is_wanted.wait()
        self._is_wanted.clear()
