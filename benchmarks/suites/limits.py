"""What it costs to hold a request against a limit, with few callers and with more than it is planned for.

In memory: requests of callers in turn, each of which has had one before. Refused are those of callers who
have nothing left. Memory is that of the table of arrival times.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from statistics import median
from typing import Final

from benchmarks.cpu import on_cores, split_cores
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result, Target
from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import BY_NETWORK, Excess, Limiter, LimitRule
from priolb.core.limits.rate_limits import RateLimit

CALLERS: Final = (100, 10_000, 1_000_000, 3_000_000)
REQUESTS: Final = 20_000
# A million callers come, then two million more: nobody's time has passed by the end.
PER_S: Final = 86_400

_CALL: Final = Calls((b"POST",))

COLUMNS: Final = (
    Column("callers", "callers"),
    Column("ns_passed", "ns, passed"),
    Column("ns_refused", "ns, refused"),
    Column("bytes_per_caller", "bytes per caller", 1),
    Column("table_mb", "table MB", 1),
)


class _Sender:
    """A caller of which no more is known than its address."""

    key: bytes = b""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix

    def network_of(self, ipv4_bits: int, ipv6_bits: int) -> bytes:
        return self.prefix


def run(quick: bool) -> Result:
    """Measure a limit by address.

    Args:
        quick: fewer rounds.
    """
    rounds = 3 if quick else 15
    with on_cores(split_cores().measured):
        rows = [_row(callers, rounds) for callers in CALLERS]
    million = rows[CALLERS.index(1_000_000)]
    return Result(
        name="limits",
        machine=this_machine(),
        method={"rounds": rounds, "requests per round": REQUESTS},
        columns=COLUMNS,
        rows=rows,
        targets=[
            Target("bytes per caller, of a million", 40, _number(million["bytes_per_caller"]), 1),
            Target("MB of the table, however many come", 64, _number(rows[-1]["table_mb"]), 1),
        ],
    )


def _row(callers: int, rounds: int) -> dict[str, Cell]:
    limit = RateLimit("api", 1, PER_S, 20 * rounds)
    rule = LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, False, b"")
    limiter = Limiter([rule], ["lane"])
    for number in range(callers):
        limit.take(b"%d" % number, 1, PER_S * 10**9)
    chance = random.Random(1)
    senders = [_Sender(b"%d" % chance.randrange(callers)) for _ in range(min(callers, REQUESTS))]
    passed = median([_ns_per_request(limiter, senders) for _ in range(rounds)])
    for sender in senders:
        while not isinstance(limiter.admit(sender, 0, _CALL, PER_S), Excess):
            pass
    refused = median([_ns_per_request(limiter, senders) for _ in range(rounds)])
    rows = limit._times._rows  # noqa: SLF001 - only here somebody asks how large it is
    table_bytes = sys.getsizeof(rows) + sum(sys.getsizeof(row) for row in rows if row is not None)
    return {
        "callers": callers,
        "ns_passed": passed,
        "ns_refused": refused,
        "bytes_per_caller": table_bytes / callers,
        "table_mb": table_bytes / 1e6,
    }


def _ns_per_request(limiter: Limiter, senders: list[_Sender]) -> float:
    now = float(PER_S)
    gc.disable()
    try:
        started_ns = time.perf_counter_ns()
        for number in range(REQUESTS):
            limiter.admit(senders[number % len(senders)], 0, _CALL, now)
        return (time.perf_counter_ns() - started_ns) / REQUESTS
    finally:
        gc.enable()


def _number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return cell
