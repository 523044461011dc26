"""What `GET /metrics` answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from priolb.core.limits.limiter import LimitRule
from priolb.core.queueing.queue import PriorityQueue
from priolb.telemetry.metric import Facts, Node
from priolb.telemetry.pulse import Pulse
from priolb.telemetry.requests import RequestLog

_WRITER: Final = "priolb.telemetry.exposition"


class Metrics:
    """Reads the metrics when somebody asks.

    Args:
        nodes: returns the nodes of now, each with who asks for its proof, or None.
        queue: where requests wait.
        requests: counts of those that did not get through.
        pulse: stalls of the event loop.
        limits: the limits of callers.
    """

    __slots__ = ("_limits", "_nodes", "_pulse", "_queue", "_requests", "_writing")

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        queue: PriorityQueue,
        requests: RequestLog,
        pulse: Pulse,
        limits: Sequence[LimitRule] = (),
    ) -> None:
        self._limits = limits
        self._nodes = nodes
        self._queue = queue
        self._requests = requests
        self._pulse = pulse
        self._writing = asyncio.Lock()

    async def page(self) -> bytes:
        """Return the metrics in the text format of Prometheus, version 0.0.4.

        All values are of one moment, but where nodes are so many that requests have their turn in between.
        However many ask, one page is written at a time. The import before the first one is done in a thread.
        """
        await asyncio.to_thread(import_module, _WRITER)
        from priolb.telemetry.exposition import parts_of, process_text  # noqa: PLC0415 - imported above

        async with self._writing:
            facts = Facts(self._nodes(), self._queue, self._requests, self._pulse, self._limits)
            parts = []
            for part in parts_of(facts):
                parts.append(part)
                await asyncio.sleep(0)
            parts.append(await asyncio.to_thread(process_text))
            return b"".join(parts)
