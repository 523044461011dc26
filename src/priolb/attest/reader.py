"""Reading of bytes that somebody else wrote: fixed fields one after the other, never past the end."""

from __future__ import annotations

from typing import Literal


class MalformedError(ValueError):
    """Bytes or text that are not what they should be; the text says what is wrong."""


class Reader:
    """Takes fields off the front of some bytes.

    Args:
        data: the bytes.
        what: what they should be, for the text of errors.
        order: of the bytes of a number.
    """

    __slots__ = ("_data", "_order", "_position", "_what")

    def __init__(self, data: bytes, what: str, order: Literal["big", "little"]) -> None:
        self._data = data
        self._what = what
        self._order: Literal["big", "little"] = order
        self._position = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes.

        Raises:
            MalformedError: there are fewer.
        """
        start = self._position
        if count > len(self._data) - start:
            raise MalformedError(f"{self._what} ends early")
        self._position = start + count
        return self._data[start : self._position]

    def number(self, size_bytes: int) -> int:
        """Return the next unsigned number."""
        return int.from_bytes(self.take(size_bytes), self._order)

    def sized(self, size_bytes: int) -> bytes:
        """Return bytes that stand behind their own length, which takes `size_bytes`."""
        return self.take(self.number(size_bytes))

    def end(self) -> None:
        """Make sure that everything was read.

        Raises:
            MalformedError: something is left.
        """
        left_bytes = len(self._data) - self._position
        if left_bytes:
            raise MalformedError(f"{self._what} has {left_bytes} bytes too many")
