"""The urgency of a request by RFC 9218."""

import pytest

from priolb.http.urgency import urgency_of


@pytest.mark.parametrize(
    ("priority", "urgency"),
    [
        (b"u=0", 0),
        (b"u=7", 7),
        (b"u=1, i", 1),
        (b"i, u=1", 1),
        (b"i \t,\tu=1", 1),
        (b"i=?0,u=5", 5),
        (b"u=1;x;y=2", 1),
        (b"u=1, u=2", 2),
        (b'a="x, u=0, \\"", b=:YQ==:, c=-1.5, d=tok/en:*, e=@5, f=%"%c3", u=6', 6),
        (b'a=(1 "b" c;d=1);e, f=(), u=4', 4),
        (b"", 3),
        (b"i", 3),
        (b"u=000000000001", 1),
    ],
)
def test_it_is_what_the_field_says(priority: bytes, urgency: int) -> None:
    assert urgency_of(priority) == urgency


@pytest.mark.parametrize(
    "priority",
    [b"u=8", b"u=-1", b"u=1.0", b"u", b"u=?1", b"u=a", b'u="1"', b"u=(1)", b"u=1, u=9"],
)
def test_a_value_that_is_none_counts_as_not_said(priority: bytes) -> None:
    assert urgency_of(priority) == 3


@pytest.mark.parametrize(
    "priority",
    [
        b"u=1,",
        b"u=1 ,",
        b",u=1",
        b"u=1 i",
        b"U=1",
        b"u =1",
        b"u= 1",
        b"u=1, i=",
        b'u=1, a="',
        b"u=1, a=(1",
        b"\xff",
    ],
)
def test_a_field_that_is_malformed_counts_as_not_there(priority: bytes) -> None:
    """RFC 9651, section 4.2: a field that cannot be parsed is ignored as a whole."""
    assert urgency_of(priority) == 3


@pytest.mark.parametrize("start", [b"u=(", b"u=(a", b"u=(a;", b"u=1;"])
def test_blanks_without_an_end_are_read_once(start: bytes) -> None:
    """Read in every way they can be divided, this many would take a quarter of an hour."""
    assert urgency_of(start + b" " * 1_000_000) == 3


def test_what_is_longer_than_a_kilobyte_counts_as_not_said() -> None:
    assert urgency_of(b"u=1, a=" + b"b" * (1024 - 7)) == 1
    assert urgency_of(b"u=1, a=" + b"b" * (1025 - 7)) == 3
