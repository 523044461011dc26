"""More requests than can be served: who is refused, who has to go, and who gives way."""

import pytest

from priolb.core.overload.estimate import WaitEstimate
from priolb.core.overload.preemption import Preemption
from priolb.core.queueing.codel import CodelLane
from priolb.core.queueing.discipline import FastHighLow
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.core.retries.hedge import Hedging
from support.manual_loop import TICK_S
from support.memory import MemoryTransport
from support.messages import ANSWER, DEADLINE, POST, RETRY_AFTER, answer_at_client, post, problem, timings
from support.rig import Rig

FAST = post(b"X-Fast-Track: true", b"X-Request-ID: fast")
HIGH = post(b"X-High-Priority: true")


def overload(words: str) -> bytes:
    return problem(b"503 Service Unavailable", words, RETRY_AFTER)


def send(rig: Rig, *requests: bytes) -> list[MemoryTransport]:
    clients = [rig.client() for _ in requests]
    for client, request in zip(clients, requests, strict=True):
        client.send(request)
    return clients


# A full queue


def test_a_better_request_displaces_the_newest_of_the_worst_lane() -> None:
    with Rig(queue_max=2) as rig:
        node = rig.node(slots=1)
        holder, low, newest, fast = send(rig, POST, POST, POST, FAST)
        assert (newest.take(), rig.counts()[0]) == (b"", 2)
        call = node.accept()
        rig.advance(TICK_S)
        assert newest.take() == overload("displaced by a better request")
        assert not newest.is_closing()
        for _ in range(3):
            call.send(ANSWER)
        assert [client.take()[:15] for client in (holder, fast, low)] == [b"HTTP/1.1 200 OK"] * 3
        assert rig.notes.take("refused") == [("refused", b"", "displaced", 503)]


def test_one_that_is_no_better_is_refused() -> None:
    with Rig(queue_max=1) as rig:
        node = rig.node(slots=1)
        *_, last = send(rig, POST, POST, POST)
        assert last.take() == overload("queue full")
        node.accept().send(ANSWER)
        node.connections[0].send(ANSWER)


def test_one_that_is_displaced_and_leaves_before_it_is_told_hears_nothing() -> None:
    with Rig(queue_max=1) as rig:
        node = rig.node(slots=1)
        holder, low, fast = send(rig, POST, POST, FAST)
        low.end()
        rig.advance(TICK_S)
        assert low.take() == b""
        assert rig.notes.take("refused", "client_left") == [("client_left", b"", 0, 2)]
        call = node.accept()
        call.send(ANSWER)
        call.send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200")
        assert holder.take() == answer_at_client(times=timings(0, 15_625, 15_625))


def test_those_who_are_displaced_in_a_chain_are_told_one_after_the_other() -> None:
    """Each of these clients has a fast request behind its low one."""
    with Rig(queue_max=4, lane_limits=(4, 0, 0)) as rig:
        node = rig.node(slots=1)
        send(rig, POST)
        clients = send(rig, *[POST + FAST] * 4)
        [first] = send(rig, FAST)
        for _ in range(4):
            rig.advance(TICK_S)
        displaced = sum(b"displaced" in client.take() for client in clients)
        assert displaced == 4
        assert rig.scheduler.queue.lengths() == (4, 0, 0)
        for client in (*clients, first):
            client.end()
        node.accept().send(ANSWER)


# An expected wait


def estimate_of(service_s: float) -> WaitEstimate:
    estimate = WaitEstimate(3)
    estimate.observe(2, service_s, -1000.0)
    return estimate


def test_one_that_would_wait_longer_than_it_may_is_refused_at_once() -> None:
    with Rig(estimate=estimate_of(2.0)) as rig:
        rig.node(slots=1)
        clients = send(rig, *[POST] * 5)
        # Seven seconds of work are ahead of the last one; of these the jitter makes four to seven.
        assert clients[-1].take() == overload("expected wait too long").replace(
            b"Retry-After: 1", b"Retry-After: 6"
        )
        assert rig.notes.take("refused") == [("refused", b"", "wait_too_long", 503)]
        for client in clients:
            client.end()


