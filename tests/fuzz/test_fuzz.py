"""Every seed, and thousands of damaged ones, the same in every run; `make fuzz` goes on for minutes."""

from random import Random

import pytest

from fuzz.mutation import mutated
from fuzz.targets import TARGETS, Check

# One or two seconds for each target.
ROUNDS = {
    "request_heads": 10_000,
    "answer_heads": 10_000,
    "chunked_bodies": 15_000,
    "connections": 4_000,
    "answers": 3_000,
    "certificates": 2_000,
    "documents": 500,
    "sgx_evidence": 200,
    "collateral": 600,
    "evidence_parts": 10_000,
    "node_uris": 15_000,
}


def try_out(check: Check, data: bytes) -> None:
    try:
        check(data)
    except Exception as error:
        error.add_note(f"It fails on {data!r}")
        raise


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    check, seeds = TARGETS[name]
    for seed in seeds:
        try_out(check, seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_seeds(name: str) -> None:
    check, seeds = TARGETS[name]
    chance = Random(1)
    for _ in range(ROUNDS[name]):
        try_out(check, mutated(chance.choice(seeds), chance, seeds))
