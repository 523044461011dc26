"""Theoretical arrival times of any number of keys, in bounded memory.

Invariants:
  1. No key's time is ever earlier than what was last set for it, unless that time has passed: memory may run
     out, but nobody gets more than his limit by it.
  2. At most 32 keys share a row, and there are at most as many rows as were planned for.
  3. Going through the places of its row in its own order, a key is found before any place that is empty.

A new key takes the first place of its row, in its own order, whose time has passed: so has that of an empty
one. When there is none, all places of the row are taken by keys that still count; the newcomer then takes the
place whose time is the earliest and goes on from that time: he inherits a debt that is not his own. Whoever
lost the place by that does the same when he is back: the earliest time of a full row never goes back, so he
inherits none that is earlier than his own was. This is the replacement of the Space-Saving sketch (Metwally,
Agrawal and El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005), which
overestimates and never underestimates, within the sets of a set-associative cache.

Rows are added one by one as keys come, each of which takes over half of the keys of an earlier one: linear
hashing (Litwin, "Linear hashing: a new tool for file and table addressing", 1980). So memory is taken as it
is needed, and no key ever waits until all others have moved. Before that, a row is swept of keys whose time
has passed: they alone do not make it grow.
"""

from __future__ import annotations

from array import array
from mmap import MAP_PRIVATE, mmap
from typing import Final

PLACES_PER_ROW: Final = 32
# Half of the places stay empty with as many keys as are planned for. Of rows that hash 16 keys each on
# average, 1 in 7,600 then has more than 32 (Poisson).
_PLANNED_PER_ROW: Final = 16
# With more than these on average a row is swept, or else there is one more, if there may be. A row has up to
# twice as many when its turn comes to be halved, and shall not be full then.
_GROWS_ABOVE_PER_ROW: Final = 6
# A place is a mark and a time. Both are 0 in an empty one.
_ITEMS_PER_ROW: Final = 2 * PLACES_PER_ROW
_ROW_BYTES: Final = 8 * _ITEMS_PER_ROW
_EMPTY_ROW: Final = array("q", bytes(_ROW_BYTES))
# As much of a key's hash as is quick to compute with: its lowest bits say in which row the key is, its
# highest ones which place of that comes first, and all of it, plus one, is the mark.
_HASH_BITS: Final = 0x0FFF_FFFF_FFFF_FFFF
_FIRST_PLACE_SHIFT: Final = 55
# The mark of a place that belongs to nobody, and whose time counts all the same.
_NOBODY: Final = -1


