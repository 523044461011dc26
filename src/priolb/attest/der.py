"""DER, as far as certificates and CRLs need it: strict, and without any idea of their fields.

Only definite lengths in their shortest form are taken (ITU-T X.690, section 10.1). Values are never decoded
and encoded again: whoever hashes or checks a signature gets the very bytes that were sent. The usual
libraries refuse real certificates of Gramine (NULL parameters of an ECDSA algorithm) and warn of AMD's
(serial number 0).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from priolb.attest.reader import MalformedError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30

_LENGTH_BYTES_MAX: Final = 4
_OID_BYTES_MAX: Final = 64


class Der:
    """A cursor over the elements of some DER.

    Args:
        data: elements, one after the other.
    """

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)

    def next_is(self, tag: int) -> bool:
        """Return whether the next element has this tag."""
        return not self.is_at_end and self._data[self._position] == tag

    def raw(self, tag: int | None = None) -> bytes:
        """Return the next element whole, tag and length included.

        Raises:
            MalformedError: it is none, or has another tag.
        """
        start = self._position
        self._content(tag)
        return self._data[start : self._position]

    def content(self, tag: int) -> bytes:
        """Return what is in the next element.

        Raises:
            MalformedError: it is none, or has another tag.
        """
        return self._content(tag)

    def inside(self, tag: int) -> Der:
        """Return a cursor over what is in the next element."""
        return Der(self._content(tag))

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            MalformedError: something is.
        """
        if not self.is_at_end:
            raise MalformedError("DER has bytes too many")

    def _content(self, tag: int | None) -> bytes:
        data = self._data
        head_end = self._position + 2
        if head_end > len(data):
            raise MalformedError("DER ends early")
        found = data[self._position]
        if tag is not None and found != tag:
            raise MalformedError(f"DER has tag {found:#04x} where {tag:#04x} should be")
        length = data[head_end - 1]
        if length & 0x80:
            count = length & 0x7F
            long_form = data[head_end : head_end + count]
            length = int.from_bytes(long_form, "big")
            is_shortest = length >= 0x80 and long_form[0] != 0 if long_form else False
            if not 1 <= count <= _LENGTH_BYTES_MAX or len(long_form) < count or not is_shortest:
                raise MalformedError("DER has a length that is not in its shortest form")
            head_end += count
        if length > len(data) - head_end:
            raise MalformedError("DER ends early")
        self._position = head_end + length
        return data[head_end : self._position]


def integer(content: bytes) -> int:
    """Return the value of an INTEGER's content.

    Raises:
        MalformedError: it is empty or not in its shortest form.
    """
    is_padded = len(content) > 1 and content[0] in (0x00, 0xFF) and (content[0] ^ content[1]) < 0x80
    if not content or is_padded:
        raise MalformedError("DER has a number that is not in its shortest form")
    return int.from_bytes(content, "big", signed=True)


def oid(content: bytes) -> str:
    """Return the dotted form of an OBJECT IDENTIFIER's content.

    Raises:
        MalformedError: it is empty, too long, cut off, or padded.
    """
    if not content or len(content) > _OID_BYTES_MAX or content[-1] & 0x80:
        raise MalformedError("DER has a broken object identifier")
    arcs: list[int] = []
    arc = 0
    starts = True
    for octet in content:
        if starts and octet == 0x80:
            raise MalformedError("DER has a padded object identifier")
        arc = arc << 7 | octet & 0x7F
        starts = not octet & 0x80
        if starts:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def time(der: Der) -> float:
    """Return the next element, a UTCTime or GeneralizedTime, in Unix seconds (RFC 5280, section 4.1.2.5).

    Raises:
        MalformedError: it is neither, or not in the form that certificates use.
    """
    is_short = der.next_is(UTC_TIME)
    text = der.content(UTC_TIME if is_short else GENERALIZED_TIME).decode("latin-1")
    if is_short:
        text = ("20" if text[:2] < "50" else "19") + text
    digits = text[:14]
    if len(text) != 15 or text[14] != "Z" or not (digits.isascii() and digits.isdigit()):
        raise MalformedError("DER has a time that is not in the form of certificates")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise MalformedError("DER has a time that does not exist") from None
