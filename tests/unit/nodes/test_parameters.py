"""What can be said about one node, and what cannot."""

import pytest

from priolb.errors import ConfigError
from priolb.nodes.parameters import NodeOrder, parse_order, parse_parameters, unknown_parameter


@pytest.mark.parametrize(
    ("given", "workers", "is_auto", "weight", "tier"),
    [
        ({}, None, False, 1, 0),
        ({"_workers": "4"}, 4, False, 1, 0),
        ({"_workers": "10000"}, 10_000, False, 1, 0),
        ({"_workers": "auto"}, None, True, 1, 0),
        ({"_weight": "100"}, None, False, 100, 0),
        ({"_tier": "9"}, None, False, 1, 9),
        ({"_tier": "0", "_weight": "3", "_workers": "auto"}, None, True, 3, 0),
    ],
)
def test_parameters_of_a_uri(
    given: dict[str, str], workers: int | None, is_auto: bool, weight: int, tier: int
) -> None:
    parsed = parse_parameters(given)
    assert (parsed.workers, parsed.is_auto, parsed.weight, parsed.tier) == (workers, is_auto, weight, tier)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"_workers": ""}, "_workers must be a number from 1 to 10000"),
        ({"_workers": "0"}, "_workers must be a number from 1 to 10000"),
        ({"_workers": "10001"}, "_workers must be a number from 1 to 10000"),
        ({"_workers": "many"}, "_workers must be a number from 1 to 10000, or auto"),
        ({"_workers": "Auto"}, "_workers must be a number from 1 to 10000, or auto"),
        ({"_weight": "0"}, "_weight must be a number from 1 to 100"),
        ({"_weight": "101"}, "_weight must be a number from 1 to 100"),
        ({"_weight": "1.5"}, "_weight must be a number from 1 to 100"),
        ({"_weight": "x"}, "_weight must be a number from 1 to 100"),
        ({"_tier": "-1"}, "_tier must be a number from 0 to 9"),
        ({"_tier": "10"}, "_tier must be a number from 0 to 9"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_parameters(given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "meant"),
    [("_worker", "_workers"), ("_weigth", "_weight"), ("_teir", "_tier")],
)
def test_an_unknown_parameter_is_answered_with_the_nearest(name: str, meant: str) -> None:
    assert unknown_parameter(name) == f"unknown parameter {name}; did you mean {meant}?"


def test_where_none_is_near_all_are_named() -> None:
    assert unknown_parameter("_x") == "unknown parameter _x; there are _workers, _weight, _tier, _insecure"


def fields(order: NodeOrder) -> tuple[object, ...]:
    return order.state, order.workers, order.is_auto, order.weight, order.hard_stop_after_s


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"state": "active"}, ("active", None, False, None, None)),
        ({"state": "cordoned"}, ("cordoned", None, False, None, None)),
        ({"state": "drained"}, ("drained", None, False, None, None)),
        ({"state": "drained", "hard_stop_after": 0}, ("drained", None, False, None, 0.0)),
        ({"state": "drained", "hard_stop_after": 2.5}, ("drained", None, False, None, 2.5)),
        ({"workers": 1}, (None, 1, False, None, None)),
        ({"workers": "auto"}, (None, None, True, None, None)),
        ({"weight": 100, "workers": 3, "state": "active"}, ("active", 3, False, 100, None)),
    ],
)
def test_orders(members: dict[str, object], expected: tuple[object, ...]) -> None:
    assert fields(parse_order(members)) == expected


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "nothing to change: none of state, workers, weight, hard_stop_after is given"),
        ({"worker": 1}, "unknown parameter worker; did you mean workers?"),
        ({"x" * 200: 1}, f"unknown parameter {'x' * 80}; there are state, workers, weight, hard_stop_after"),
        ({"state": "down"}, "state must be active, cordoned or drained"),
        ({"state": None}, "state must be active, cordoned or drained"),
        ({"state": ["active"]}, "state must be active, cordoned or drained"),
        ({"workers": 0}, "workers must be a number from 1 to 10000, or auto"),
        ({"workers": 10_001}, "workers must be a number from 1 to 10000, or auto"),
        ({"workers": 1.5}, "workers must be a number from 1 to 10000, or auto"),
        ({"workers": True}, "workers must be a number from 1 to 10000, or auto"),
        ({"workers": "8"}, "workers must be a number from 1 to 10000, or auto"),
        ({"weight": 0}, "weight must be a number from 1 to 100"),
        ({"weight": "auto"}, "weight must be a number from 1 to 100"),
        ({"hard_stop_after": 5}, "hard_stop_after goes only with state drained"),
        ({"state": "cordoned", "hard_stop_after": 5}, "hard_stop_after goes only with state drained"),
        (
            {"state": "drained", "hard_stop_after": -1},
            "hard_stop_after must be a number of seconds from 0 to 86400",
        ),
        (
            {"state": "drained", "hard_stop_after": float("nan")},
            "hard_stop_after must be a number of seconds from 0 to 86400",
        ),
        (
            {"state": "drained", "hard_stop_after": True},
            "hard_stop_after must be a number of seconds from 0 to 86400",
        ),
        (
            {"state": "drained", "hard_stop_after": "5"},
            "hard_stop_after must be a number of seconds from 0 to 86400",
        ),
    ],
)
def test_an_order_that_cannot_be_names_what_is_wrong(members: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_order(members)
    assert str(caught.value) == message
