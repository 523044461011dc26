"""The budget of extra tries."""

from math import exp

import pytest

from priolb.core.retries.budget import RetryBudget

START = 100.0


def spendable(budget: RetryBudget, requests: int, now: float) -> int:
    """Return how many extra tries there are, and spend them."""
    spent = 0
    while budget.has_one(requests, now):
        budget.spend()
        spent += 1
        assert spent < 10_000
    return spent


def test_without_requests_there_is_the_floor_for_ten_seconds() -> None:
    assert spendable(RetryBudget(20, 10, START), 0, 100.0) == 100
    assert spendable(RetryBudget(20, 0, START), 0, 100.0) == 0


@pytest.mark.parametrize(("percent", "extra"), [(20, 200), (5, 50), (0, 0), (100, 1000)])
def test_it_is_a_share_of_the_requests(percent: float, extra: int) -> None:
    budget = RetryBudget(percent, 0, START)
    assert budget.has_one(0, 100.0) is False
    assert spendable(budget, 1000, 100.0) == extra


def test_what_was_spent_is_spent_until_new_requests_come() -> None:
    budget = RetryBudget(20, 0, START)
    assert spendable(budget, 100, 100.0) == 20
    assert spendable(budget, 100, 100.0) == 0
    assert spendable(budget, 110, 100.0) == 2


def test_requests_and_extra_tries_fade_alike() -> None:
    budget = RetryBudget(50, 0, START)
    budget.has_one(0, 100.0)
    assert spendable(budget, 100, 100.0) == 50
    assert spendable(budget, 100, 200.0) == 0
    assert spendable(budget, 200, 200.0) == 50


def test_a_hundred_requests_of_ten_seconds_ago_are_thirty_seven() -> None:
    budget = RetryBudget(100, 0, START)
    assert budget.has_one(100, 100.0) is True
    assert spendable(budget, 100, 110.0) == int(100 * exp(-1)) == 36


def test_requests_since_the_last_question_are_taken_to_have_come_evenly() -> None:
    """100 a second for 100 s; what is remembered of it is ten seconds' worth."""
    assert spendable(RetryBudget(10, 0, START), 10_000, 200.0) == 99


def test_asking_changes_nothing_and_time_does_not_run_backwards() -> None:
    budget = RetryBudget(100, 0, START)
    assert [budget.has_one(1, 100.0) for _ in range(5)] == [True] * 5
    budget.spend()
    assert budget.has_one(1, 99.0) is False
    assert budget.has_one(2, 99.0) is True
