"""The judge: what ends of tries say about a node."""

import pytest

from priolb.core.chance import MIDDLE
from priolb.core.nodes.adaptive import AdaptiveSlots
from priolb.core.nodes.affinity import Affinity
from priolb.core.nodes.breaker import CLOSED, HALF_OPEN, OPEN
from priolb.core.nodes.fleet import Fleet
from priolb.core.nodes.judge import Judge
from priolb.core.nodes.node import Lease, NodeState
from priolb.core.nodes.peak_ewma import PeakEwma
from priolb.core.nodes.policy import HealthPolicy
from priolb.core.nodes.selection import LeastInFlight
from priolb.core.nodes.status import NodeStatus
from priolb.core.outcome import Outcome, Phase, Source
from priolb.errors import Reason
from support.judge_bench import NOW, POLICY, Bench, ejected
from support.steps import lines_run
from support.tickets import answered, client_left, no_socket, timed_out, unattested, unreachable

# Faults


@pytest.mark.parametrize("outcome", [answered(500), timed_out()])
def test_the_fifth_request_in_a_row_that_another_node_answers_ejects_a_node(outcome: Outcome) -> None:
    bench = Bench()
    for _ in range(4):
        bench.fail_then_answer(1, 2, outcome)
    assert bench.status() == ["up", "up"]
    bench.fail_then_answer(1, 2, outcome)
    assert bench.status() == ["ejected", "up"]
    assert bench.nodes[0].reason == f"failed too often; the last time: {outcome}"


def test_faults_that_half_of_the_others_have_as_well_are_held_against_nobody() -> None:
    bench = Bench(count=3)
    for _ in range(5):
        bench.try_on(1, answered(500))
        bench.try_on(2, answered(500))
    assert bench.status() == ["up", "up", "up"]


def test_half_as_many_faults_as_eject_a_node_are_not_few() -> None:
    bench = Bench(policy=HealthPolicy(eject_after=4))
    for _ in range(2):
        bench.try_on(1, answered(500))
    for _ in range(4):
        bench.try_on(2, answered(500))
    assert bench.status() == ["up", "up"]


def test_a_status_below_500_is_not_held_against_a_node_whatever_others_answer() -> None:
    bench = Bench()
    for _ in range(20):
        bench.fail_then_answer(1, 2, answered(404))
    assert bench.status() == ["up", "up"]


def test_answers_between_the_faults_put_it_off() -> None:
    bench = Bench()
    for _ in range(10):
        bench.fail_then_answer(1, 2)
        for _ in range(4):
            bench.try_on(1, answered(200))
    assert bench.status() == ["up", "up"]


def test_a_request_that_fails_on_all_nodes_is_to_blame_itself() -> None:
    """However often it comes, between requests that succeed and in between."""
    bench = Bench(count=3)
    for _ in range(50):
        bench.try_on(1, answered(500), is_back=True)
        bench.try_on(2, answered(500), 1, is_back=True)
        bench.try_on(3, answered(500), 1, 2)
        bench.try_on(1, answered(200))
    assert bench.status() == ["up", "up", "up"]
    for number in range(50):
        bench.try_on(1 + number % 3, answered(500), is_back=True)
    assert bench.status() == ["up", "up", "up"]


def test_a_node_that_alone_fails_requests_which_nobody_tries_again_is_ejected() -> None:
    bench = Bench(count=3)
    for _ in range(5):
        bench.try_on(2, timed_out())
    assert bench.status() == ["up", "ejected", "up"]


def test_nodes_that_all_fail_requests_which_nobody_tries_again_stay() -> None:
    bench = Bench(count=3)
    for number in range(60):
        bench.try_on(1 + number % 3, answered(500))
    assert bench.status() == ["up", "up", "up"]


@pytest.mark.parametrize("outcome", [answered(404), answered(429), client_left()])
def test_what_does_not_speak_against_a_node_does_not_count(outcome: Outcome) -> None:
    bench = Bench()
    for _ in range(20):
        bench.try_on(1, outcome)
    assert bench.status() == ["up", "up"]


