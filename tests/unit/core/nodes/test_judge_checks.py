"""What checks say of a node, and what it says of one that it answers nobody."""

from math import inf

import pytest

from priolb.core.nodes.breaker import HALF_OPEN, OPEN
from priolb.core.nodes.node import NodeState
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import GIVEN_UP, OUTRUN, Outcome, Phase, Source
from priolb.errors import Reason
from support.judge_bench import NOW, POLICY, Bench, ejected
from support.tickets import answered, timed_out

# Checks


def checks(bench: Bench, *failures: str | None, is_late: bool = False) -> list[str]:
    """Return the status of the first node after each check."""
    found = []
    for failure in failures:
        bench.judge.checked(bench.nodes[0], failure, is_late, bench.now)
        found.append(bench.nodes[0].status.value)
    return found


def test_checks_take_a_node_down_after_three_and_up_after_two() -> None:
    bench = Bench()
    bench.nodes[0].checks.decide(healthy=True)
    assert checks(bench, "a", "b", None, "c", "d", "e") == ["up"] * 5 + ["down"]
    assert (bench.nodes[0].reason, bench.nodes[0].record.last_error) == ("e", "e")
    assert checks(bench, None, "f", None, None) == ["down", "down", "down", "up"]
    assert bench.nodes[0].reason == "passed its health check"


def test_the_first_check_of_a_new_node_counts_at_once() -> None:
    for failure, status in (("x", "down"), (None, "up")):
        bench = Bench()
        new = NodeState(9, "", 8)
        bench.fleet.add(new, NOW)
        assert new.status is NodeStatus.UNCHECKED
        bench.judge.checked(new, failure, False, NOW)
        assert new.status.value == status
        assert new.reason == (failure or "passed its health check")


@pytest.mark.parametrize(
    ("tolerates_busy", "in_flight", "statuses"),
    [
        (True, 1, ["up", "up", "up"]),
        (True, 0, ["up", "up", "down"]),
        (False, 1, ["up", "up", "down"]),
    ],
)
def test_a_late_check_of_a_node_with_requests_in_flight_says_nothing_if_busy_is_tolerated(
    tolerates_busy: bool, in_flight: int, statuses: list[str]
) -> None:
    bench = Bench(policy=HealthPolicy(fall=3, tolerates_busy=tolerates_busy))
    bench.nodes[0].checks.decide(healthy=True)
    for _ in range(in_flight):
        bench.lease(1)
    assert checks(bench, "late", "late", "late", is_late=True) == statuses
    assert bench.nodes[0].record.last_error == "late"


# A node that hangs with its checks, and answers nobody before his time is over


def given_up(phase: Phase = Phase.HEAD, reason: Reason | None = None) -> Outcome:
    """A try that ended because its client had left, or had no more time."""
    return Outcome(Source.CLIENT, phase, reason, 0, True, answering=phase is Phase.BODY)


def used_to_take(bench: Bench, seconds: float) -> None:
    """Let the first node answer a request in so many seconds."""
    lease = bench.lease(1)
    bench.now += seconds - 0.02
    bench.end(lease, answered(200))


def give_up_after(bench: Bench, seconds: float, outcome: Outcome, times: int = 1) -> None:
    for _ in range(times):
        lease = bench.lease(1)
        bench.now += seconds - 0.02
        bench.end(lease, outcome)


def late_checks(bench: Bench) -> str:
    """Return what the first node does after three late checks, with a request in flight."""
    bench.nodes[0].checks.decide(healthy=True)
    bench.lease(1)
    return checks(bench, "late", "late", "late", is_late=True)[-1]


@pytest.mark.parametrize(
    "end",
    [
        given_up(),
        given_up(Phase.SEND),
        given_up(Phase.HEAD, Reason.DEADLINE),
        given_up(Phase.SEND, Reason.DEADLINE),
        timed_out(),
    ],
)
def test_late_checks_count_once_five_requests_in_a_row_were_given_up(end: Outcome) -> None:
    bench = Bench(count=1)
    used_to_take(bench, 1.0)
    give_up_after(bench, 2.1, end, times=4)
    assert late_checks(bench) == "up"
    give_up_after(bench, 2.1, end)
    assert late_checks(bench) == "down"


def test_a_request_that_was_given_up_too_early_says_nothing() -> None:
    """Before twice what the node's answers take as a rule, and 50 ms."""
    bench = Bench()
    used_to_take(bench, 1.0)
    give_up_after(bench, 2.0, given_up(), times=5)
    assert late_checks(bench) == "up"
    assert bench.nodes[0].unanswered.in_a_row(1) == 0


