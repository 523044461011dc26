"""Answers that say that another node should be asked."""

import gzip
import zlib

import pytest

from priolb.http.node_errors import NodeErrors, retry_after_s
from priolb.http.parser import parse_response_head

ERRORS = NodeErrors(frozenset({-32002, -32005}))


@pytest.mark.parametrize(
    ("body", "mean_the_node"),
    [
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit exceeded"}}', True),
        (b' { "error" : { "message":"x", "code" : -32002 } }', True),
        (b'[{"id":1,"error":{"code":-32005}},{"id":2,"error":{"code":-32002}}]', True),
        (b'[{"id":1,"error":{"code":-32005}},{"id":2,"result":"0x1"}]', False),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted"}}', False),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"execution reverted"}}', False),
        (b'{"jsonrpc":"2.0","id":1,"result":{"error":{"code":-32005}}}', False),
        (b'{"id":1,"result":"\\"error\\" -32005"}', False),
        (b'{"id":1,"error":{"code":"-32005"}}', False),
        (b'{"id":1,"error":{"code":-32005.0}}', False),
        (b'{"id":1,"error":-32005}', False),
        (b'{"id":1,"error":null}', False),
        (b'{"id":1,"error":{"code":-32005}', False),
        (b'"error"', False),
        (b"[]", False),
        (b'["error"]', False),
        (b"", False),
        (b'{"error":' + b"[" * 60000, False),
    ],
)
def test_only_a_code_of_the_list_in_the_error_itself_means_the_node(body: bytes, mean_the_node: bool) -> None:
    assert ERRORS.are_in(body) is mean_the_node


def test_an_error_far_behind_the_start_is_not_looked_for() -> None:
    """Answers of many kilobytes are results; they are not to be searched through on the path of a request."""
    error = b'"error":{"code":-32005}}'
    assert ERRORS.are_in(b'{"id":"' + b"x" * 480 + b'",' + error) is True
    assert ERRORS.are_in(b'{"id":"' + b"x" * 520 + b'",' + error) is False
    assert ERRORS.are_in(b'{"error":{"code":-32005,"data":"' + b"x" * 65536 + b'"}}') is False


def test_without_codes_no_error_means_the_node() -> None:
    assert NodeErrors(frozenset()).are_in(b'{"error":{"code":-32005}}') is False


LIMITED = b'{"id":1,"error":{"code":-32005}}'


def in_coding(coding: bytes, body: bytes) -> bool:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n\r\n" % coding, 100)
    assert not head.is_plain
    return ERRORS.are_in_coded(head, body)


@pytest.mark.parametrize(
    ("coding", "body", "mean_the_node"),
    [
        (b"gzip", gzip.compress(LIMITED), True),
        (b"X-Gzip", gzip.compress(LIMITED), True),
        (b"deflate", zlib.compress(LIMITED), True),
        (b"gzip", gzip.compress(b'{"id":1,"error":{"code":3}}'), False),
        (b"gzip", gzip.compress(b'{"id":1,"result":"-32005"}'), False),
        (b"gzip", gzip.compress(b'{"id":"' + b"x" * 520 + b'",' + LIMITED[1:]), False),
        # What cannot be read is no error
        (b"gzip", LIMITED, False),
        (b"gzip", gzip.compress(LIMITED)[:-1], False),
        (b"gzip", gzip.compress(LIMITED) + b"x", False),
        (b"gzip", b"", False),
        (b"br", gzip.compress(LIMITED), False),
        (b"gzip, gzip", gzip.compress(gzip.compress(LIMITED)), False),
    ],
)
def test_a_coding_is_undone_before_an_error_is_looked_for(
    coding: bytes, body: bytes, mean_the_node: bool
) -> None:
    assert in_coding(coding, body) is mean_the_node


def test_no_more_than_64_kb_are_inflated() -> None:
    start = b'{"error":{"code":-32005,"data":"'
    full = start + b"x" * (65536 - len(start) - 3) + b'"}}'
    assert in_coding(b"gzip", gzip.compress(full)) is True
    assert in_coding(b"gzip", gzip.compress(full + b" ")) is False
    assert in_coding(b"gzip", gzip.compress(start + b"x" * (1 << 24) + b'"}}')) is False
    assert in_coding(b"gzip", gzip.compress(full, 0)) is False, "longer than 64 KB as it comes"


def test_without_codes_no_error_in_a_coding_means_the_node() -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", 100)
    assert NodeErrors(frozenset()).are_in_coded(head, gzip.compress(LIMITED)) is False


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        (b"Content-Length: 65536\r\n", True),
        (b"Content-Length: 65537\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"Connection: close\r\n", True),
        (b"Content-Length: 9\r\nContent-Type: application/JSON; charset=utf-8\r\n", True),
        (b"Content-Length: 9\r\nContent-Type: text/event-stream\r\n", False),
        (b"Content-Length: 9\r\nContent-Type: application/x-ndjson\r\n", False),
        (b"Content-Length: 9\r\nContent-Encoding: GZIP\r\n", True),
        (b"Content-Length: 9\r\nContent-Encoding: br\r\n", False),
    ],
)
def test_by_its_head_an_answer_may_be_an_error_when_it_is_short_and_may_be_json(
    fields: bytes, may: bool
) -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\n%s\r\n" % fields, 100)
    assert ERRORS.may_follow(head, head.body_bytes) is may
    assert NodeErrors(frozenset()).may_follow(head, head.body_bytes) is False


@pytest.mark.parametrize(
    ("start", "may"),
    [
        (b"", True),
        (b" \r\n", True),
        (b"{", True),
        (b"[", True),
        (b"hello", False),
        (b'{"jsonrpc":"2.0","id":1,"err', True),
        (b'{"jsonrpc":"2.0","id":1,"result":', False),
        (b'{"error":{"data":{"result":1', True),
        (b'{"result":{"error":', False),
        (b"{" + b" " * 510, True),
        (b"{" + b" " * 511, False),
    ],
)
def test_by_its_start_a_body_may_be_an_error_as_long_as_no_result_and_not_much_has_come(
    start: bytes, may: bool
) -> None:
    assert ERRORS.may_become(start, len(start)) is may


def test_a_body_over_64_kb_is_none() -> None:
    assert ERRORS.may_become(b'{"error":', 65536) is True
    assert ERRORS.may_become(b'{"error":', 65537) is False


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        (b"", 0.0),
        (b"0", 0.0),
        (b"7", 7.0),
        (b"007", 7.0),
        (b"86400", 86400.0),
        (b"99999", 86400.0),
        (b"100000", 0.0),
        (b"-1", 0.0),
        (b"1.5", 0.0),
        (b"\xb2", 0.0),
        (b"Sun, 22 Nov 2026 12:00:00 GMT", 0.0),
    ],
)
def test_a_node_may_ask_for_so_many_seconds(value: bytes | None, seconds: float) -> None:
    assert retry_after_s(value) == seconds
