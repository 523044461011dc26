"""Heads of requests: what is taken, what is refused with which status, and what is remembered."""

from math import inf

import pytest

from priolb.errors import ClientError
from priolb.http import parser
from priolb.http.parser import HeadLimits, parse_request_head, parse_response_head
from support.heads import MAX_FIELDS, head_bytes, refused, request_head, values_of

# The head of a request


def test_a_request_of_the_usual_kind() -> None:
    data = head_bytes(
        "POST /sim?a=1&b=2 HTTP/1.1",
        "Host: localhost:8080",
        "User-Agent: curl/8.0",
        "Content-Type: application/json",
        "Content-Length: 60",
        "X-High-Priority: true",
        "X-Request-ID: abc-1",
    )
    assert values_of(parse_request_head(data, MAX_FIELDS)) == {
        "method": b"POST",
        "authority": b"localhost:8080",
        "path": b"/sim",
        "node_path": b"",
        "is_rpc": True,
        "query": b"?a=1&b=2",
        "minor": 1,
        "keep_alive": True,
        "known": {
            b"host": b"localhost:8080",
            b"content-type": b"application/json",
            b"content-length": b"60",
            b"x-high-priority": b"true",
            b"x-request-id": b"abc-1",
        },
        "forwarded": (
            b"User-Agent: curl/8.0\r\nX-High-Priority: true\r\nX-Request-ID: abc-1\r\n"
            b"Content-Type: application/json\r\n"
        ),
        "rpc_forwarded": (
            b"User-Agent: curl/8.0\r\nX-High-Priority: true\r\nX-Request-ID: abc-1\r\n"
            b"Content-Type: application/json\r\n"
        ),
        "body_bytes": 60,
        "upgrade": b"",
        "max_forwards": -1,
        "timeout_s": inf,
        "request_id": b"abc-1",
        "expects_continue": False,
        "is_special": False,
        "raw": data,
        "long_bytes": 0,
        "model": None,
        "lane": -1,
    }


def test_an_empty_line_in_front_of_a_request_is_passed_over() -> None:
    """RFC 9112, section 2.2."""
    head = parse_request_head(b"\r\nGET /a HTTP/1.0\r\n\r\n", MAX_FIELDS)
    assert (head.method, head.path, head.minor) == (b"GET", b"/a", 0)


def test_a_request_of_http_1_0_needs_no_host_and_does_not_stay() -> None:
    assert values_of(parse_request_head(b"GET /nodes HTTP/1.0\r\n\r\n", MAX_FIELDS)) == {
        "method": b"GET",
        "authority": b"",
        "path": b"/nodes",
        "node_path": b"/nodes",
        "is_rpc": False,
        "query": b"",
        "minor": 0,
        "keep_alive": False,
        "known": {},
        "forwarded": b"",
        "rpc_forwarded": b"Content-Type: application/json\r\n",
        "body_bytes": 0,
        "upgrade": b"",
        "max_forwards": -1,
        "timeout_s": inf,
        "request_id": b"",
        "expects_continue": False,
        "is_special": False,
        "raw": b"GET /nodes HTTP/1.0\r\n\r\n",
        "long_bytes": 0,
        "model": None,
        "lane": -1,
    }


@pytest.mark.parametrize(
    "method",
    [
        *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"),
        *("PROPFIND", "M-SEARCH", "QUERY", "SETUP", "SOURCE", "BREW", "brew", "X", "!#$%&'*+-.^_`|~"),
    ],
)
def test_a_method_is_any_token_and_kept_as_it_is(method: str) -> None:
    """RFC 9110, section 9.1."""
    head = request_head(f"{method} /a HTTP/1.1", "X: y", "Content-Length: 3")
    assert (head.method, head.path, head.forwarded, head.body_bytes) == (
        method.encode(),
        b"/a",
        b"X: y\r\n",
        3,
    )
    assert parse_request_head(head_bytes(f"\r\n{method} /a HTTP/1.0"), MAX_FIELDS).method == method.encode()


@pytest.mark.parametrize("method", ["get", "Head", "pOST", "connect", "Trace"])
def test_a_standard_method_in_another_case_is_400(method: str) -> None:
    """A node that compares without case would answer it as the standard one: without a body, say."""
    assert refused(head_bytes(f"{method} / HTTP/1.1", "Host: a")) == (
        400,
        "malformed request: a method in lower case",
    )


