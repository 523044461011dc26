"""The breaker of one node: when it opens, how long it stays open, and what closes it."""

import pytest

from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN, Breaker

REST_S, REST_MAX_S = 2.0, 10.0
NO_SECOND_OPINION = 0


def opened(now: float = 100.0) -> Breaker:
    breaker = Breaker()
    breaker.open(now, REST_S, REST_MAX_S)
    return breaker


def test_a_new_breaker_is_closed_and_empty() -> None:
    breaker = Breaker()
    assert (breaker.state, breaker.level(0)) == (CLOSED, 0)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_so_many_faults_in_a_row_fill_it(limit: int) -> None:
    breaker = Breaker()
    assert [breaker.fault(7, limit) for _ in range(limit + 2)] == [False] * (limit - 1) + [True] * 3
    assert breaker.level(7) == 4 * limit, "it never holds more"


def test_answers_empty_it_one_by_one() -> None:
    breaker = Breaker()
    assert [breaker.fault(10, 5) for _ in range(3)] == [False] * 3
    assert [breaker.level(answered) for answered in (10, 11, 15, 22, 23, 1000)] == [12, 11, 7, 0, 0, 0]
    assert breaker.fault(15, 5) is False
    assert breaker.level(15) == 11


@pytest.mark.parametrize(("answers_per_fault", "is_filled"), [(5, False), (4, False), (3, True), (1, True)])
def test_in_the_long_run_more_than_one_fault_for_four_answers_fills_it(
    answers_per_fault: int, is_filled: bool
) -> None:
    breaker = Breaker()
    assert any(breaker.fault(answers_per_fault * number, 5) for number in range(100)) is is_filled


def test_it_rests_for_its_time_and_then_one_request_decides() -> None:
    breaker = opened(100.0)
    assert (breaker.state, breaker.until) == (OPEN, 102.0)
    breaker.half_open(102.5, in_flight=3)
    assert (breaker.state, breaker.started_at, breaker.older) == (HALF_OPEN, 102.5, 3)
    assert breaker.fault(0, 5) is False
    breaker.close(103.0)
    assert (breaker.state, breaker.level(0)) == (CLOSED, 0)


def test_the_rest_doubles_each_time_the_deciding_request_fails_and_nobody_else_will_try_it() -> None:
    breaker, now, rests = opened(), 100.0, []
    for _ in range(5):
        rests.append(breaker.until - now)
        now = breaker.until
        breaker.half_open(now, 0)
        breaker.reopen(now, REST_MAX_S, NO_SECOND_OPINION)
    assert rests == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert breaker.state == OPEN


def test_the_rest_is_not_longer_before_another_node_has_answered_the_deciding_request() -> None:
    breaker = opened(100.0)
    breaker.half_open(102.0, 0)
    breaker.reopen(102.0, REST_MAX_S, ticket=8)
    assert breaker.until == 104.0
    assert breaker.proven(7, REST_MAX_S) is False
    assert breaker.until == 104.0, "another request does not matter"
    assert breaker.proven(8, REST_MAX_S) is True
    assert breaker.until == 106.0
    assert breaker.proven(8, REST_MAX_S) is False
    assert breaker.until == 106.0, "once"


def test_an_answer_that_comes_when_the_rest_is_over_makes_the_next_one_longer() -> None:
    breaker = opened(100.0)
    breaker.half_open(102.0, 0)
    breaker.reopen(102.0, REST_MAX_S, ticket=8)
    breaker.half_open(104.0, 0)
    assert breaker.proven(8, REST_MAX_S) is False
    assert (breaker.state, breaker.until) == (HALF_OPEN, 104.0)
    breaker.reopen(105.0, REST_MAX_S, ticket=9)
    assert breaker.until == 109.0


def test_so_does_one_that_comes_when_the_next_request_has_decided() -> None:
    """Where all answers take longer than a rest, none would ever count."""
    breaker = opened(100.0)
    for now, ticket in ((102.0, 7), (104.0, 8), (106.0, 9)):
        breaker.half_open(now, 0)
        breaker.reopen(now, REST_MAX_S, ticket)
    assert (breaker.proven(7, REST_MAX_S), breaker.until) == (True, 110.0)
    assert (breaker.proven(9, REST_MAX_S), breaker.until) == (True, 114.0)
    breaker.half_open(114.0, 0)
    breaker.close(114.0)
    assert breaker.proven(8, REST_MAX_S) is False, "it is back, and that was before"


def test_no_more_than_eight_of_them_are_remembered() -> None:
    breaker, now = opened(100.0), 100.0
    for ticket in range(1, 11):
        breaker.half_open(now, 0)
        breaker.reopen(now, REST_MAX_S, ticket)
    assert [breaker.proven(ticket, REST_MAX_S) for ticket in range(1, 11)] == [False] * 2 + [True] * 8


def test_the_first_rest_is_the_short_one_whenever_it_comes() -> None:
    assert opened(0.0).until == 2.0


def test_a_request_that_failed_before_the_rest_does_not_make_it_longer() -> None:
    breaker = opened(100.0)
    assert breaker.proven(8, REST_MAX_S) is False
    breaker.half_open(102.0, 0)
    assert breaker.proven(8, REST_MAX_S) is False
    breaker.close(103.0)
    assert breaker.proven(8, REST_MAX_S) is False


@pytest.mark.parametrize(("closed_for_s", "rest_s"), [(1.0, 4.0), (8.0, 4.0), (8.1, 2.0), (1000.0, 2.0)])
def test_a_node_that_soon_fails_again_rests_longer_and_one_that_worked_well_does_not(
    closed_for_s: float, rest_s: float
) -> None:
    breaker = opened(100.0)
    breaker.half_open(102.0, 0)
    breaker.close(102.0)
    breaker.open(102.0 + closed_for_s, REST_S, REST_MAX_S)
    assert breaker.until == pytest.approx(102.0 + closed_for_s + rest_s)