def test_a_better_one_is_not() -> None:
    with Rig(estimate=estimate_of(2.0)) as rig:
        rig.node(slots=1)
        clients = send(rig, *[POST] * 4, HIGH)
        assert clients[-1].take() == b""
        for client in clients:
            client.end()


def test_one_that_needs_its_answer_sooner_than_the_node_gives_any_is_not_sent() -> None:
    with Rig(estimate=WaitEstimate(3)) as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        call = node.accept()
        rig.advance(1)
        call.send(ANSWER)
        client.take()
        client.send(post(b"X-Request-Timeout: 0.75"))
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert call.take().count(b"POST") == 1
        client.send(post(b"X-Request-Timeout: 1.25"))
        call.take()
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK")


def test_all_who_have_too_little_time_left_are_told_a_few_at_a_time() -> None:
    with Rig(estimate=WaitEstimate(3)) as rig:
        node, holder = rig.node(slots=1), rig.client()
        holder.send(POST)
        call = node.accept()
        clients = send(rig, *[post(b"X-Request-Timeout: 2")] * 200)
        for _ in range(3):
            node.state.service_times.add(2.0, rig.clock())
        rig.advance(0.5)
        call.send(ANSWER)
        assert rig.counts()[0] == 200 - 64
        rig.advance(4 * TICK_S)
        assert {client.take()[:12] for client in clients} == {b"HTTP/1.1 504"}
        assert call.take().count(b"POST") == 1


def test_one_that_has_too_little_time_left_when_a_slot_is_free_is_told_then() -> None:
    """Half of the answers of its node take 2 seconds, though those of its lane take but one."""
    with Rig(estimate=estimate_of(0.5)) as rig:
        node, holder, client = rig.node(slots=1), rig.client(), rig.client()
        for _ in range(3):
            node.state.service_times.add(2.0, rig.clock())
        holder.send(POST)
        call = node.accept()
        client.send(post(b"X-Request-Timeout: 2"))
        rig.advance(0.5)
        call.send(ANSWER)
        rig.advance(TICK_S)
        assert client.take() == DEADLINE
        assert call.take().count(b"POST") == 1


# Controlled delay


def codel_queue() -> PriorityQueue:
    """Return a queue whose low lane has an interval of a quarter of a second, and 0.1 s as its target."""
    return PriorityQueue(
        [Lane("fast", max_wait_s=5.0), Lane("high", max_wait_s=5.0), CodelLane("low", 0, 0, 5.0)],
        FastHighLow(2),
    )


def test_a_congested_lane_sheds_what_has_waited_too_long_and_serves_the_newest() -> None:
    with Rig(queue=codel_queue()) as rig:
        node = rig.node(slots=1)
        holder, first, second = send(rig, POST, POST, POST)
        rig.advance(0.25)
        assert first.take() == b""
        rig.advance(TICK_S)
        assert first.take() == overload("shed under overload")
        assert second.take() == b"", "the newest stays"
        [third] = send(rig, POST)
        rig.advance(TICK_S)
        assert second.take() == overload("shed under overload")
        [fourth] = send(rig, POST)
        call = node.accept()
        call.send(ANSWER)
        call.send(ANSWER)
        assert [bool(client.take()) for client in (holder, fourth, third)] == [True, True, False]
        call.send(ANSWER)
        assert third.take().startswith(b"HTTP/1.1 200 OK")
        assert [note[2] for note in rig.notes.take("refused")] == ["shed", "shed"]


# Preemption


def preemption(per_second: int = 10) -> Preemption:
    return Preemption(frozenset({0}), frozenset({2}), per_second, 0.0)


