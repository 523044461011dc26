"""Where a body ends: RFC 9112, sections 6 and 7."""

from __future__ import annotations

from typing import Final

from priolb.errors import ClientError, FramingError, NodeError

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

# Those of 2**64: llhttp bounds the number, but not how many zeros stand in front of it.
_MAX_LENGTH_DIGITS: Final = 20
_MAX_SIZE_LINE_BYTES: Final = 256
_MAX_TRAILER_BYTES: Final = 16384
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")

_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILER: Final = 3
_DONE: Final = 4


def request_body_bytes(known: dict[bytes, bytes], minor: int) -> int:
    """Return the length of a request's body in bytes, or CHUNKED.

    Raises:
        ClientError: framing that two readers could read differently (400), another coding than chunked (501).
    """
    length = known.get(b"content-length")
    coding = known.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise ClientError(400, "malformed request: both Content-Length and Transfer-Encoding")
        if minor == 0:
            raise ClientError(400, "malformed request: Transfer-Encoding in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise ClientError(501, "a transfer coding other than chunked")
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise ClientError(400, "malformed request: Content-Length is not a number")
    return int(length)


def response_body_bytes(known: dict[bytes, bytes], status: int) -> int:
    """Return the length of an answer's body in bytes, or CHUNKED, or UNTIL_CLOSE, unless it answers HEAD.

    Args:
        known: the answer's fields.
        status: the answer's status.

    Raises:
        NodeError: framing that two readers could read differently.
    """
    if status < 200 or status in {204, 304}:
        return 0
    length = known.get(b"content-length")
    coding = known.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise NodeError("an answer with both Content-Length and Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise NodeError("an answer in a transfer coding other than chunked")
        return CHUNKED
    if length is None:
        return UNTIL_CLOSE
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise NodeError("an answer whose Content-Length is not a number")
    return int(length)


class ChunkedDecoder:
    """Takes the chunking off a body, in pieces of any size.

    `done` is True once the last chunk and the trailer section have been read; `rest` then holds the bytes
    behind them. Chunk extensions and trailers are checked for length and dropped.
    """

    __slots__ = ("_line", "_remaining", "_state", "_trailer_bytes", "done", "rest")

    def __init__(self) -> None:
        self.done: bool = False
        self.rest: bytes = b""
        self._state: int = _SIZE
        self._line: bytes = b""
        self._remaining: int = 0
        self._trailer_bytes: int = 0

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in `data`.

        Raises:
            FramingError: a size that is no hexadecimal number, a chunk longer than its size, a line too long.
        """
        parts: list[bytes] = []
        position = 0
        end = len(data)
        while position < end and not self.done:
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
        if self.done:
            self.rest = data[position:]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _end_line(self) -> None:
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n"):
            raise FramingError("a line of a chunked body that does not end in CR LF")
        if self._state == _SIZE:
            self._remaining = _chunk_size(line[:-2])
            self._state = _DATA if self._remaining else _TRAILER
        elif self._state == _DATA_END:
            self._state = _SIZE
        else:
            self._trailer_bytes += len(line)
            if line == b"\r\n":
                self._state = _DONE
                self.done = True


def _chunk_size(line: bytes) -> int:
    digits, _, _extension = line.partition(b";")
    digits = digits.rstrip(b" \t") if _extension else digits
    if not 0 < len(digits) <= 16 or not _HEX_DIGITS.issuperset(digits):
        raise FramingError("a chunk size that is not a hexadecimal number")
    return int(digits, 16)
