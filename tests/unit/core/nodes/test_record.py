"""What is remembered of a node, and when checks are believed."""

import pytest

from priolb.core.nodes.record import Hysteresis, NodeRecord


def test_before_the_first_try_nothing_has_failed() -> None:
    record = NodeRecord()
    assert (record.failed, record.last_error, record.success_ratio(0)) == (0, "", 1.0)


def test_a_failure_is_kept_with_its_time() -> None:
    record = NodeRecord()
    record.fail("status_5xx", "status 500", 3, 12.5)
    record.note("health check failed", 13.0)
    assert (record.failed, record.last_error, record.last_error_at) == (1, "health check failed", 13.0)


def test_failures_are_counted_by_how_a_try_failed() -> None:
    record = NodeRecord()
    for failure in ("status_5xx", "node_timeout", "status_5xx"):
        record.fail(failure, "in words", 0, 1.0)
    assert (record.failures, record.failed) == ({"status_5xx": 2, "node_timeout": 1}, 3)


def test_the_ratio_is_the_average_of_tries_each_weighing_a_hundredth() -> None:
    record, answered, ratio = NodeRecord(), 0, 1.0
    for is_good in [True] * 3 + [False] * 2 + [True] * 200 + [False] + [True]:
        ratio += (is_good - ratio) / 100
        if is_good:
            answered += 1
        else:
            record.fail("x", "x", answered, 0.0)
        assert record.success_ratio(answered) == pytest.approx(ratio, rel=1e-12)


def test_latency_is_the_average_of_answers_each_weighing_a_tenth() -> None:
    record = NodeRecord()
    assert record.latency_s(0, 0.0) == 0.0
    assert record.latency_s(1, 0.02) == 0.02, "the first stands alone"
    assert record.latency_s(1, 0.02) == 0.02, "looking changes nothing"
    assert record.latency_s(2, 0.02 + 0.12) == pytest.approx(0.02 + 0.1 * 0.1)
    average = record.latency_s(2, 0.14)
    for _ in range(3):
        average += 0.1 * (0.05 - average)
    assert record.latency_s(5, 0.14 + 3 * 0.05) == pytest.approx(average)


def believed(checks: Hysteresis, *passed: bool, rise: int, fall: int) -> list[bool]:
    """Return what is believed after each check, unhealthy at first."""
    healthy, found = False, []
    for each in passed:
        if checks.is_convinced(healthy, each, rise if each else fall):
            healthy = each
        found.append(healthy)
    return found


def test_the_first_check_of_all_is_believed_at_once() -> None:
    assert believed(Hysteresis(), True, rise=3, fall=3) == [True]


def test_a_node_falls_after_so_many_failed_checks_in_a_row() -> None:
    checks = [True, False, False, True, False, False, False]
    assert believed(Hysteresis(), *checks, rise=1, fall=3) == [True] * 6 + [False]


def test_a_node_that_was_down_rises_after_so_many_that_passed_in_a_row() -> None:
    checks = [False, True, False, True, True, True]
    assert believed(Hysteresis(), *checks, rise=2, fall=1) == [False] * 4 + [True, True]


def test_what_was_decided_otherwise_starts_the_count_anew() -> None:
    checks = Hysteresis()
    assert checks.is_new is True
    checks.decide(healthy=True)
    assert (checks.is_new, checks.has_failed) == (False, False)
    assert [checks.is_convinced(True, False, 2) for _ in range(1)] == [False]
    assert checks.has_failed is True
    checks.decide(healthy=True)
    assert (checks.has_failed, checks.is_convinced(True, False, 2)) == (False, False)
    checks.decide(healthy=False)
    assert checks.has_failed is True
    assert [checks.is_convinced(False, True, 2) for _ in range(2)] == [False, True]
