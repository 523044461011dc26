"""What a request costs in memory as there is more of everything around it, as a program.

    PYTHONPATH=tests python -m benchmarks.growth

Prints CPU time per request in microseconds, by what there is of it, as one line of JSON.
"""

from __future__ import annotations

import gc
import json
import time
from typing import Final

from support.lean_path import LeanPath

NODES: Final = (1, 10, 100, 1_000)
WAITING: Final = (1, 10, 100, 1_000, 10_000, 100_000)
WARM_UP_REQUESTS: Final = 3_000
WARM_UP_ROUNDS: Final = 4
STRETCHES: Final = 10
STRETCH_REQUESTS: Final = 3_000


def cpu_us(nodes: int, waiting: int) -> float:
    """Return the CPU time of a request in microseconds, with so many nodes and others in line."""
    with LeanPath(True, time.monotonic, nodes, waiting) as path:
        exchange = path.exchange
        # The first request of a connection costs more, whatever waits: let nearly all have had theirs.
        for _ in range(WARM_UP_REQUESTS + WARM_UP_ROUNDS * waiting):
            exchange()
        # As the program does once it has started.
        gc.collect()
        gc.freeze()
        stretches_s = []
        for _ in range(STRETCHES):
            started_at_s = time.process_time()
            for _ in range(STRETCH_REQUESTS):
                exchange()
            stretches_s.append(time.process_time() - started_at_s)
    gc.unfreeze()
    return min(stretches_s) / STRETCH_REQUESTS * 1e6


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "nodes": [cpu_us(nodes, 0) for nodes in NODES],
                "requests in line": [cpu_us(1, waiting) for waiting in WAITING],
            }
        )
    )
