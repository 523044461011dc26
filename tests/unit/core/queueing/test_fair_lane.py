"""A lane that is fair to its tenants: clocks, queues, and what is forgotten."""

from collections.abc import Iterable

import pytest

from priolb.core.nodes.node import Lease, NodeState
from priolb.core.queueing.fair_lane import FairLane, TenantQueue
from priolb.core.ticket import RUNNING, WAITING, Ticket
from support.steps import lines_run
from support.tickets import any_node, no_node, node

NODE = node(1, 100)


class Desk:
    """A fair lane, tickets of its tenants, and the work that they cause."""

    def __init__(self, limit: int = 0, limit_bytes: int = 0, queues: int = 64, hand: int = 4) -> None:
        self.lane = FairLane("low", limit, limit_bytes, seed=b"seed", queues=queues, hand=hand)
        self.sequence = 0

    def ticket(self, tenant: str, start_by: float = 100.0, body_bytes: int = 0) -> Ticket:
        self.sequence += 1
        each = Ticket(0, 0.0, start_by)
        each.sequence = self.sequence
        each.tenant = tenant.encode()
        each.body_bytes = body_bytes
        return each

    def push(self, tenants: Iterable[str]) -> list[Ticket]:
        """Push a ticket for each tenant; their names are mostly letters."""
        tickets = [self.ticket(tenant) for tenant in tenants]
        for each in tickets:
            self.lane.append(each)
        return tickets

    def next(self) -> Ticket:
        each = self.lane.first(any_node)
        assert each is not None
        return each

    def begin(self) -> Lease:
        """Take the next ticket out, and let it begin."""
        each = self.next()
        self.lane.remove(each)
        lease = Lease(each, NODE, 0.0)
        self.lane.begin(lease)
        return lease

    def serve(self, count: int, took_s: dict[str, float]) -> str:
        """Serve tickets one after the other; return whose they were."""
        tenants = ""
        for _ in range(count):
            lease = self.begin()
            tenant = lease.ticket.tenant.decode()
            self.lane.end(lease, took_s[tenant])
            tenants += tenant
        return tenants


def queue_of(desk: Desk, each: Ticket) -> TenantQueue:
    (found,) = [queue for queue in desk.lane._queues if queue.fresh is each.fifo]
    return found


def test_tenants_whose_requests_take_the_same_time_take_turns() -> None:
    desk = Desk()
    desk.push("aaaaaabbcc")
    assert desk.serve(10, {"a": 1.0, "b": 1.0, "c": 1.0}) == "abcabcaaaa"
    assert (desk.lane.length, desk.lane.first(any_node)) == (0, None)


def test_tenants_share_the_time_at_nodes_and_not_the_number_of_requests() -> None:
    """Requests of a take four times as long, so that one of them weighs as much as four of b."""
    desk = Desk()
    desk.push("a" * 10 + "b" * 40)
    order = desk.serve(45, {"a": 4.0, "b": 1.0})
    assert (order.count("a"), order.count("b")) == (9, 36)


def test_a_tenant_that_comes_later_is_served_at_once_and_gets_nothing_for_the_time_before() -> None:
    desk = Desk()
    desk.push("a" * 20)
    assert desk.serve(10, {"a": 1.0}) == "a" * 10
    desk.push("b" * 5)
    assert desk.serve(10, {"a": 1.0, "b": 1.0}) == "bababababa"


def test_a_tenant_that_was_away_saves_nothing_up() -> None:
    desk = Desk()
    desk.push("b" + "a" * 20)
    assert desk.serve(10, {"a": 1.0, "b": 1.0}) == "baaaaaaaaa"
    desk.push("b" * 5)
    assert desk.serve(6, {"a": 1.0, "b": 1.0}) == "bababa"


def one_at_a_time(desk: Desk, tenant: str, count: int) -> str:
    """Serve tickets, of which this tenant sends the next one when its last has been served."""
    tenants = ""
    for _ in range(count):
        if not desk.lane.backlog_of(tenant.encode()):
            desk.push(tenant)
        tenants += desk.serve(1, {"a": 1.0, "b": 1.0, "c": 1.0})
    return tenants


def test_one_request_after_the_other_is_one_share_and_not_one_for_each_queue_of_the_hand() -> None:
    desk = Desk()
    desk.push("b" * 20 + "c" * 20)
    assert one_at_a_time(desk, "a", 12) == "bcabcabcabca"