def test_an_answer_of_the_same_node_at_last_does_not_blame_it() -> None:
    bench = Bench()
    for _ in range(20):
        bench.try_on(1, answered(500), is_back=True)
        bench.try_on(1, answered(200), 1)
    assert bench.status() == ["up", "up"]


def test_an_answer_that_broke_off_half_way_counts() -> None:
    bench = Bench()
    broken = Outcome(Source.NODE, Phase.BODY, Reason.NODE_BAD_ANSWER, 0, sent=True, answering=True)
    for _ in range(5):
        bench.try_on(1, broken)
    assert bench.status() == ["ejected", "up"]


def test_of_two_nodes_that_fail_alike_in_turn_one_stays() -> None:
    bench = Bench()
    for _ in range(40):
        bench.fail_then_answer(1, 2)
        bench.fail_then_answer(2, 1)
    assert bench.status().count("up") >= 1


def test_what_a_drain_cuts_off_is_not_held_against_the_node_when_it_works_again() -> None:
    bench = Bench()
    leases = [bench.lease(1) for _ in range(8)]
    bench.fleet.drain(bench.nodes[0], 1.0, bench.now)
    for lease in leases:
        bench.end(lease, timed_out(), is_back=True)
        lease.ticket.tried = lease.ticket.suspects = frozenset({1})
        bench.fleet.free.reserve(bench.nodes[1])
        bench.end(Lease(lease.ticket, bench.nodes[1], bench.now), answered(200))
    bench.fleet.uncordon(bench.nodes[0], bench.now)
    for _ in range(4):
        bench.fail_then_answer(1, 2)
    assert bench.status() == ["up", "up"]
    bench.fail_then_answer(1, 2)
    assert bench.status() == ["ejected", "up"]


def test_with_zero_nobody_is_ever_ejected() -> None:
    bench = Bench(policy=HealthPolicy(eject_after=0))
    for _ in range(50):
        bench.fail_then_answer(1, 2)
        bench.try_on(1, timed_out())
    assert bench.status() == ["up", "up"]


def test_a_single_node_is_never_ejected() -> None:
    bench = Bench(count=1)
    for _ in range(50):
        bench.try_on(1, timed_out())
    assert bench.status() == ["up"]


# Slots in which tries time out


def test_the_slot_of_a_time_out_comes_back_when_others_have_had_the_time_to_answer() -> None:
    """Else a node that hangs would take one more request for each that it has just lost."""
    bench = Bench(slots=3)
    node = bench.nodes[0]
    bench.try_on(1, answered(200))
    for number, slots in enumerate((2, 1, 1)):
        lease = bench.lease(1)
        bench.now += 3.0 - number
        bench.end(lease, timed_out(), is_back=True)
        assert node.slots == slots, "one is always left"
        bench.now -= 3.0 - number
    bench.now = bench.fleet.next_due()
    assert bench.now == pytest.approx(NOW + 0.02 * 4 + 1.0 + 0.05 + 2 * 0.02)
    bench.fleet.advance(bench.now)
    assert (node.slots, node.withheld) == (3, 0)


@pytest.mark.parametrize(
    ("count", "outcome", "is_back", "eject_after"),
    [
        (1, timed_out(), True, 5),
        (2, answered(500), True, 5),
        (2, timed_out(), False, 5),
        (2, timed_out(), True, 0),
    ],
)
def test_no_slot_is_held_back_when_that_would_tell_nothing(
    count: int, outcome: Outcome, is_back: bool, eject_after: int
) -> None:
    bench = Bench(count, HealthPolicy(eject_after=eject_after))
    bench.try_on(1, outcome, is_back=is_back)
    assert (bench.nodes[0].slots, bench.nodes[0].withheld) == (8, 0)


# The request that decides


