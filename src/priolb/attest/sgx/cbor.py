"""CBOR, as far as evidence uses it (RFC 8949): definite lengths, no key twice, nothing behind the value."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from priolb.attest.reader import MalformedError, Reader

_DEPTH_MAX: Final = 8
_ITEMS_MAX: Final = 1000  # more would only keep the event loop busy
_SIMPLE: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None, 23: None}
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag."""

    tag: int
    value: Any


def decode(data: bytes) -> Any:
    """Return the one value in some CBOR: int, bytes, str, list, dict, bool, None, float or `Tagged`.

    Raises:
        MalformedError: it is none, has more or deeper nested items than evidence needs, or more follows.
    """
    reader = Reader(data, "the CBOR", "big")
    value = _Decoder(reader).value(_DEPTH_MAX)
    reader.end()
    return value


class _Decoder:
    """Takes values off a reader, up to a number of items in all."""

    __slots__ = ("_items_left", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._items_left = _ITEMS_MAX

    def value(self, depth: int) -> Any:
        self._items_left -= 1
        if depth == 0 or self._items_left < 0:
            raise MalformedError("the CBOR is nested too deep or has too many items")
        reader = self._reader
        head = reader.number(1)
        major, info = head >> 5, head & 0x1F
        if major == 7:
            return self._simple_or_float(info)
        if info > 27:
            raise MalformedError("the CBOR has an indefinite or reserved length")
        argument = info if info < 24 else reader.number(1 << info - 24)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return reader.take(argument)
        if major == 3:
            return _text(reader.take(argument))
        if major == 4:
            return [self.value(depth - 1) for _ in range(argument)]
        if major == 5:
            return self._map(argument, depth - 1)
        return Tagged(argument, self.value(depth - 1))

    def _map(self, count: int, depth: int) -> dict[int | str, Any]:
        found: dict[int | str, Any] = {}
        for _ in range(count):
            key = self.value(depth)
            if type(key) not in (int, str):
                raise MalformedError("the CBOR has a key that is neither number nor text")
            if key in found:
                raise MalformedError("the CBOR has a key twice")
            found[key] = self.value(depth)
        return found

    def _simple_or_float(self, info: int) -> bool | float | None:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info in _FLOATS:
            value: float = struct.unpack(_FLOATS[info], self._reader.take(1 << info - 24))[0]
            return value
        raise MalformedError("the CBOR has a value of an unknown kind")


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MalformedError("the CBOR has text that is not UTF-8") from None
