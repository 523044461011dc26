"""Which tries are tried again."""

import pytest

from priolb.core.outcome import Outcome, Phase, Source
from priolb.core.retries.policy import RetryPolicy
from priolb.errors import Reason
from support.chance import Fixed
from support.tickets import answered, client_left, timed_out, unreachable


@pytest.mark.parametrize(
    ("outcome", "repeatable", "is_allowed"),
    [
        (unreachable(), True, True),
        (unreachable(), False, True),
        (timed_out(), True, True),
        (timed_out(), False, False),
        (answered(500), True, True),
        (answered(404), True, True),
        (answered(500), False, False),
        (answered(200), True, False),
        (client_left(), True, False),
        (Outcome(Source.US, Phase.HEAD, None, 0, sent=True, answering=False), True, False),
        (Outcome(Source.NODE, Phase.BODY, Reason.NODE_BAD_ANSWER, 0, sent=True, answering=True), True, False),
    ],
)
def test_what_the_node_failed_is_retried_if_that_is_safe(
    outcome: Outcome, repeatable: bool, is_allowed: bool
) -> None:
    """Safe: the client has seen nothing, and the method may be repeated or no byte reached the node."""
    assert RetryPolicy(3).allows(1, repeatable, outcome) is is_allowed


@pytest.mark.parametrize(
    ("max_tries", "allowed"),
    [
        (3, [True, True, False, False]),
        (2, [True, False, False, False]),
        (1, [False, False, False, False]),
        (0, [False, False, False, False]),
        (-5, [False, False, False, False]),
    ],
)
def test_the_maximum_counts_all_tries_and_the_first_is_always_given(
    max_tries: int, allowed: list[bool]
) -> None:
    policy = RetryPolicy(max_tries)
    assert [policy.allows(tries, True, answered(502)) for tries in (1, 2, 3, 4)] == allowed
    assert policy.max_tries == max(1, max_tries)


def test_the_rest_grows_from_nothing_to_its_maximum() -> None:
    policy = RetryPolicy(10, backoff_s=0.025, backoff_max_s=0.25)
    rests = [policy.rest_s(repeats, Fixed(1.0)) for repeats in range(6)]
    assert rests == pytest.approx([0.0, 0.025, 0.075, 0.175, 0.25, 0.25])
    assert policy.rest_s(10_000, Fixed(1.0)) == 0.25


@pytest.mark.parametrize("number", [0.0, 0.5, 0.999])
def test_the_jitter_is_over_the_whole_rest(number: float) -> None:
    policy = RetryPolicy(3, backoff_s=1.0, backoff_max_s=10.0)
    assert policy.rest_s(2, Fixed(number)) == pytest.approx(3.0 * number)


def test_without_a_unit_there_is_no_rest() -> None:
    assert RetryPolicy(3).rest_s(5, Fixed(1.0)) == 0.0


def test_an_error_that_means_the_node_is_retried_whatever_its_status() -> None:
    own_error = Outcome(Source.NODE, Phase.DONE, None, 200, sent=True, answering=False, node_error=True)
    assert RetryPolicy(3).allows(1, True, own_error) is True
