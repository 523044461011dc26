"""Rules that can never match."""

import pytest

from priolb.config.document import parse_document
from priolb.config.policy import PolicyReader
from priolb.config.reachability import unreachable


def mistakes(*rules: str) -> list[tuple[int, str]]:
    """Return what is wrong with rules, each of which stands in one line of its own."""
    text = "\n".join(f"[[rule]]\n{rule}\nlane = 'fast-track'" for rule in rules)
    reader = PolicyReader(parse_document("f", text.encode()), frozenset())
    policy = reader.policy()
    assert [text for _, text in reader.mistakes if "never" not in text] == []
    return list(unreachable(policy.rules))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("", ""),
        ("", "header = 'A'"),
        ("header = 'A'", "header = 'a'"),
        ("header = 'A'", "header = 'A'\nvalue = 'b'"),
        ("header = 'A'\nvalue = 'b'", "header = 'A'\nvalue = 'b'\npath = '/'"),
        ("path = '/a*'", "path = ['/a', '/ab*', '/abc']"),
        ("path = ['/a*', '/b']", "path = ['/b', '/ab']"),
        ("rpc_method = '*'", "rpc_method = 'eth_call'"),
        ("http_method = 'GET,PUT'", "http_method = 'PUT'"),
        ("key = 'a,b'", "key = 'b'"),
        ("network = '10.0.0.0/8,::/0'", "network = '10.1.0.0/16,::1'"),
    ],
)
def test_a_rule_behind_one_that_matches_all_of_it_never_matches(earlier: str, later: str) -> None:
    keys = f"[[key]]\nname = 'a'\nsha256 = '{0:064}'\n[[key]]\nname = 'b'\nsha256 = '{1:064}'"
    text = f"[[rule]]\n{earlier}\nlane = 'fast-track'\n[[rule]]\n{later}\nlane = 'low-priority'\n{keys}"
    reader = PolicyReader(parse_document("f", text.encode()), frozenset())
    reader.policy()
    line = text.splitlines().index("[[rule]]", 1) + 1
    assert reader.mistakes == [(line, "[[rule]]: never matches, as that of line 1 matches all of it")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("header = 'A'", ""),
        ("header = 'A'", "header = 'B'"),
        ("header = 'A'\nvalue = 'b'", "header = 'A'"),
        ("header = 'A'\nvalue = 'b'", "header = 'A'\nvalue = 'c'"),
        ("path = '/a'", "path = '/a*'"),
        ("path = '/a*'", "path = ['/a', '/b']"),
        ("path = '/a'", ""),
        ("rpc_method = '*'", ""),
        ("http_method = 'GET'", "http_method = 'GET,PUT'"),
        ("http_method = 'GET'", ""),
        ("network = '10.0.0.0/8'", "network = '10.0.0.0/7'"),
        ("network = '10.0.0.0/8'", "network = '::/0'"),
        ("network = '::/0'", "network = '10.0.0.0/8'"),
        ("network = '0.0.0.0/0'", ""),
        ("header = 'A'\npath = '/a'", "header = 'A'"),
    ],
)
def test_a_rule_that_may_match_something_else_is_left_alone(earlier: str, later: str) -> None:
    assert mistakes(earlier, later) == []


def test_a_value_without_a_header_is_told_alone() -> None:
    text = "[[rule]]\nvalue = 'a'\nlane = 'fast-track'\n[[rule]]\npath = '/a'\nlane = 'fast-track'\n"
    reader = PolicyReader(parse_document("f", text.encode()), frozenset())
    reader.policy()
    assert reader.mistakes == [(2, "[[rule]] value: is that of a header, and there is none")]


def test_urgencies_count_as_conditions() -> None:
    def found(*tables: str) -> list[str]:
        text = "\n".join(f"[[rule]]\n{table}" for table in tables)
        reader = PolicyReader(parse_document("f", text.encode()), frozenset())
        reader.policy()
        return [text for _, text in reader.mistakes]

    some, more = "urgency = {0 = 'fast-track'}", "urgency = {0 = 'low-priority', 1 = 'low-priority'}"
    everything = (
        f"urgency = {{{', '.join(f'{urgency} = {chr(39)}fast-track{chr(39)}' for urgency in range(8))}}}"
    )
    any_other = "lane = 'fast-track'"
    assert found(some, more, everything) == []
    assert found(everything, any_other) == ["[[rule]]: never matches, as that of line 1 matches all of it"]
    assert found(more, some) == ["[[rule]]: never matches, as that of line 1 matches all of it"]
    assert found(some, any_other) == []


@pytest.mark.parametrize(
    ("rule", "line", "message"),
    [
        ("header = 'Keep-Alive'", 2, "header: never matches, as Keep-Alive is for the connection alone"),
        ("header = 'A'\nvalue = ''", 3, "value: never matches, as a field that is empty counts as missing"),
        ("header = 'A'\nvalue = ' b'", 3, "value: never matches, as no field begins or ends with a blank"),
        ("path = ['/', '/a?b']", 2, "path: never matches, as paths stand without their query"),
        ("http_method = 'CONNECT'", 2, "http_method: never matches, as CONNECT is always refused"),
    ],
)
def test_a_rule_that_contradicts_itself_is_told_with_its_line(rule: str, line: int, message: str) -> None:
    assert mistakes(rule) == [(line, f"[[rule]] {message}")]


def test_a_rule_is_told_once_however_many_stand_before_it() -> None:
    assert mistakes("", "", "") == [
        (4, "[[rule]]: never matches, as that of line 1 matches all of it"),
        (7, "[[rule]]: never matches, as that of line 1 matches all of it"),
    ]
