"""Readers of bodies: what is taken off, where a body ends, and what travels behind it."""

import pytest

from priolb.errors import FramingError
from priolb.http.body import ChunkedReader, OpenReader, SizedReader, body_reader
from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from support.steps import lines_run

# Chunks


def feed_byte_by_byte(reader: ChunkedReader, data: bytes) -> bytes:
    return b"".join([reader.feed(data[position : position + 1]) for position in range(len(data))])


WHOLE = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"0000000000000002\r\nab\r\n00\r\n\r\n", b"ab"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    (b"5;name=value\r\nhello\r\n0;last\r\n\r\n", b"hello"),
    (b'5 \t; a="b;c"\r\nhello\r\n0\r\n\r\n', b"hello"),
    (b"5;\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"1\r\na\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"a"),
]


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_a_body_that_comes_whole(data: bytes, body: bytes) -> None:
    reader = ChunkedReader()
    assert reader.feed(data) == body
    assert (reader.done, reader.rest) == (True, b"")


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_a_body_that_comes_byte_by_byte(data: bytes, body: bytes) -> None:
    reader = ChunkedReader()
    start = feed_byte_by_byte(reader, data[:-1])
    assert reader.done is False
    assert start + reader.feed(data[-1:]) == body
    assert (reader.done, reader.rest) == (True, b"")


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_the_bytes_behind_a_body_are_left_alone(data: bytes, body: bytes) -> None:
    reader = ChunkedReader()
    assert reader.feed(data + b"GET / HTTP/1.1\r\n") == body
    assert (reader.done, reader.rest) == (True, b"GET / HTTP/1.1\r\n")


def test_a_part_of_a_chunk_is_given_as_it_comes() -> None:
    reader = ChunkedReader()
    assert reader.feed(b"a\r\n0123") == b"0123"
    assert reader.feed(b"") == b""
    assert reader.feed(b"456789\r\n2\r\na") == b"456789a"
    assert reader.feed(b"b\r\n0\r\n\r\n") == b"b"
    assert reader.done is True


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\r\n", "a chunk size that is not a hexadecimal number"),
        (b"g\r\n", "a chunk size that is not a hexadecimal number"),
        (b"-1\r\n", "a chunk size that is not a hexadecimal number"),
        (b"+1\r\n", "a chunk size that is not a hexadecimal number"),
        (b"0x1\r\n", "a chunk size that is not a hexadecimal number"),
        (b"1_0\r\n", "a chunk size that is not a hexadecimal number"),
        (b" 1\r\n", "a chunk size that is not a hexadecimal number"),
        (b"1 \r\n", "a chunk size that is not a hexadecimal number"),
        (b"1 1;a\r\n", "a chunk size that is not a hexadecimal number"),
        (b"1\r\r\n", "a chunk size that is not a hexadecimal number"),
        (b";a\r\n", "a chunk size that is not a hexadecimal number"),
        (b"00000000000000001\r\n", "a chunk size that is not a hexadecimal number"),
        (b"1\n", "a line of a chunked body that does not end in CR LF"),
        (b"1;a\n", "a line of a chunked body that does not end in CR LF"),
        (b"1;" + b"a" * 255 + b"\r\n", "a chunk-size line that is too long"),
        (b"1;" + b"a" * 255, "a chunk-size line that is too long"),
        (b"2\r\nabc\r\n", "a chunk longer than its size"),
        (b"2\r\nab\n", "a chunk longer than its size"),
        (b"2\r\nab\rc", "a chunk longer than its size"),
        (b"2\r\nab0\r\n\r\n", "a chunk longer than its size"),
        (b"0\r\nX: y\n\r\n", "a line of a chunked body that does not end in CR LF"),
        (b"0\r\n\n", "a line of a chunked body that does not end in CR LF"),
        (b"0\r\n" + b"X: %s\r\n" % (b"y" * 1000) * 17, "a trailer section that is too long"),
        (b"0\r\n" + b"X: y\r\n" * 257, "a trailer section of too many fields"),
        (b"0\r\nX: " + b"y" * 16384, "a trailer section that is too long"),
    ],
)
def test_broken_framing_is_told_whole_and_byte_by_byte(data: bytes, complaint: str) -> None:
    with pytest.raises(FramingError) as error:
        ChunkedReader().feed(data)
    assert str(error.value) == complaint
    reader = ChunkedReader()
    with pytest.raises(FramingError) as error:
        feed_byte_by_byte(reader, data)
    assert str(error.value) == complaint
    assert reader.done is False


def test_a_size_line_and_a_trailer_section_may_be_as_long_as_their_bounds() -> None:
    reader = ChunkedReader()
    line = b"1;" + b"a" * 252 + b"\r\n"
    trailer = b"X: " + b"y" * 16377 + b"\r\n\r\n"
    assert (len(line), len(trailer)) == (256, 16384)
    assert reader.feed(line + b"z\r\n0\r\n" + trailer) == b"z"
    assert reader.done is True


