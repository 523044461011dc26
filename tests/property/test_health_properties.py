"""The counting parts of health and retries against models that remember every event."""

from math import exp, inf

import hypothesis.strategies as st
from hypothesis import given

from priolb.core.nodes.breaker import FAULT_COST, Breaker
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.ordered import WeightedLeastInFlight
from priolb.core.nodes.record import Hysteresis, NodeRecord
from priolb.core.retries.budget import RetryBudget
from support.tickets import ticket


@given(limit=st.integers(1, 6), events=st.lists(st.booleans(), max_size=200))
def test_the_bucket_of_a_breaker_is_filled_by_faults_and_emptied_by_answers(
    limit: int, events: list[bool]
) -> None:
    breaker, answered, level = Breaker(), 0, 0
    for is_fault in events:
        if is_fault:
            level = min(level + FAULT_COST, limit * FAULT_COST)
            assert breaker.fault(answered, limit) is (level == limit * FAULT_COST)
        else:
            answered += 1
            level = max(0, level - 1)
        assert breaker.level(answered) == level


@given(events=st.lists(st.tuples(st.booleans(), st.floats(0.001, 10.0)), max_size=100))
def test_a_record_is_the_average_over_single_tries(events: list[tuple[bool, float]]) -> None:
    record, answered, busy_s, ratio, latency_s = NodeRecord(), 0, 0.0, 1.0, None
    for is_good, took_s in events:
        ratio += (is_good - ratio) * 0.01
        if is_good:
            answered += 1
            busy_s += took_s
            latency_s = took_s if latency_s is None else latency_s + (took_s - latency_s) * 0.1
        else:
            record.fail("x", "x", answered, 0.0)
        assert abs(record.success_ratio(answered) - ratio) < 1e-9
        # Looked at after each answer it is the average of single answers.
        assert abs(record.latency_s(answered, busy_s) - (latency_s or 0.0)) < 1e-6


@given(
    percent=st.sampled_from([0, 5, 20, 100]),
    floor_per_s=st.sampled_from([0.0, 0.5]),
    events=st.lists(st.tuples(st.sampled_from([0.0, 0.01, 1.0, 30.0]), st.booleans()), max_size=150),
)
def test_extra_tries_stay_within_their_share_of_what_is_remembered(
    percent: int, floor_per_s: float, events: list[tuple[float, bool]]
) -> None:
    """Asked at every request, so that nothing has to be assumed about when they came."""
    now = 100.0
    requests: list[float] = []
    spent: list[float] = []
    budget = RetryBudget(percent, floor_per_s, now)

    def remembered(times: list[float]) -> float:
        return sum(exp(-(now - time) / 10.0) for time in times)

    for wait_s, wants_extra in events:
        now += wait_s
        budget.has_one(len(requests), now)
        requests.append(now)
        has_one = budget.has_one(len(requests), now)
        left = percent / 100 * remembered(requests) + 10.0 * floor_per_s - remembered(spent) - 1.0
        if abs(left) > 1e-6:
            assert has_one is (left > 0.0)
        if wants_extra and has_one:
            budget.spend()
            spent.append(now)


@given(needed=st.tuples(st.integers(1, 4), st.integers(1, 4)), checks=st.lists(st.booleans(), max_size=60))
def test_what_is_believed_changes_after_so_many_contradictions_in_a_row(
    needed: tuple[int, int], checks: list[bool]
) -> None:
    rise, fall = needed
    hysteresis, healthy = Hysteresis(), False
    for number, passed in enumerate(checks):
        before = healthy
        if hysteresis.is_convinced(healthy, passed, rise if passed else fall):
            healthy = not healthy
        latest = checks[max(0, number + 1 - (rise if passed else fall)) : number + 1]
        is_row = len(latest) == (rise if passed else fall) and all(each is passed for each in latest)
        if before is passed:
            assert healthy is before
        elif number == 0:
            assert healthy is passed
        elif healthy is not before:
            assert is_row


@given(
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    steps=st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=120),
)
def test_the_node_with_the_least_load_for_its_weight_is_taken(
    weights: list[int], steps: list[tuple[int, bool]]
) -> None:
    selection = WeightedLeastInFlight()
    nodes = [NodeState(number, "", 3, True, weight) for number, weight in enumerate(weights)]
    for node in nodes:
        node.usable = True
        selection.update(node)
    for index, takes in steps:
        node = nodes[index % len(nodes)]
        if takes and selection.length:
            lowest = min(
                (each.in_flight + 1) / each.weight if each.in_flight < each.slots else inf for each in nodes
            )
            taken = selection.reserve_best(ticket("l1"))
            assert taken.in_flight / taken.weight == lowest
        elif not takes and node.in_flight:
            selection.release(node)
        assert selection.length == sum(each.in_flight < each.slots for each in nodes)