def test_so_were_those_that_the_second_try_has_outrun() -> None:
    """Where all requests get second tries, nobody leaves and nothing times out."""
    bench = Bench()
    used_to_take(bench, 1.0)
    give_up_after(bench, 1.1, OUTRUN, times=4)
    assert late_checks(bench) == "up"
    give_up_after(bench, 1.1, OUTRUN)
    assert late_checks(bench) == "down"


@pytest.mark.parametrize(("seconds", "end"), [(0.9, OUTRUN), (9.0, GIVEN_UP)])
def test_one_that_is_outrun_before_its_time_or_gives_way_says_nothing(seconds: float, end: Outcome) -> None:
    bench = Bench()
    used_to_take(bench, 1.0)
    give_up_after(bench, seconds, end, times=9)
    assert late_checks(bench) == "up"


def test_an_upload_that_was_never_complete_says_nothing() -> None:
    bench = Bench()
    for _ in range(5):
        lease = bench.lease(1)
        lease.worked_from = inf
        bench.now += 9.0
        bench.end(lease, given_up(Phase.SEND))
    assert late_checks(bench) == "up"


@pytest.mark.parametrize(
    "sign",
    [
        answered(200),
        answered(404),
        answered(500),
        given_up(Phase.BODY),
        given_up(Phase.BODY, Reason.DEADLINE),
        given_up(Phase.DONE),
    ],
)
def test_any_answer_in_between_is_a_sign_of_life(sign: Outcome) -> None:
    bench = Bench()
    give_up_after(bench, 1.0, given_up(), times=4)
    give_up_after(bench, 1.0, sign)
    give_up_after(bench, 9.0, given_up(), times=4)
    assert late_checks(bench) == "up"


def test_so_is_a_check_that_passes_or_fails_in_time() -> None:
    for failure in (None, "status 500"):
        bench = Bench()
        give_up_after(bench, 1.0, given_up(), times=5)
        checks(bench, failure)
        assert late_checks(bench) == "up"


def test_a_connection_that_nobody_made_and_a_second_try_that_was_not_needed_are_no_silence() -> None:
    bench = Bench()
    give_up_after(bench, 1.0, given_up(Phase.CONNECT), times=5)
    give_up_after(bench, 1.0, GIVEN_UP, times=5)
    assert late_checks(bench) == "up"


# A node that passes its checks, and answers nobody before a second try does


def test_a_node_whose_last_five_requests_were_answered_elsewhere_is_ejected_whatever_its_checks_say() -> None:
    bench = Bench()
    used_to_take(bench, 1.0)
    give_up_after(bench, 1.1, OUTRUN, times=4)
    checks(bench, None)
    assert bench.status() == ["up", "up"]
    give_up_after(bench, 1.1, OUTRUN)
    assert bench.status() == ["ejected", "up"]
    assert bench.nodes[0].reason == "answered nothing while others answered second tries"


@pytest.mark.parametrize("sign", [answered(200), answered(404), answered(500), given_up(Phase.BODY)])
def test_not_so_one_that_answers_some_itself(sign: Outcome) -> None:
    bench = Bench()
    for _ in range(2):
        give_up_after(bench, 1.0, OUTRUN, times=4)
        give_up_after(bench, 1.0, sign)
    assert bench.status() == ["up", "up"]


def test_nor_one_whose_answers_begin_however_long_they_take() -> None:
    bench = Bench()
    give_up_after(bench, 1.0, OUTRUN, times=4)
    bench.judge.answering(bench.lease(1), bench.now)
    give_up_after(bench, 1.0, OUTRUN, times=4)
    assert bench.status() == ["up", "up"]


def test_one_that_is_back_has_a_clean_slate() -> None:
    """As it answers the request that decides, or passes its checks again after it was down."""
    for is_down in (False, True):
        bench = Bench()
        give_up_after(bench, 1.0, OUTRUN, times=5)
        if is_down:
            checks(bench, "nobody", "nobody", "nobody", None, None)
        else:
            bench.now = bench.nodes[0].breaker.until
            bench.fleet.advance(bench.now)
            bench.judge.answering(bench.lease(1), bench.now)
        assert bench.status() == ["up", "up"]
        give_up_after(bench, 1.0, OUTRUN, times=4)
        assert bench.status() == ["up", "up"]


