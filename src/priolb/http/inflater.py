"""Bodies that a content coding has made shorter, as far as they are looked into."""

from __future__ import annotations

import zlib
from typing import Final

# RFC 9110, section 8.4.1. `deflate` is in the format of zlib; of both, zlib tells by itself which it is.
INFLATED_CODINGS: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_EITHER_FORMAT: Final = 32 + zlib.MAX_WBITS


class Inflater:
    """Inflates one body, in pieces of any size.

    `is_broken` says that what came is not in its coding, or that something follows its end: another member of
    gzip, which nearly nobody writes. `rest` is what the last call of `take` has left.
    """

    __slots__ = ("_stream", "is_broken")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_EITHER_FORMAT)
        self.is_broken: bool = False

    @property
    def rest(self) -> bytes:
        return self._stream.unconsumed_tail

    @property
    def is_whole(self) -> bool:
        """Whether all of the body has come, and it was as it should be."""
        return self._stream.eof and not self.is_broken

    def take(self, data: bytes, most_bytes: int) -> bytes:
        """Return what `data` says, but no more of it than so many bytes; what there is when it is broken.

        Args:
            data: what has come, or the `rest`.
            most_bytes: at least 1.
        """
        if self.is_broken:
            return b""
        try:
            text = self._stream.decompress(data, most_bytes)
        except zlib.error:
            self.is_broken = True
            return b""
        self.is_broken = self._stream.unused_data != b""
        return text
