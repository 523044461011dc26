"""Requests that are held against limits on their way in."""

import json

import pytest

from priolb.core.limits.costs import Costs
from priolb.core.limits.limiter import BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit
from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.callers import Callers
from priolb.http.rate_limit_fields import policy_item
from priolb.http.rules import NO_LANE, Rules
from priolb.net.front.door import Door
from support.memory import MemoryTransport
from support.messages import ANSWER, CLOSE, DATE, POST, POST_AT_NODE
from support.rig import Rig

POLICY = b'RateLimit-Policy: "api";q=2;w=120\r\n'
SLOTS = b'RateLimit-Policy: "slots";q=1;qu="concurrent-requests"\r\nRateLimit: "slots";r=0\r\n'
PEER = b"192.0.2.1"


def limited_rate(rig: Rig) -> RateLimit:
    """Let each address send two requests in two minutes, and return that limit."""
    limit = RateLimit("api", 1, 60, 2)
    _limit(rig, limit, policy_item("api", 2, 120))
    return limit


def limited_slots(rig: Rig) -> ConcurrencyLimit:
    """Let each address have one request at a time, and return that limit."""
    limit = ConcurrencyLimit("slots", 1)
    _limit(rig, limit, policy_item("slots", 1, 0))
    return limit


def _limit(rig: Rig, limit: RateLimit | ConcurrencyLimit, policy: bytes) -> None:
    limiter = Limiter([LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, False, policy)], LANE_NAMES)
    rig.engine.door = Door(Callers(), Rules([], NO_LANE), limiter=limiter)


def spend(rig: Rig, client: MemoryTransport) -> None:
    """Send what the rate lets through, and have it answered."""
    client.send(POST)
    backend = rig.nodes["node-1"].accept()
    backend.send(ANSWER)
    client.send(POST)
    backend.send(ANSWER)
    client.take()
    backend.take()
    rig.notes.take()


def refused(fields: bytes, words: str, connection: bytes = b"") -> bytes:
    """Return the answer to a request that is over a limit and no JSON-RPC call."""
    document = {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "rate limit exceeded",
        "status": 429,
        "detail": f"rate limit exceeded: {words}",
        "violated-policies": [words.partition(",")[0]],
    }
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
        b"%sProxy-Status: lb; error=http_request_denied\r\n%s%s\r\n%s"
        % (len(body), fields, DATE, connection, body)
    )


REFUSED = refused(
    b"Retry-After: 60\r\n" + POLICY + b'RateLimit: "api";r=0;t=60\r\n', "api, try again in 60 s"
)
REFUSED_AND_CLOSED = refused(
    b"Retry-After: 60\r\n" + POLICY + b'RateLimit: "api";r=0;t=60\r\n', "api, try again in 60 s", CLOSE
)


def test_the_answer_of_a_node_tells_what_is_left() -> None:
    with Rig() as rig:
        limited_rate(rig)
        node, client = rig.node(), rig.client()
        client.send(POST)
        backend = node.accept()
        assert backend.take() == POST_AT_NODE
        backend.send(ANSWER)
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.count(POLICY + b'RateLimit: "api";r=1;t=60\r\n') == 1


def test_an_answer_of_ours_tells_what_is_left_too() -> None:
    with Rig() as rig:
        limited_rate(rig)
        client = rig.client()
        client.send(POST)
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert answer.count(POLICY + b'RateLimit: "api";r=1;t=60\r\n') == 1


def test_a_request_over_a_limit_is_429_at_once_and_its_connection_goes_on() -> None:
    with Rig() as rig:
        limit = limited_rate(rig)
        rig.node()
        client = rig.client()
        spend(rig, client)
        client.send(POST + POST)
        assert client.take() == REFUSED + REFUSED
        assert not client.is_closing()
        assert rig.notes.take() == [], "it is counted, not told one by one"
        assert (limit.passed, limit.refused) == (2, 2)
        rig.advance(60)
        client.send(POST)
        rig.nodes["node-1"].connections[0].send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


def test_without_limits_nothing_is_told() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        node.accept().send(ANSWER)
        assert b"RateLimit" not in client.take()


# Before the body


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 10\r\n\r\nhalf",
        b"PUT /x HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_that_is_still_to_come_is_not_waited_for_when_nothing_is_left(head: bytes) -> None:
    with Rig() as rig:
        limited_rate(rig)
        rig.node()
        spend(rig, rig.client())
        client = rig.client()
        client.send(head)
        assert client.take() == REFUSED_AND_CLOSED
        assert client.calls == ["write_eof"]
        assert rig.counts() == (0, 0, 0)


