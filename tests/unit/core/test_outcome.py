"""When the end of a try counts against the node."""

import pytest

from priolb.core.outcome import FAILURES, Outcome, Phase, Source, answered
from priolb.errors import Reason


@pytest.mark.parametrize(
    ("source", "reason", "status", "failed"),
    [
        (Source.NODE, None, 200, False),
        (Source.NODE, None, 304, False),
        (Source.NODE, None, 399, False),
        (Source.NODE, None, 400, True),
        (Source.NODE, None, 503, True),
        (Source.NODE, Reason.NODE_UNREACHABLE, 0, True),
        (Source.NODE, Reason.NODE_TIMEOUT, 0, True),
        (Source.NODE, Reason.NODE_BAD_ANSWER, 200, True),
        (Source.NODE, Reason.NODE_UNATTESTED, 0, True),
        (Source.NODE, Reason.NO_SOCKET, 0, True),
        (Source.CLIENT, None, 0, False),
        (Source.CLIENT, None, 500, False),
        (Source.US, Reason.SHUTTING_DOWN, 0, False),
    ],
)
def test_a_try_fails_by_the_node_alone(
    source: Source, reason: Reason | None, status: int, failed: bool
) -> None:
    """A client that leaves, and a program that ends, say nothing about the node."""
    assert Outcome(source, Phase.DONE, reason, status, sent=True, answering=False).failed is failed


@pytest.mark.parametrize(
    ("outcome", "good", "failed", "at_fault", "is_absence"),
    [
        (answered(200, answering=True), True, False, False, False),
        (answered(304, answering=False), True, False, False, False),
        (answered(404, answering=False), False, True, False, False),
        (answered(429, answering=False), False, True, False, False),
        (answered(500, answering=False), False, True, True, False),
        (answered(200, answering=False, node_error=True), False, True, True, False),
        (Outcome(Source.NODE, Phase.HEAD, None, 200, True, True), False, False, False, False),
        (Outcome(Source.NODE, Phase.HEAD, None, 502, True, False), False, True, True, False),
        (
            Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_UNREACHABLE, 0, False, False),
            False,
            True,
            True,
            True,
        ),
        (Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_TIMEOUT, 0, False, False), False, True, True, False),
        (Outcome(Source.NODE, Phase.HEAD, Reason.NODE_UNREACHABLE, 0, True, False), False, True, True, False),
        (Outcome(Source.NODE, Phase.BODY, Reason.NODE_BAD_ANSWER, 0, True, True), False, True, True, False),
        (
            Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_UNATTESTED, 0, False, False),
            False,
            True,
            False,
            False,
        ),
        (Outcome(Source.NODE, Phase.BODY, Reason.NODE_UNATTESTED, 0, True, True), False, True, False, False),
        (Outcome(Source.NODE, Phase.CONNECT, Reason.NO_SOCKET, 0, False, False), False, True, False, False),
        (Outcome(Source.NODE, Phase.HEAD, Reason.NODE_DRAINED, 0, True, False), False, True, False, False),
        (Outcome(Source.CLIENT, Phase.BODY, None, 0, True, True), False, False, False, False),
        (Outcome(Source.US, Phase.HEAD, None, 0, True, False), False, False, False, False),
    ],
)
def test_what_an_end_says_about_node_and_request(
    outcome: Outcome, good: bool, failed: bool, at_fault: bool, is_absence: bool
) -> None:
    """Statuses from 400 to 499 fail the request, but do not speak against the node."""
    assert (outcome.good, outcome.failed, outcome.at_fault, outcome.is_absence) == (
        good,
        failed,
        at_fault,
        is_absence,
    )


@pytest.mark.parametrize(
    ("source", "reason", "is_unproven"),
    [
        (Source.NODE, Reason.NODE_UNATTESTED, True),
        (Source.US, Reason.NODE_UNATTESTED, False),
        (Source.NODE, Reason.NODE_UNREACHABLE, False),
        (Source.NODE, None, False),
    ],
)
def test_a_node_that_has_not_proven_itself_is_told_apart(
    source: Source, reason: Reason | None, is_unproven: bool
) -> None:
    assert Outcome(source, Phase.CONNECT, reason, 0, False, False).is_unproven is is_unproven


def test_whole_answers_of_one_kind_are_one_object() -> None:
    assert answered(200, answering=False) is answered(200, answering=False)
    assert answered(503, answering=False, retry_after_s=2.0).retry_after_s == 2.0
    assert answered(503, answering=False).retry_after_s == 0.0


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_UNREACHABLE, 0, False, False), "node_unreachable"),
        (Outcome(Source.NODE, Phase.HEAD, Reason.NODE_TIMEOUT, 0, True, False), "node_timeout"),
        (Outcome(Source.NODE, Phase.BODY, Reason.NODE_BAD_ANSWER, 200, True, True), "node_bad_answer"),
        (Outcome(Source.NODE, Phase.CONNECT, Reason.NODE_UNATTESTED, 0, False, False), "node_unattested"),
        (answered(200, answering=False, node_error=True), "node_error"),
        (answered(503, answering=False, node_error=True), "node_error"),
        (answered(400, answering=False), "status_4xx"),
        (answered(499, answering=False), "status_4xx"),
        (answered(500, answering=False), "status_5xx"),
        (answered(999, answering=False), "status_5xx"),
    ],
)
def test_a_failed_try_has_one_word_of_a_few_for_metrics(outcome: Outcome, failure: str) -> None:
    assert outcome.failed
    assert outcome.failure == failure
    assert failure in FAILURES


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (answered(503, answering=False), "status 503"),
        (answered(200, answering=False, node_error=True), "an error of the node's own"),
        (Outcome(Source.NODE, Phase.HEAD, Reason.NODE_TIMEOUT, 0, True, False), "node_timeout (head)"),
    ],
)
def test_an_end_says_in_words_what_speaks_against_the_node(outcome: Outcome, words: str) -> None:
    assert str(outcome) == words
