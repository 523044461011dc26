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