@pytest.mark.parametrize("method", ["", " ", "(", "a b", "G\xe9T", "GET,", "G\tT", "G\x00T", "G/T", '"GET"'])
def test_a_method_that_is_no_token_is_400(method: str) -> None:
    status, text = refused(head_bytes(f"{method} / HTTP/1.1", "Host: a"))
    assert status == 400
    assert text.startswith("malformed request: ")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", b"/", b""),
        ("/?", b"/", b"?"),
        ("/a??", b"/a", b"??"),
        ("/a/b%20c", b"/a/b%20c", b""),
        ("/a?b=c?d", b"/a", b"?b=c?d"),
        ("//a", b"//a", b""),
        ("/?u=http://x/y", b"/", b"?u=http://x/y"),
        ("http://x", b"/", b""),
        ("http://x/", b"/", b""),
        ("http://x/a/b?c", b"/a/b", b"?c"),
        ("http://x?c=/d", b"/", b"?c=/d"),
        ("HTTP://X:80/a", b"/a", b""),
        ("https://x:1/a", b"/a", b""),
        ("http://[::1]:1/a", b"/a", b""),
    ],
)
def test_a_target_is_a_path_or_an_http_url(target: str, path: bytes, query: bytes) -> None:
    head = request_head(f"GET {target} HTTP/1.1")
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    ("target", "authority"),
    [("/", b"a"), ("http://x", b"x"), ("http://x:80/a", b"x:80"), ("HTTPS://[::1]:1?a", b"[::1]:1")],
)
def test_the_host_of_an_absolute_target_counts_and_not_that_of_the_field(
    target: str, authority: bytes
) -> None:
    """RFC 9112, section 3.2.2."""
    assert request_head(f"GET {target} HTTP/1.1").authority == authority


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("*", b"*", b""),
        ("http://x", b"*", b""),
        ("http://x/", b"/", b""),
        ("http://x?a", b"/", b"?a"),
        ("http://x?", b"/", b"?"),
    ],
)
def test_options_may_ask_the_server_as_a_whole(target: str, path: bytes, query: bytes) -> None:
    head = request_head(f"OPTIONS {target} HTTP/1.1")
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    "start",
    [
        "GET * HTTP/1.1",
        "OPTIONS *?a HTTP/1.1",
        "OPTIONS *a HTTP/1.1",
        "GET ftp://x/ HTTP/1.1",
        "GET httpx://x/ HTTP/1.1",
        "GET http:///a HTTP/1.1",
        "GET http://?a HTTP/1.1",
        "GET http://u@x/ HTTP/1.1",
        "GET http://u:p@x/ HTTP/1.1",
        "GET http://x\\y/ HTTP/1.1",
        "GET http://x:y/ HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET http://x/#b HTTP/1.1",
        "GET a HTTP/1.1",
        "GET ?a HTTP/1.1",
        "GET x:80 HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\x01 HTTP/1.1",
        "GET /\xe9 HTTP/1.1",
        "GET  HTTP/1.1",
    ],
)
def test_what_is_no_target_is_400(start: str) -> None:
    status, text = refused(head_bytes(start, "Host: a"))
    assert status == 400
    assert text.startswith("malformed request: ")


@pytest.mark.parametrize("target", ["/", "a:443"])
def test_a_tunnel_is_not_to_be_had(target: str) -> None:
    """A node that said 200 to it would take all that follows for the tunnel's bytes."""
    assert refused(head_bytes(f"CONNECT {target} HTTP/1.1", "Host: a")) == (501, "the method CONNECT")


@pytest.mark.parametrize(
    "start",
    [
        "GET / HTTP/2.0",
        "GET / HTTP/0.9",
        "GET /",
        "GET / RTSP/1.0",
        "PRI * HTTP/2.0",
        "BREW / HTTP/2.0",
    ],
)
def test_other_protocols_and_versions_are_505(start: str) -> None:
    assert refused(head_bytes(start, "Host: a")) == (505, "a protocol other than HTTP/1.1 and HTTP/1.0")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"BREW / HTTP/1.1 x\r\nHost: a\r\n\r\n",
        b"BREW /\r\nHost: a\r\n\r\n",
        b"BREW  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX(): b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    ],
)
def test_a_malformed_head_is_400(data: bytes) -> None:
    status, text = refused(data)
    assert status == 400
    assert text.startswith("malformed request: ")


@pytest.mark.parametrize("lines", [[], ["X-Host: a"]])
def test_a_request_of_http_1_1_without_host_is_400(lines: list[str]) -> None:
    assert refused(head_bytes("GET / HTTP/1.1", *lines)) == (400, "malformed request: no Host field")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_two_hosts_are_400(version: str) -> None:
    """RFC 9112, section 3.2: two readers could read different ones."""
    data = head_bytes(f"GET / HTTP/{version}", "Host: a", "X: y", "HOST: b")
    assert refused(data) == (400, "malformed request: a Host field that names no host, or more than one")


