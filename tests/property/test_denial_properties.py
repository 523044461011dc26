"""What a denial tells again is what would have been found out anew, and it denies nobody for longer."""

from hypothesis import given
from hypothesis import strategies as st

from priolb.core.limits.costs import Calls
from priolb.core.limits.limiter import BY_LANE, BY_NETWORK, Excess, Limiter, LimitRule
from priolb.core.limits.rate_limits import RateLimit
from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.rate_limit_fields import policy_item
from priolb.http.refusal import Refusals
from priolb.net.front.limit_answers import Denial, denial_of, over_limit
from support.heads import request_head
from support.senders import ASender

REFUSALS = Refusals("lb", legacy=False)
HEAD = request_head("POST / HTTP/1.1", "Content-Length: 32")
CALL = b'{"id":1,"method":"eth_call"}    '
SENDER = ASender("192.0.2.7")
NO_CALLS = Calls(())


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
        is_denied = denial is not None and denial.id_of(HEAD, CALL, now) == b"1"
        found = limiter.admit(SENDER, 2, NO_CALLS, now)
        if is_denied:
            assert isinstance(found, Excess) and denial is not None
            assert denial.error is over_limit(REFUSALS, found)
        elif isinstance(found, Excess):
            denial = denial_of(found, HEAD, over_limit(REFUSALS, found), now)
            assert denial is not None and denial.id_of(HEAD, CALL, now) == b"1"