def test_those_that_it_had_at_the_same_time_count_once() -> None:
    """A moment in which a node does nothing holds up all of them."""
    bench = Bench()
    for _ in range(4):
        leases = [bench.lease(1) for _ in range(8)]
        bench.now += 1.0
        for lease in leases:
            bench.end(lease, OUTRUN)
    assert bench.status() == ["up", "up"]
    give_up_after(bench, 1.0, OUTRUN)
    assert bench.status() == ["ejected", "up"]


def test_nor_one_that_does_nothing_for_less_than_a_second() -> None:
    """A node that collects its garbage, where answers take so little that second tries need no time."""
    bench = Bench()
    for _ in range(2):
        give_up_after(bench, 0.11, OUTRUN, times=9)
        assert bench.status() == ["up", "up"]
        give_up_after(bench, 0.02, answered(200))
    give_up_after(bench, 0.11, OUTRUN, times=10)
    assert bench.status() == ["ejected", "up"]


@pytest.mark.parametrize(("eject_after", "needed"), [(1, 5), (7, 7)])
def test_one_request_that_was_answered_elsewhere_is_no_fault_even_where_one_fault_ejects(
    eject_after: int, needed: int
) -> None:
    bench = Bench(policy=HealthPolicy(eject_after=eject_after))
    give_up_after(bench, 2.0, OUTRUN, times=needed - 1)
    assert bench.status() == ["up", "up"]
    give_up_after(bench, 2.0, OUTRUN)
    assert bench.status() == ["ejected", "up"]


@pytest.mark.parametrize(("usually", "enough"), [(0.1, 0.25), (9.0, 1.0)])
def test_nor_one_whose_answers_usually_take_longer_before_one_request_had_the_time(
    usually: float, enough: float
) -> None:
    """When all of them are outrun as soon, it gets the next one without a second try."""
    bench = Bench()
    used_to_take(bench, usually)
    give_up_after(bench, 0.2, OUTRUN, times=4)
    assert bench.judge.may_be_outrun(bench.lease(1), bench.now)
    give_up_after(bench, 0.2, OUTRUN, times=9)
    assert bench.status() == ["up", "up"]
    lease = bench.lease(1)
    assert not bench.judge.may_be_outrun(lease, bench.now + enough - 0.01)
    assert bench.judge.may_be_outrun(lease, bench.now + enough + 0.01)
    give_up_after(bench, enough + 0.01, OUTRUN)
    assert bench.status() == ["ejected", "up"]


def test_one_that_may_not_be_ejected_hinders_no_second_tries_for_long() -> None:
    bench = Bench(count=1)
    give_up_after(bench, 1.0, OUTRUN, times=4)
    assert bench.judge.may_be_outrun(bench.lease(1), bench.now)
    give_up_after(bench, 0.01, OUTRUN)
    assert not bench.judge.may_be_outrun(bench.lease(1), bench.now)
    give_up_after(bench, 1.0, OUTRUN)
    assert bench.judge.may_be_outrun(bench.lease(1), bench.now)


@pytest.mark.parametrize(("policy", "count"), [(HealthPolicy(eject_after=0), 2), (POLICY, 1)])
def test_nor_where_nobody_is_ejected(policy: HealthPolicy, count: int) -> None:
    bench = Bench(count, policy)
    give_up_after(bench, 1.0, OUTRUN, times=9)
    assert bench.status() == ["up"] * count


def test_after_its_rest_it_rests_as_long_again_whenever_a_second_try_is_first() -> None:
    """It may be only slow, and answer once others have no time for second tries."""
    bench = Bench()
    node = bench.nodes[0]
    give_up_after(bench, 1.0, OUTRUN, times=5)
    for _ in range(3):
        assert bench.status() == ["ejected", "up"]
        assert node.breaker.until == pytest.approx(bench.now + 2.0)
        bench.now = node.breaker.until
        bench.fleet.advance(bench.now)
        give_up_after(bench, 1.0, OUTRUN)
        assert node.reason == "a second try was answered before the request that decided"
    bench.now = node.breaker.until
    bench.fleet.advance(bench.now)
    give_up_after(bench, 1.0, answered(200))
    assert bench.status() == ["up", "up"]


def test_a_deciding_request_that_is_outrun_before_its_time_decides_nothing() -> None:
    bench = ejected()
    node = bench.nodes[0]
    enough_s = 0.05 + 2 * node.record.latency_s(node.answered, node.busy_s)
    give_up_after(bench, enough_s, OUTRUN)
    assert node.breaker.state == HALF_OPEN
    give_up_after(bench, enough_s + 0.01, OUTRUN)
    assert node.breaker.state == OPEN
