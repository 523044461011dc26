"""The metrics: what each reads, and that names and labels keep to the conventions of Prometheus."""

import re

import pytest

from priolb import __version__
from priolb.core.nodes.status import NodeStatus
from priolb.telemetry.metric import Kind, Metric, Spread
from priolb.telemetry.metric_table import METRICS
from support.facts import some_facts
from support.pipe_log import OpenLog

WORKS, UNPROVEN = "http://node-1", "http://node-2"
LANES = ("fast-track", "high-priority", "low-priority")
BY_NAME = {metric.name: metric for metric in METRICS}

Values = dict[tuple[str, ...], float]

# Of series with values of a closed set all others are 0.
NO_STATES: Values = {(name, status.value): 0 for name in (WORKS, UNPROVEN) for status in NodeStatus}
NO_FAILURES: Values = {
    (name, failure): 0
    for name in (WORKS, UNPROVEN)
    for failure in (
        *("node_unreachable", "node_timeout", "node_bad_answer", "node_unattested"),
        *("node_error", "status_4xx", "status_5xx"),
    )
}
NO_REFUSALS: Values = {
    (lane, reason): 0
    for lane in LANES
    for reason in (
        *("queue_full", "wait_too_long", "displaced", "shed", "no_nodes", "deadline", "node_timeout"),
        *("node_drained", "node_unreachable", "node_bad_answer", "node_unattested", "no_socket"),
        "shutting_down",
    )
}

EXPECTED: dict[str, Values] = {
    "priolb_build_info": {(__version__,): 1},
    "priolb_node_usable": {(WORKS,): 1, (UNPROVEN,): 0},
    "priolb_node_healthy": {(WORKS,): 1, (UNPROVEN,): 0},
    "priolb_node_attested": {(UNPROVEN,): 0},
    "priolb_node_state": {**NO_STATES, (WORKS, "up"): 1, (UNPROVEN, "unattested"): 1},
    "priolb_node_state_changes_total": {
        **NO_STATES,
        (WORKS, "unchecked"): 1,
        (WORKS, "up"): 1,
        (UNPROVEN, "unchecked"): 1,
        (UNPROVEN, "unattested"): 1,
    },
    "priolb_node_in_flight": {(WORKS,): 3, (UNPROVEN,): 0},
    "priolb_node_slots": {(WORKS,): 8, (UNPROVEN,): 4},
    "priolb_node_answers_total": {(WORKS,): 40, (UNPROVEN,): 0},
    "priolb_node_answer_seconds_total": {(WORKS,): 2.5, (UNPROVEN,): 0},
    "priolb_node_failures_total": {**NO_FAILURES, (WORKS, "status_5xx"): 2, (WORKS, "node_timeout"): 1},
    "priolb_node_attestations_total": {
        (UNPROVEN, "accepted"): 2,
        (UNPROVEN, "warned"): 1,
        (UNPROVEN, "refused"): 3,
    },
    "priolb_node_attestation_refusals_total": {(UNPROVEN, "tcb_status"): 2, (UNPROVEN, "mrenclave"): 1},
    "priolb_lane_waiting": {("fast-track",): 1, ("high-priority",): 0, ("low-priority",): 2},
    "priolb_lane_waiting_bytes": {("fast-track",): 100, ("high-priority",): 0, ("low-priority",): 200},
    "priolb_lane_limit": {("fast-track",): 10},
    "priolb_requests_total": {(): 3},
    "priolb_refusals_total": {
        **NO_REFUSALS,
        ("fast-track", "queue_full"): 1,
        ("low-priority", "deadline"): 2,
    },
    "priolb_limit_requests_total": {("at-a-time", "passed"): 3, ("at-a-time", "refused"): 1},
    "priolb_rejections_total": {("0",): 1, ("400",): 2, ("431",): 1},
    "priolb_clients_left_total": {("fast-track",): 0, ("high-priority",): 1, ("low-priority",): 0},
    "priolb_preemptions_total": {("fast-track",): 0, ("high-priority",): 0, ("low-priority",): 2},
    "priolb_log_lines_lost_total": {(): 3},
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_and_meanings_keep_to_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"priolb(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|us|kb|mb|percent)(_|$)", metric.name), "base units"
    assert not {"le", "quantile", "job", "instance"} & set(metric.labels), "these are of Prometheus"
    assert metric.meaning.endswith(".") and "|" not in metric.meaning


def test_no_name_is_there_twice_and_every_one_is_expected_below() -> None:
    assert len(BY_NAME) == len(METRICS)
    assert set(BY_NAME) == {*EXPECTED, "priolb_event_loop_stall_seconds"}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_metric_has_all_of_its_series_and_each_once(open_log: OpenLog, name: str) -> None:
    metric = BY_NAME[name]
    series = list(metric.read(some_facts(open_log())))
    assert dict(series) == EXPECTED[name]
    assert len(series) == len(EXPECTED[name])
    assert {len(labels) for labels, _ in series} == {len(metric.labels)}


def test_stalls_are_counted_up_to_each_bound(open_log: OpenLog) -> None:
    [(labels, spread)] = BY_NAME["priolb_event_loop_stall_seconds"].read(some_facts(open_log()))
    assert isinstance(spread, Spread)
    assert (labels, spread.total) == ((), 1.75)
    assert spread.buckets == [
        ("0.002", 100),
        ("0.005", 100),
        ("0.01", 100),
        ("0.025", 100),
        ("0.05", 100),
        ("0.1", 102),
        ("0.25", 102),
        ("0.5", 102),
        ("1.0", 102),
        ("+Inf", 103),
    ]
