"""What the tables of the file say, and what is a mistake in them."""

import pytest

from priolb.config.document import parse_document
from priolb.config.policy import PolicyReader, too_long_waits
from priolb.config.tables import LaneSpec, Policy
from priolb.errors import ConfigFileError

SETTINGS = frozenset({"RETRIES_MAX"})
LANE_C = "[[lane]]\nname = 'c'"
NONSENSE = """[[lane]]
name = 'a'
weight = 0
reserved = -1
max_share = 101
max_wait = 0
order = 'lifo'
limit_mb = 0.5
strict = 1"""
LANES = "[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\nlimit = 5\n[[lane]]\nname = 'c'\n"


def policy_of(text: str) -> Policy:
    reader = PolicyReader(parse_document("f", text.encode()), SETTINGS)
    policy = reader.policy()
    reader.raise_mistakes()
    return policy


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigFileError) as caught:
        policy_of(text)
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return caught.value.mistakes


def test_an_empty_file_says_nothing() -> None:
    assert policy_of("") == Policy() == Policy(discipline="original", lanes=())


def test_lanes_stand_in_the_order_of_the_file_and_know_their_lines() -> None:
    lanes = policy_of(LANES).lanes
    assert lanes == (LaneSpec(name="a"), LaneSpec(name="b", limit=5), LaneSpec(name="c"))
    assert [(lane.place.line_of(), lane.place.line_of("limit")) for lane in lanes] == [(1, 1), (3, 5), (6, 6)]


def test_a_lane_says_all_that_there_is_to_say_of_it() -> None:
    text = (
        "discipline = 'weighted'\naging_step = 1\n"
        "[[lane]]\nname = 'a'\nstrict = true\nreserved = 2\nmax_wait = 0.5\n"
        "[[lane]]\nname = 'b'\nweight = 10\nlimit = 5\nlimit_mb = 6\nmax_share = 50\norder = 'fair'"
    )
    assert policy_of(text) == Policy(
        discipline="weighted",
        aging_step_s=1.0,
        lanes=(
            LaneSpec(name="a", strict=True, reserved=2, max_wait_s=0.5),
            LaneSpec(name="b", weight=10, limit=5, limit_mb=6, max_share_percent=50, order="fair"),
        ),
    )


@pytest.mark.parametrize("discipline", ["strict", "aged"])
def test_a_discipline_may_rule_the_lanes_of_the_original(discipline: str) -> None:
    assert policy_of(f"discipline = '{discipline}'") == Policy(discipline=discipline)


def test_no_lane_waits_longer_than_any_may() -> None:
    text = "discipline = 'strict'\n[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\nmax_wait = 5\n"
    lanes = policy_of(text).lanes
    assert list(too_long_waits(lanes, 5.0)) == []
    assert list(too_long_waits(lanes, 4.5)) == [
        (6, "[[lane]] max_wait: 5 is more than REQUEST_TIMEOUT (4.5)")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[network]]\ncidr = '::/0'\nallow = []", ["f:3: [[network]] allow: is empty"]),
        (
            "[[rule]]\nrpc_method = []\nhttp_method = ''\nlane = 'fast-track'",
            ["f:2: [[rule]] rpc_method: is empty", "f:3: [[rule]] http_method: is empty"],
        ),
        (
            "[[key]]\nname = 'a'\nsha256 = 'the secret itself'",
            ["f:3: [[key]] sha256: the value (not shown) is not a SHA-256 (64 hex digits)"],
        ),
        ("disciplin = 'original'", ["f:1: disciplin: is not known; did you mean discipline?"]),
        (
            "discipline = 'fair'",
            ["f:1: discipline: 'fair' is not one of original, strict, weighted, aged"],
        ),
        ("discipline = 'weighted'", ["f:1: discipline: weighted: needs lanes, with weights"]),
        (
            "discipline = 'weighted'\n[[lane]]\nname = 'a'\nstrict = true",
            ["f:1: discipline: weighted: all lanes are strict"],
        ),
        (
            "discipline = 'aged'\n[[lane]]\nname = 'a'\nstrict = true\n[[lane]]\nname = 'b'\nweight = 2",
            [
                "f:4: [[lane]] strict: the discipline aged does not heed it",
                "f:7: [[lane]] weight: the discipline aged does not heed it",
            ],
        ),
        (
            "discipline = 'strict'\naging_step = 2",
            ["f:2: aging_step: the discipline strict does not heed it"],
        ),
        (
            "discipline = 'weighted'\n[[lane]]\nname = 'a'\n[[lane]]\nname = 'b'\nweight = 3\nstrict = true",
            ["f:6: [[lane]] weight: a strict lane has none"],
        ),
        (
            NONSENSE,
            [
                "f:3: [[lane]] weight: '0' is out of range (1 to 1000000)",
                "f:4: [[lane]] reserved: '-1' is out of range (0 to 1000000)",
                "f:5: [[lane]] max_share: '101' is out of range (1 to 100)",
                "f:6: [[lane]] max_wait: '0' is out of range (0.001 to 1000000)",
                "f:7: [[lane]] order: 'lifo' is not one of arrival, deadline, fair, codel",
                "f:8: [[lane]] limit_mb: '0.5' is not a whole number (0 to 1000000000)",
                "f:9: [[lane]] strict: '1' is not true or false",
            ],
        ),
        ("lane = 5", ["f:1: lane: has to be a table that begins with [[lane]]"]),
        ("\n[lane]\nname = 'a'", ["f:2: lane: has to be a table that begins with [[lane]]"]),
        ("[[lanes]]\nname = 'a'", ["f:1: lanes: is not known; did you mean lane?"]),
        ("'a\\u001b[31m' = 1".replace("'", '"'), ["f:1: a\\x1b[31m: is not known"]),
        (f"{LANES}nam = 'c'", ["f:8: [[lane]] nam: is not known; did you mean name?"]),
        (
            f"{LANES}RETRIES_MAX = 1",
            ["f:8: [[lane]] RETRIES_MAX: is a setting, which has to stand above the first table"],
        ),
        (
            f"{LANES}[[lane]]\nlimit = 1\nname = 'a'",
            [
                "f:8: [[lane]]: the discipline original takes 3 lanes, and there are 4",
                "f:10: [[lane]] name: 'a' is the name of that in line 2, too",
            ],
        ),
        ("[[lane]]\nname = 'a'", ["f:1: [[lane]]: the discipline original takes 3 lanes, and there are 1"]),
        (
            "[[lane]]\nname = 'a b'\n[[lane]]\nlimit = -1",
            [
                "f:2: [[lane]] name: 'a b' is not a name (letters, digits, - . _, a letter first)",
                "f:3: [[lane]]: needs name (word)",
                "f:4: [[lane]] limit: '-1' is out of range (0 to 1000000000)",
            ],
        ),
        (
            f"{LANES}preempts = true",
            ["f:8: [[lane]] preempts: no lane below it is preemptible"],
        ),
        (
            "[[lane]]\nname = 'a'\npreemptible = true\n[[lane]]\nname = 'b'\npreempts = true\n" + LANE_C,
            [
                "f:3: [[lane]] preemptible: no lane above it preempts",
                "f:6: [[lane]] preempts: no lane below it is preemptible",
            ],
        ),
        (f"{LANES}preempts = 1", ["f:8: [[lane]] preempts: '1' is not true or false"]),
        (
            "".join(f"[[lane]]\nname = 'a{n}'\n" for n in range(65)),
            ["f:129: [[lane]]: there may be 64 of them"],
        ),
    ],
)
def test_every_mistake_is_told_with_its_line(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected
