"""Where bodies end: by their head, and chunk by chunk."""

import pytest

from priolb.errors import ClientError, FramingError, NodeError
from priolb.http.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    ChunkedDecoder,
    request_body_bytes,
    response_body_bytes,
)

LENGTH = b"content-length"
CODING = b"transfer-encoding"


# By the head


@pytest.mark.parametrize(
    ("known", "minor", "body_bytes"),
    [
        ({}, 1, 0),
        ({}, 0, 0),
        ({LENGTH: b"0"}, 1, 0),
        ({LENGTH: b"12"}, 0, 12),
        ({LENGTH: b"00000000000000000012"}, 1, 12),
        ({CODING: b"chunked"}, 1, CHUNKED),
        ({CODING: b"Chunked"}, 1, CHUNKED),
    ],
)
def test_a_request_has_the_body_that_its_head_announces_and_else_none(
    known: dict[bytes, bytes], minor: int, body_bytes: int
) -> None:
    assert request_body_bytes(known, minor) == body_bytes


@pytest.mark.parametrize(
    ("known", "minor", "status"),
    [
        ({LENGTH: b"1", CODING: b"chunked"}, 1, 400),
        ({CODING: b"chunked"}, 0, 400),
        ({CODING: b"gzip, chunked"}, 1, 501),
        ({CODING: b"chunked, chunked"}, 1, 501),
        ({CODING: b""}, 1, 501),
        ({LENGTH: b""}, 1, 400),
        ({LENGTH: b"1, 1"}, 1, 400),
        ({LENGTH: b"-1"}, 1, 400),
        ({LENGTH: b"+1"}, 1, 400),
        ({LENGTH: b"1_0"}, 1, 400),
        ({LENGTH: b"0" * 21}, 1, 400),
        ({LENGTH: b"9" * 5000}, 1, 400),
    ],
)
def test_unclear_framing_of_a_request_is_refused(known: dict[bytes, bytes], minor: int, status: int) -> None:
    with pytest.raises(ClientError) as error:
        request_body_bytes(known, minor)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("known", "status", "body_bytes"),
    [
        ({}, 200, UNTIL_CLOSE),
        ({LENGTH: b"0"}, 200, 0),
        ({LENGTH: b"12"}, 500, 12),
        ({CODING: b"CHUNKED"}, 200, CHUNKED),
        ({LENGTH: b"12"}, 304, 0),
        ({LENGTH: b"12"}, 204, 0),
        ({}, 204, 0),
        ({LENGTH: b"12"}, 100, 0),
        ({}, 103, 0),
    ],
)
def test_an_answer_has_the_body_of_rfc_9112_section_6_3(
    known: dict[bytes, bytes], status: int, body_bytes: int
) -> None:
    assert response_body_bytes(known, status) == body_bytes


@pytest.mark.parametrize(
    "known",
    [
        {LENGTH: b"1", CODING: b"chunked"},
        {CODING: b"gzip"},
        {CODING: b"gzip, chunked"},
        {LENGTH: b"1, 1"},
        {LENGTH: b""},
        {LENGTH: b"x"},
        {LENGTH: b"0" * 5000 + b"1"},
    ],
)
def test_unclear_framing_of_an_answer_is_the_nodes_fault(known: dict[bytes, bytes]) -> None:
    with pytest.raises(NodeError):
        response_body_bytes(known, 200)


# Chunk by chunk


def feed_byte_by_byte(decoder: ChunkedDecoder, data: bytes) -> bytes:
    return b"".join([decoder.feed(data[position : position + 1]) for position in range(len(data))])


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
    decoder = ChunkedDecoder()
    assert decoder.feed(data) == body
    assert (decoder.done, decoder.rest) == (True, b"")


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_a_body_that_comes_byte_by_byte(data: bytes, body: bytes) -> None:
    decoder = ChunkedDecoder()
    start = feed_byte_by_byte(decoder, data[:-1])
    assert decoder.done is False
    assert start + decoder.feed(data[-1:]) == body
    assert (decoder.done, decoder.rest) == (True, b"")


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_the_bytes_behind_a_body_are_left_alone(data: bytes, body: bytes) -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(data + b"GET / HTTP/1.1\r\n") == body
    assert (decoder.done, decoder.rest) == (True, b"GET / HTTP/1.1\r\n")


def test_a_part_of_a_chunk_is_given_as_it_comes() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"a\r\n0123") == b"0123"
    assert decoder.feed(b"") == b""
    assert decoder.feed(b"456789\r\n2\r\na") == b"456789a"
    assert decoder.feed(b"b\r\n0\r\n\r\n") == b"b"
    assert decoder.done is True


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
        (b"0\r\n" + b"X: y\r\n" * 2731, "a trailer section that is too long"),
        (b"0\r\nX: " + b"y" * 16384, "a trailer section that is too long"),
    ],
)
def test_broken_framing_is_told_whole_and_byte_by_byte(data: bytes, complaint: str) -> None:
    with pytest.raises(FramingError) as error:
        ChunkedDecoder().feed(data)
    assert str(error.value) == complaint
    decoder = ChunkedDecoder()
    with pytest.raises(FramingError) as error:
        feed_byte_by_byte(decoder, data)
    assert str(error.value) == complaint
    assert decoder.done is False


def test_a_size_line_and_a_trailer_section_may_be_as_long_as_their_bounds() -> None:
    decoder = ChunkedDecoder()
    line = b"1;" + b"a" * 252 + b"\r\n"
    trailer = b"X: " + b"y" * 16377 + b"\r\n\r\n"
    assert (len(line), len(trailer)) == (256, 16384)
    assert decoder.feed(line + b"z\r\n0\r\n" + trailer) == b"z"
    assert decoder.done is True


def test_the_largest_size_is_taken_at_its_word() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"ffffffffffffffff\r\nab") == b"ab"
    assert decoder.done is False
