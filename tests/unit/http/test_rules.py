"""Rules: which of them a request fits, and the lane that follows."""

from ipaddress import ip_network

import pytest

from priolb.http.addresses import address_of
from priolb.http.callers import Caller
from priolb.http.fields import FieldFinder
from priolb.http.request import Request
from priolb.http.rules import BODY_DECIDES, NO_LANE, Patterns, Rule, Rules
from support.heads import request_head


def caller(address: str = "192.0.2.7", key: bytes = b"") -> Caller:
    return Caller(address_of(address.encode()), key, b"", b"", b"", None)


def fits(rule: Rule, *lines: str, start: str = "POST /sim HTTP/1.1", of: Caller | None = None) -> bool:
    lane = rule.lane_of(Request(request_head(start, *lines), of or caller(), b""))
    assert lane in {0, NO_LANE}
    return lane == 0


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        ([b"a"], b"a", True),
        ([b"a"], b"ab", False),
        ([b"a"], b"", False),
        ([b"a*"], b"a", True),
        ([b"a*"], b"ab", True),
        ([b"a*"], b"A", False),
        ([b"b", b"c*", b"a*"], b"ab", True),
        ([b"*"], b"", True),
        ([], b"", False),
    ],
)
def test_a_star_stands_for_any_rest(patterns: list[bytes], name: bytes, expected: bool) -> None:
    assert Patterns(patterns).fit(name) is expected


@pytest.mark.parametrize(
    ("value", "line", "expected"),
    [
        (None, "X-Who: a", True),
        (None, "x-who: a", True),
        (None, "X-Who:", False),
        (None, "X-Whom: a", False),
        (b"a", "X-Who: a", True),
        (b"a", "X-Who:  a \t", True),
        (b"a", "X-Who: A", False),
        (b"a", "X-Who: ab", False),
    ],
)
def test_a_field_is_there_or_has_a_value(value: bytes | None, line: str, expected: bool) -> None:
    assert fits(Rule([0], field=FieldFinder("X-Who"), value=value), line) is expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [("POST /sim HTTP/1.1", True), ("POST /sim?a HTTP/1.1", True), ("POST / HTTP/1.1", False)],
)
def test_a_path_counts_without_its_query(start: str, expected: bool) -> None:
    assert fits(Rule([0], paths=Patterns([b"/sim"])), start=start) is expected


@pytest.mark.parametrize(("method", "expected"), [("GET", True), ("PUT", True), ("POST", False)])
def test_a_method_of_http_is_one_of_several(method: str, expected: bool) -> None:
    assert fits(Rule([0], http_methods=frozenset({b"GET", b"PUT"})), start=f"{method} / HTTP/1.1") is expected


@pytest.mark.parametrize(
    ("address", "expected"), [("10.1.2.3", True), ("2001:db8::1", True), ("11.1.2.3", False), ("", False)]
)
def test_a_client_is_in_one_of_several_networks(address: str, expected: bool) -> None:
    rule = Rule([0], networks=[ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])
    assert fits(rule, of=caller(address)) is expected


@pytest.mark.parametrize(("key", "expected"), [(b"a", True), (b"b", True), (b"c", False), (b"", False)])
def test_a_client_has_one_of_several_keys(key: bytes, expected: bool) -> None:
    assert fits(Rule([0], keys=frozenset({b"a", b"b"})), of=caller(key=key)) is expected


def test_all_conditions_must_hold() -> None:
    rule = Rule(
        [0],
        field=FieldFinder("X-Who"),
        paths=Patterns([b"/sim"]),
        http_methods=frozenset({b"POST"}),
        networks=[ip_network("10.0.0.0/8")],
        keys=frozenset({b"a"}),
    )
    who, start, right = "X-Who: a", "POST /sim HTTP/1.1", caller("10.0.0.1", b"a")
    assert fits(rule, who, start=start, of=right)
    assert not fits(rule, start=start, of=right)
    assert not fits(rule, who, start="POST / HTTP/1.1", of=right)
    assert not fits(rule, who, start="GET /sim HTTP/1.1", of=right)
    assert not fits(rule, who, start=start, of=caller("10.0.0.1", b"b"))
    assert not fits(rule, who, start=start, of=caller("11.0.0.1", b"a"))


def test_a_rule_without_conditions_fits_all() -> None:
    assert fits(Rule([0]), start="GET / HTTP/1.0", of=caller(""))


# Methods of JSON-RPC


