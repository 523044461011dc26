"""Bodies without their content coding: in any pieces, within a bound, and broken."""

import gzip
import zlib

import pytest

from priolb.http.inflater import Inflater

TEXT = b'{"id":1,"error":{"code":-32005}}'


@pytest.mark.parametrize("body", [gzip.compress(TEXT), zlib.compress(TEXT)], ids=["gzip", "deflate"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_is_inflated_however_it_comes(body: bytes, size: int) -> None:
    inflater = Inflater()
    parts = [inflater.take(body[at : at + size], 1000) for at in range(0, len(body), size)]
    assert (b"".join(parts), inflater.is_whole, inflater.is_broken) == (TEXT, True, False)


def test_no_more_is_inflated_than_asked_for() -> None:
    inflater = Inflater()
    assert inflater.take(gzip.compress(bytes(1 << 30 >> 4)), 10) == bytes(10)
    assert inflater.take(inflater.rest, 100) == bytes(100)
    assert (inflater.is_whole, inflater.is_broken) == (False, False)


def test_one_that_breaks_off_is_not_whole() -> None:
    inflater = Inflater()
    assert inflater.take(gzip.compress(TEXT)[:-1], 1000) == TEXT
    assert (inflater.is_whole, inflater.is_broken) == (False, False)


@pytest.mark.parametrize(
    "body",
    [b"{}", gzip.compress(TEXT)[:-8] + bytes(8), zlib.compress(TEXT)[2:-4]],
    ids=["plain", "another sum", "without the format of zlib"],
)
def test_what_is_not_in_the_coding_is_broken(body: bytes) -> None:
    inflater = Inflater()
    assert inflater.take(body, 1000) == b""
    assert (inflater.is_whole, inflater.is_broken) == (False, True)
    assert inflater.take(gzip.compress(TEXT), 1000) == b""


def test_what_follows_the_end_breaks_it() -> None:
    inflater = Inflater()
    assert inflater.take(gzip.compress(TEXT) + gzip.compress(b"more"), 1000) == TEXT
    assert (inflater.is_whole, inflater.is_broken) == (False, True)