def test_a_fast_request_takes_the_slot_of_the_youngest_low_one() -> None:
    with Rig(preemption=preemption(), max_tries=1) as rig:
        node = rig.node(slots=2)
        old, young = rig.client(), rig.client()
        old.send(POST)
        first = node.accept()
        young.send(POST)
        second = node.accept()
        rig.advance(0.5)
        [fast] = send(rig, FAST)
        third = node.accept()
        assert second.is_lost and not first.is_lost
        assert b"X-Fast-Track" in third.take()
        assert rig.notes.take("preempted") == [("preempted", b"", 2, "http://node-1", b"fast")]
        third.send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK")
        third.send(ANSWER)
        assert young.take() == answer_at_client(times=timings(500_000, 0, 500_000))
        first.send(ANSWER)
        assert old.take() == answer_at_client(times=timings(0, 500_000, 500_000))
        assert (node.state.record.failed, node.state.answered) == (0, 3)


@pytest.mark.parametrize(
    "what",
    [
        "its answer has begun",
        "its answer has failed",
        "its method is not repeated",
        "it has a second try",
        "it asks for another protocol",
    ],
)
def test_one_that_cannot_start_again_keeps_its_slot(what: str) -> None:
    hedging = None
    if what == "it has a second try":
        hedging = Hedging(frozenset({2}), 100, 0.0)
        hedging.budget._floor = 100.0
        for _ in range(64):
            hedging.answered(2, 0.1)
    with Rig(preemption=preemption(), hedging=hedging) as rig:
        node = rig.node(slots=1)
        low = rig.client()
        request = POST.replace(b"POST", b"PATCH") if "method" in what else POST
        if "protocol" in what:
            request = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        low.send(request)
        call = node.accept()
        if "begun" in what:
            call.send(ANSWER[:-1])
        elif "failed" in what:
            call.send(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nn")
        elif hedging is not None:
            other = rig.node(slots=1)
            rig.advance(0.1 + TICK_S)
            other.accept()
        [fast] = send(rig, FAST)
        assert (fast.take(), rig.notes.take("preempted")) == (b"", [])
        assert not call.is_lost
        for client in (low, fast):
            client.end()


@pytest.mark.parametrize("expects", [b"", b"Expect: 100-continue"])
def test_one_that_takes_a_slot_is_not_refused_for_a_wait_that_it_has_not(expects: bytes) -> None:
    """Without preemption it would wait for half of a service of 60 seconds."""
    estimate = estimate_of(60.0)
    with Rig(preemption=preemption(), estimate=estimate) as rig:
        node, low, fast = rig.node(slots=1), *send(rig, POST), rig.client()
        node.accept()
        head, _, body = (post(b"X-Fast-Track: true", expects) if expects else FAST).partition(b"\r\n\r\n")
        fast.send(head + b"\r\n\r\n")
        if expects:
            assert fast.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        fast.send(body)
        node.accept().send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK")
        low.end()


def test_one_that_has_no_token_and_too_long_a_wait_is_refused() -> None:
    with Rig(preemption=preemption(per_second=1), estimate=estimate_of(60.0)) as rig:
        rig.node(slots=1)
        clients = send(rig, POST, FAST, FAST)
        assert clients[1].take() == b""
        assert b"expected wait too long" in clients[-1].take()
        for client in clients:
            client.end()


def test_an_older_one_gives_way_when_the_answer_of_the_youngest_has_begun() -> None:
    with Rig(preemption=preemption()) as rig:
        node = rig.node(slots=2)
        old, young = rig.client(), rig.client()
        old.send(POST)
        first = node.accept()
        young.send(POST)
        second = node.accept()
        second.send(ANSWER[:-1])
        [fast] = send(rig, FAST)
        rig.run()
        assert first.is_lost and not second.is_lost
        for client in (old, young, fast):
            client.end()


def test_one_that_has_only_planned_a_second_try_gives_way_and_forgets_the_plan() -> None:
    hedging = Hedging(frozenset({2}), 100, 0.0)
    for _ in range(64):
        hedging.answered(2, 0.1)
    with Rig(preemption=preemption(), hedging=hedging) as rig:
        node, low = rig.node(slots=1), rig.client()
        low.send(POST)
        call = node.accept()
        [fast] = send(rig, FAST)
        rig.run()
        assert call.is_lost
        call = node.accept()
        call.send(ANSWER)
        call.send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK") and low.take().startswith(b"HTTP/1.1 200 OK")


def test_one_that_is_still_connecting_gives_way_too() -> None:
    with Rig(preemption=preemption()) as rig:
        node, low = rig.node(slots=1), rig.client()
        node.is_silent = True
        low.send(POST)
        rig.run()
        [fast] = send(rig, FAST)
        rig.run()
        assert (node.attempts, node.given_up) == (2, 1)
        node.let_in()
        call = node.accept()
        call.send(ANSWER)
        call.send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK") and low.take().startswith(b"HTTP/1.1 200 OK")


def test_one_that_gave_way_is_refused_at_its_deadline_as_any_other() -> None:
    with Rig(preemption=preemption(), try_timeout_s=60) as rig:
        node, low = rig.node(slots=1), rig.client()
        rig.scheduler.next_dispatch(rig.clock.now)
        rig.engine.pump(rig.clock.now)  # so that there is no news of the node to look at the time for
        low.send(POST)
        node.accept()
        rig.advance(1)
        [fast] = send(rig, FAST)
        rig.advance(4 + TICK_S)
        assert low.take() == DEADLINE
        node.accept().send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK")


def test_one_that_has_no_token_waits_for_the_next_one() -> None:
    with Rig(preemption=preemption(per_second=1)) as rig:
        rig.node(slots=2)
        clients = send(rig, POST, POST, FAST, FAST)
        rig.run()
        assert len(rig.notes.take("preempted")) == 1
        assert rig.scheduler.queue.lengths() == (1, 0, 1)
        rig.advance(1 - TICK_S)
        assert rig.scheduler.queue.lengths() == (1, 0, 1)
        rig.advance(2 * TICK_S)
        assert len(rig.notes.take("preempted")) == 1
        assert rig.scheduler.queue.lengths() == (0, 0, 2)
        for client in clients:
            client.end()


def test_nobody_is_woken_for_a_token_that_nobody_waits_for() -> None:
    with Rig(preemption=preemption(per_second=1)) as rig:
        rig.node(slots=2)
        clients = send(rig, POST, POST, FAST, FAST)
        assert rig.scheduler.next_deadline() == rig.clock.now + 1
        clients[-1].end()
        rig.run()
        assert rig.scheduler.next_deadline() == rig.clock.now + 5, "that of the low one in line"
        rig.advance(2)
        assert len(rig.notes.take("preempted")) == 1
        for client in clients[:-1]:
            client.end()


def test_one_whose_try_has_failed_takes_a_slot_of_the_next_node() -> None:
    with Rig(preemption=preemption()) as rig:
        first = rig.node(slots=1)
        [fast] = send(rig, FAST)
        call = first.accept()
        second, low = rig.node(slots=1), rig.client()
        low.send(POST)
        to_low = second.accept()
        call.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        again = second.accept()
        assert to_low.is_lost
        assert rig.notes.take("preempted") == [("preempted", b"", 2, "http://node-2", b"fast")]
        again.send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK")
        call.take()
        call.send(ANSWER)  # the slot that was no good for the fast one was for the low one, at once
        assert low.take().startswith(b"HTTP/1.1 200 OK")


def test_one_that_can_go_to_no_node_at_hand_does_not_hold_up_those_behind_it() -> None:
    with Rig(preemption=preemption()) as rig:
        first = rig.node(slots=1)
        [failing] = send(rig, FAST)
        to_first = first.accept()
        second = rig.node(slots=1)
        [high] = send(rig, HIGH)
        to_second = second.accept()
        [low] = send(rig, POST)
        to_first.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        rig.run()
        assert rig.scheduler.queue.lengths() == (1, 0, 0), (
            "the low one has the slot, the other waits for node 2"
        )
        [fast] = send(rig, FAST)
        assert len(rig.notes.take("preempted")) == 1
        assert rig.scheduler.queue.lengths() == (1, 0, 1)
        first.accept().send(ANSWER)
        assert fast.take().startswith(b"HTTP/1.1 200 OK")
        to_second.send(ANSWER)
        to_second.send(ANSWER)
        for client in (high, failing):
            assert client.take().startswith(b"HTTP/1.1 200 OK")
        low.end()
