"""The same call again and again, refused each time: what goes over the wire, byte for byte."""

from priolb.core.limits.costs import Costs
from priolb.core.limits.limiter import BY_LANE, BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, RateLimit
from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.callers import Callers
from priolb.http.messages import LocalRequest, LocalResponse, RequestHead
from priolb.http.rules import NO_LANE, Rules
from priolb.net.front.connection import FrontConnection
from priolb.net.front.door import Door
from support.memory import MemoryTransport
from support.messages import DATE, POST
from support.rig import Rig

IDS = [b"1", b"2", b'"a-3"', b"-4"]


def call(call_id: bytes) -> bytes:
    """Return a call whose length is the same whatever its id, so that the heads are the same bytes."""
    body = b'{"jsonrpc":"2.0","id":%b,"method":"eth_call"}' % call_id
    return b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 60\r\n\r\n" + body.ljust(60)


def answer(status: bytes, fields: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        status, len(body), fields, DATE, body
    )  # fmt: skip


def queue_full(call_id: bytes) -> bytes:
    return answer(
        b"503 Service Unavailable",
        b"Retry-After: 1\r\nProxy-Status: lb; error=connection_limit_reached\r\n",
        b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32005,"message":"queue full"}}\n' % call_id,
    )


def over_limit(call_id: bytes, wait_s: int = 3600) -> bytes:
    return answer(
        b"429 Too Many Requests",
        b"Retry-After: %d\r\nProxy-Status: lb; error=http_request_denied\r\n" % wait_s,
        b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32005,'
        b'"message":"rate limit exceeded: hourly, try again in %d s"}}\n' % (call_id, wait_s),
    )


def by_lane(limit: RateLimit, costs: Costs | None = None) -> LimitRule:
    return LimitRule(limit, BY_LANE, frozenset([b"low-priority"]), 32, 64, costs, False, b"")


def hourly(per_s: int = 3600) -> RateLimit:
    return RateLimit("hourly", 1, per_s, 1)


def denial(client: MemoryTransport) -> object:
    """Return what is remembered of a client that was denied; None for nothing."""
    connection = client._protocol
    assert isinstance(connection, FrontConnection)
    return connection._denial


def limited(rig: Rig, *rules: LimitRule) -> MemoryTransport:
    """Hold requests against these rules, use them up, and return whose request did that."""
    rig.engine.door = Door(Callers(), Rules([], NO_LANE), limiter=Limiter(rules, LANE_NAMES))
    rig.node()
    first = rig.client()
    first.send(call(b"0"))
    rig.notes.take()
    return first


class OwnPage:
    """A program that answers `GET /` itself, and counts how often it was asked what is its own."""

    def __init__(self) -> None:
        self.asked = 0

    def refusal(self, head: RequestHead, peer: str) -> LocalResponse | None:
        return None

    def owns(self, method: bytes, path: bytes) -> bool:
        self.asked += 1
        return method == b"GET" and path == b"/"

    async def handle(self, request: LocalRequest) -> LocalResponse:
        return LocalResponse(200, b"page\n")


def fill(rig: Rig) -> list[MemoryTransport]:
    """Let one request be served, and one wait."""
    rig.node(slots=1)
    clients = [rig.client(), rig.client()]
    for client in clients:
        client.send(POST)
    rig.notes.take()
    return clients


def test_calls_that_meet_a_full_lane_get_the_same_but_for_their_ids() -> None:
    with Rig(lane_limits=(1, 1, 1)) as rig:
        others = fill(rig)
        client = rig.client()
        for call_id in IDS:
            client.send(call(call_id))
            assert client.take() == queue_full(call_id)
        assert rig.notes.take() == [("refused", b"", "queue_full", 503)] * len(IDS)
        assert rig.counts() == (1, 1, 4)
        for other in others:
            other.break_off()


def test_a_request_that_meets_a_full_lane_counts_in_no_limit_of_requests_at_a_time() -> None:
    limit = ConcurrencyLimit("slots", 3)
    with Rig(lane_limits=(1, 1, 1)) as rig:
        rule = LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, False, b'"slots";q=3')
        limiter = Limiter([rule], LANE_NAMES)
        rig.engine.door = Door(Callers(), Rules([], NO_LANE), limiter=limiter)
        others = fill(rig)
        client = rig.client()
        told = b'Proxy-Status: lb; error=connection_limit_reached\r\nRateLimit-Policy: "slots";q=3\r\n'
        for call_id in IDS:
            client.send(call(call_id))
            assert client.take() == answer(
                b"503 Service Unavailable",
                b'Retry-After: 1\r\n%bRateLimit: "slots";r=0\r\n' % told,
                b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32005,"message":"queue full"}}\n' % call_id,
            )
        assert (limit.passed, limit.refused) == (2 + len(IDS), 0)
        for other in others:
            other.break_off()
    assert limit.take(b"192.0.2.1", 1, 1) == 1


