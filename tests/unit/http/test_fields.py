"""Header fields: lists, trailers, and what concerns one connection alone."""

import pytest

from priolb.errors import FramingError
from priolb.http.fields import (
    REQUEST_ROLES,
    RESPONSE_ROLES,
    FieldFinder,
    keeps_alive,
    sort_fields,
    tokens,
    trailer_line,
)
from priolb.http.parser import parse_request_head
from support.heads import head_bytes


def test_a_list_is_read_without_case_and_blanks() -> None:
    assert tokens(b" A, b\t,,C d , a") == {b"a", b"b", b"", b"c d"}


def test_fields_are_known_travel_on_or_both() -> None:
    fields = [
        (b"Host", b"a"),
        (b"X-Request-ID", b"1 "),
        (b"X", b"y "),
        (b"Keep-Alive", b"1"),
        (b"x-request-id", b"2"),
    ]
    assert sort_fields(fields, REQUEST_ROLES) == (
        {b"host": b"a", b"x-request-id": b"1, 2"},
        b"X-Request-ID: 1 \r\nX: y \r\nx-request-id: 2\r\n",
    )


def test_what_connection_names_is_not_even_known_if_it_could_be_written_anew_from_that() -> None:
    fields = [(b"Connection", b"content-type, Date, content-length, via")]
    fields += [(name, b"1") for name in (b"Content-Type", b"Date", b"Content-Length", b"Via")]
    known, rendered = sort_fields(fields, RESPONSE_ROLES)
    assert (sorted(known), rendered) == ([b"connection", b"content-length"], b"")
    known, rendered = sort_fields(fields, REQUEST_ROLES)
    assert (sorted(known), rendered) == ([b"connection", b"content-length", b"via"], b"")


def test_what_connection_names_stays_behind() -> None:
    fields = [(b"X", b"1"), (b"Connection", b"x, Y-Y, close"), (b"y-y", b"2"), (b"Z", b"3"), (b"Close", b"4")]
    assert sort_fields(fields, RESPONSE_ROLES) == ({b"connection": b"x, Y-Y, close"}, b"Z: 3\r\nClose: 4\r\n")


@pytest.mark.parametrize(
    ("connection", "minor", "stays"),
    [
        (None, 1, True),
        (None, 0, False),
        (b"close", 1, False),
        (b"keep-alive", 0, True),
        (b"Keep-Alive, CLOSE", 0, False),
        (b"x", 1, True),
    ],
)
def test_whether_a_connection_stays(connection: bytes | None, minor: int, stays: bool) -> None:
    """RFC 9112, section 9.3."""
    assert keeps_alive({} if connection is None else {b"connection": connection}, minor) is stays


@pytest.mark.parametrize(
    ("line", "travels"),
    [
        (b"X-Sum: 1", b"X-Sum: 1\r\n"),
        (b"x-sum:1", b"x-sum: 1\r\n"),
        (b"X-Sum: \t a b \t", b"X-Sum: a b\r\n"),
        (b"X-Sum:", b"X-Sum: \r\n"),
        (b"X: \x80\xff\t~", b"X: \x80\xff\t~\r\n"),
        (b"Server-Timing: a", b"Server-Timing: a\r\n"),
    ],
)
def test_a_trailer_travels_on(line: bytes, travels: bytes) -> None:
    assert trailer_line(line, set()) == travels


@pytest.mark.parametrize(
    "name",
    [
        *(b"Content-Length", b"transfer-encoding", b"Host", b"Connection", b"TE", b"Trailer", b"Upgrade"),
        *(b"Authorization", b"Proxy-Authorization", b"Cookie", b"Set-Cookie", b"WWW-Authenticate"),
        *(b"Content-Type", b"Content-Encoding", b"Content-Range", b"Range", b"If-Match", b"Expect"),
        *(b"Cache-Control", b"Location", b"Vary", b"Date", b"Max-Forwards", b"X-Forwarded-For", b"Via"),
        *(b"X-Fast-Track", b"X-PrioLB-QueueSizeEnd", b"Keep-Alive", b"Forwarded", b"Retry-After"),
    ],
)
def test_a_trailer_that_was_needed_before_the_body_is_dropped(name: bytes) -> None:
    """RFC 9110, section 6.5.1."""
    assert trailer_line(name + b": 1", set()) == b""


@pytest.mark.parametrize(
    "line",
    [
        b"X",
        b": y",
        b"X : y",
        b" X: y",
        b"X: a\x00",
        b"X: a\rb",
        b"X: \x7f",
        b"X\xe9: y",
        b"X Y: z",
        b"\tX: y",
    ],
)
def test_a_trailer_that_is_no_field_breaks_the_framing(line: bytes) -> None:
    with pytest.raises(FramingError) as error:
        trailer_line(line, set())
    assert str(error.value) == "a trailer section with a malformed field"


def test_a_trailer_of_many_blanks_is_judged_in_linear_time() -> None:
    """A pattern that tried every split of them would take seconds for these."""
    assert trailer_line(b"X: a" + b" " * 16000 + b"b", set()) == b"X: a" + b" " * 16000 + b"b\r\n"
    with pytest.raises(FramingError):
        trailer_line(b"X: a" + b" " * 16000 + b"\x00", set())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-User", b"a b"),
        ("x-user", b"a b"),
        ("X-Request-ID", b"7"),
        ("Accept", b"*/*"),
        ("X-Us", b""),
        ("User", b""),
        ("X.User", b""),
        ("X-Empty", b""),
        ("X-Forwarded-For", b"1.2.3.4"),
        ("X-Twice", b"1, 2"),
    ],
)
def test_the_value_of_a_field_is_found_wherever_it_is_kept(name: str, value: bytes) -> None:
    lines = [
        "X-User: a b",
        "X-Request-ID: 7",
        "X-Empty:",
        "X-Forwarded-For: 1.2.3.4",
        "X-Twice: 1",
        "x-twice: 2",
    ]
    head = parse_request_head(head_bytes("GET / HTTP/1.1", "Accept: */*", "Host: a", *lines), 100)
    assert FieldFinder(name).value_in(head) == value