@pytest.mark.parametrize("line", [b"1\r\n", b"1;a\r\n"])
def test_of_many_chunks_at_once_the_rest_waits_to_be_fed_again(line: bytes) -> None:
    reader = ChunkedReader()
    assert reader.feed(line + b"a\r\n" + (line + b"b\r\n") * 1024 + b"0\r") == b"a" + b"b" * 1023
    assert reader.is_behind
    assert reader.feed(b"\n\r\nnext") == b"b"
    assert (reader.is_behind, reader.done, reader.rest) == (False, True, b"next")


def test_the_largest_size_is_taken_at_its_word() -> None:
    reader = ChunkedReader()
    assert reader.feed(b"ffffffffffffffff\r\nab") == b"ab"
    assert reader.done is False


@pytest.mark.parametrize("extension", [b"a\x00b", b"a\x01", b"a\x7f", b"a\rb"])
def test_control_characters_in_an_extension_break_the_framing(extension: bytes) -> None:
    with pytest.raises(FramingError) as error:
        ChunkedReader().feed(b"1;" + extension + b"\r\n")
    assert str(error.value) == "a chunk extension with control characters"


@pytest.mark.parametrize("is_split", [False, True])
def test_trailers_that_may_travel_on_are_kept_as_they_shall_be_written(is_split: bool) -> None:
    data = b"1\r\na\r\n0\r\nX-A:  1 \r\nContent-Length: 5\r\nx-b:2\r\n\r\nrest"
    reader = ChunkedReader()
    if is_split:
        assert feed_byte_by_byte(reader, data[:-4]) == b"a"
        assert reader.rest == b""
    else:
        assert reader.feed(data) == b"a"
        assert reader.rest == b"rest"
    assert (reader.done, reader.trailers) == (True, b"X-A: 1\r\nx-b: 2\r\n")


def test_trailers_that_connection_nominates_stay_here() -> None:
    """RFC 9110, section 7.6.1."""
    reader = body_reader(CHUNKED, b"keep-alive, X-Hop ,x-other")
    reader.feed(b"0\r\nx-hop: 1\r\nX-Hop-2: 2\r\nX-Other: 3\r\n\r\n")
    assert (reader.done, reader.trailers) == (True, b"X-Hop-2: 2\r\n")


@pytest.mark.parametrize("line", [b"X", b"X : y", b" X: y", b"X: \x00"])
def test_a_trailer_that_is_no_field_breaks_the_framing(line: bytes) -> None:
    with pytest.raises(FramingError) as error:
        ChunkedReader().feed(b"0\r\n" + line + b"\r\n\r\n")
    assert str(error.value) == "a trailer section with a malformed field"


# Lengths, and bodies without any


def test_a_sized_body_ends_with_its_last_byte() -> None:
    reader = SizedReader(5)
    assert (reader.feed(b"ab"), reader.done) == (b"ab", False)
    assert (reader.feed(b""), reader.done) == (b"", False)
    assert (reader.feed(b"cde"), reader.done, reader.rest) == (b"cde", True, b"")


def test_what_is_behind_a_sized_body_is_left_alone() -> None:
    reader = SizedReader(5)
    assert reader.feed(b"abcdefg") == b"abcde"
    assert (reader.done, reader.rest, reader.trailers) == (True, b"fg", b"")


def test_a_body_without_a_length_has_no_end_of_its_own() -> None:
    reader = OpenReader()
    assert (reader.feed(b"ab"), reader.feed(b"0\r\n\r\n"), reader.done) == (b"ab", b"0\r\n\r\n", False)


@pytest.mark.parametrize(
    ("body_bytes", "kind"), [(1, SizedReader), (CHUNKED, ChunkedReader), (UNTIL_CLOSE, OpenReader)]
)
def test_each_length_has_its_reader(body_bytes: int, kind: type) -> None:
    assert type(body_reader(body_bytes)) is kind


def test_what_connection_nominates_is_looked_through_once_however_many_trailers_there_are() -> None:
    """A field of 60 KB before a trailer section of 16 KB held up the loop for seconds."""
    few = ChunkedReader(b"X-Hop, " + b"a," * 10)
    many = ChunkedReader(b"X-Hop, " + b"a," * 30_000)
    trailers = b"0\r\n" + b"X: 1\r\nX-Hop: 2\r\n" * 128 + b"\r\n"
    assert lines_run(lambda: many.feed(trailers)) == lines_run(lambda: few.feed(trailers))
    assert few.trailers == many.trailers == b"X: 1\r\n" * 128


def test_chunks_that_are_all_there_are_taken_at_once_whatever_follows() -> None:
    whole = b"1\r\na\r\n" * 3 + b"A\r\n0123456789\r\n"
    for rest, data in (
        (b"0\r\n\r\nGET", b""),
        (b"1;x=y\r\nb\r\n0\r\n\r\nGET", b"b"),
        (b"2\r\nbc\r\n0\r\nX: y\r\n\r\nGET", b"bc"),
    ):
        reader = ChunkedReader()
        assert reader.feed(whole + rest) == b"aaa0123456789" + data
        assert (reader.done, reader.rest) == (True, b"GET")
    reader = ChunkedReader()
    assert reader.feed(whole + b"3\r\nx") == b"aaa0123456789x"
    assert reader.feed(b"yz\r\n0\r\n\r\n") == b"yz"
    assert (reader.done, reader.rest) == (True, b"")
