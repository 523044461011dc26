"""From `LANE_FUNCTION` to the function that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

from priolb.config.words import escaped
from priolb.errors import ConfigError
from priolb.http.lane_function import LaneRequest


def lane_function_of(name: str, source: str = "LANE_FUNCTION") -> Callable[[LaneRequest], object]:
    """Return the function that `module:name` stands for; its module is found as Python finds modules.

    Raises:
        ConfigError: there is no such module or function, or it cannot be called for an answer at once.
    """
    module, _, path = name.partition(":")
    try:
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # whatever a module does, the operator has to know
        raise ConfigError(f"{source}: {name}: {escaped(f'{type(error).__name__}: {error}')}") from error
    if not callable(found):
        raise ConfigError(f"{source}: {name} is no function")
    if inspect.iscoroutinefunction(found):
        raise ConfigError(f"{source}: {name} is asynchronous, and a request cannot wait for it")
    return found
