import json

from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import BY_LANE, BY_NETWORK, Excess, Grant, Limiter, LimitRule
from priolb.core.limits.rate_limits import ConcurrencyLimit, Limit, RateLimit
from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.messages import LocalResponse
from priolb.http.rate_limit_fields import policy_item
from priolb.http.refusal import Refusals
from priolb.net.front.limit_answers import answer_over_limit, granted_fields
from support.senders import ASender

REFUSALS = Refusals("lb", legacy=False)


def rule(limit: Limit, quota: int, window_s: int, by: int = BY_NETWORK) -> LimitRule:
    return LimitRule(limit, by, frozenset(), 32, 64, None, False, policy_item(limit.name, quota, window_s))


def ask(limiter: Limiter, now: float = 100.0) -> Grant | Excess:
    return limiter.admit(ASender("192.0.2.7"), 2, Calls((b"POST",)), now)


def fields(limiter: Limiter, now: float = 100.0) -> bytes:
    grant = ask(limiter, now)
    assert isinstance(grant, Grant)
    return granted_fields(grant)


def refused(limiter: Limiter, now: float = 100.0) -> LocalResponse:
    excess = ask(limiter, now)
    assert isinstance(excess, Excess)
    return answer_over_limit(REFUSALS, excess, b'{"method":"eth_call","id":1}')


def test_who_is_within_his_limits_is_told_what_is_left_of_them() -> None:
    limiter = Limiter(
        [rule(RateLimit("api", 1, 10, 2), 2, 20), rule(ConcurrencyLimit("slots", 4), 4, 0)], LANE_NAMES
    )
    assert fields(limiter) == (
        b'RateLimit-Policy: "api";q=2;w=20, "slots";q=4;qu="concurrent-requests"\r\n'
        b'RateLimit: "api";r=1;t=10, "slots";r=3\r\n'
    )
    assert fields(limiter, now=101.5).endswith(b'\r\nRateLimit: "api";r=0;t=9, "slots";r=2\r\n')


def test_who_is_over_a_limit_is_told_when_to_come_back_and_what_is_left_without_this_request() -> None:
    limiter = Limiter(
        [rule(RateLimit("api", 1, 10, 1), 1, 10), rule(ConcurrencyLimit("slots", 4), 4, 0)], LANE_NAMES
    )
    ask(limiter)
    response = refused(limiter, now=101.5)
    assert response.status == 429
    assert response.fields == (
        b"Retry-After: 9\r\n"
        b'RateLimit-Policy: "api";q=1;w=10, "slots";q=4;qu="concurrent-requests"\r\n'
        b'RateLimit: "api";r=0;t=9, "slots";r=3\r\n'
        b"Proxy-Status: lb; error=http_request_denied\r\n"
    )
    message = json.loads(response.body)["error"]["message"]
    assert message == "rate limit exceeded: api, try again in 9 s"


def test_the_limit_of_a_lane_is_named_when_it_refuses_and_else_not_told() -> None:
    limiter = Limiter([rule(RateLimit("slow", 1, 10, 1), 1, 10, BY_LANE)], LANE_NAMES)
    assert fields(limiter) == b""
    response = refused(limiter)
    assert response.fields == b"Retry-After: 10\r\nProxy-Status: lb; error=http_request_denied\r\n"