def test_calls_over_a_limit_get_the_same_but_for_their_ids() -> None:
    limit = hourly()
    with Rig() as rig:
        rule = by_lane(limit)
        first, client = limited(rig, rule), rig.client()
        known: list[object] = []
        for each in IDS:
            client.send(call(each))
            assert client.take() == over_limit(each)
            known.append(denial(client))
        assert rig.notes.take() == []
        assert (limit.passed, limit.refused, rule.last_refused) == (1, len(IDS), b"low-priority")
        assert known[0] is not None and known == known[:1] * len(IDS), "it is found out once"
        first.break_off()


def test_what_is_told_of_a_limit_is_told_as_long_as_it_is_true() -> None:
    limit = hourly(per_s=3)
    with Rig() as rig:
        first, client = limited(rig, by_lane(limit)), rig.client()
        told: list[bytes] = []
        known: list[object] = []
        for _ in range(5):
            client.send(call(b"1"))
            told.append(client.take())
            known.append(denial(client))
            rig.advance(0.625)
        assert told == [over_limit(b"1", wait_s) for wait_s in (3, 3, 2, 2, 1)]
        assert [later is known[0] for later in known] == [True, True, False, False, False]
        assert (known[2] is known[3], known[3] is known[4]) == (True, False)
        client.send(call(b"1"))  # 3.125 seconds after the first one
        assert (client.take(), limit.passed, limit.refused, denial(client)) == (b"", 2, 5, None)
        for each in (first, client):
            each.break_off()


def test_another_head_and_another_client_are_looked_at_for_themselves() -> None:
    limit = hourly()
    with Rig() as rig:
        first, client, other = limited(rig, by_lane(limit)), rig.client(), rig.client()
        for sender in (client, other):
            sender.send(call(b"1"))
            assert sender.take() == over_limit(b"1")
        assert denial(client) is not denial(other)
        client.send(call(b"1").replace(b"Host: balancer", b"Host: balancer\r\nX-High-Priority: true"))
        assert client.take() == b"", "the limit is that of the low lane"
        assert (limit.refused, denial(client)) == (2, None)
        for each in (first, client):
            each.break_off()


def test_what_is_no_plain_call_is_looked_at_each_time_and_gets_a_document() -> None:
    limit = hourly()
    with Rig() as rig:
        first, client = limited(rig, by_lane(limit)), rig.client()
        client.send(call(b"1"))
        client.take()
        for refused in (2, 3):
            client.send(b"POST / HTTP/1.1\r\nHost: balancer\r\nContent-Length: 60\r\n\r\n" + b"x" * 60)
            assert b"Content-Type: application/problem+json\r\n" in client.take()
            assert (limit.refused, denial(client)) == (refused, None)
        first.break_off()


def test_the_answer_to_head_has_no_body_though_it_is_a_call() -> None:
    with Rig() as rig:
        first, client = limited(rig, by_lane(hourly())), rig.client()
        for _ in range(2):
            client.send(call(b"1").replace(b"POST", b"HEAD"))
            assert client.take() == over_limit(b"1").partition(b"{")[0]
        first.break_off()


def test_where_the_cost_hangs_on_the_method_every_call_is_looked_at() -> None:
    limit = hourly()
    with Rig() as rig:
        first, client = limited(rig, by_lane(limit, Costs({"eth_free": 0}))), rig.client()
        for each in IDS[:2]:
            client.send(call(each))
            assert (client.take(), denial(client)) == (over_limit(each), None)
        client.send(call(b"1").replace(b"eth_call", b"eth_free"))
        assert (client.take(), limit.passed, limit.refused) == (b"", 2, 2)
        for leaving in (first, client):
            leaving.break_off()


def test_where_other_limits_concern_a_client_every_call_is_looked_at() -> None:
    limit, other = hourly(), hourly()
    with Rig() as rig:
        dry = LimitRule(other, BY_NETWORK, frozenset(), 32, 64, None, True, b"")
        first, client = limited(rig, by_lane(limit), dry), rig.client()
        for each in IDS:
            client.send(call(each))
            assert (client.take(), denial(client)) == (over_limit(each), None)
        assert (limit.refused, other.refused) == (len(IDS), len(IDS))
        first.break_off()


def test_a_page_of_our_own_is_found_behind_calls_that_were_refused() -> None:
    """That a refused request was not for a page is not asked again as long as its head is the same."""
    own = OwnPage()
    with Rig(lane_limits=(1, 1, 1), local=own) as rig:
        others = fill(rig)
        client = rig.client()
        own.asked = 0
        for _ in range(2):
            for _ in range(3):
                client.send(call(b"1"))
                assert client.take() == queue_full(b"1")
            client.send(b"GET / HTTP/1.1\r\nHost: balancer\r\n\r\n")
            rig.run()
            assert client.take().endswith(b"\r\n\r\npage\n")
        assert own.asked == 1 + 2  # once for the call, and for each page
        for other in others:
            other.break_off()