def test_so_it_is_for_who_was_served_while_nobody_waited() -> None:
    desk = Desk()
    passing = Lease(desk.ticket("a"), NODE, 0.0)
    desk.lane.begin(passing)
    desk.push("b" * 20)
    desk.lane.end(passing, 4.0)
    assert one_at_a_time(desk, "a", 9) == "bbbbbabab"


def test_a_tenant_whose_queue_others_have_come_to_stands_where_least_is_to_be_done() -> None:
    """Two queues: a has got 4 s in one, and then b comes there, as c stands in the other."""
    desk = Desk(queues=2, hand=2)
    desk.push("a")
    assert desk.serve(1, {"a": 4.0}) == "a"
    first, *_ = desk.push("c" * 20)
    (second,) = desk.push("b")
    third = desk.push("b" * 20)[0]
    assert queue_of(desk, first) is not queue_of(desk, second)
    assert queue_of(desk, second) is queue_of(desk, third)
    (last,) = desk.push("a")
    assert queue_of(desk, last) is queue_of(desk, first)


def test_what_runs_counts_by_its_estimate_until_it_ends() -> None:
    """Six slots, two tenants: each gets three, though nothing has ended yet."""
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"  # from now on a request is expected to take a second
    desk.push("aaaaaabbb")
    begun = [desk.begin().ticket.tenant for _ in range(6)]
    assert begun == [b"a", b"b", b"a", b"b", b"a", b"b"]


def test_an_estimate_that_was_too_low_is_paid_back() -> None:
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"
    desk.push("aaa" + "b" * 10)
    lease = desk.begin()
    assert lease.ticket.tenant == b"a"
    desk.lane.end(lease, 4.0)
    assert desk.serve(7, {"a": 1.0, "b": 1.0}) == "bbbbbaba"[:7]


def test_an_estimate_that_was_too_high_is_given_back() -> None:
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 4.0}) == "x"
    desk.push("aabb")
    first, second = desk.begin(), desk.begin()
    assert (first.ticket.tenant, second.ticket.tenant) == (b"a", b"b")
    desk.lane.end(second, 1.0)
    assert desk.next().tenant == b"b"
    desk.lane.end(first, 0.5)
    assert desk.next().tenant == b"a"


def test_who_comes_after_estimates_that_were_too_high_waits_no_longer_for_it() -> None:
    """The lane's clock goes back with that of the queue that waits."""
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 100.0}) == "x"
    desk.push("a" * 20)
    for lease in [desk.begin() for _ in range(8)]:
        desk.lane.end(lease, 1.0)
    desk.push("bbb")
    assert desk.serve(6, {"a": 1.0, "b": 1.0}) == "ababab"


def test_one_stream_of_hours_at_most_doubles_what_others_are_expected_to_take() -> None:
    desk = Desk()
    desk.push("xs")
    assert desk.serve(2, {"x": 1.0, "s": 3600.0}) == "xs"
    assert desk.lane._estimate_s == 1.9
    desk.push("s")
    assert desk.serve(1, {"s": 0.9}) == "s"
    assert desk.lane._estimate_s == pytest.approx(1.8)


def test_an_estimate_that_many_quick_failures_have_brought_to_nothing_comes_back() -> None:
    """By a hundredth of a second, and then by doubling."""
    desk = Desk()
    desk.push("x" * 2000)
    desk.serve(2000, {"x": 0.0})
    desk.lane._estimate_s = 1e-200
    desk.push("x" * 5)
    desk.serve(5, {"x": 0.1})
    assert desk.lane._estimate_s == pytest.approx(0.1 * (1 - 0.9**5))


def test_nothing_is_given_back_for_the_time_before_the_queue_was_last_empty() -> None:
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 10.0}) == "x"
    desk.push("b")
    slow = desk.begin()  # expected to take 10 s
    assert slow.ticket.tenant == b"b"
    desk.push("aaaaaa")
    assert desk.serve(3, {"a": 10.0}) == "aaa"
    desk.push("bbbb")
    desk.lane.end(slow, 0.0)
    assert desk.serve(5, {"a": 10.0, "b": 10.0}) == "babab"


