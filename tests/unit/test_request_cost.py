"""What a request costs may not grow unnoticed. Instructions are counted: times depend on the machine."""

import pytest

from support.instructions import KINDS, accepted, form, per_request
from support.lean_path import BODY, RESULT, LeanPath

MOST_GROWTH = 1.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_takes_no_more_instructions_than_was_accepted(kind: str) -> None:
    """When the growth is worth it, `make accept` writes the new figure into the repository.

    Compiled, only those are counted that are left to Python: next to none.
    """
    assert per_request(KINDS[kind]) <= MOST_GROWTH * accepted()[form()][kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_is_the_same_each_time(kind: str) -> None:
    assert per_request(KINDS[kind]) == per_request(KINDS[kind])


def test_everything_is_counted_that_is_not_compiled() -> None:
    assert (per_request(repeats=True) > 1000) is (form() == "interpreted")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_counted_is_a_request_and_its_answer(kind: str) -> None:
    with LeanPath(KINDS[kind]) as path:
        seen = set()
        for _ in range(3):
            path.exchange()
            seen.add(path.last_sent())
    to_node, to_client = path.last_sent()
    assert to_node.startswith(b"POST / HTTP/1.1\r\nHost: node-1\r\n") and to_node.endswith(BODY)
    assert to_client.startswith(b"HTTP/1.1 200 OK\r\n") and to_client.endswith(RESULT)
    assert len(seen) == (1 if KINDS[kind] else 3)
