"""What a node sees: its own path and query joined with the client's, and the type of the body."""

import pytest

from priolb.http.rewrite import Target, typed_fields

JSON = b"Content-Type: application/json\r\n"


def target_of(target: Target, path: bytes, query: bytes = b"") -> bytes:
    return target.request(b"GET", path, query, b"", b"", b"").split(b" ")[1]


@pytest.mark.parametrize(
    ("base_path", "base_query", "path", "query", "joined"),
    [
        # The node's own path
        ("/", "", b"", b"", b"/"),
        ("", "", b"", b"", b"/"),
        ("/v3/key", "", b"", b"", b"/v3/key"),
        ("/v3/key/", "", b"", b"", b"/v3/key/"),
        ("/v3", "a=1", b"", b"", b"/v3?a=1"),
        ("", "a=1", b"", b"", b"/?a=1"),
        ("/v3", "", b"", b"?b=2", b"/v3?b=2"),
        ("/v3/", "a=1", b"", b"?b=2", b"/v3/?a=1&b=2"),
        ("", "", b"", b"?b=2", b"/?b=2"),
        # Another path
        ("/", "", b"/x", b"", b"/x"),
        ("", "", b"/x", b"?b=2", b"/x?b=2"),
        ("/v3", "", b"/x/y", b"", b"/v3/x/y"),
        ("/v3/", "", b"/x/", b"", b"/v3/x/"),
        ("/v3", "a=1", b"/x", b"", b"/v3/x?a=1"),
        ("/v3", "a=1&c", b"/x", b"?b=2?d", b"/v3/x?a=1&c&b=2?d"),
        ("/", "", b"//x", b"", b"//x"),
        ("/", "", b"/x", b"?", b"/x?"),
        ("/v3", "", b"", b"?", b"/v3?"),
        ("/v3", "a=1", b"/x", b"?", b"/v3/x?a=1"),
        ("/v3", "a=1", b"/x", b"??", b"/v3/x?a=1&?"),
        # The server as a whole
        ("", "", b"*", b"", b"*"),
        ("/v3", "a=1", b"*", b"", b"*"),
    ],
)
def test_paths_and_queries_are_joined(
    base_path: str, base_query: str, path: bytes, query: bytes, joined: bytes
) -> None:
    assert target_of(Target("node", base_path, base_query), path, query) == joined


@pytest.mark.parametrize(
    ("path", "joined"),
    [
        (b"/../x", b"/v3/key/x"),
        (b"/a/../../../x", b"/v3/key/x"),
        (b"/a/./b/../c", b"/v3/key/a/c"),
        (b"/%2e%2E/x", b"/v3/key/x"),
        (b"/.%2e/x", b"/v3/key/x"),
        (b"/a/..", b"/v3/key/"),
        (b"/a/.", b"/v3/key/a/"),
        (b"/..", b"/v3/key/"),
        (b"/...", b"/v3/key/..."),
        (b"/.a/b..", b"/v3/key/.a/b.."),
        (b"/a//../b", b"/v3/key/a/b"),
        # Nodes that decode a path before they look for dot segments
        (b"/..%2f..%2Fx", b"/v3/key/x"),
        (b"/%2e%2e%2f%2e%2e%2fx", b"/v3/key/x"),
        (b"/a%2f..%2f..%2f..%2fx%2fy", b"/v3/key/x%2fy"),
        (b"/a%2F..", b"/v3/key/"),
        (b"/a/b%2F.", b"/v3/key/a/b/"),
        (b"/a%2Fb/../c%2Fd", b"/v3/key/a/c%2Fd"),
        (b"/a%2F.b%2F...", b"/v3/key/a%2F.b%2F..."),
        (b"/a%2Fb", b"/v3/key/a%2Fb"),
        # Nodes for which a backslash separates, too
        (b"/..\\..\\x", b"/v3/key/x"),
        (b"/a\\b", b"/v3/key/a\\b"),
        (b"/..%5C..%5cx", b"/v3/key/x"),
        (b"/a%5cb%2f..%2f..%2f..%2fx", b"/v3/key/x"),
        # Nodes for which what follows a semicolon is no part of the segment
        (b"/..;/..;a=1/x", b"/v3/key/x"),
        (b"/%2e.%3Ba%2f..;%2fx", b"/v3/key/x"),
        (b"/.;/a;b/..a;/x", b"/v3/key/a;b/..a;/x"),
    ],
)
def test_a_path_does_not_climb_out_of_that_of_the_node(path: bytes, joined: bytes) -> None:
    """What stands there may be a key (RFC 3986, section 5.2.4)."""
    assert target_of(Target("node", "/v3/key", ""), path) == joined