@pytest.mark.parametrize("outcome", [answered(200), answered(404)])
def test_a_node_that_answers_it_is_back(outcome: Outcome) -> None:
    bench = ejected()
    bench.try_on(1, outcome)
    assert (bench.status(), bench.nodes[0].slots) == (["up", "up"], 8)
    assert bench.nodes[0].breaker.level(bench.nodes[0].answered) == 0


def test_a_node_that_fails_it_rests_twice_as_long_once_another_has_answered_it() -> None:
    bench = ejected()
    bench.fail_then_answer(1, 2)
    node = bench.nodes[0]
    failed_at = node.breaker.until - 4.0
    assert (node.status, node.breaker.state) == (NodeStatus.EJECTED, OPEN)
    assert failed_at == pytest.approx(bench.now - 0.02)
    bench.now = node.breaker.until
    bench.fleet.advance(bench.now)
    bench.fail_then_answer(1, 2)
    assert node.breaker.until == pytest.approx(bench.now - 0.02 + 8.0)


def test_a_node_that_fails_it_rests_no_longer_when_all_others_fail_it_too() -> None:
    bench = ejected()
    lease = bench.lease(1)
    bench.end(lease, answered(500), is_back=True)
    bench.try_on(2, answered(500), 1)
    assert bench.nodes[0].breaker.until == pytest.approx(bench.now - 0.02 + 2.0)


def test_a_node_that_fails_it_as_the_last_of_all_rests_no_longer() -> None:
    bench = ejected()
    bench.try_on(1, answered(500), 2)
    assert bench.nodes[0].breaker.until == pytest.approx(bench.now + 2.0)


def test_a_node_that_fails_it_when_nobody_tries_it_again_rests_twice_as_long() -> None:
    bench = ejected()
    bench.try_on(1, timed_out())
    assert bench.nodes[0].breaker.until == pytest.approx(bench.now + 4.0)


def test_when_the_client_leaves_the_next_request_decides() -> None:
    bench = ejected()
    bench.try_on(1, client_left())
    assert (bench.nodes[0].breaker.state, bench.nodes[0].slots) == (HALF_OPEN, 1)
    bench.try_on(1, answered(200))
    assert bench.nodes[0].breaker.state == CLOSED


def test_when_the_clients_time_is_over_the_node_rests_as_long_again() -> None:
    """It was given one request after the other, each of which ran out of time."""
    bench = ejected()
    node = bench.nodes[0]
    for _ in range(3):
        bench.try_on(1, Outcome(Source.CLIENT, Phase.HEAD, Reason.DEADLINE, 0, True, answering=False))
        assert bench.status()[0] == "ejected"
        assert node.breaker.until == pytest.approx(bench.now + 2.0)
        assert node.reason == "had no answer in time to the request that decided"
        bench.now = node.breaker.until
        bench.fleet.advance(bench.now)
    bench.try_on(1, answered(200))
    assert node.breaker.state == CLOSED


def test_a_request_for_which_there_was_no_socket_decides_nothing() -> None:
    bench = ejected()
    bench.try_on(1, no_socket())
    assert (bench.nodes[0].breaker.state, bench.nodes[0].slots) == (HALF_OPEN, 1)
    bench.try_on(1, answered(200))
    assert bench.nodes[0].breaker.state == CLOSED


def test_requests_from_before_the_rest_decide_nothing() -> None:
    bench = Bench()
    old = [bench.lease(1) for _ in range(3)]
    for _ in range(5):
        bench.fail_then_answer(1, 2)
    bench.now = bench.nodes[0].breaker.until
    bench.fleet.advance(bench.now)
    node = bench.nodes[0]
    assert (node.slots, node.in_flight) == (4, 3)
    bench.end(old[0], answered(500))
    assert (node.breaker.state, node.slots, node.is_free) == (HALF_OPEN, 3, True)
    deciding = bench.lease(1)
    assert node.is_free is False
    bench.end(old[1], answered(200))
    assert (node.breaker.state, node.slots, node.in_flight, node.is_free) == (HALF_OPEN, 2, 2, False)
    bench.end(deciding, answered(200))
    assert node.breaker.state == CLOSED
    bench.end(old[2], answered(200))
    assert (node.in_flight, node.slots) == (0, 8)