def test_a_body_that_comes_later_counts_when_it_is_there() -> None:
    with Rig() as rig:
        limit = limited_rate(rig)
        node, client = rig.node(), rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n")
        assert limit.passed == 0
        client.send(b"{}")
        assert limit.passed == 1
        node.accept().send(ANSWER)
        assert b'RateLimit: "api";r=1;t=60\r\n' in client.take()


def test_the_limit_may_be_reached_while_the_body_comes() -> None:
    with Rig() as rig:
        limited_rate(rig)
        rig.node()
        slow = rig.client()
        slow.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 2\r\n\r\n{")
        spend(rig, rig.client())
        slow.send(b"}" + POST)
        assert slow.take() == REFUSED + REFUSED


def test_a_body_that_passes_through_is_refused_while_it_comes() -> None:
    with Rig(replay_max_bytes=4) as rig:
        limited_rate(rig)
        rig.node()
        slow = rig.client()
        slow.send(b"PUT /x HTTP/1.1\r\nHost: balancer\r\nContent-Length: 9\r\n\r\nabc")
        spend(rig, rig.client())
        slow.send(b"def")
        assert slow.take() == REFUSED_AND_CLOSED
        assert rig.counts() == (0, 0, 0)


# At a time


def test_a_request_counts_until_its_answer_is_complete() -> None:
    with Rig() as rig:
        slots = limited_slots(rig)
        node, client, other = rig.node(), rig.client(), rig.client()
        client.send(POST)
        backend = node.accept()
        backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[")
        other.send(POST)
        assert other.take() == refused(b"Retry-After: 1\r\n" + SLOTS, "slots, try again in 1 s")
        backend.send(b"]")
        assert slots._counts == {}
        assert SLOTS in client.take()
        other.send(POST)
        backend.send(ANSWER)
        assert other.take().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_request_whose_client_leaves_counts_no_more() -> None:
    with Rig() as rig:
        slots = limited_slots(rig)
        rig.node()
        client = rig.client()
        client.send(POST)
        rig.run()
        assert slots._counts == {PEER: 1}
        client.break_off()
        rig.run()
        assert slots._counts == {}


def test_a_request_in_line_counts_and_one_that_is_refused_there_does_not() -> None:
    with Rig(request_timeout_s=5.0) as rig:
        slots = limited_slots(rig)
        rig.node(is_healthy=False)
        client = rig.client()
        client.send(POST)
        assert slots._counts == {PEER: 1}
        rig.advance(5.1)
        assert client.take().startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        assert slots._counts == {}


def test_an_answer_that_is_cut_counts_no_more() -> None:
    with Rig() as rig:
        slots = limited_slots(rig)
        node, client = rig.node(), rig.client()
        client.send(POST)
        backend = node.accept()
        backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        backend.break_off()
        rig.run()
        assert client.is_ended and slots._counts == {}


def test_a_tunnel_counts_as_long_as_it_is_open() -> None:
    with Rig() as rig:
        slots = limited_slots(rig)
        node, client = rig.node(), rig.client()
        client.send(b"GET /ws HTTP/1.1\r\nHost: balancer\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        backend = node.accept()
        backend.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        assert SLOTS in client.take()
        client.send(b"ping")
        assert slots._counts == {PEER: 1}
        client.end()
        rig.run()
        assert slots._counts == {}


@pytest.mark.parametrize(
    ("burst", "max_body_bytes", "status"),
    [(19, 10 * 65536, b"429"), (20, 10 * 65536, b"200"), (1_000_000, 0, b"429")],
)
def test_a_batch_in_chunks_counts_as_long_as_it_may_become(
    burst: int, max_body_bytes: int, status: bytes
) -> None:
    """Without a bound it may go on for ever, for which no burst is enough."""
    batch = b'[{"method":"a"},{"method":"a"},{"params":[' + b"0," * 100
    with Rig(replay_max_bytes=200, max_body_bytes=max_body_bytes) as rig:
        limit = RateLimit("api", 1, 60, burst)
        policy = policy_item("api", burst, 60)
        rule = LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, Costs({"*": 1}), False, policy)
        rig.engine.door = Door(Callers(), Rules([], NO_LANE), limiter=Limiter([rule], LANE_NAMES))
        node, client = rig.node(), rig.client()
        client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n%s\r\n" % (len(batch), batch))
        if status == b"200":
            node.accept().send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 " + status)
        assert (limit.passed, limit.refused) == ((1, 0) if status == b"200" else (0, 1))
