"""What a request asks for, as limits count it."""

import pytest

from priolb.http.callers import Callers
from priolb.http.forwarding import Forwarding
from priolb.http.parser import parse_request_head
from priolb.http.request import Request
from priolb.http.rpc_methods import LOOKED_AT_BYTES
from priolb.net.front.door import calls_of

LONG = b'"params":["' + b"0" * LOOKED_AT_BYTES + b'"]'


def asked(
    body: bytes, method: str = "POST", length: int = 0, fields: str = ""
) -> tuple[list[bytes], bool, int]:
    """Return methods, whether they are all, and how many times as much there is as was read."""
    lines = f"{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: {length or len(body)}\r\n{fields}\r\n"
    caller = Callers().caller_of(
        head := parse_request_head(lines.encode(), 100), Forwarding("lb", "http", False, ()).peer("192.0.2.7")
    )
    calls = calls_of(Request(head, caller, body))
    return list(calls.methods), calls.is_all, calls.times


@pytest.mark.parametrize(
    ("body", "methods"),
    [
        (b"", [b"PUT"]),
        (b"no JSON", [b"PUT"]),
        (b'{"id":1}', [b"PUT"]),
        (b'{"id":1,"method":"a"}', [b"a"]),
        (b'[{"id":1,"method":"a"},{"method":"b"}]', [b"a", b"b"]),
    ],
)
def test_a_request_asks_for_its_calls_or_else_for_its_method(body: bytes, methods: list[bytes]) -> None:
    assert asked(body, "PUT") == (methods, True, 1)


def test_of_a_batch_with_a_call_that_names_no_method_not_all_is_known() -> None:
    assert asked(b'[{"id":1,"method":"a"},{"id":2}]') == ([b"a"], False, 1)
    assert asked(b"[]") == ([], False, 1)


def test_what_is_longer_than_is_looked_at_counts_by_its_beginning() -> None:
    call = b'{"method":"a",' + LONG + b"}"
    assert asked(call) == ([b"a"], True, 1)
    assert asked(b"{" + LONG + b',"method":"a"}') == ([], False, 1)
    assert asked(b'[{"method":"a"},{"method":"b"},{' + LONG, length=3 * LOOKED_AT_BYTES) == (
        [b"a", b"b"],
        True,
        3,
    )
    assert asked(b"[{" + LONG + b',"method":"a"}]') == ([], False, 2)
    assert asked(b"x" * 3 * LOOKED_AT_BYTES) == ([b"POST"], True, 1)


def test_what_begins_behind_more_blanks_than_are_looked_at_may_be_anything() -> None:
    blanks = b" \t\r\n" * (LOOKED_AT_BYTES // 4)
    assert asked(blanks + b'[{"method":"a"}]') == ([], False, 2)
    assert asked(b"\xef\xbb\xbf" + blanks + b'[{"method":"a"}]') == ([], False, 2)
    assert asked(blanks[:-1] + b"x") == ([b"POST"], True, 1)
    assert asked(blanks[:-1]) == ([b"POST"], True, 1)


def test_of_a_body_with_a_content_coding_any_method_may_be_called() -> None:
    coded = "Content-Encoding: gzip\r\n"
    assert asked(b'{"method":"a"}', fields=coded) == ([], False, 1)
    assert asked(b"x" * 3 * LOOKED_AT_BYTES, fields=coded) == ([], False, 3)
    assert asked(b"", fields=coded) == ([b"POST"], True, 1)