@pytest.mark.parametrize(
    ("body", "lane"),
    [
        (b'{"method":"eth_call"}', 0),
        (b'{"method":"net_version"}', 0),
        (b'{"method":"eth_sendRawTransaction"}', NO_LANE),
        (b'[{"method":"eth_call"},{"method":"net_version"}]', 0),
        (b'[{"method":"eth_call"},{"method":"debug_traceCall"}]', NO_LANE),
        (b'[{"method":"eth_call"},{"id":1}]', NO_LANE),
        (b'[{"method":"eth_call"}', NO_LANE),
        (b'{"method":"eth_call","params":[', 0),
        (b'{"method":"eth_call","METHOD":"debug_traceCall"}', NO_LANE),
        (b'{"id":1}', NO_LANE),
        (b"[]", NO_LANE),
        (b"eth_call", NO_LANE),
        (b"", NO_LANE),
        (None, BODY_DECIDES),
    ],
)
def test_all_methods_that_are_called_have_to_fit(body: bytes | None, lane: int) -> None:
    rule = Rule([0], rpc_methods=Patterns([b"eth_c*", b"net_version"]))
    assert rule.lane_of(Request(request_head(), caller(), body)) == lane


def test_what_the_head_rules_out_no_body_decides() -> None:
    rule = Rule([0], rpc_methods=Patterns([b"*"]), keys=frozenset({b"a"}))
    assert rule.lane_of(Request(request_head(), caller(), None)) == NO_LANE


def test_a_body_is_read_once_and_only_when_a_rule_asks_for_it() -> None:
    asks = [Rule([lane], rpc_methods=Patterns([name])) for lane, name in enumerate((b"a", b"eth_call"))]
    rules = Rules([Rule([2], field=FieldFinder("A")), *asks], default=3)
    request = Request(request_head("POST / HTTP/1.1", "A: 1"), caller(), b'{"method":"eth_call"}')
    assert (rules.lane_of(request), request._is_read) == (2, False)
    request = Request(request_head(), caller(), b'{"method":"eth_call"}')
    assert (rules.lane_of(request), request._is_read) == (1, True)
    assert request.rpc() is request.rpc() is not None


# Urgency


@pytest.mark.parametrize(
    ("lines", "lane"),
    [(["Priority: u=0"], 5), (["Priority: u=1"], NO_LANE), (["Priority: i", "Priority: u=7"], 6), ([], 7)],
)
def test_the_urgency_may_choose_the_lane(lines: list[str], lane: int) -> None:
    rule = Rule([5, NO_LANE, NO_LANE, 7, NO_LANE, NO_LANE, NO_LANE, 6])
    assert rule.lane_of(Request(request_head("POST / HTTP/1.1", *lines), caller(), b"")) == lane


# All rules


@pytest.mark.parametrize(("line", "first", "lane"), [("A: 1", 0, 2), ("B: 1", 1, 0), ("C: 1", -1, 3)])
def test_the_first_rule_that_fits_counts(line: str, first: int, lane: int) -> None:
    fields = {2: "A", 0: "B", 1: "B"}
    rules = Rules([Rule([each], field=FieldFinder(name)) for each, name in fields.items()], default=3)
    request = Request(request_head("POST / HTTP/1.1", line), caller(), b"")
    assert (rules.lane_of(request), request.rule) == (lane, first)


def test_where_a_body_decides_no_later_rule_does() -> None:
    rules = Rules([Rule([0], rpc_methods=Patterns([b"a"])), Rule([1])], default=2)
    assert rules.lane_of(Request(request_head(), caller(), None)) == BODY_DECIDES


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-real-ip", "X-Forwarded-Proto", "Forwarded"])
def test_what_strangers_claim_of_their_way_means_nothing(name: str) -> None:
    rule = Rule([0], field=FieldFinder(name), value=b"10.0.0.1")
    head = request_head("POST / HTTP/1.1", f"{name}: 10.0.0.1")
    assert rule.lane_of(Request(head, caller(), b"")) == NO_LANE
    assert rule.lane_of(Request(head, caller(), b"", is_by_proxy=True)) == 0


def test_of_several_lines_all_count() -> None:
    rule = Rule([0], field=FieldFinder("X-Auction"), value=b"1")
    assert fits(rule, "X-Auction: 1 ")
    assert not fits(rule, "X-Auction: 1", "X-Auction: 0")
    assert not fits(rule, "X-Auction: 0", "X-Auction: 1")
