"""When a request gets a second try."""

from math import inf

import pytest

from priolb.core.retries.hedge import Hedging, LaneLatencies


def test_a_lane_that_does_not_hedge_never_does() -> None:
    hedging = Hedging(frozenset({0}), 5.0, 1.0)
    for _ in range(1000):
        hedging.answered(1, 0.02)
    assert (hedging.delay_s(1), hedging.delay_s(0)) == (inf, inf)


def test_the_delay_is_the_95th_percentile_once_there_are_64_answers() -> None:
    hedging = Hedging(frozenset({0, 1}), 5.0, 1.0)
    for number in range(63):
        hedging.answered(1, float(number))
    assert hedging.delay_s(1) == inf
    hedging.answered(1, 63.0)
    assert hedging.delay_s(1) == 60.0
    assert hedging.delay_s(0) == inf, "each lane has its own"


@pytest.mark.parametrize("answers", [512, 1024, 2048])
def test_only_the_last_512_answers_count(answers: int) -> None:
    latencies = LaneLatencies()
    for number in range(answers):
        latencies.add(float(number))
    assert latencies.p95_s == answers - 512 + 486


def test_the_percentile_follows_every_64_answers() -> None:
    latencies, changes = LaneLatencies(), []
    for number in range(200):
        before = latencies.p95_s
        latencies.add(float(number))
        if latencies.p95_s != before:
            changes.append(number + 1)
    assert changes == [64, 128, 192]


def test_second_tries_are_five_in_a_hundred() -> None:
    budget = Hedging(frozenset({0}), 5.0, 1.0).budget
    spent = 0
    while budget.has_one(1000, 1.0):
        budget.spend()
        spent += 1
    assert spent == 50
