"""Values of TOML as the text that kinds read."""

import pytest

from priolb.config.parse import (
    CidrList,
    CommaList,
    Count,
    HostPort,
    JsonText,
    Kind,
    MethodCosts,
    Methods,
    Names,
    Switch,
    Text,
    WholeNumbers,
    seconds,
)
from priolb.config.rule_kinds import PatternList, Urgencies
from priolb.config.toml_text import named, toml_text

LIST = "is not a list with commas between its items"
TABLE = Urgencies().accepts


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Switch(), True, "true"),
        (Switch(), False, "false"),
        (Count(), 7, "7"),
        (Count(), -7, "-7"),
        (seconds(), 5, "5"),
        (seconds(), 0.25, "0.25"),
        (seconds(), 1e-7, "0.0000001"),
        (seconds(), 1e20, "100000000000000000000"),
        (seconds(), float("nan"), "NaN"),
        (Text(), "", ""),
        (HostPort(), ":80", ":80"),
        (CommaList(), "a,b", "a,b"),
        (CommaList(), [], ""),
        (CommaList(), ["a", "b"], "a,b"),
        (Names("lanes"), ["a"], "a"),
        (Methods(), ["GET", "PUT"], "GET,PUT"),
        (CidrList(), ["::1", "10.0.0.0/8"], "::1,10.0.0.0/8"),
        (WholeNumbers(), [-32002, "7"], "-32002,7"),
        (WholeNumbers(), -32002, "-32002"),
        (JsonText(), "false", "false"),
        (JsonText(), False, "false"),
        (JsonText(), 5, "5"),
        (JsonText(), ["a", {"b": 1.5}], '["a", {"b": 1.5}]'),
        (MethodCosts(), {}, ""),
        (MethodCosts(), {"eth_call": 5, "debug_*": 20}, "eth_call=5,debug_*=20"),
        (PatternList("paths"), ["/a*", "/b"], "/a*,/b"),
        (Urgencies(), {"0": "a", "1": "b"}, "0=a,1=b"),
        (Urgencies(), {}, ""),
    ],
)
def test_a_value_is_the_text_that_a_variable_would_hold(kind: Kind[object], value: object, text: str) -> None:
    assert toml_text(kind, value) == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Switch(), 1, "is not true or false"),
        (Switch(), "true", "is a string, and not true or false"),
        (Count(0, 9), "3", "is a string, and not a whole number (0 to 9)"),
        (Count(0, 9), 3.0, "is not a whole number (0 to 9)"),
        (Count(0, 9), True, "is not a whole number (0 to 9)"),
        (seconds(), True, "is not a number of seconds (0.001 to 1000000)"),
        (Text(), 5, "is not text without control characters"),
        (MethodCosts(), "a=1", f"is a string, and not {MethodCosts().accepts}"),
        (MethodCosts(), {"a": 1, "b": "2"}, f"is not {MethodCosts().accepts}: see 'b'"),
        (MethodCosts(), {"a": True}, f"is not {MethodCosts().accepts}: see 'a'"),
        (MethodCosts(), {"a=1,b": 1}, f"is not {MethodCosts().accepts}: see 'a=1,b'"),
        (Text(), ["a"], "is not text without control characters"),
        (CommaList(), 5, LIST),
        (CommaList(), {"a": 1}, LIST),
        (CommaList(), ["a", "b,c"], f"{LIST}: see item 2"),
        (CommaList(), [""], f"{LIST}: see item 1"),
        (CommaList(), [["a"]], f"{LIST}: see item 1"),
        (CommaList(), [True], f"{LIST}: see item 1"),
        (Urgencies(), "0=a", f"is a string, and not {TABLE}"),
        (Urgencies(), ["a"], f"is not {TABLE}"),
        (Urgencies(), {"0": "a", "1": 5}, f"is not {TABLE}: see '1'"),
        (Urgencies(), {"0": {"0": "a"}}, f"is not {TABLE}: see '0'"),
        (Urgencies(), {"0": "a,1=b"}, f"is not {TABLE}: see '0'"),
        (Urgencies(), {"0=a,1": "b"}, f"is not {TABLE}: see '0=a,1'"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: Kind[object], value: object, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        toml_text(kind, value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", "'a\\nb'"),
        (True, "true"),
        (False, "false"),
        (-5, "'-5'"),
        (0.5, "'0.5'"),
        (10**30 + 1, "'0xc9f2c9cd04674edea40000001'"),
        ([1], "an array"),
        ({}, "a table"),
    ],
)
def test_a_value_is_named_on_one_line(value: object, text: str) -> None:
    assert named(value) == text


def test_a_number_that_python_refuses_to_write_is_named_all_the_same() -> None:
    assert named(int("9" * 4000) ** 4) == f"'{hex(int('9' * 4000) ** 4)[:80]}'..."
