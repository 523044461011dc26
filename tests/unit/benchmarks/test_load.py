"""A balancer that leaves requests without any answer is no result; one that refuses them is."""

from collections import Counter

import pytest
from benchmarks.child import BenchmarkError
from benchmarks.load import check_none_ignored
from benchmarks.open_loop import StreamCount


def test_refusals_and_lost_connections_are_outcomes() -> None:
    outcomes = Counter({"200": 5, "503": 3, "connection lost": 1, "none": 0})
    check_none_ignored("HAProxy", {"low": StreamCount(outcomes), "high": StreamCount()})


def test_requests_without_any_answer_of_all_streams_end_the_benchmark() -> None:
    counts = {"low": StreamCount(Counter({"200": 5, "none": 2})), "high": StreamCount(Counter({"none": 1}))}
    with pytest.raises(BenchmarkError, match="HAProxy left 3 requests without any answer"):
        check_none_ignored("HAProxy", counts)
