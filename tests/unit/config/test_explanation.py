"""The configuration file in words; the whole of a page is in the tests of the command."""

import pytest

from priolb.config.explanation import default_of, lines_of, words_of_rule
from priolb.config.load import load_settings
from priolb.config.tables import RuleSpec
from support.configuration import settings_of

LANES = """\
discipline = "weighted"
[[lane]]
name = "a"
strict = true
max_wait = 0.5
[[lane]]
name = "b"
weight = 10
order = "fair"
"""


def test_of_a_lane_all_is_said_that_the_file_says() -> None:
    assert list(lines_of(settings_of(LANES)))[:3] == [
        "Lanes, the best one first; discipline weighted",
        "    1  line 2     a: max_wait 0.5, strict true",
        "    2  line 6     b: weight 10, order fair",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the headers of the original: X-Fast-Track, X-High-Priority, high_prio"),
        ("discipline = 'strict'", "the headers of the original: X-Fast-Track, X-High-Priority, high_prio"),
        (LANES, "b"),
    ],
)
def test_what_no_rule_matches_goes_by_headers_or_to_the_last_lane(text: str, expected: str) -> None:
    assert default_of(settings_of(text)) == expected
    assert list(lines_of(settings_of(text)))[-1] == f"                  otherwise -> {expected}"


def test_settings_without_effect_come_last_with_their_lines() -> None:
    settings = load_settings([], {"HEDGE_MAX_PERCENT": "7"})
    assert list(lines_of(settings))[-2:] == ["", "HEDGE_MAX_PERCENT has no effect: HEDGE_LANES is empty"]


@pytest.mark.parametrize(
    ("networks", "others"),
    [
        (["10.0.0.0/8", "0.0.0.0/0"], ["6"]),
        (["::/0"], ["4"]),
        (["0.0.0.0/1"], ["4", "6"]),
        (["::/0", "0.0.0.0/0"], []),
        ([], []),
    ],
)
def test_who_is_in_no_network_is_not_forgotten(networks: list[str], others: list[str]) -> None:
    text = "".join(f"[[network]]\ncidr = '{each}'\nallow = 'low-priority'\n" for each in networks)
    said = [line.strip() for line in lines_of(settings_of(text)) if "other addresses" in line]
    assert said == [f"other addresses of IPv{version}: may use all lanes" for version in others]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (RuleSpec(lane="a"), "every request -> a"),
        (RuleSpec(header="A", value="b\n", lane="a"), r"A is 'b\n' -> a"),
        (RuleSpec(keys=("k", "l"), urgency=((0, "a"), (7, "b"))), "key k or l -> urgency 0: a, 7: b"),
    ],
)
def test_a_rule_is_a_sentence(rule: RuleSpec, expected: str) -> None:
    assert words_of_rule(rule) == expected
