"""What the program itself costs per request, as a program: one client and one node in memory, no socket.

    PYTHONPATH=tests python -m benchmarks.in_memory

Prints CPU time per request in microseconds, the lowest of several stretches, as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import time
from typing import Final

from support.lean_path import LeanPath

KINDS: Final = {"same heads": True, "own heads": False}
WARM_UP_REQUESTS: Final = 2_000
STRETCHES: Final = 10
STRETCH_REQUESTS: Final = 2_000


def cpu_us(repeats: bool) -> float:
    """Return the CPU time of a request in microseconds.

    Args:
        repeats: the heads are the same each time.
    """
    with LeanPath(repeats, time.monotonic) as path:
        exchange = path.exchange
        for _ in range(WARM_UP_REQUESTS):
            exchange()
        gc.collect()
        stretches_s = []
        for _ in range(STRETCHES):
            started_at_s = time.process_time()
            for _ in range(STRETCH_REQUESTS):
                exchange()
            stretches_s.append(time.process_time() - started_at_s)
    return min(stretches_s) / STRETCH_REQUESTS * 1e6


if __name__ == "__main__":
    print(json.dumps({kind: cpu_us(repeats) for kind, repeats in KINDS.items()}))
