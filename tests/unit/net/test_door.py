"""The door on the path of a request: lane, tenant, and what is foreseen of a body that is still to come."""

from ipaddress import ip_network

import pytest

from priolb.http.callers import Callers, KnownNetwork
from priolb.http.fields import FieldFinder
from priolb.http.forwarding import Forwarding
from priolb.http.parser import parse_request_head
from priolb.http.request import Request
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.http.rules import NO_LANE, Patterns, Rule, Rules
from priolb.net.door import Door, calls_of
from priolb.net.exchange import Exchange
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
    with Rig(door=Door(Callers(), Rules([rule], default=2)), replay_max_bytes=20) as rig:
        rig.node().answers = lambda request: ANSWER if request.endswith(CALL) else None
        client = rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        client.send(CALL[:5])
        client.send(CALL[5:])
        rig.run()
        assert lanes_of(rig) == [0]
        client.end()


# What a request asks for

LONG = b'"params":["' + b"0" * LOOKED_AT_BYTES + b'"]'


def asked(body: bytes, method: str = "POST", length: int = 0) -> tuple[list[bytes], bool, int]:
    """Return methods, whether they are all, and how many times as much there is as was read."""
    lines = f"{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: {length or len(body)}\r\n\r\n"
    caller = Callers().caller_of(
        head := parse_request_head(lines.encode(), 100), Forwarding("lb", "http", False, ()).peer("192.0.2.7")
    )
    calls = calls_of(Request(head, caller, body))
    return list(calls.methods), calls.is_all, calls.times


@pytest.mark.parametrize(
    ("body", "methods"),
    [
        (b"", [b"PUT"]),
        (b"no JSON", [b"PUT"]),
        (b'{"id":1}', [b"PUT"]),
        (b'{"id":1,"method":"a"}', [b"a"]),
        (b'[{"id":1,"method":"a"},{"method":"b"}]', [b"a", b"b"]),
    ],
)
def test_a_request_asks_for_its_calls_or_else_for_its_method(body: bytes, methods: list[bytes]) -> None:
    assert asked(body, "PUT") == (methods, True, 1)


def test_of_a_batch_with_a_call_that_names_no_method_not_all_is_known() -> None:
    assert asked(b'[{"id":1,"method":"a"},{"id":2}]') == ([b"a"], False, 1)
    assert asked(b"[]") == ([], False, 1)


def test_what_is_longer_than_is_looked_at_counts_by_its_beginning() -> None:
    call = b'{"method":"a",' + LONG + b"}"
    assert asked(call) == ([b"a"], True, 1)
    assert asked(b"{" + LONG + b',"method":"a"}') == ([], False, 1)
    assert asked(b'[{"method":"a"},{"method":"b"},{' + LONG, length=3 * LOOKED_AT_BYTES) == (
        [b"a", b"b"],
        True,
        3,
    )
    assert asked(b"[{" + LONG + b',"method":"a"}]') == ([], False, 2)
    assert asked(b"x" * 3 * LOOKED_AT_BYTES) == ([b"POST"], True, 1)
