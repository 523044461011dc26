"""How many slots nodes get."""

import pytest

from priolb.errors import ConfigError
from priolb.nodes.parameters import NodeParameters
from priolb.nodes.slots import Slots


@pytest.mark.parametrize(
    ("workers", "most", "slots"), [(None, 0, 8), (3, 0, 3), (None, 4, 4), (50, 20, 20), (50, 0, 50)]
)
def test_a_node_gets_its_own_or_the_default_and_no_more_than_any(
    workers: int | None, most: int, slots: int
) -> None:
    assert Slots(8, most).of(NodeParameters(workers)) == slots


@pytest.mark.parametrize(
    ("is_adaptive", "parameters", "expected"),
    [
        (False, NodeParameters(), False),
        (False, NodeParameters(is_auto=True), True),
        (True, NodeParameters(), True),
        (True, NodeParameters(4), False),
    ],
)
def test_a_node_finds_its_slots_when_its_uri_or_the_setting_says_so(
    is_adaptive: bool, parameters: NodeParameters, expected: bool
) -> None:
    """A number in the URI counts for more than the setting."""
    assert Slots(8, 0, is_adaptive=is_adaptive).is_adaptive_for(parameters) is expected


@pytest.mark.parametrize(
    ("adaptive_most", "most", "cap"), [(64, 0, 64), (64, 100, 64), (64, 20, 20), (2, 0, 2)]
)
def test_slots_that_a_node_finds_start_low_and_have_a_cap(adaptive_most: int, most: int, cap: int) -> None:
    adaptive = Slots(8, most, adaptive_most).new_adaptive(100.0)
    assert (adaptive.slots, adaptive.cap) == (min(4, cap), cap)


def test_more_slots_than_connections_are_refused() -> None:
    slots = Slots(8, 100)
    slots.check(None)
    slots.check(100)
    Slots(8, 0).check(10_000)
    with pytest.raises(ConfigError, match=r"^workers must not be more than 100 \(ProxyMaxConnsPerHost\)$"):
        slots.check(101)
