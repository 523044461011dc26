"""A timing wheel for lapses that are mostly put off: idle connections, slow heads, late nodes.

Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 4 with sparse slots. Items
are checked lazily: putting a lapse off only writes a number into the item, and the wheel looks at that
number when the item's slot comes round. So a busy connection costs the wheel nothing.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Final

NO_SLOT: Final = -1

# A power of two, so that no rounding ever puts an item into a slot before its time.
TICK_S: Final = 1 / 256

# What lapses at one moment is handed over in parts, so that thousands of it hold nobody else up for long.
AT_ONCE: Final = 64


class Lapsing:
    """Something that lapses at `lapses_at` (monotonic seconds; infinity for never).

    `watched_at` is the start of the tick at whose end the wheel will look at it, infinity when it is in no
    slot. Only a lapse that comes earlier than that has to be told to the wheel.
    """

    __slots__ = ("lapses_at", "watched_at", "wheel_slot")

    def __init__(self) -> None:
        self.lapses_at: float = inf
        self.watched_at: float = inf
        self.wheel_slot: int = NO_SLOT

    def on_lapse(self, now: float) -> None:
        """Do what is due now that `lapses_at` has passed; the wheel has let go of the item."""
        raise NotImplementedError


class TimingWheel:
    """Holds each item in at most one slot, never later than its `lapses_at`, rounded up to a tick."""

    __slots__ = ("_order", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, dict[Lapsing, None]] = {}
        self._order: list[int] = []

    def watch(self, item: Lapsing) -> None:
        """Make sure that `item` is looked at once `lapses_at`, which was just set, has come."""
        if item.lapses_at == inf:
            return
        slot = int(item.lapses_at / TICK_S) + 1
        if item.wheel_slot != NO_SLOT:
            if item.wheel_slot <= slot:
                return
            del self._slots[item.wheel_slot][item]
        item.wheel_slot = slot
        item.watched_at = (slot - 1) * TICK_S
        items = self._slots.get(slot)
        if items is None:
            items = self._slots[slot] = {}
            heappush(self._order, slot)
        items[item] = None

    def forget(self, item: Lapsing) -> None:
        """Look at `item` no more."""
        item.lapses_at = inf
        if item.wheel_slot != NO_SLOT:
            del self._slots[item.wheel_slot][item]
            item.wheel_slot = NO_SLOT
            item.watched_at = inf

    def lapsed(self, now: float) -> list[Lapsing]:
        """Return the first `AT_ONCE` items that have lapsed; they are in the wheel no more."""
        lapsed: list[Lapsing] = []
        while self._order and self._order[0] * TICK_S <= now:
            items = self._slots[self._order[0]]
            while items:
                if len(lapsed) == AT_ONCE:
                    return lapsed
                item, _ = items.popitem()
                item.wheel_slot = NO_SLOT
                item.watched_at = inf
                if item.lapses_at <= now:
                    lapsed.append(item)
                else:
                    self.watch(item)
            del self._slots[heappop(self._order)]
        return lapsed

    def next_at(self) -> float:
        """Return when to call `lapsed` next, in monotonic seconds; infinity when nothing is watched."""
        return self._order[0] * TICK_S if self._order else inf
