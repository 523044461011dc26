"""The garbage collector, kept from looking through thousands of requests while they wait.

What is not used any more is mostly freed at once, and no request leaves a circle behind. The collector is
there for the circles of the rest: errors with their tracebacks, tasks, admin requests. It looks through young
objects 10,000 at a time, in a millisecond. To look through the old ones takes as long as there are many: 9 ms
with 10,000 requests in line, 130 ms with 100,000. So that is done when few things live. Where that never
comes, it is done once ten million objects have become old, however long it takes: memory is bounded.
"""

import gc
import sys
from collections.abc import Callable
from typing import Final

# Containers made and not freed before the youngest are looked through. Python's own value is 700.
_YOUNG_OBJECTS: Final = 10_000
# So many times until those that have become old by it are looked through anyway, and so many times that
# until all are. Python's own value for both is 10.
_YOUNG_LOOKS: Final = 1_000
_OLD_LOOKS: Final = 10

# Memory blocks in use beyond those of the start with which all that lives is looked through in 2 or 3 ms.
FEW_BLOCKS: Final = 30_000


def _collections() -> int:
    _, of_young, of_older = gc.get_count()
    return of_young + of_older


class OldGarbage:
    """Looks through old objects when they are few.

    Made when the program has started: what is there then is left out of all collections, and from then on
    hardly anything but young objects is looked through without being asked.

    Args:
        blocks: counts the memory blocks in use.
        collect: looks through everything.
        aged: counts how often objects have become old since everything was looked through.
    """

    __slots__ = ("_aged", "_blocks", "_blocks_at_start", "_collect")

    def __init__(
        self,
        blocks: Callable[[], int] = sys.getallocatedblocks,
        collect: Callable[[], object] = gc.collect,
        aged: Callable[[], int] = _collections,
    ) -> None:
        self._blocks = blocks
        self._collect = collect
        self._aged = aged
        collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _OLD_LOOKS)
        self._blocks_at_start = blocks()

    def collect_if_little(self) -> bool:
        """Look through all that has become old, and return True, if there is some and it takes no time."""
        if not self._aged() or self._blocks() - self._blocks_at_start > FEW_BLOCKS:
            return False
        self._collect()
        return True