def test_who_never_waited_is_charged_too() -> None:
    """A ticket that was served while nobody waited."""
    desk = Desk()
    for _ in range(3):
        passing = desk.ticket("a")
        lease = Lease(passing, NODE, 0.0)
        desk.lane.begin(lease)
        desk.lane.end(lease, 1.0)
    desk.push("aaab")
    assert desk.serve(4, {"a": 1.0, "b": 1.0}) in {"baaa", "abaa"}


def test_requests_of_a_tenant_stay_in_order_whatever_happens_to_it() -> None:
    desk = Desk(queues=4, hand=4)
    tickets = desk.push("aaaaa")
    first = desk.begin()
    assert first.ticket is tickets[0]
    desk.lane.remove(tickets[3])
    desk.lane.end(first, 1.0)
    first.ticket.tried = frozenset({1})
    desk.lane.put_back(first.ticket)
    order = [desk.begin().ticket for _ in range(4)]
    assert order == [tickets[0], tickets[1], tickets[2], tickets[4]]


def test_a_tenant_has_one_queue_as_long_as_it_waits_so_that_more_requests_are_no_more_shares() -> None:
    desk = Desk()
    tickets = desk.push("a" * 50)
    assert len({id(queue_of(desk, each)) for each in tickets}) == 1


def test_a_new_tenant_stands_where_least_is_to_be_done() -> None:
    """All queues but one are in use."""
    desk = Desk(queues=4, hand=4)
    used = {id(queue_of(desk, each)) for each in desk.push("abc")}
    assert len(used) == 3
    (new,) = desk.push("d")
    assert id(queue_of(desk, new)) not in used


def test_a_queue_is_charged_for_whoever_stood_in_it_also_for_the_last_of_its_tenant() -> None:
    """Two queues: x has used one, in which b stands now; a and c stand in the other."""
    desk = Desk(queues=2, hand=2)
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"
    desk.push("a" + "bbb" + "c" * 10)
    assert desk.begin().ticket.tenant == b"a"
    assert desk.begin().ticket.tenant == b"b"
    assert desk.begin().ticket.tenant == b"c"


def test_a_retry_that_no_free_node_may_serve_lets_other_tenants_go() -> None:
    desk = Desk()
    retried = desk.ticket("a")
    retried.tried = frozenset({1})
    desk.lane.put_back(retried)
    (other,) = desk.push("b")
    assert retried.state == WAITING
    assert desk.next() is retried
    assert desk.lane.first(no_node) is other
    assert desk.next() is retried
    desk.lane.remove(retried)
    assert retried.state == RUNNING
    assert desk.next() is other


def test_who_rests_is_not_served_before_it_wakes() -> None:
    desk = Desk()
    resting = desk.ticket("a", start_by=9.0)
    resting.tried = frozenset({1})
    desk.lane.rest(resting)
    assert (desk.lane.length, desk.lane.first(any_node)) == (1, None)
    assert desk.lane.first_to_expire() is resting
    desk.lane.wake(resting)
    assert desk.next() is resting
    desk.lane.remove(resting)
    desk.lane.wake(resting)
    assert desk.lane.length == 0


def test_the_first_to_expire_is_that_of_all_tenants() -> None:
    desk = Desk()
    for tenant, start_by in (("a", 10.0), ("b", 8.0), ("a", 6.0), ("c", 8.0)):
        desk.lane.append(desk.ticket(tenant, start_by))
    found = []
    while (each := desk.lane.first_to_expire()) is not None:
        found.append(each.sequence)
        desk.lane.remove(each)
    assert found == [3, 2, 4, 1]


def test_the_oldest_is_that_of_all_tenants() -> None:
    desk = Desk()
    assert desk.lane.oldest() is None
    tickets = desk.push("abca")
    for each in tickets:
        assert desk.lane.oldest() is each
        desk.lane.remove(each)


def test_one_tenant_fills_no_more_than_half_of_a_limit_and_there_is_room_for_others() -> None:
    desk = Desk(limit=10)
    accepted = ""
    for tenant in "a" * 10 + "bbbbb" + "ccc" + "de":
        each = desk.ticket(tenant)
        if desk.lane.has_room(each.body_bytes, each.tenant):
            desk.lane.append(each)
            accepted += tenant
    assert accepted == "aaaaabbbcd"
    assert desk.lane.has_room(0, b"") is False