@pytest.mark.parametrize(
    "host",
    [
        *["a b", "a/b", "u@a", "a?b", "a#b", "a\\b", '"a"', "a\tb", "<a>", "\xe9", "a, a", "a^b", "a|b"],
        *["a:b", "a:80:90", "a:-1", "::1", "[::1", "::1]", "[::1]a", "[::1]:a", "[]", "[a]b", "[g]", "[v.a]"],
        *["a]b", "a[b", "%zz", "a%2", "a%", "[::1%25eth0]"],
    ],
)
def test_a_host_that_no_uri_could_hold_is_400(host: str) -> None:
    """RFC 9110, section 7.2."""
    data = head_bytes("GET / HTTP/1.1", f"Host: {host}")
    assert refused(data) == (400, "malformed request: a Host field that names no host, or more than one")


@pytest.mark.parametrize(
    "host",
    ["a", "A.b-c_d.", "a:1", "[::1]", "[::1]:80", "1.2.3.4:5", "a%20b%2F", "a;b", "", "a:", "[v1.a:b]:1"],
)
def test_a_host_that_a_uri_could_hold_is_taken(host: str) -> None:
    head = parse_request_head(head_bytes("GET / HTTP/1.1", f"Host: {host}"), MAX_FIELDS)
    assert head.authority == host.encode()


def test_a_host_is_judged_in_linear_time() -> None:
    assert refused(head_bytes("GET / HTTP/1.1", f"Host: {'a%20' * 10_000}@"))[0] == 400


def test_an_empty_host_is_taken() -> None:
    assert parse_request_head(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", MAX_FIELDS).known == {b"host": b""}


# Heads that are remembered


def test_a_head_seen_before_is_the_same_value_and_equal_to_a_fresh_one() -> None:
    data = head_bytes("POST /a?b HTTP/1.1", "Host: a", "Connection: x", "X: 1", "Y: 2", "Content-Length: 3")
    first, again = (
        parse_request_head(data, MAX_FIELDS),
        parse_request_head(bytes(bytearray(data)), MAX_FIELDS),
    )
    assert again is first
    assert values_of(first) == values_of(parser._parse_request_head(data, MAX_FIELDS))
    data = head_bytes("HTTP/1.1 200 OK", "Content-Type: a", "X: 1")
    answer = parse_response_head(data, MAX_FIELDS)
    assert parse_response_head(bytes(bytearray(data)), MAX_FIELDS) is answer
    assert values_of(answer) == values_of(parser._parse_response_head(data, MAX_FIELDS))


def test_a_remembered_head_is_bounded_anew_by_another_limit() -> None:
    data = head_bytes("GET / HTTP/1.1", "Host: a", "X: y")
    assert parse_request_head(data, 2).forwarded == b"X: y\r\n"
    assert refused(data, 1)[0] == 431
    assert refused(data, 1)[0] == 431


def test_a_long_head_is_parsed_and_not_remembered() -> None:
    data = head_bytes("GET / HTTP/1.1", "Host: a", "X: " + "y" * 1100)
    first, again = parse_request_head(data, MAX_FIELDS), parse_request_head(data, MAX_FIELDS)
    assert again is not first
    assert values_of(again) == values_of(first)
    assert (first.raw, first.long_bytes, first.is_special) == (b"", len(data), True)
    data = head_bytes("HTTP/1.1 200 OK", "X: " + "y" * 1100)
    assert parse_response_head(data, MAX_FIELDS).raw == b""
    assert parse_response_head(data, MAX_FIELDS) is not parse_response_head(data, MAX_FIELDS)


def test_limits_are_what_they_were_given() -> None:
    limits = HeadLimits(65536, 100)
    assert (limits.max_bytes, limits.max_fields) == (65536, 100)


@pytest.mark.parametrize("separator", ["/", "\\", "%2F", "%5c"])
def test_a_path_has_no_more_than_1024_segments(separator: str) -> None:
    for count, is_taken in ((1023, True), (1024, False)):
        target = "/" + separator * count + "a?" + "/" * 2000
        data = head_bytes(f"GET {target} HTTP/1.1", "Host: a")
        if is_taken:
            assert parse_request_head(data, 100).path == target.partition("?")[0].encode()
        else:
            with pytest.raises(ClientError) as caught:
                parse_request_head(data, 100)
            assert (caught.value.status, str(caught.value)) == (414, "the path has too many segments")
