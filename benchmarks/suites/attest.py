"""What a proof costs: verdicts on evidence, which are made on the event loop, once for each new connection.

The evidence is made as the tests make it, with an authority of its own, in the sizes of real evidence: for
SEV a document with three quotes and an event log of 24 KB, for SGX a quote with its chain of certificates.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

from benchmarks.child import ROOT
from benchmarks.cpu import on_cores, split_cores
from benchmarks.machine import this_machine
from benchmarks.results import Cell, Column, Result, Target
from priolb.attest.jsontext import ITEMS_MAX
from priolb.attest.sev.measurements import DEFAULTS, Measurements
from priolb.attest.sev.verify import verify_sev
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.verifier import SgxVerifier
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import Verdict

SEV_LIMIT_MS: Final = 5.0
SGX_LIMIT_MS: Final = 3.0
EVENT_LOG_BYTES: Final = 24 * 1024
# As much as is let through to be read as JSON, alone and beside what a good document has.
HOSTILE_ITEMS: Final = ITEMS_MAX - 1
HOSTILE_MEMBERS: Final = ITEMS_MAX - 200
# As much as fits into the largest certificate that OpenSSL takes, about 100 KB, and into the longest quote.
HOSTILE_CHAINS: Final = 12

COLUMNS: Final = (
    Column("evidence", "evidence"),
    Column("verdict", "verdict"),
    Column("bytes", "bytes of certificate"),
    Column("cpu_ms", "CPU ms", 2),
    Column("cpu_ms_p99", "p99", 2),
    Column("ms", "elapsed ms", 2),
    Column("ms_p99", "p99", 2),
)

Case = tuple[str, bytes, Callable[[], Verdict]]


class _Shelf:
    """Collateral at hand, and nobody to fetch more."""

    def __init__(self, held: Mapping[Platform, Collateral]) -> None:
        self.held = held

    def want(self, platform: Platform) -> None:
        """Leave it at that."""


def run(quick: bool) -> Result:
    """Measure each kind of verdict.

    Args:
        quick: fewer rounds.
    """
    rounds = 50 if quick else 2000
    with on_cores(split_cores().measured):
        rows = [_row(case, rounds) for case in [*_sev_cases(), *_sgx_cases()]]
    worst = {
        kind: max(float(str(row["cpu_ms"])) for row in rows if str(row["evidence"]).startswith(kind))
        for kind in ("SEV", "SGX")
    }
    return Result(
        name="attest",
        machine=this_machine(),
        method={"rounds": rounds, "event log bytes": EVENT_LOG_BYTES},
        columns=COLUMNS,
        rows=rows,
        targets=[
            Target("CPU ms of any verdict on SEV evidence, median", SEV_LIMIT_MS, worst["SEV"], 2),
            Target("CPU ms of any verdict on SGX evidence, median", SGX_LIMIT_MS, worst["SGX"], 2),
        ],
    )


def _row(case: Case, rounds: int) -> dict[str, Cell]:
    evidence, leaf, judge = case
    verdict = judge()  # warm-up
    cpu: list[float] = []
    elapsed: list[float] = []
    for _ in range(rounds):
        started_at_ns, cpu_at_ns = time.perf_counter_ns(), time.thread_time_ns()
        judge()
        cpu.append((time.thread_time_ns() - cpu_at_ns) / 1e6)
        elapsed.append((time.perf_counter_ns() - started_at_ns) / 1e6)
    return {
        "evidence": evidence,
        "verdict": verdict.reason or "attested",
        "bytes": len(leaf),
        "cpu_ms": median(cpu),
        "cpu_ms_p99": _p99(cpu),
        "ms": median(elapsed),
        "ms_p99": _p99(elapsed),
    }


def _p99(samples: list[float]) -> float:
    return sorted(samples)[len(samples) * 99 // 100]


def _sev_cases() -> list[Case]:
    _find_tests()
    from support.sev_evidence import NONCE, NOW, SevNode, b64  # noqa: PLC0415 - see _find_tests

    node = SevNode()
    document = node.document()
    document["Attestation"]["event_log"] = b64(bytes(EVENT_LOG_BYTES))
    leaf = node.certificate(json.dumps(document).encode())

    more = {f"{number:x}": 1 for number in range(HOSTILE_MEMBERS)}
    padded = node.certificate(json.dumps({**document, "more": more}).encode())
    long = node.certificate(json.dumps([1] * HOSTILE_ITEMS).encode())
    chains = node.certificate(node.document(chain=node.chain * HOSTILE_CHAINS))

    def judge(leaf: bytes, expected: Measurements, nonce: bytes = NONCE) -> Verdict:
        return verify_sev(leaf, expected, node.policy, NOW, nonce)

    good = node.measurements
    return [
        ("SEV", leaf, lambda: judge(leaf, good)),
        ("SEV, other measurements", leaf, lambda: judge(leaf, DEFAULTS)),
        ("SEV, replayed", leaf, lambda: judge(leaf, good, bytes(32))),
        ("SEV, useless members", padded, lambda: judge(padded, good)),
        ("SEV, useless JSON", long, lambda: judge(long, good)),
        ("SEV, useless certificates", chains, lambda: judge(chains, good)),
    ]


def _sgx_cases() -> list[Case]:
    _find_tests()
    from support.sgx_evidence import (  # noqa: PLC0415 - see _find_tests
        DICE,
        LEGACY,
        MRENCLAVE,
        NOW,
        PLATFORM,
        SgxNode,
        intel,
    )

    node, held = SgxNode(), {PLATFORM: intel().collateral()}
    legacy = node.certificate()
    both = node.certificate((LEGACY, False, node.quote()), (DICE, False, node.dice()))
    chain = node.authority.pck.pem + node.authority.ca.pem + node.authority.root.pem
    chains = node.certificate((LEGACY, False, node.quote(pck=chain * HOSTILE_CHAINS)))
    remembering = SgxVerifier(MRENCLAVE, intel().policy, _Shelf(held), lambda: NOW)

    def judge(leaf: bytes, mrenclave: bytes) -> Verdict:
        return verify_sgx(leaf, mrenclave, intel().policy, held, NOW)

    return [
        ("SGX, legacy form", legacy, lambda: judge(legacy, MRENCLAVE)),
        ("SGX, both forms", both, lambda: judge(both, MRENCLAVE)),
        ("SGX, another enclave", legacy, lambda: judge(legacy, bytes(32))),
        ("SGX, useless certificates", chains, lambda: judge(chains, MRENCLAVE)),
        ("SGX, remembered", legacy, lambda: remembering.verify(legacy, b"")),
    ]


def _find_tests() -> None:
    """Make importable what makes evidence: it belongs to the tests, and must never be part of the product."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
