"""What the operator can say about one node: in its URI, and while it works.

in the URI         as a change       means
_workers=N|auto    workers           requests that it has in flight at most; auto: it finds that by itself
_weight=N          weight            its share of the work beside that of others
_tier=N                              it works only while no node of a lower tier can
_insecure=1                          its TLS certificate counts for nothing
state             active, cordoned or drained
hard_stop_after   with drained: seconds after which what is still in flight is cut off
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from priolb.core.nodes.policy import MAX_HARD_STOP_S
from priolb.errors import ConfigError

MAX_WORKERS: Final = 10_000
MAX_WEIGHT: Final = 100
MAX_TIER: Final = 9

AUTO: Final = "auto"
ACTIVE: Final = "active"
CORDONED: Final = "cordoned"
DRAINED: Final = "drained"
_STATES: Final = (ACTIVE, CORDONED, DRAINED)

URI_PARAMETERS: Final = ("_workers", "_weight", "_tier", "_insecure")
_CHANGES: Final = ("state", "workers", "weight", "hard_stop_after")


class NodeParameters:
    """What the URI of a node says about it.

    Args:
        workers: requests that it has in flight at most, None when not given.
        is_auto: whether it finds that number by itself.
        weight: its share of the work.
        tier: 0 works first.
        is_insecure: whether its TLS certificate counts for nothing, None when not given.
    """

    __slots__ = ("is_auto", "is_insecure", "tier", "weight", "workers")

    def __init__(
        self,
        workers: int | None = None,
        is_auto: bool = False,
        weight: int = 1,
        tier: int = 0,
        is_insecure: bool | None = None,
    ) -> None:
        self.workers = workers
        self.is_auto = is_auto
        self.weight = weight
        self.tier = tier
        self.is_insecure = is_insecure


class NodeOrder:
    """A change of a node that works; None for what stays as it is.

    Args:
        state: active, cordoned or drained.
        workers: as in `NodeParameters`.
        is_auto: as in `NodeParameters`.
        weight: its share of the work.
        hard_stop_after_s: when to cut off what a drained node has in flight, seconds.
    """

    __slots__ = ("hard_stop_after_s", "is_auto", "state", "weight", "workers")

    def __init__(
        self,
        state: str | None = None,
        workers: int | None = None,
        is_auto: bool = False,
        weight: int | None = None,
        hard_stop_after_s: float | None = None,
    ) -> None:
        self.state = state
        self.workers = workers
        self.is_auto = is_auto
        self.weight = weight
        self.hard_stop_after_s = hard_stop_after_s


def parse_parameters(given: Mapping[str, str]) -> NodeParameters:
    """Return what parameters of a URI say.

    Args:
        given: texts by name; each name is one of `URI_PARAMETERS`.

    Raises:
        ConfigError: one of them holds what it cannot hold; the text names it.
    """
    workers = given.get("_workers")
    is_auto = workers == AUTO
    insecure = given.get("_insecure")
    return NodeParameters(
        None if workers is None or is_auto else _number_of("_workers", workers, 1, MAX_WORKERS),
        is_auto,
        _number_of("_weight", given.get("_weight", "1"), 1, MAX_WEIGHT),
        _number_of("_tier", given.get("_tier", "0"), 0, MAX_TIER),
        None if insecure is None else _number_of("_insecure", insecure, 0, 1) == 1,
    )


def unknown_parameter(name: str, known: tuple[str, ...] = URI_PARAMETERS) -> str:
    """Return what to say about a parameter that does not exist."""
    nearest = get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    return f"unknown parameter {name}; {hint}"


def parse_order(members: Mapping[str, object]) -> NodeOrder:
    """Return the change that the members of a JSON object ask for.

    Args:
        members: values by name, the node's own `uri` left out.

    Raises:
        ConfigError: a member is unknown, cannot hold what it holds, or contradicts another; it is named.
    """
    for name in members:
        if name not in _CHANGES:
            raise ConfigError(unknown_parameter(name[:80], _CHANGES))
    if not members:
        raise ConfigError(f"nothing to change: none of {', '.join(_CHANGES)} is given")
    order = NodeOrder()
    if "state" in members:
        order.state = _state(members["state"])
    if "workers" in members:
        order.is_auto = members["workers"] == AUTO
        order.workers = None if order.is_auto else _whole("workers", members["workers"], MAX_WORKERS)
    if "weight" in members:
        order.weight = _whole("weight", members["weight"], MAX_WEIGHT)
    if "hard_stop_after" in members:
        if order.state != DRAINED:
            raise ConfigError(f"hard_stop_after goes only with state {DRAINED}")
        order.hard_stop_after_s = _seconds("hard_stop_after", members["hard_stop_after"])
    return order


def _number_of(name: str, text: str, minimum: int, maximum: int) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not minimum <= int(text) <= maximum:
        is_word = name == "_workers" and text.isalpha()
        raise ConfigError(
            f"{name} must be a number from {minimum} to {maximum}{f', or {AUTO}' if is_word else ''}"
        )
    return int(text)


def _state(value: object) -> str:
    if not isinstance(value, str) or value not in _STATES:
        raise ConfigError(f"state must be {ACTIVE}, {CORDONED} or {DRAINED}")
    return value


def _whole(name: str, value: object, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise ConfigError(
            f"{name} must be a number from 1 to {maximum}{f', or {AUTO}' if name == 'workers' else ''}"
        )
    return value


def _seconds(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_HARD_STOP_S:
        return float(value)
    raise ConfigError(f"{name} must be a number of seconds from 0 to {MAX_HARD_STOP_S}")
