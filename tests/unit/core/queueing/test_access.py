"""Which lane somebody gets who may not use all of them."""

import pytest

from priolb.core.queueing.access import lanes_for


@pytest.mark.parametrize(
    ("allowed", "given"),
    [
        ({0, 1, 2, 3}, (0, 1, 2, 3)),
        ({1}, (1, 1, 1, 1)),
        ({1, 3}, (1, 1, 3, 3)),
        ({0, 2}, (0, 2, 2, 2)),
        ({0}, (0, 0, 0, 0)),
        ({3}, (3, 3, 3, 3)),
    ],
)
def test_it_is_the_best_allowed_one_that_is_not_better_else_the_worst(
    allowed: set[int], given: tuple[int, ...]
) -> None:
    assert lanes_for(allowed, 4) == given
