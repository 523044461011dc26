"""Heads that differ in one value: what is learned, and what is not."""

import pytest

from priolb.http.familiar import Familiar, learn
from priolb.http.parser import parse_request_head
from support.heads import head_bytes, values_of


def lesson(first: list[str], second: list[str], start: str = "POST /a?b HTTP/1.1") -> Familiar | None:
    """Return what is learned from two heads that have these lines besides Host."""
    heads = [parse_request_head(head_bytes(start, "Host: a", *lines), 100) for lines in (first, second)]
    return learn(*heads)


@pytest.mark.parametrize("name", ["X-Request-ID", "traceparent", "Cookie", "X-Forwarded-For"])
@pytest.mark.parametrize("around", [[], ["Connection: close"], ["Content-Type: x/y", "X: 1"]])
def test_a_head_with_another_value_is_what_parsing_makes_of_it(name: str, around: list[str]) -> None:
    familiar = lesson([*around, f"{name}: 1"], [*around, f"{name}: 22"])
    assert familiar is not None
    data = head_bytes("POST /a?b HTTP/1.1", "Host: a", *around, f"{name}: 2c/333")
    head = familiar.take(data + b"rest")
    assert head is not None
    model = parse_request_head(head_bytes("POST /a?b HTTP/1.1", "Host: a", *around, f"{name}: 1"), 100)
    assert head.model is (None if name == "X-Forwarded-For" else model)
    assert values_of(head) | {"raw": data, "model": None} == values_of(parse_request_head(data, 100))
    assert familiar.taken_bytes == len(data)
    first = familiar.take(head_bytes("POST /a?b HTTP/1.1", "Host: a", *around, f"{name}: 1"))
    assert first is not None and first.known.get(b"x-request-id") in {None, b"1"}


@pytest.mark.parametrize(
    "line",
    ["X-Request-ID: ", "X-Request-ID: a b", "X-Request-ID: \x80", "X-Request-ID:7", "X-Request-ID : 7"],
)
def test_a_value_that_is_not_plain_is_left_to_the_parser(line: str) -> None:
    familiar = lesson(["X-Request-ID: 1"], ["X-Request-ID: 2"])
    assert familiar is not None
    assert familiar.take(head_bytes("POST /a?b HTTP/1.1", "Host: a", line)) is None
    assert familiar.take(head_bytes("POST /a?b HTTP/1.1", "Host: a", f"X-Request-ID: {'7' * 129}")) is None


@pytest.mark.parametrize("size", range(len(head_bytes("POST /a?b HTTP/1.1", "Host: a", "X-Request-ID: 3"))))
def test_a_head_that_is_not_all_there_is_not_taken(size: int) -> None:
    familiar = lesson(["X-Request-ID: 1"], ["X-Request-ID: 2"])
    assert familiar is not None
    assert familiar.take(head_bytes("POST /a?b HTTP/1.1", "Host: a", "X-Request-ID: 3")[:size]) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(["X: 1"], ["X: 1"], id="the same"),
        pytest.param(["X: 1", "Y: 1"], ["X: 2", "Y: 2"], id="two values"),
        pytest.param(["X: 1"], ["X: 2", "Y: 1"], id="a field more"),
        pytest.param(["X: 1"], ["Y: 1"], id="another name"),
        pytest.param(["X: 1"], ["x: 2"], id="another spelling"),
        pytest.param(["X: 1"], ["X: a b"], id="not plain"),
        pytest.param(["X:1"], ["X:2"], id="no blank"),
        pytest.param(['X:{"id": 1}'], ['X:{"id": 2}'], id="no blank but in the value"),
        pytest.param(["Content-Length: 1"], ["Content-Length: 2"], id="framing"),
        pytest.param(["X-High-Priority: true"], ["X-High-Priority: false"], id="lane"),
        pytest.param(["Via: a"], ["Via: b"], id="way"),
        pytest.param(["X-Forwarded-Proto: a"], ["X-Forwarded-Proto: b"], id="claim"),
        pytest.param(
            ["X-Request-ID: 1", "X-Request-ID: 2"], ["X-Request-ID: 1", "X-Request-ID: 3"], id="twice"
        ),
        pytest.param(["Connection: x", "X: 1"], ["Connection: x", "X: 2"], id="nominated"),
    ],
)
def test_what_more_than_a_value_hangs_on_is_not_learned(first: list[str], second: list[str]) -> None:
    assert lesson(first, second) is None


@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_another_request_line_is_not_learned(before: bytes) -> None:
    """Not even one that looks like a field, behind the empty line that may stand in front of a request."""
    lines = [b"GET /a: HTTP/1.1", b"GET /a: HTTP/1.0"]
    heads = [parse_request_head(before + line + b"\r\nHost: a\r\n\r\n", 100) for line in lines]
    assert learn(*heads) is None
