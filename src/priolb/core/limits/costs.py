"""What a request counts for in a limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Calls:
    """What a request asks for.

    Args:
        methods: the methods of all members of a JSON-RPC batch, or the one method.
        is_all: whether these are all of them, as far as the body was read.
        times: how many times as much there is of the body as was read.
    """

    __slots__ = ("is_all", "methods", "times")

    def __init__(self, methods: Sequence[bytes], is_all: bool = True, times: int = 1) -> None:
        self.methods = methods
        self.is_all = is_all
        self.times = times


class Costs:
    """Costs by method: of HTTP, or of JSON-RPC where that is what the body is.

    Args:
        costs: costs by name. A `*` at the end stands for any rest; of those that fit, the longest counts.

    A name that nothing fits costs 1. `least` is what a request costs at least.
    """

    __slots__ = ("_most", "_names", "_starts", "least")

    def __init__(self, costs: Mapping[str, int]) -> None:
        self._names: dict[bytes, int] = {}
        starts: dict[int, dict[bytes, int]] = {}
        for name, cost in costs.items():
            if name.endswith("*"):
                start = name[:-1].encode()
                starts.setdefault(len(start), {})[start] = cost
            else:
                self._names[name.encode()] = cost
        # By their lengths, the longest first
        self._starts: tuple[tuple[int, dict[bytes, int]], ...] = tuple(sorted(starts.items(), reverse=True))
        self._most: int = max(1, *costs.values())
        self.least: int = min(1, *costs.values())

    def of(self, calls: Calls) -> int:
        """Return what a request counts for: of methods that are not known, for as much as any may cost."""
        cost = 0 if calls.is_all else self._most
        for method in calls.methods:
            cost += self._cost(method)
        return cost * calls.times

    def _cost(self, method: bytes) -> int:
        cost = self._names.get(method)
        if cost is not None:
            return cost
        for length, costs in self._starts:
            cost = costs.get(method[:length])
            if cost is not None:
                return cost
        return 1
