"""What one client that sends a hundred times as much does to forty-nine others of the same lane.

A node of 40 slots and 20 to 60 ms carries 1,000 requests per second. 49 tenants send 10 each, at random
(Poisson) moments; then a fiftieth sends 1,000 beside them. Service times vary, or slots that once became free
together would do so for ever. All rounds have the same arrivals for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.load import check_none_ignored, run_streams
from benchmarks.machine import program, this_machine
from benchmarks.open_loop import Stream
from benchmarks.peers import HAPROXY
from benchmarks.pools import PRIOLB, Node, Pool, start_pool_peer
from benchmarks.results import Cell, Column, Result, Target
from benchmarks.suites.priority import percentile
from benchmarks.workbench import Workbench, raise_open_files_limit

SLOTS: Final = 40
SERVICE_S: Final = 0.04
SPREAD: Final = 0.5
OTHERS: Final = 49
OTHER_PER_S: Final = 10.0
GREEDY: Final = "greedy"
GREEDY_PER_S: Final = 100 * OTHER_PER_S

FAIR: Final = "priolb, fair lane"
POLICY: Final = """
discipline = "strict"
[[lane]]
name = "all"
order = "fair"
"""

ALONE: Final = "49 tenants"
BESIDE_GREEDY: Final = "and one sends 100 times as much"

COLUMNS: Final = (
    Column("load", "load"),
    Column("peer", "balancer"),
    Column("p50_ms", "p50 ms of the 49", 1),
    Column("p99_ms", "p99 ms of the 49", 1),
    Column("worst_p99_ms", "highest p99 of one", 1),
    Column("answered_percent", "answered of the 49 %", 2),
    Column("least_percent", "least of one %", 2),
    Column("greedy_per_s", "answers/s of the greedy one"),
)


@dataclass(frozen=True)
class Round:
    """One balancer once: sorted latencies of each of the 49, what each sent, answers of the greedy one."""

    latencies_ms: Sequence[Sequence[float]]
    sent: Sequence[int]
    greedy_per_s: float

    def percentile_ms(self, percent: float) -> float:
        """Return the percentile over all of the others."""
        return percentile(sorted(ms for own in self.latencies_ms for ms in own), percent)

    @property
    def answered_percents(self) -> list[float]:
        """How much of what each of the others sent was answered."""
        return [100.0 * len(own) / sent for own, sent in zip(self.latencies_ms, self.sent, strict=True)]


def run(quick: bool) -> Result:
    """Measure priolb with a lane in order of arrival and with a fair one, and HAProxy where it is installed.

    Args:
        quick: one short round.

    Raises:
        BenchmarkError: a balancer or the load generator failed.
    """
    count, duration_s = (1, 4.0) if quick else (3, 10.0)
    raise_open_files_limit(19_000)
    peers = [PRIOLB, FAIR, *([HAPROXY] if program("haproxy") else [])]
    rounds: dict[tuple[str, str], list[Round]] = {}
    for seed in range(1, count + 1):
        for load, greedy_per_s in ((ALONE, 0.0), (BESIDE_GREEDY, GREEDY_PER_S)):
            for peer in peers:
                rounds.setdefault((load, peer), []).append(_round(peer, greedy_per_s, duration_s, seed))
    beside = rounds[BESIDE_GREEDY, FAIR]
    return Result(
        name="fairness",
        machine=this_machine(),
        method={
            "slots": SLOTS,
            "service ms, half more or less": 1e3 * SERVICE_S,
            "requests/s of each of 49": OTHER_PER_S,
            "of the greedy one": GREEDY_PER_S,
            "rounds": count,
            "seconds per round": duration_s,
        },
        columns=COLUMNS,
        rows=[_row(load, peer, done) for (load, peer), done in rounds.items()],
        targets=[
            Target(
                "not answered of what one of the 49 sent, fair lane, %",
                5.0,
                100.0 - min(min(each.answered_percents) for each in beside),
                2,
            ),
            Target(
                "p99 of the 49 beside the greedy one, fair lane, in times of that without it",
                1.5,
                _middle_ms(beside, 99) / _middle_ms(rounds[ALONE, FAIR], 99),
                2,
            ),
        ],
    )


def _round(peer_name: str, greedy_per_s: float, duration_s: float, seed: int) -> Round:
    streams = [_tenant(f"tenant-{number}", OTHER_PER_S) for number in range(1, OTHERS + 1)]
    with Workbench() as workbench:
        node = Node(SLOTS, SERVICE_S, spread=SPREAD)
        node.start(workbench)
        is_fair = peer_name == FAIR
        settings = {"TENANT_HEADER": "X-Tenant", "TRUSTED_PROXIES": "127.0.0.1/32"} if is_fair else {}
        peer = start_pool_peer(
            workbench,
            Pool([node]),
            PRIOLB if is_fair else peer_name,
            has_own_slots=False,
            policy=POLICY if is_fair else "",
            **settings,
        )
        counts = run_streams(
            workbench, peer.port, [*streams, _tenant(GREEDY, greedy_per_s)], duration_s, seed
        )
        peer.child.check_running()
    check_none_ignored(peer_name, counts)
    greedy = counts.pop(GREEDY)
    return Round(
        [sorted(each.latencies_ms) for each in counts.values()],
        [each.outcomes.total() for each in counts.values()],
        len(greedy.latencies_ms) / (duration_s - 1.0),
    )


def _tenant(name: str, per_s: float) -> Stream:
    return Stream(name, per_s, f"X-Tenant: {name}")


def _middle_ms(rounds: Sequence[Round], percent: float) -> float:
    return median(each.percentile_ms(percent) for each in rounds)


def _row(load: str, peer: str, rounds: Sequence[Round]) -> dict[str, Cell]:
    answered = [percent for each in rounds for percent in each.answered_percents]
    return {
        "load": load,
        "peer": peer,
        "p50_ms": _middle_ms(rounds, 50),
        "p99_ms": _middle_ms(rounds, 99),
        "worst_p99_ms": max(percentile(own, 99) for each in rounds for own in each.latencies_ms),
        "answered_percent": sum(answered) / len(answered),
        "least_percent": min(answered),
        "greedy_per_s": median(each.greedy_per_s for each in rounds),
    }
