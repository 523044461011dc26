"""What it costs to hold a request against a limit, with few callers and with more than it is planned for.

In memory: requests of callers in turn, each of which has had one before. Refused are those of callers who
have nothing left. Memory is that of the table of arrival times.
"""

from __future__ import annotations

import gc
import random
import time
from statistics import median
from typing import Final

from benchmarks.child import BenchmarkError
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

    Raises:
        BenchmarkError: requests that should have passed were refused, or the other way round.
    """
    rounds = 3 if quick else 15
    with on_cores(split_cores().measured):
        crowds = [_Crowd(callers, rounds) for callers in CALLERS]
        passed = _ns_per_request(crowds, rounds, refused_each=0)
        for crowd in crowds:
            crowd.exhaust()
        refused = _ns_per_request(crowds, rounds, refused_each=REQUESTS)
    rows = [crowd.row(*ns) for crowd, *ns in zip(crowds, passed, refused, strict=True)]
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


class _Crowd:
    """Callers that have each had a request before, and some of them, at random, who ask again."""

    def __init__(self, callers: int, rounds: int) -> None:
        self._callers = callers
        senders = min(callers, REQUESTS)
        # Far more than is asked for: where there are more callers than planned, who comes anew goes on from
        # what another one has used up.
        self._limit = RateLimit("api", 1, PER_S, 20 * rounds * REQUESTS // senders)
        rule = LimitRule(self._limit, BY_NETWORK, frozenset(), 32, 64, None, False, b"")
        self._limiter = Limiter([rule], ["lane"])
        for number in range(callers):
            self._limit.take(b"%d" % number, 1, PER_S * 10**9)
        chance = random.Random(1)
        self._senders = [_Sender(b"%d" % number) for number in chance.sample(range(callers), senders)]

    def exhaust(self) -> None:
        """Ask until those who ask again have nothing left."""
        for sender in self._senders:
            while not isinstance(self._limiter.admit(sender, 0, _CALL, PER_S), Excess):
                pass

    def ns_per_request(self, refused_each: int) -> float:
        """Return what a request takes, the count of the refused included.

        Args:
            refused_each: how many have to be refused.

        Raises:
            BenchmarkError: it were more, or fewer.
        """
        now = float(PER_S)
        refused = 0
        gc.disable()
        try:
            started_ns = time.perf_counter_ns()
            for number in range(REQUESTS):
                sender = self._senders[number % len(self._senders)]
                if isinstance(self._limiter.admit(sender, 0, _CALL, now), Excess):
                    refused += 1
            took_ns = time.perf_counter_ns() - started_ns
        finally:
            gc.enable()
        if refused != refused_each:
            raise BenchmarkError(f"of {REQUESTS} requests {refused} were refused and not {refused_each}")
        return took_ns / REQUESTS

    def row(self, ns_passed: float, ns_refused: float) -> dict[str, Cell]:
        table_bytes = self._limit._times.used_bytes  # noqa: SLF001 - only here somebody asks how large it is
        return {
            "callers": self._callers,
            "ns_passed": ns_passed,
            "ns_refused": ns_refused,
            "bytes_per_caller": table_bytes / self._callers,
            "table_mb": table_bytes / 1e6,
        }


def _ns_per_request(crowds: list[_Crowd], rounds: int, refused_each: int) -> list[float]:
    """Return the median of what a request of each crowd takes; they take turns, for the machine is uneven."""
    samples = [[crowd.ns_per_request(refused_each) for crowd in crowds] for _ in range(rounds)]
    return [median(of_crowd) for of_crowd in zip(*samples, strict=True)]


def _number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return cell
