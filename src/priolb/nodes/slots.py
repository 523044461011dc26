"""How many slots nodes get."""

from __future__ import annotations

from priolb.core.nodes.adaptive import START_SLOTS, AdaptiveSlots
from priolb.errors import ConfigError
from priolb.nodes.parameters import NodeParameters


class Slots:
    """How many slots nodes get.

    Args:
        default: of a node whose URI does not say.
        most: of any node, 0 for no limit.
        adaptive_most: of a node that finds them by itself.
        is_adaptive: nodes whose URI does not say find them by themselves.
    """

    __slots__ = ("adaptive_most", "default", "is_adaptive", "most")

    def __init__(self, default: int, most: int, adaptive_most: int = 64, is_adaptive: bool = False) -> None:
        self.default = default
        self.most = most
        self.adaptive_most = min(adaptive_most, most) if most else adaptive_most
        self.is_adaptive = is_adaptive

    def of(self, parameters: NodeParameters) -> int:
        """Return the slots of a node that does not find them by itself."""
        slots = parameters.workers or self.default
        return min(slots, self.most) if self.most else slots

    def missing(self, parameters: NodeParameters) -> int:
        """Return how many of the slots that are asked for a node does not get, as none may have so many."""
        if self.is_adaptive_for(parameters):
            return 0
        return (parameters.workers or self.default) - self.of(parameters)

    def is_adaptive_for(self, parameters: NodeParameters) -> bool:
        """Return whether a node finds its slots by itself."""
        return parameters.is_auto or (self.is_adaptive and parameters.workers is None)

    def new_adaptive(self, now: float) -> AdaptiveSlots:
        """Return what finds the slots of a node.

        Args:
            now: monotonic seconds.
        """
        return AdaptiveSlots(START_SLOTS, self.adaptive_most, now)

    def check(self, workers: int | None) -> None:
        """Do nothing if a node may have so many slots.

        Raises:
            ConfigError: it may not.
        """
        if workers is not None and self.most and workers > self.most:
            raise ConfigError(f"workers must not be more than {self.most} (ProxyMaxConnsPerHost)")
