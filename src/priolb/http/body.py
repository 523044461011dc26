"""Readers of bodies: they take the framing off what comes in, in pieces of any size."""

from __future__ import annotations

import re
from typing import Final

from priolb.errors import FramingError
from priolb.http.alphabet import changing_others
from priolb.http.fields import tokens, trailer_line
from priolb.http.framing import CHUNKED, UNTIL_CLOSE

_MAX_SIZE_LINE_BYTES: Final = 256
_MAX_TRAILER_BYTES: Final = 16384
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
# RFC 9112, section 7.1.1: what may stand in a chunk extension; quoted strings may hold bytes above ASCII.
_EXTENSION_BYTES: Final = changing_others(bytes([9, *range(32, 127), *range(128, 256)]))

# A size without an extension, and the end of its line.
_PLAIN_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")
_MAX_TRAILERS: Final = 256
# A chunk of one byte costs as much as one of thousands, a microsecond or two, and one read brings tens of
# thousands of them. What is more than these is for the next turn of the event loop.
_CHUNKS_AT_ONCE: Final = 1024

_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILER: Final = 3


class BodyReader:
    """Reads one body.

    `done` is True once the body is complete; `rest` then holds the bytes behind it, and before those that it
    has not come to. `trailers` are the fields of a trailer section that may travel on, rendered.
    """

    __slots__ = ("done", "rest", "trailers")

    def __init__(self) -> None:
        self.done: bool = False
        self.rest: bytes = b""
        self.trailers: bytes = b""

    @property
    def is_behind(self) -> bool:
        """Whether it has not come to all that it was fed: feed it more, be it nothing, in the next turn."""
        return self.rest != b"" and not self.done

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in `data`, behind `rest`; not called again once the body is complete.

        Raises:
            FramingError: the body breaks its own framing.
        """
        raise NotImplementedError


class SizedReader(BodyReader):
    """Reads a body of `size_bytes`, which is not 0."""

    __slots__ = ("_remaining",)

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self._remaining: int = size_bytes

    def feed(self, data: bytes) -> bytes:
        remaining = self._remaining - len(data)
        if remaining > 0:
            self._remaining = remaining
            return data
        self.done = True
        if remaining < 0:
            self.rest = data[remaining:]
            return data[:remaining]
        return data


class OpenReader(BodyReader):
    """Reads a body that only the end of the connection ends."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        return data


class ChunkedReader(BodyReader):
    """Takes the chunking off a body (RFC 9112, section 7.1). Chunk extensions are checked and dropped.

    Args:
        connection: the Connection field of the head, empty when there is none.
    """

    __slots__ = ("_line", "_nominated", "_remaining", "_state", "_trailer_bytes", "_trailers_left")

    def __init__(self, connection: bytes = b"") -> None:
        super().__init__()
        self._nominated: set[bytes] = tokens(connection) if connection else set()
        self._state: int = _SIZE
        self._line: bytes = b""
        self._remaining: int = 0
        self._trailer_bytes: int = 0
        self._trailers_left: int = _MAX_TRAILERS

    def feed(self, data: bytes) -> bytes:
        if self.rest:
            data = self.rest + data
        parts: list[bytes] = []
        position = 0
        end = len(data)
        while position < end and not self.done and len(parts) < _CHUNKS_AT_ONCE:
            if self._state == _SIZE and not self._line:
                position = self._whole_chunks(data, position, parts)
                if position == end:
                    break
            if self._state == _DATA:
                part = data[position : position + self._remaining]
                parts.append(part)
                position += len(part)
                self._remaining -= len(part)
                if self._remaining == 0:
                    self._state = _DATA_END
                continue
            newline = data.find(b"\n", position)
            stop = end if newline < 0 else newline + 1
            self._line += data[position:stop]
            position = stop
            if len(self._line) > _MAX_SIZE_LINE_BYTES and self._state != _TRAILER:
                raise FramingError("a chunk-size line that is too long")
            if self._state == _DATA_END and not b"\r\n".startswith(self._line):
                raise FramingError("a chunk longer than its size")
            if self._trailer_bytes + len(self._line) > _MAX_TRAILER_BYTES:
                raise FramingError("a trailer section that is too long")
            if newline >= 0:
                self._end_line()
        self.rest = data[position:]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _whole_chunks(self, data: bytes, position: int, parts: list[bytes]) -> int:
        """Take plain chunks that are all there off the front; return where the first other one begins."""
        while len(parts) < _CHUNKS_AT_ONCE and (found := _PLAIN_SIZE.match(data, position)) is not None:
            start = found.end()
            stop = start + int(found[1], 16)
            if stop == start or not data.startswith(b"\r\n", stop):
                break
            parts.append(data[start:stop])
            position = stop + 2
        return position

    def _end_line(self) -> None:
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise FramingError("a line of a chunked body that does not end in CR LF")
        if self._state == _SIZE:
            self._remaining = _chunk_size(line[:-2])
            self._state = _DATA if self._remaining else _TRAILER
        elif self._state == _DATA_END:
            self._state = _SIZE
        elif line == b"\r\n":
            self.done = True
        else:
            self._trailer_bytes += len(line)
            self._trailers_left -= 1
            if self._trailers_left < 0:
                raise FramingError("a trailer section of too many fields")
            self.trailers += trailer_line(line[:-2], self._nominated)


def body_reader(body_bytes: int, connection: bytes = b"") -> BodyReader:
    """Return a reader for a body of this length.

    Args:
        body_bytes: its length in bytes, not 0; CHUNKED or UNTIL_CLOSE, as in `framing`.
        connection: as in `ChunkedReader`.
    """
    if body_bytes == CHUNKED:
        return ChunkedReader(connection)
    return OpenReader() if body_bytes == UNTIL_CLOSE else SizedReader(body_bytes)


def _chunk_size(line: bytes) -> int:
    digits, separator, extension = line.partition(b";")
    digits = digits.rstrip(b" \t") if separator else digits
    if not 0 < len(digits) <= 16 or not _HEX_DIGITS.issuperset(digits):
        raise FramingError("a chunk size that is not a hexadecimal number")
    if extension.translate(_EXTENSION_BYTES) != extension:
        raise FramingError("a chunk extension with control characters")
    return int(digits, 16)
