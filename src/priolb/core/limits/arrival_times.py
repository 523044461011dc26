"""Theoretical arrival times of any number of keys, in bounded memory.

Invariants:
  1. No key's time is ever earlier than what was last set for it, unless that time has passed: memory may run
     out, but nobody gets more than his limit by it.
  2. At most 16 keys share a row, and there are a fixed number of rows.

A new key takes the place in its row whose time is the earliest, and goes on from that time. When the time has
passed, that place was free. When it has not, all places of the row are taken by keys that still count; the
newcomer then inherits a debt that is not his own. Whoever lost the place by that does the same when he is
back: the earliest time of a full row never goes back, so he inherits none that is earlier than his own was.
This is the replacement of the Space-Saving sketch (Metwally, Agrawal and El Abbadi, "Efficient computation of
frequent and top-k elements in data streams", 2005), which overestimates and never underestimates, within the
sets of a set-associative cache.
"""

from __future__ import annotations

from array import array
from typing import Final

PLACES_PER_ROW: Final = 16
# Half of the places stay empty with as many keys as are planned for. Of rows that hash 8 keys each on
# average, 1 in 270 then has more than 16 (Poisson).
_PLANNED_PER_ROW: Final = 8
_ITEMS_PER_ROW: Final = 2 * PLACES_PER_ROW
# As much of a key's hash as is quick to compute with: it says in which row the key is, and all of it is
# stored there.
_HASH_BITS: Final = 0x0FFF_FFFF_FFFF_FFFF


class ArrivalTimes:
    """A time for each key, which is forgotten some while after it has passed.

    Args:
        capacity: keys whose times lie ahead that it is planned for; with more, strangers begin to share.

    A row is an array of marks and times by turns, 16 bytes for each key; it is made, and grows, as keys come.
    Keys are known by `hash`, which Python seeds in each process, so nobody can choose whom he shares with.
    """

    __slots__ = ("_rows",)

    def __init__(self, capacity: int) -> None:
        self._rows: list[array[int] | None] = [None] * max(1, capacity // _PLANNED_PER_ROW)

    def advance(self, key: bytes, by_ns: int, now_ns: int, most_ns: int) -> int:
        """Move the time of `key` on, from now if it has passed, unless it would lie too far ahead.

        Args:
            key: whose time.
            by_ns: how far, nanoseconds.
            now_ns: monotonic nanoseconds, positive.
            most_ns: how far ahead of now it may lie, nanoseconds.

        Returns how far ahead of now the time is, or would be, nanoseconds.
        """
        rows = self._rows
        number = hash(key) & _HASH_BITS
        index = number % len(rows)
        mark = -1 - number  # negative, as times are not
        row = rows[index]
        if row is None:
            row = rows[index] = array("q")
        try:
            at = row.index(mark) + 1
        except ValueError:
            return _settle(row, mark, by_ns, now_ns, most_ns)
        time_ns = row[at]
        if time_ns < now_ns:
            time_ns = now_ns
        ahead_ns = time_ns + by_ns - now_ns
        if ahead_ns <= most_ns:
            row[at] = time_ns + by_ns
        return ahead_ns

    def take_back(self, key: bytes, by_ns: int) -> None:
        """Undo an `advance` of this turn, of as many nanoseconds, that moved the time of `key`."""
        rows = self._rows
        number = hash(key) & _HASH_BITS
        row = rows[number % len(rows)]
        assert row is not None
        row[row.index(-1 - number) + 1] -= by_ns


def _settle(row: array[int], mark: int, by_ns: int, now_ns: int, most_ns: int) -> int:
    """Do what `advance` does for a key that has no place in its row."""
    start_ns, at = now_ns, len(row)
    if at:
        times = row[1::2]
        earliest_ns = min(times)
        if earliest_ns <= now_ns or at == _ITEMS_PER_ROW:
            at = 2 * times.index(earliest_ns)
            start_ns = max(earliest_ns, now_ns)
    ahead_ns = start_ns + by_ns - now_ns
    if ahead_ns > most_ns:
        return ahead_ns  # and its place in the row stays with whom it belongs to
    if at == len(row):
        row.append(mark)
        row.append(start_ns + by_ns)
    else:
        row[at] = mark
        row[at + 1] = start_ns + by_ns
    return ahead_ns
