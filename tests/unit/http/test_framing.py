"""How long bodies are, by the heads of their messages."""

import pytest

from priolb.errors import ClientError, NodeError
from priolb.http.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    request_body_bytes,
    response_body_bytes,
)

LENGTH = b"content-length"
CODING = b"transfer-encoding"


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
        ({CODING: b"gzip, chunked"}, 1, 400),
        ({CODING: b"chunked, chunked"}, 1, 400),
        ({CODING: b""}, 1, 400),
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
    assert response_body_bytes(known, 1, status) == body_bytes


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
        response_body_bytes(known, 1, 200)


def test_chunks_in_an_answer_of_http_1_0_are_the_nodes_fault() -> None:
    """RFC 9112, section 6.1: whoever passed them on did not know them."""
    with pytest.raises(NodeError) as error:
        response_body_bytes({CODING: b"chunked"}, 0, 200)
    assert str(error.value) == "an answer of HTTP/1.0 with Transfer-Encoding"
