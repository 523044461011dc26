"""The door on the path of a request: lane, tenant, and what is foreseen of a body that is still to come."""

from ipaddress import ip_network

import pytest

from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.callers import Callers, KnownNetwork
from priolb.http.fields import FieldFinder
from priolb.http.lane_function import LaneFunction
from priolb.http.rules import NO_LANE, Patterns, Rule, Rules
from priolb.net.exchange.exchange import Exchange
from priolb.net.front.door import Door
from support.messages import ANSWER, POST
from support.rig import Rig

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n%sContent-Length: 2\r\n\r\n"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[]}'
POST_EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(
    CALL
)
URGENT = b"X-Urgent: yes\r\n"


def door(allowed: tuple[int, ...] | None = None) -> Door:
    networks = [KnownNetwork(ip_network("0.0.0.0/0"), allowed)]
    return Door(Callers(networks=networks), Rules([Rule([0], field=FieldFinder("X-Urgent"))], default=2))


def lanes_of(rig: Rig) -> list[object]:
    return [note[2] for note in rig.notes.take("queued")]


@pytest.mark.parametrize(
    ("allowed", "lanes"), [(None, [0, 2]), ((1, 1, 2), [1, 2]), ((0, 0, 0), [0, 0]), ((2, 2, 2), [2, 2])]
)
def test_the_lane_is_that_of_the_rule_or_what_the_caller_may_have_instead(
    allowed: tuple[int, ...] | None, lanes: list[int]
) -> None:
    with Rig(door=door(allowed)) as rig:
        rig.node().answers = lambda _: ANSWER
        client = rig.client()
        for line in (URGENT, b"X-Fast-Track: true\r\n"):
            client.send(HEAD % line + b"{}")
            rig.run()
        assert lanes_of(rig) == lanes


@pytest.mark.parametrize(
    ("line", "lane"),
    [(b"X-Fast-Track: true\r\n", 0), (b"High_prio: true\r\n", 1), (b"X-Fast-Track: 1\r\n", 2)],
)
def test_where_rules_say_nothing_the_headers_of_the_original_do(line: bytes, lane: int) -> None:
    with Rig(door=Door(Callers(), Rules([], default=NO_LANE))) as rig:
        rig.node().answers = lambda _: ANSWER
        rig.client().send(HEAD % line + b"{}")
        rig.run()
        assert lanes_of(rig) == [lane]


def test_a_request_has_the_tenant_of_its_caller() -> None:
    with Rig(door=door()) as rig:
        rig.node(is_healthy=False)
        rig.client().send(POST)
        ticket = rig.scheduler.queue.lanes[2].fresh.head
        assert isinstance(ticket, Exchange)
        assert ticket.tenant == b"192.0.2.1"
        rig.clients[0].end()


def test_a_long_body_goes_to_the_lane_of_the_rule_too() -> None:
    with Rig(door=door(), replay_max_bytes=1) as rig:
        rig.node().answers = lambda _: ANSWER
        rig.client().send(HEAD % URGENT + b"{}")
        rig.run()
        assert lanes_of(rig) == [0]


def test_what_the_lane_has_no_room_for_is_not_uploaded_first() -> None:
    with Rig(door=door(), lane_limits=(1, 0, 0)) as rig:
        rig.node(is_healthy=False)
        waiting = rig.client()
        waiting.send(HEAD % URGENT + b"{}")
        client, other = rig.client(), rig.client()
        client.send(HEAD % (URGENT + b"Expect: 100-continue\r\n"))
        other.send(HEAD % b"Expect: 100-continue\r\n")
        assert client.take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert other.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        for each in (waiting, other):
            each.end()


def test_a_body_that_decides_is_uploaded_first() -> None:
    rule = Rule([0], rpc_methods=Patterns([b"eth_*"]))
    with Rig(door=Door(Callers(), Rules([rule], default=2)), lane_limits=(1, 0, 1)) as rig:
        rig.node(is_healthy=False)
        clients = [rig.client() for _ in range(3)]
        for client in clients[:2]:
            client.send(POST_EXPECTING)
            assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(CALL)
        assert clients[0].take() == b""
        assert clients[1].take().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        clients[2].send(POST)
        assert clients[2].take() == b""
        assert rig.scheduler.queue.lengths() == (1, 0, 1)
        for client in clients:
            client.end()


def test_of_a_long_body_all_is_looked_at_that_has_come() -> None:
    rule = Rule([0], rpc_methods=Patterns([b"eth_*"]))
    with Rig(door=Door(Callers(), Rules([rule], default=2)), replay_max_bytes=5020) as rig:
        rig.node().answers = lambda request: ANSWER if request.endswith(CALL) else None
        blanks = b" " * 5000  # as many as are not put together with what comes next
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n")
        client.send(blanks)
        client.send(CALL)
        rig.run()
        assert lanes_of(rig) == [0]
        client.end()


@pytest.mark.parametrize(("name", "lane"), [("high-priority", 1), (None, 0)])
def test_a_function_is_asked_before_the_rules(name: str | None, lane: int) -> None:
    rules = Rules([Rule([0])], default=2)
    with Rig(door=Door(Callers(), rules, LaneFunction(lambda _: name, LANE_NAMES, print))) as rig:
        rig.node().answers = lambda _: ANSWER
        rig.client().send(POST)
        rig.run()
        assert lanes_of(rig) == [lane]


def test_a_function_has_to_see_the_body_first() -> None:
    function = LaneFunction(lambda _: "fast-track", LANE_NAMES, print)
    with Rig(door=Door(Callers(), Rules([], default=2), function), lane_limits=(0, 0, 1)) as rig:
        rig.node().answers = lambda _: ANSWER
        client = rig.client()
        client.send(POST_EXPECTING)
        assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(CALL)
        rig.run()
        assert lanes_of(rig) == [0]
