"""What a request costs may not grow unnoticed. Instructions are counted: times depend on the machine."""

from statistics import median

import pytest

from priolb.core.limits.limiter import BY_NETWORK, Limiter, LimitRule
from priolb.core.limits.rate_limits import RateLimit
from priolb.core.queueing.discipline import Aged, Discipline, Strict, Weighted
from priolb.core.queueing.lanes import Lane
from priolb.core.queueing.queue import PriorityQueue
from priolb.http.callers import Callers
from priolb.http.rules import Rules
from priolb.net.front.door import Door
from support.instructions import KINDS, accepted, form, of_requests_on, per_request, per_request_on
from support.lean_path import BODY, MAX_WAIT_S, RESULT, TRUSTED, LeanPath, caller_address

MOST_GROWTH = 1.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_takes_no_more_instructions_than_was_accepted(kind: str) -> None:
    """When the growth is worth it, `make accept` writes the new figure into the repository.

    Compiled, only those are counted that are left to Python: next to none.
    """
    assert per_request(kind) <= MOST_GROWTH * accepted()[form()][kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_is_the_same_each_time(kind: str) -> None:
    assert per_request(kind) == per_request(kind)


@pytest.mark.parametrize("nodes", [2, 100])
def test_it_takes_no_more_with_many_nodes_than_with_one(nodes: int) -> None:
    assert per_request_on(LeanPath(True, nodes=nodes)) == per_request_on(LeanPath(True))


def lanes_of(count: int) -> list[Lane]:
    return [Lane(f"lane-{number}", max_wait_s=MAX_WAIT_S) for number in range(count)]


def in_the_last_of(count: int, discipline: Discipline) -> int:
    """Return what a request takes when others wait in the last of so many lanes, and nobody in the others."""
    door = Door(Callers(), Rules([], default=count - 1))
    queue = PriorityQueue(lanes_of(count), discipline)
    return per_request_on(LeanPath(True, waiting=3, queue=queue, door=door))


def test_it_takes_no_more_with_many_lanes_than_with_few() -> None:
    assert in_the_last_of(20, Strict()) == in_the_last_of(2, Strict())
    assert in_the_last_of(20, Weighted([1] * 20)) == in_the_last_of(2, Weighted([1] * 2))
    assert in_the_last_of(20, Aged(1.0)) == in_the_last_of(2, Aged(1.0))


def for_callers(count: int) -> list[int]:
    """Return what requests of a proxy take, each for one of so many callers that have asked before."""
    limit = RateLimit("each", 1000, 1, 1000)
    for number in range(count):
        limit.take(caller_address(number), 1, 1)
    rule = LimitRule(limit, BY_NETWORK, frozenset(), 32, 64, None, is_dry=False, policy=b"each")
    door = Door(Callers(trusted=TRUSTED), Rules([], default=0), limiter=Limiter([rule], ["lane-0"]))
    queue = PriorityQueue(lanes_of(1), Strict())
    return of_requests_on(LeanPath(True, queue=queue, door=door, callers=count), 201)


def test_it_takes_no_more_for_one_of_many_callers_than_for_one_of_few() -> None:
    """But for those, about one of six, in whose first place of the table of limits another one stands."""
    of_many, usual = for_callers(20_000), median(for_callers(1_000))
    assert median(of_many) <= usual
    assert max(of_many) <= MOST_GROWTH * usual


def test_everything_is_counted_that_is_not_compiled() -> None:
    assert (per_request("same heads") > 1000) is (form() == "interpreted")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_counted_is_a_request_and_its_answer(kind: str) -> None:
    repeats, waiting = KINDS[kind]
    with LeanPath(repeats, waiting=waiting) as path:
        for _ in range(2 * waiting):  # until each finds as many in line as the next one will
            path.exchange()
        seen = set()
        for _ in range(3):
            path.exchange()
            seen.add(path.last_sent())
    to_node, to_client = path.last_sent()
    assert to_node.startswith(b"POST / HTTP/1.1\r\nHost: node-1\r\n") and to_node.endswith(BODY)
    assert to_client.startswith(b"HTTP/1.1 200 OK\r\n") and to_client.endswith(RESULT)
    assert len(seen) == (1 if repeats else 3)