def test_so_it_is_with_bytes() -> None:
    desk = Desk(limit_bytes=100)
    for tenant, body_bytes, is_admitted in (
        ("a", 40, True),
        ("a", 21, False),
        ("a", 20, True),
        ("b", 41, False),
        ("b", 40, True),
    ):
        each = desk.ticket(tenant, body_bytes=body_bytes)
        assert desk.lane.has_room(each.body_bytes, each.tenant) is is_admitted
        if is_admitted:
            desk.lane.append(each)
    assert desk.lane.held_bytes == 100


def test_tenants_that_are_gone_leave_nothing_behind() -> None:
    desk = Desk()
    for number in range(3000):
        each = desk.ticket(f"tenant-{number}")
        desk.lane.append(each)
        if number % 3 == 0:
            desk.lane.remove(each)
        else:
            lease = desk.begin()
            desk.lane.end(lease, 0.1)
    lane = desk.lane
    assert (lane._tenants, lane._charges, lane.length, lane._active) == ({}, {}, 0, 0)
    assert len(lane._line) <= 2 + 16


def test_tenants_that_leave_before_they_are_served_leave_nothing_behind() -> None:
    desk = Desk()
    desk.push("a")
    for number in range(1000):
        each = desk.ticket(f"tenant-{number}")
        desk.lane.append(each)
        desk.lane.remove(each)
        assert len(desk.lane._line) <= 2 * 2 + 16


def test_a_try_beside_the_first_is_charged_to_the_same_tenant() -> None:
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"
    desk.push("aaabbb")
    lease = desk.begin()
    assert lease.ticket.tenant == b"a"
    second = Lease(lease.ticket, NodeState(2, "http://node-2", 1), 0.0)
    desk.lane.begin(second)
    desk.lane.end(lease, 1.0)
    desk.lane.end(second, 1.0)
    assert desk.serve(4, {"a": 1.0, "b": 1.0}) == "bbab"


def test_so_it_is_when_others_have_begun_meanwhile() -> None:
    """The second try of a's request is charged to the queue in which a waits."""
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"
    desk.push("aabbb")
    first, other = desk.begin(), desk.begin()
    assert (first.ticket.tenant, other.ticket.tenant) == (b"a", b"b")
    second = Lease(first.ticket, NODE, 0.0)
    desk.lane.begin(second)
    assert desk.begin().ticket.tenant == b"b"
    desk.lane.end(second, 0.0)
    assert desk.next().tenant == b"a"


def test_the_next_one_is_found_without_looking_at_all_tenants() -> None:
    costs = []
    for count in (10, 300):
        desk = Desk(queues=512)
        for number in range(count):
            desk.lane.append(desk.ticket(f"tenant-{number}"))
        lane = desk.lane
        costs.append(lines_run(lambda lane=lane: lane.first(any_node)))  # type: ignore[misc]
        assert lane._active > count // 2
    assert costs[0] == costs[1]
    assert costs[0] > 0


def test_a_retry_is_found_without_looking_at_tenants_that_have_none() -> None:
    costs = []
    for count in (10, 300):
        desk = Desk(queues=512)
        retried = desk.push([f"tenant-{number}" for number in range(count)])[0]
        lane = desk.lane
        costs.append(lines_run(lambda lane=lane: lane.first_retry(any_node)))  # type: ignore[misc]
        assert lane.first_retry(any_node) is None
        lane.remove(retried)
        retried.tried = frozenset({1})
        lane.rest(retried)
        assert lane.first_retry(any_node) is None
        lane.wake(retried)
        costs.append(lines_run(lambda lane=lane: lane.first_retry(any_node)))  # type: ignore[misc]
        assert lane.first_retry(any_node) is retried
        assert lane.first_retry(no_node) is None
        lane.remove(retried)
        assert lane.first_retry(any_node) is None
        assert lane._retrying == {}
    assert costs[:2] == costs[2:]


def test_of_retries_that_of_the_tenant_that_has_got_the_least_is_first() -> None:
    desk = Desk()
    desk.push("x")
    assert desk.serve(1, {"x": 1.0}) == "x"
    desk.push("aab")
    leases = [desk.begin() for _ in range(3)]
    for lease in leases:
        desk.lane.end(lease, 1.0)
        lease.ticket.tried = frozenset({1})
        desk.lane.put_back(lease.ticket)
    found = []
    while (each := desk.lane.first_retry(any_node)) is not None:
        desk.lane.remove(each)
        found.append(each.tenant.decode())
    assert found == ["b", "a", "a"]