def test_an_upload_from_before_the_rest_decides_nothing_however_late_it_is_complete() -> None:
    """Its lease says when the node could begin to work on it; that counted as the start of the try."""
    bench = Bench()
    upload = bench.lease(1)
    for _ in range(5):
        bench.fail_then_answer(1, 2)
    node = bench.nodes[0]
    bench.now = node.breaker.until
    bench.fleet.advance(bench.now)
    until = node.breaker.until
    upload.worked_from = bench.now + 1.0
    bench.now += 2.0
    bench.end(upload, timed_out())
    assert (node.breaker.state, node.breaker.older, node.breaker.until) == (HALF_OPEN, 0, until)


def test_what_a_try_takes_is_counted_from_when_the_node_could_work() -> None:
    bench = Bench()
    upload = bench.lease(1)
    upload.worked_from = NOW + 7.0
    bench.now = NOW + 8.0
    bench.end(upload, answered(200))
    assert bench.nodes[0].busy_s == pytest.approx(1.02)


def test_that_there_is_no_socket_left_says_nothing_of_the_node() -> None:
    bench = Bench()
    for _ in range(9):
        bench.try_on(1, no_socket(), is_back=True)
    node = bench.nodes[0]
    assert (bench.status(), node.record.failed, node.record.last_error) == (["up", "up"], 0, "")
    assert node.breaker.level(0) == 0


# Nobody there


def test_a_refused_connection_takes_a_node_down_until_it_passes_a_check() -> None:
    bench = Bench()
    bench.try_on(1, unreachable(), is_back=True)
    assert bench.status() == ["down", "up"]
    assert bench.nodes[0].reason == "nobody was there: the connection was refused"
    bench.judge.checked(bench.nodes[0], None, False, bench.now)
    assert bench.status() == ["down", "up"]
    bench.judge.checked(bench.nodes[0], None, False, bench.now)
    assert bench.status() == ["up", "up"]


def test_the_deciding_request_that_finds_nobody_takes_the_node_down() -> None:
    bench = ejected()
    bench.try_on(1, unreachable(), is_back=True)
    assert bench.status() == ["down", "up"]
    for _ in range(2):
        bench.judge.checked(bench.nodes[0], None, False, bench.now)
    assert (bench.status(), bench.nodes[0].breaker.state) == (["up", "up"], CLOSED)


# Not proven


@pytest.mark.parametrize("sent", [False, True])
def test_that_a_node_has_not_proven_itself_says_nothing_of_its_health(sent: bool) -> None:
    bench = Bench()
    for _ in range(20):
        bench.fail_then_answer(1, 2, unattested(sent))
        bench.try_on(1, unattested(sent))
    assert bench.status() == ["up", "up"]
    record = bench.nodes[0].record
    assert (record.failed, record.last_error) == (
        40,
        f"node_unattested ({'send' if sent else 'connect'})",
    )


def test_the_deciding_request_that_is_not_sent_to_an_unproven_node_leaves_it_to_the_next() -> None:
    bench = ejected()
    bench.try_on(1, unattested(), is_back=True)
    assert (bench.nodes[0].breaker.state, bench.nodes[0].slots) == (HALF_OPEN, 1)
    bench.try_on(1, answered(200))
    assert bench.nodes[0].breaker.state == CLOSED


# What else is noted


def test_answers_and_failures_are_counted_with_the_last_error() -> None:
    bench = Bench()
    for outcome in (answered(200), answered(503), answered(200), client_left(), timed_out()):
        bench.try_on(1, outcome)
    node = bench.nodes[0]
    assert (node.answered, node.record.failed) == (2, 2)
    assert (node.record.last_error, node.record.last_error_at) == ("node_timeout (head)", bench.now)
    assert node.busy_s == pytest.approx(0.04)
    assert node.record.latency_s(node.answered, node.busy_s) == pytest.approx(0.02)