def test_dots_are_left_to_a_node_that_has_no_path_of_its_own() -> None:
    assert target_of(Target("node", "/", ""), b"/a/../b") == b"/a/../b"
    assert target_of(Target("node", "", "k=1"), b"/%2e./b") == b"/%2e./b?k=1"


@pytest.mark.parametrize(
    ("authority", "host"), [(b"client:1", b"client:1"), (b"[::1]", b"[::1]"), (b"", b"node:8545")]
)
def test_a_node_is_told_the_host_that_the_client_asked_for_when_that_is_wished(
    authority: bytes, host: bytes
) -> None:
    target = Target("node:8545", "/rpc", "", keeps_host=True)
    line = b"POST /rpc HTTP/1.1\r\nHost: " + host + b"\r\n"
    assert target.request(b"POST", b"", b"", authority, b"", b"x") == line + b"Content-Length: 1\r\n\r\nx"
    assert target.start(b"POST", b"", b"", authority) == line


def test_the_start_of_a_request_is_its_line_and_host() -> None:
    target = Target("node:8545", "/rpc", "key=1")
    assert target.start(b"PUT", b"/a", b"?b", b"client") == (
        b"PUT /rpc/a?key=1&b HTTP/1.1\r\nHost: node:8545\r\n"
    )


def test_a_request_is_its_line_host_fields_length_and_body() -> None:
    target = Target("node:8545", "/rpc", "key=1")
    assert target.request(b"POST", b"", b"", b"a", b"X-A: b\r\n", b"{}") == (
        b"POST /rpc?key=1 HTTP/1.1\r\nHost: node:8545\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("method", "body", "has_length"),
    [
        (b"GET", b"", False),
        (b"HEAD", b"", False),
        (b"DELETE", b"", False),
        (b"OPTIONS", b"", False),
        (b"TRACE", b"", False),
        (b"GET", b"a", True),
        (b"POST", b"", True),
        (b"PUT", b"", True),
        (b"PATCH", b"", True),
    ],
)
def test_a_length_is_written_where_a_body_is_or_would_be_expected(
    method: bytes, body: bytes, has_length: bool
) -> None:
    """RFC 9110, section 8.6."""
    length = b"Content-Length: %d\r\n" % len(body) if has_length else b""
    assert Target("n", "", "").request(method, b"", b"", b"", b"", body) == (
        method + b" / HTTP/1.1\r\nHost: n\r\n" + length + b"\r\n" + body
    )


@pytest.mark.parametrize(
    ("content_type", "for_any", "for_rpc"),
    [
        (None, b"", JSON),
        (b"application/json", JSON, JSON),
        (b"text/plain", b"Content-Type: text/plain\r\n", b"Content-Type: text/plain\r\n"),
        (
            b"application/x-www-form-urlencoded",
            b"Content-Type: application/x-www-form-urlencoded\r\n",
            JSON,
        ),
        (b"", b"Content-Type: \r\n", b"Content-Type: \r\n"),
    ],
)
def test_json_rpc_that_nobody_typed_is_json_and_the_rest_is_what_the_client_said(
    content_type: bytes | None, for_any: bytes, for_rpc: bytes
) -> None:
    assert typed_fields(b"X: y\r\n", content_type) == (b"X: y\r\n" + for_any, b"X: y\r\n" + for_rpc)
