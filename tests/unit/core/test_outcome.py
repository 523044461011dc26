"""When the end of a try counts against the node."""

import pytest

from priolb.core.outcome import Outcome, Phase, Source
from priolb.errors import Reason


@pytest.mark.parametrize(
    ("source", "reason", "status", "failed"),
    [
        (Source.NODE, None, 200, False),
        (Source.NODE, None, 304, False),
        (Source.NODE, None, 399, False),
        (Source.NODE, None, 400, True),
        (Source.NODE, None, 503, True),
        (Source.NODE, Reason.NODE_UNREACHABLE, 0, True),
        (Source.NODE, Reason.NODE_TIMEOUT, 0, True),
        (Source.NODE, Reason.NODE_BAD_ANSWER, 200, True),
        (Source.CLIENT, None, 0, False),
        (Source.CLIENT, None, 500, False),
        (Source.US, Reason.SHUTTING_DOWN, 0, False),
    ],
)
def test_a_try_fails_by_the_node_alone(
    source: Source, reason: Reason | None, status: int, failed: bool
) -> None:
    """A client that leaves, and a program that ends, say nothing about the node."""
    assert Outcome(source, Phase.DONE, reason, status, sent=True, answering=False).failed is failed
