"""What a denial tells again is what would have been found out anew, and it denies nobody for longer."""

from hypothesis import given
from hypothesis import strategies as st

from priolb.core.queueing.classify import LANE_NAMES
from priolb.core.quotas.costs import Calls
from priolb.core.quotas.limiter import BY_LANE, BY_NETWORK, Excess, Grant, Limiter, LimitRule
from priolb.core.quotas.rate_limits import RateLimit
from priolb.http.messages import LocalResponse
from priolb.http.rate_limit_fields import policy_item
from priolb.http.refusal import Refusals
from priolb.net.quota import Denial, denial_of, over_limit
from support.heads import request_head
from support.senders import ASender

REFUSALS = Refusals("lb", legacy=False)
HEAD = request_head("POST / HTTP/1.1", "Content-Length: 32")
CALL = b'{"id":1,"method":"eth_call"}    '
SENDER = ASender("192.0.2.7")
NO_CALLS = Calls(())


def shown(response: LocalResponse) -> tuple[int, bytes, bytes, bytes]:
    return response.status, response.content_type, response.fields, response.body


@given(
    rate=st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 6)),
    by=st.sampled_from([BY_NETWORK, BY_LANE]),
    steps_s=st.lists(
        st.one_of(st.just(0.0), st.floats(0.0, 2.5), st.sampled_from([0.125, 0.5, 1.0])), max_size=60
    ),
)
def test_a_denial_tells_what_would_be_found_out_anew(
    rate: tuple[int, int, int], by: int, steps_s: list[float]
) -> None:
    limit = RateLimit("api", *rate)
    policy = policy_item("api", rate[2], limit.window_s)
    limiter = Limiter([LimitRule(limit, by, frozenset(), 32, 64, None, False, policy)], LANE_NAMES)
    denial: Denial | None = None
    now = 100.0
    for step_s in steps_s:
        now += step_s
        again = None if denial is None else denial.again(HEAD, CALL, now)
        found = limiter.admit(SENDER, 2, NO_CALLS, now)
        if again is not None:
            assert isinstance(found, Excess)
            assert shown(again) == shown(over_limit(REFUSALS, found, CALL))
        elif isinstance(found, Excess):
            denial = denial_of(REFUSALS, found, HEAD, now)
            assert denial is not None
            told = denial.again(HEAD, CALL, now)
            assert told is not None and shown(told) == shown(over_limit(REFUSALS, found, CALL))
        else:
            assert isinstance(found, Grant)


def test_the_original_s_answers_are_not_told_by_a_denial() -> None:
    limit = RateLimit("api", 1, 60, 1)
    limiter = Limiter([LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, False, b"")], LANE_NAMES)
    limiter.admit(SENDER, 2, NO_CALLS, 100.0)
    found = limiter.admit(SENDER, 2, NO_CALLS, 100.0)
    assert isinstance(found, Excess)
    assert denial_of(Refusals("lb", legacy=True), found, HEAD, 100.0) is None
