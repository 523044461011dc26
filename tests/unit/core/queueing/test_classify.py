"""Which lane the fields of a request put it into."""

import pytest

from priolb.core.queueing.classify import FAST_TRACK, HIGH_PRIORITY, LANE_NAMES, LOW_PRIORITY, lane_of


@pytest.mark.parametrize(
    ("fields", "lane"),
    [
        ({}, LOW_PRIORITY),
        ({b"x-fast-track": b"true"}, FAST_TRACK),
        ({b"x-high-priority": b"true"}, HIGH_PRIORITY),
        ({b"high_prio": b"true"}, HIGH_PRIORITY),
        ({b"x-fast-track": b"true", b"x-high-priority": b"true"}, FAST_TRACK),
        ({b"x-high-priority": b"false", b"high_prio": b"true"}, HIGH_PRIORITY),
        ({b"x-fast-track": b"false", b"high_prio": b"true"}, HIGH_PRIORITY),
        ({b"x-fast-track": b"false"}, LOW_PRIORITY),
        ({b"x-fast-track": b"TRUE"}, LOW_PRIORITY),
        ({b"x-fast-track": b"1"}, LOW_PRIORITY),
        ({b"x-high-priority": b""}, LOW_PRIORITY),
        ({b"content-type": b"true"}, LOW_PRIORITY),
    ],
)
def test_only_the_exact_word_true_raises_a_request(fields: dict[bytes, bytes], lane: int) -> None:
    assert lane_of(fields) == lane


def test_lanes_are_named_in_their_order() -> None:
    assert (LANE_NAMES[FAST_TRACK], LANE_NAMES[HIGH_PRIORITY], LANE_NAMES[LOW_PRIORITY]) == (
        "fast-track",
        "high-priority",
        "low-priority",
    )
