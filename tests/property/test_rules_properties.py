"""Rules against requests: a rule that is called unreachable never matches."""

from dataclasses import fields, replace
from hashlib import sha256
from ipaddress import ip_network

from hypothesis import assume, given
from hypothesis import strategies as st

from priolb.config.admission import callers_of, rules_of
from priolb.config.parse import Network
from priolb.config.reachability import covers
from priolb.config.settings import Settings
from priolb.config.tables import KeySpec, Policy, RuleSpec
from priolb.core.queueing.access import lanes_for
from priolb.core.queueing.classify import LANE_NAMES
from priolb.http.forwarding import Forwarding
from priolb.http.request import NO_RULE, Request
from support.heads import request_head

KEYS = tuple(KeySpec(name=name, sha256=sha256(name.encode()).digest()) for name in ("a", "b"))
NETWORKS: list[Network] = [ip_network(each) for each in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "::/0")]
LANES = st.sampled_from(LANE_NAMES)


def some_of(*words: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2).map(tuple)


RULES = st.builds(
    RuleSpec,
    header=st.sampled_from([None, None, "X-Who", "x-who"]),
    value=st.sampled_from([None, "a", "b"]),
    paths=some_of("/a", "/a*", "/ab", "/b*"),
    http_methods=some_of("GET", "POST").map(lambda names: frozenset(name.encode() for name in names)),
    rpc_methods=some_of("eth_call", "eth_*", "*"),
    networks=st.lists(st.sampled_from(NETWORKS), max_size=2).map(tuple),
    keys=some_of("a", "b"),
    lane=LANES,
    urgency=st.just(()) | st.dictionaries(st.integers(0, 3), LANES).map(lambda lanes: tuple(lanes.items())),
)
PEERS = st.sampled_from(["10.1.0.1", "10.2.0.1", "192.0.2.1", "2001:db8::1", ""])
BODIES = st.sampled_from([b"", b"{}", b'{"method":"eth_call"}', b'[{"method":"eth_x"},{"method":"net_x"}]'])
LINES = st.lists(
    st.sampled_from(
        ["X-Who: a", "X-Who: c", "X-API-Key: a", "X-API-Key: b", "Priority: u=0", "Priority: u=5"]
    ),
    max_size=3,
    unique_by=lambda line: line.partition(":")[0],
)
STARTS = st.sampled_from(["GET /a", "GET /ab", "POST /a", "POST /b", "POST /"])


def matches(settings: Settings, start: str, lines: list[str], peer: str, body: bytes) -> int:
    """Return the index of the rule that chooses the lane of a request."""
    head = request_head(f"{start} HTTP/1.1", *lines)
    known = Forwarding("lb", "http", tells_client=False, trusted=()).peer(peer)
    request = Request(head, callers_of(settings).caller_of(head, known), body)
    rules_of(settings).lane_of(request)
    return request.rule


@st.composite
def alike(draw: st.DrawFn) -> tuple[RuleSpec, RuleSpec]:
    """Return two rules that have most in common."""
    rule, other = draw(RULES), draw(RULES)
    common = {each.name: getattr(rule, each.name) for each in fields(rule) if draw(st.integers(0, 4))}
    return rule, replace(other, **common)


@given(alike(), STARTS, LINES, PEERS, BODIES)
def test_what_a_covered_rule_matches_the_one_before_it_matches(
    rules: tuple[RuleSpec, RuleSpec], start: str, lines: list[str], peer: str, body: bytes
) -> None:
    rule, other = rules
    assume(covers(rule, other))
    both = Settings(policy=Policy(keys=KEYS, rules=(rule, other)))
    assert matches(both, start, lines, peer, body) in {0, NO_RULE}


@given(RULES, STARTS, LINES, PEERS, BODIES)
def test_a_rule_covers_itself_and_is_covered_by_one_without_conditions(
    rule: RuleSpec, start: str, lines: list[str], peer: str, body: bytes
) -> None:
    anything = RuleSpec(lane="fast-track")
    assert covers(rule, rule)
    assert covers(anything, rule)
    settings = Settings(policy=Policy(keys=KEYS, rules=(anything, rule)))
    assert matches(settings, start, lines, peer, body) == 0


@given(st.sets(st.integers(0, 9), min_size=1), st.integers(10, 12))
def test_a_caller_gets_an_allowed_lane_and_no_better_one_unless_there_is_no_other(
    allowed: set[int], count: int
) -> None:
    for lane, given_lane in enumerate(lanes_for(allowed, count)):
        not_better = [each for each in allowed if each >= lane]
        assert given_lane == (min(not_better) if not_better else max(allowed))
