"""Fields are taken in order and never past the end."""

import pytest

from priolb.attest.reader import MalformedError, Reader


def test_fields_come_one_after_the_other_in_the_order_of_bytes_that_was_asked_for() -> None:
    big = Reader(b"\x01\x02\x00\x03abc", "it", "big")
    assert (big.number(2), big.sized(2)) == (0x0102, b"abc")
    big.end()
    little = Reader(b"\x01\x02\x03\x00abc", "it", "little")
    assert (little.number(2), little.sized(2)) == (0x0201, b"abc")
    little.end()


def test_nothing_may_be_missing_or_left() -> None:
    with pytest.raises(MalformedError, match=r"^it ends early$"):
        Reader(b"\x00\x04abc", "it", "big").sized(2)
    with pytest.raises(MalformedError, match=r"^it has 3 bytes too many$"):
        Reader(b"abc", "it", "big").end()