def test_a_drained_node_is_told_of_when_its_last_request_ends() -> None:
    bench = Bench()
    leases = [bench.lease(1), bench.lease(1)]
    bench.fleet.drain(bench.nodes[0], 30.0, bench.now)
    bench.end(leases[0], answered(200))
    assert bench.status() == ["draining", "up"]
    bench.end(leases[1], answered(500))
    assert bench.status() == ["drained", "up"]


def test_a_removed_node_only_gives_its_slot_back() -> None:
    bench = Bench()
    lease = bench.lease(1)
    bench.fleet.remove(bench.nodes[0], bench.now)
    bench.fleet.take_changes()
    bench.end(lease, unreachable())
    assert (bench.nodes[0].in_flight, bench.fleet.take_changes()) == (0, [])
    bench.try_on(2, answered(200), 1)
    assert bench.fleet.take_changes() == []


def test_a_removed_node_that_answers_the_request_that_decided_does_not_come_back() -> None:
    """Not into the order of nodes either, in which it would stand for ever."""
    order = Affinity(LeastInFlight())
    bench = Bench(order=order)
    node = bench.nodes[0]
    bench.fleet.eject(node, "bad", bench.now)
    bench.fleet.advance(bench.now + 2)
    bench.now += 2
    lease = bench.lease(1)
    bench.fleet.remove(node, bench.now)
    bench.fleet.take_changes()
    bench.judge.answering(lease, bench.now)
    assert (node.node_id in order._nodes, bench.fleet.take_changes(), node.breaker.state) == (
        False,
        [],
        HALF_OPEN,
    )
    bench.end(lease, answered(200))
    assert (node.node_id in order._nodes, node.in_flight) == (False, 0)


def test_after_its_first_answer_a_node_is_not_watched_any_more() -> None:
    bench = Bench()
    node = bench.nodes[0]
    assert node.watched is True
    bench.try_on(1, answered(500))
    assert node.watched is True
    bench.try_on(1, answered(200))
    assert node.watched is False


def test_slots_are_found_from_answers_and_time_outs_and_not_from_quick_failures() -> None:
    bench = Bench()
    node = bench.nodes[0]
    bench.fleet.set_workers(node, 64, AdaptiveSlots(1, 64, bench.now), bench.now)
    for _ in range(20):
        bench.try_on(1, answered(404))
    assert node.slots == 1
    for _ in range(16):
        bench.try_on(1, answered(200))
    assert (node.slots, node.is_free) == (2, True)


def test_an_order_that_depends_on_latency_is_told_of_it() -> None:
    selection = PeakEwma(MIDDLE)
    bench = Bench()
    bench.fleet = Fleet(selection, POLICY)
    bench.judge = Judge(bench.fleet)
    bench.nodes = [NodeState(number, "", 8, True) for number in (1, 2)]
    for node in bench.nodes:
        bench.fleet.add(node, NOW)
    bench.try_on(1, answered(200))
    bench.try_on(2, answered(500))
    assert [node.order for node in bench.nodes] == [pytest.approx(0.02), 0.0]
    bench.try_on(2, timed_out())
    assert bench.nodes[1].order == pytest.approx(0.02)
    assert bench.nodes[0].watched is True


def test_a_verdict_costs_the_same_among_many_nodes_as_among_few() -> None:
    costs = []
    for count in (20, 1000):
        bench = Bench(count)

        def judge(bench: Bench = bench) -> None:
            for _ in range(5):
                bench.fail_then_answer(1, 2)
            for _ in range(3):
                bench.try_on(3, timed_out())
            bench.fleet.restore(bench.nodes[0], "", bench.now)

        judge()
        costs.append(lines_run(judge))
    assert costs[0] == costs[1]