class ArrivalTimes:
    """A time for each key, which is forgotten some while after it has passed.

    Args:
        capacity: keys whose times lie ahead that it is planned for; with more, strangers begin to share.

    Keys are known by `hash`, which Python seeds in each process, so nobody can choose whom he shares with.
    """

    __slots__ = ("_keys", "_mask", "_most_rows", "_places", "_rows", "_swept_next")

    def __init__(self, capacity: int) -> None:
        self._most_rows: int = max(1, capacity // _PLANNED_PER_ROW)
        # One piece, so that a key costs one look into memory. Pages that nobody has written to take none.
        self._places: memoryview[int] = memoryview(
            mmap(-1, self._most_rows * _ROW_BYTES, flags=MAP_PRIVATE)
        ).cast("q")
        self._keys: int = 0
        self._rows: int = 1
        self._swept_next: int = 0
        self._mask: int = 0  # the bits of a hash that count, of which the last may not do so yet in all rows

    @property
    def used_bytes(self) -> int:
        """Bytes of the rows that there are; the system gives memory for them in whole pages."""
        return self._rows * _ROW_BYTES

    def advance(self, key: bytes, by_ns: int, now_ns: int, most_ns: int) -> int:
        """Move the time of `key` on, from now if it has passed, unless it would lie too far ahead.

        Args:
            key: whose time.
            by_ns: how far, nanoseconds.
            now_ns: monotonic nanoseconds, positive.
            most_ns: how far ahead of now it may lie, nanoseconds.

        Returns how far ahead of now the time is, or would be, nanoseconds.
        """
        number = hash(key) & _HASH_BITS
        at = self._find(number)
        if at < 0:
            return self._settle(number, by_ns, now_ns, most_ns)
        places = self._places
        time_ns = places[at + 1]
        if time_ns < now_ns:
            time_ns = now_ns
        ahead_ns = time_ns + by_ns - now_ns
        if ahead_ns <= most_ns:
            places[at + 1] = time_ns + by_ns
        return ahead_ns

    def take_back(self, key: bytes, by_ns: int) -> None:
        """Undo an `advance` of this turn, of as many nanoseconds, that moved the time of `key`."""
        at = self._find(hash(key) & _HASH_BITS)
        assert at >= 0
        self._places[at + 1] -= by_ns

    def _first_place(self, number: int) -> int:
        """Return the place of its row that comes first for a key.

        The next ones have the same number but for the last five bits, changed in the order of counting: three
        of them lie beside it, in what the processor reads at once.
        """
        row = number & self._mask
        if row >= self._rows:
            row = number & (self._mask >> 1)
        return row * PLACES_PER_ROW + (number >> _FIRST_PLACE_SHIFT)

    def _find(self, number: int) -> int:
        """Return where the place of a key is; negative without one."""
        places, first, mark = self._places, self._first_place(number), number + 1
        for turn in range(PLACES_PER_ROW):
            at = 2 * (first ^ turn)
            known = places[at]
            if known == mark:
                return at
            if not known:
                break
        return -1

    def _settle(self, number: int, by_ns: int, now_ns: int, most_ns: int) -> int:
        """Do what `advance` does for a key that has no place in its row."""
        if self._keys > _GROWS_ABOVE_PER_ROW * self._rows and self._rows < self._most_rows:
            self._make_room(now_ns)
        places, first = self._places, self._first_place(number)
        earliest_ns, found = -1, -1
        for turn in range(PLACES_PER_ROW):
            at = 2 * (first ^ turn)
            time_ns = places[at + 1]
            if found < 0 or time_ns < earliest_ns:
                earliest_ns, found = time_ns, at
            if time_ns <= now_ns:
                break
        start_ns = max(earliest_ns, now_ns)
        ahead_ns = start_ns + by_ns - now_ns
        if ahead_ns > most_ns:
            return ahead_ns  # and its place in the row stays with whom it belongs to
        if places[found] <= 0:
            self._keys += 1
        places[found] = number + 1
        places[found + 1] = start_ns + by_ns
        return ahead_ns

    def _make_room(self, now_ns: int) -> None:
        """Forget those of one row whose time has passed; if there are none, add a row."""
        keys, swept = self._keys, self._swept_next
        self._swept_next = swept + 1 if swept + 1 < self._rows else 0
        self._fill(swept, self._place_anew(swept, now_ns), now_ns)
        if self._keys == keys:
            self._add_row(now_ns)

    def _add_row(self, now_ns: int) -> None:
        added = self._rows
        if added > self._mask:
            self._mask = 2 * self._mask + 1
        self._rows = added + 1
        halved = added & (self._mask >> 1)
        earliest_ns = self._place_anew(halved, now_ns)
        self._fill(halved, earliest_ns, now_ns)
        self._fill(added, earliest_ns, now_ns)

    def _place_anew(self, row: int, now_ns: int) -> int:
        """Place the keys of a row where they belong now, without those whose time has passed.

        Returns the earliest time that was there.
        """
        places = self._places
        span = places[row * _ITEMS_PER_ROW : (row + 1) * _ITEMS_PER_ROW]
        items = span.tolist()
        span[:] = _EMPTY_ROW
        for item in range(0, _ITEMS_PER_ROW, 2):
            mark, time_ns = items[item], items[item + 1]
            if mark <= 0:
                continue
            if time_ns < now_ns:
                self._keys -= 1
                continue
            at = self._empty_place(mark - 1)
            places[at] = mark
            places[at + 1] = time_ns
        return min(items[1::2])

    def _empty_place(self, number: int) -> int:
        """Return where the first empty place is in the order of a key; its row has one."""
        places, first, turn = self._places, self._first_place(number), 0
        while places[2 * (first ^ turn)]:
            turn += 1
        return 2 * (first ^ turn)

    def _fill(self, row: int, earliest_ns: int, now_ns: int) -> None:
        """Let newcomers go on from this time wherever a row is empty, if it has not passed.

        The row, or the one that it is half of, was full: who lost his place in it shall find none better now.
        """
        if earliest_ns < now_ns:
            return
        places = self._places
        for at in range(row * _ITEMS_PER_ROW, (row + 1) * _ITEMS_PER_ROW, 2):
            if not places[at]:
                places[at] = _NOBODY
                places[at + 1] = earliest_ns
