"""What tables say of each other: every name must be that of something, and of one thing."""

import pytest

from priolb.config.document import parse_document
from priolb.config.policy import PolicyReader
from priolb.errors import ConfigFileError

SHA = "'" + "0" * 64 + "'"


def mistakes(text: str) -> list[str]:
    reader = PolicyReader(parse_document("f", text.encode()), frozenset())
    reader.policy()
    try:
        reader.raise_mistakes()
    except ConfigFileError as error:
        return error.mistakes
    return []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"[[key]]\nname = 'a'\nsha256 = {SHA}\nallow = 'low-priority,high-priority'", []),
        ("[[network]]\ncidr = '::/0'\n[[network]]\ncidr = '0.0.0.0/0'\nallow = 'fast-track'", []),
        (f"[[rule]]\nkey = 'a'\nlane = 'fast-track'\n[[key]]\nname = 'a'\nsha256 = {SHA}", []),
        (
            f"[[key]]\nname = 'a'\nsha256 = {SHA}\n[[key]]\nname = 'a'\nsha256 = {SHA}\nallow = ['slow']",
            [
                "f:5: [[key]] name: is the same as in line 2",
                "f:6: [[key]] sha256: is the same as in line 3",
                "f:7: [[key]] allow: there is no lane 'slow'",
            ],
        ),
        (
            f"[[key]]\nname = 'a'\nsha256 = {SHA}\nallow = 'fast-trac'",
            ["f:4: [[key]] allow: there is no lane 'fast-trac'; did you mean fast-track?"],
        ),
        (
            "[[network]]\ncidr = '::/0'\nallow = 'x,y'\n[[network]]\ncidr = '::/0'",
            [
                "f:3: [[network]] allow: there is no lane 'x'",
                "f:3: [[network]] allow: there is no lane 'y'",
                "f:5: [[network]] cidr: is the same as in line 2",
            ],
        ),
        (
            "[[rule]]\nheader = 'A'\n[[rule]]\nlane = 'fast'\nvalue = 'b'\nkey = 'k'",
            [
                "f:1: [[rule]]: needs lane or urgency",
                "f:4: [[rule]] lane: there is no lane 'fast'",
                "f:5: [[rule]] value: is that of a header, and there is none",
                "f:6: [[rule]] key: there is no key 'k'",
            ],
        ),
        (
            "[[rule]]\nlane = 'fast-track'\nurgency = {0 = 'fast-track', 1 = 'slow'}",
            [
                "f:3: [[rule]] urgency: chooses the lane, and so does lane",
                "f:3: [[rule]] urgency: there is no lane 'slow'",
            ],
        ),
        (
            "[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\n[[lane]]\nname = 'c'\n[[rule]]\nlane = 'fast-track'",
            ["f:8: [[rule]] lane: there is no lane 'fast-track'"],
        ),
    ],
)
def test_names_of_nothing_and_names_given_twice_are_mistakes(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


def test_what_is_wrong_between_tables_is_told_beside_what_is_wrong_in_them() -> None:
    text = (
        "discipline = 'strict'\n"
        "[[lane]]\nname = 'a'\nlimit = -1\n"
        "[[lane]]\nname = 'b'\n"
        "[[key]]\nname = 'k'\nsha256 = '0'\n"
        f"[[key]]\nname = 'l'\nsha256 = {SHA}\nallow = 'a,c'\n"
        "[[rule]]\nkey = ['k', 'm']\nlane = 'a'\n"
        "[[rule]]\npath = 3\nlane = 'd'\n"
        "[[rule]]\nlane = 'b'\n"
        "[[rule]]\nlane = 'e'\n"
        "[[limit]]\nname = 'x'\nrate = 0\n"
        "[[limit]]\nname = 'y'\nby = 'key'\nonly = 'k,n'\nrate = 1\n"
    )
    assert mistakes(text) == [
        "f:4: [[lane]] limit: '-1' is out of range (0 to 1000000000)",
        "f:9: [[key]] sha256: the value (not shown) is not a SHA-256 (64 hex digits)",
        "f:13: [[key]] allow: there is no lane 'c'",
        "f:15: [[rule]] key: there is no key 'm'",
        "f:18: [[rule]] path: '3' is not a list of paths, where a * may stand for any rest",
        "f:22: [[rule]]: never matches, as that of line 20 matches all of it",
        "f:23: [[rule]] lane: there is no lane 'e'",
        "f:26: [[limit]] rate: '0' is out of range (1 to 1000000000)",
        "f:30: [[limit]] only: there is no key 'n'",
    ]


def test_a_table_with_single_brackets_has_a_name_all_the_same() -> None:
    assert mistakes("[lane]\nname = 'a'\n[[rule]]\nlane = 'a'\n") == [
        "f:1: lane: has to be a table that begins with [[lane]]"
    ]


def test_lanes_are_held_against_each_other_while_a_rule_has_a_mistake() -> None:
    assert mistakes("discipline = 'strict'\n[[lane]]\nname = 'a'\nweight = 2\n[[rule]]\npath = 3") == [
        "f:4: [[lane]] weight: the discipline strict does not heed it",
        "f:6: [[rule]] path: '3' is not a list of paths, where a * may stand for any rest",
    ]


def test_a_name_that_cannot_be_one_moves_no_cursor_when_another_is_like_it() -> None:
    assert mistakes("[[lane]]\nname = \"fa\\u001b[2Jst\"\n[[rule]]\nlane = 'fast'\n") == [
        r"f:2: [[lane]] name: 'fa\x1b[2Jst' is not a name (letters, digits, - . _, a letter first)",
        r"f:4: [[rule]] lane: there is no lane 'fast'; did you mean fa\x1b[2Jst?",
    ]
