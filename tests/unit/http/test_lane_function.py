"""A function of the user: what it is told, what it may say, and what its mistakes do."""

from collections.abc import Callable
from pathlib import Path

import pytest

from priolb.http.addresses import address_of
from priolb.http.callers import Caller
from priolb.http.lane_function import LaneFunction, LaneRequest
from priolb.http.request import Request
from priolb.http.rules import BODY_DECIDES, NO_LANE
from support.heads import request_head

LANES = ["urgent", "normal"]


def request(body: bytes | None = b'{"method":"eth_call"}') -> Request:
    head = request_head("POST /sim?a=b HTTP/1.1", "X-Who:  me \t", "Priority: u=1")
    caller = Caller(address_of(b"10.0.0.1"), b"builder", b"10.0.0.0/8", b"10.0.0.1", b"key builder", None)
    return Request(head, caller, body)


def ask(function: Callable[[LaneRequest], object], times: int = 1) -> tuple[set[int], list[tuple[str, int]]]:
    reports: list[tuple[str, int]] = []
    chooser = LaneFunction(function, LANES, lambda mistake, count, _: reports.append((mistake, count)))
    return {chooser.lane_of(request()) for _ in range(times)}, reports


def test_it_is_told_all_that_rules_know() -> None:
    told = LaneRequest(request())
    assert (told.method, told.path, told.query) == ("POST", "/sim", "a=b")
    assert (told.header("x-who"), told.header("X-Whom"), told.urgency) == ("me", "", 1)
    assert (told.body, told.rpc_methods) == (b'{"method":"eth_call"}', ["eth_call"])
    assert (told.address, told.network, told.key) == ("10.0.0.1", "10.0.0.0/8", "builder")


def test_a_body_that_is_no_json_rpc_calls_nothing() -> None:
    assert LaneRequest(request(b"a=b")).rpc_methods == []


@pytest.mark.parametrize(("name", "lane"), [("urgent", 0), ("normal", 1), (None, NO_LANE)])
def test_it_chooses_a_lane_by_name_or_none(name: str | None, lane: int) -> None:
    assert ask(lambda _: name) == ({lane}, [])


@pytest.mark.parametrize("answer", ["slow", 0, b"urgent", [], ""])
def test_what_is_no_lane_counts_as_none_and_is_reported(answer: object) -> None:
    assert ask(lambda _: answer) == ({NO_LANE}, [(f"returned {answer!r}, which is no lane", 1)])


def test_what_it_raises_is_reported_with_its_place() -> None:
    def fails(_: LaneRequest) -> str:
        raise KeyError("a")

    lanes, reports = ask(fails)
    line = fails.__code__.co_firstlineno + 1
    assert (lanes, reports) == ({NO_LANE}, [(f"{Path(__file__)}:{line}: KeyError: 'a'", 1)])


def test_an_error_that_cannot_be_told_is_told_by_its_kind() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise LookupError

    def fails(_: LaneRequest) -> str:
        raise MuteError

    lanes, [(report, count)] = ask(fails)
    assert (lanes, count) == ({NO_LANE}, 1)
    assert report.endswith(": MuteError: (LookupError while it was to be told)")


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_one_that_wants_to_end_the_program_has_made_a_mistake(end: type[BaseException]) -> None:
    def leaves(_: LaneRequest) -> str:
        raise end("no more")

    line = leaves.__code__.co_firstlineno + 1
    assert ask(leaves) == ({NO_LANE}, [(f"{Path(__file__)}:{line}: {end.__name__}: no more", 1)])


def test_mistakes_are_reported_ever_more_rarely_and_in_short() -> None:
    lanes, reports = ask(lambda _: "x" * 300, times=20)
    assert lanes == {NO_LANE}
    assert [count for _, count in reports] == [1, 2, 4, 8, 16]
    assert {len(mistake) for mistake, _ in reports} == {200}


def test_it_is_not_asked_before_the_body_has_come() -> None:
    def never(_: LaneRequest) -> str:
        raise AssertionError

    reports: list[object] = []
    chooser = LaneFunction(never, LANES, lambda mistake, count, _: reports.append((mistake, count)))
    assert (chooser.lane_of(request(None)), reports) == (BODY_DECIDES, [])
