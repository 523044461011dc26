"""Heads of requests: what is taken, what is refused with which status, and what travels on."""

from math import inf

import pytest

from priolb.errors import ClientError
from priolb.http import parser
from priolb.http.framing import CHUNKED
from priolb.http.messages import RequestHead
from priolb.http.parser import HeadLimits, parse_request_head, parse_response_head
from support.heads import head_bytes, values_of

MAX_FIELDS = 100


def request(start: str = "POST / HTTP/1.1", *lines: str) -> RequestHead:
    """Parse a head with these lines behind its start line, and a Host line in front of them."""
    return parse_request_head(head_bytes(start, "Host: a", *lines), MAX_FIELDS)


def refused(data: bytes, max_fields: int = MAX_FIELDS) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        parse_request_head(data, max_fields)
    return error.value.status, str(error.value)


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
    head = request(f"{method} /a HTTP/1.1", "X: y", "Content-Length: 3")
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
    head = request(f"GET {target} HTTP/1.1")
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    ("target", "authority"),
    [("/", b"a"), ("http://x", b"x"), ("http://x:80/a", b"x:80"), ("HTTPS://[::1]:1?a", b"[::1]:1")],
)
def test_the_host_of_an_absolute_target_counts_and_not_that_of_the_field(
    target: str, authority: bytes
) -> None:
    """RFC 9112, section 3.2.2."""
    assert request(f"GET {target} HTTP/1.1").authority == authority


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
    head = request(f"OPTIONS {target} HTTP/1.1")
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


# The fields of a request


@pytest.mark.parametrize(("count", "is_taken"), [(3, True), (4, False)])
def test_the_number_of_fields_is_bounded(count: int, is_taken: bool) -> None:
    data = head_bytes("GET / HTTP/1.1", *["Host: a", "X: 1", "X: 2", "X: 3"][:count])
    if is_taken:
        assert parse_request_head(data, 3).forwarded == b"X: 1\r\nX: 2\r\n"
    else:
        assert refused(data, 3) == (431, "more than 3 header fields")


def test_fields_of_this_connection_and_of_framing_do_not_travel_on() -> None:
    head = request(
        "POST / HTTP/1.1",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "TE: gzip",
        "Trailer: X-Sum",
        "Transfer-Encoding: chunked",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "Accept: */*",
    )
    assert head.forwarded == b"Accept: */*\r\n"
    assert head.known == {
        b"host": b"a",
        b"connection": b"keep-alive",
        b"te": b"gzip",
        b"trailer": b"X-Sum",
        b"transfer-encoding": b"chunked",
        b"upgrade": b"h2c",
        b"expect": b"100-continue",
    }


def test_names_and_values_travel_on_as_written_in_their_order() -> None:
    head = request("GET / HTTP/1.1", "x-b: 1", "X-A:2", "X-b:  a  b", "X-C:", "X-D: \xe9")
    assert head.forwarded == b"x-b: 1\r\nX-A: 2\r\nX-b: a  b\r\nX-C: \r\nX-D: \xe9\r\n"


@pytest.mark.parametrize("padded", ["true ", "true\t", "  true \t "])
def test_blanks_around_a_value_are_no_part_of_it(padded: str) -> None:
    """RFC 9110, section 5.5."""
    head = request("POST / HTTP/1.1", f"X-Fast-Track: {padded}", "Content-Length: 3 ")
    assert head.known[b"x-fast-track"] == b"true"
    assert head.body_bytes == 3


def test_several_lines_of_a_name_are_one_list() -> None:
    head = request("GET / HTTP/1.1", "X-Request-ID: a", "X-REQUEST-ID: b", "X-Request-ID: c")
    assert head.known[b"x-request-id"] == b"a, b, c"
    assert head.forwarded == b"X-Request-ID: a\r\nX-REQUEST-ID: b\r\nX-Request-ID: c\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: X-A, x-b"],
        ["Connection: close,X-A ,\tX-B"],
        ["Connection: x-a", "Connection: keep-alive", "CONNECTION: x-B"],
        ["Connection: , x-a,, x-b,"],
    ],
)
def test_fields_that_connection_names_do_not_travel_on(lines: list[str]) -> None:
    head = request("GET / HTTP/1.1", "X-A: 1", "X-Keep: 2", *lines, "x-b: 3", "X-A: 4")
    assert head.forwarded == b"X-Keep: 2\r\n"


def test_what_connection_names_is_dropped_only_by_its_whole_name() -> None:
    head = request(
        "GET / HTTP/1.1", "Connection: a, close, keep-alive", "A-B: 1", "BA: 2", "A: 3", "Close: 4"
    )
    assert head.forwarded == b"A-B: 1\r\nBA: 2\r\nClose: 4\r\n"


def test_a_client_cannot_name_the_framing_away() -> None:
    head = request("POST / HTTP/1.1", "Connection: content-length, host", "Content-Length: 5")
    assert head.body_bytes == 5
    assert head.known[b"host"] == b"a"


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive"),
    [
        ("1.1", [], True),
        ("1.1", ["keep-alive"], True),
        ("1.1", ["close"], False),
        ("1.1", ["Close"], False),
        ("1.1", ["x, close"], False),
        ("1.1", ["close, x"], False),
        ("1.1", ["keep-alive, close"], False),
        ("1.1", ["keep-alive", "close"], False),
        ("1.1", ["closed"], True),
        ("1.1", ["upgrade"], True),
        ("1.0", [], False),
        ("1.0", ["keep-alive"], True),
        ("1.0", ["x, Keep-Alive"], True),
        ("1.0", ["close, keep-alive"], False),
    ],
)
@pytest.mark.parametrize("framing", [[], ["Content-Length: 0"], ["Content-Length: 3"]])
def test_whether_the_client_stays(
    version: str, connection: list[str], keep_alive: bool, framing: list[str]
) -> None:
    lines = [f"Connection: {value}" for value in connection]
    assert request(f"POST / HTTP/{version}", *lines, *framing).keep_alive is keep_alive


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


def test_an_upgrade_travels_on_with_its_connection_field() -> None:
    """RFC 9110, section 7.8."""
    head = request(
        "GET / HTTP/1.1", "Connection: keep-alive, Upgrade, X-A", "X-A: b", "Upgrade: a/1, b", "X: y"
    )
    assert (head.upgrade, head.is_special) == (b"a/1, b", True)
    assert head.forwarded == b"X: y\r\nConnection: upgrade\r\nUpgrade: a/1, b\r\n"


@pytest.mark.parametrize(
    ("start", "lines"),
    [
        ("GET / HTTP/1.0", UPGRADE),
        ("GET / HTTP/1.1", ["Upgrade: websocket"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade:"]),
        ("GET / HTTP/1.1", [*UPGRADE, "Content-Length: 4"]),
        ("POST / HTTP/1.1", [*UPGRADE, "Transfer-Encoding: chunked"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: a"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket, H2C"]),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade: HTTP/2.0"]),
    ],
)
def test_an_upgrade_that_cannot_be_passed_on_stands_as_if_it_had_not_been_asked_for(
    start: str, lines: list[str]
) -> None:
    """Not to HTTP/2: what follows would be requests that nobody here sees."""
    head = request(start, *lines, "X: y")
    assert (head.upgrade, head.forwarded) == (b"", b"X: y\r\n")


@pytest.mark.parametrize(
    ("te", "travels"),
    [
        (["trailers"], True),
        (["gzip;q=1, Trailers"], True),
        (["deflate", "trailers"], True),
        (["gzip"], False),
        (["trailers;q=1"], False),
        ([""], False),
    ],
)
def test_of_te_only_trailers_travel_on(te: list[str], travels: bool) -> None:
    """RFC 9110, section 10.1.4."""
    head = request("GET / HTTP/1.1", *[f"TE: {value}" for value in te])
    assert head.forwarded == (b"Connection: TE\r\nTE: trailers\r\n" if travels else b"")
    assert not head.is_special


def test_trailers_and_an_upgrade_share_the_connection_field() -> None:
    head = request("GET / HTTP/1.1", "TE: trailers", *UPGRADE)
    assert head.forwarded == b"Connection: upgrade, TE\r\nTE: trailers\r\nUpgrade: websocket\r\n"


@pytest.mark.parametrize(
    ("start", "lines", "expects"),
    [
        ("POST / HTTP/1.1", ["Expect: 100-Continue", "Content-Length: 1"], True),
        ("POST / HTTP/1.1", ["Expect: 100-continue", "Transfer-Encoding: chunked"], True),
        ("POST / HTTP/1.1", ["Expect: 100-continue"], False),
        ("POST / HTTP/1.1", ["Expect: 100-continue", "Content-Length: 0"], False),
        ("POST / HTTP/1.0", ["Expect: 100-continue", "Content-Length: 1"], False),
        ("POST / HTTP/1.0", ["Expect: much", "Content-Length: 1"], False),
        ("POST / HTTP/1.1", ["Content-Length: 1"], False),
    ],
)
def test_who_waits_for_leave_to_send_is_a_client_of_http_1_1_with_a_body(
    start: str, lines: list[str], expects: bool
) -> None:
    """RFC 9110, section 10.1.1."""
    assert request(start, *lines).expects_continue is expects


@pytest.mark.parametrize("value", ["much", "100-continue, much", "", "200-ok"])
def test_an_expectation_that_cannot_be_met_is_417(value: str) -> None:
    data = head_bytes("POST / HTTP/1.1", "Host: a", f"Expect: {value}", "Content-Length: 1")
    assert refused(data) == (417, "an expectation other than 100-continue")


@pytest.mark.parametrize(
    ("method", "value", "limit", "travels"),
    [
        ("TRACE", "3", 3, "2"),
        ("OPTIONS", "1", 1, "0"),
        ("OPTIONS", "007", 7, "6"),
        ("TRACE", "999999999", 999999999, "999999998"),
        ("GET", "3", -1, "3"),
        ("GET", "x", -1, "x"),
        ("POST", "0", -1, "0"),
    ],
)
def test_max_forwards_counts_down_for_trace_and_options(
    method: str, value: str, limit: int, travels: str
) -> None:
    """RFC 9110, section 7.6.2."""
    head = request(f"{method} / HTTP/1.1", f"Max-Forwards: {value}")
    assert head.max_forwards == limit
    assert head.forwarded == f"Max-Forwards: {travels}\r\n".encode()
    assert not head.is_special


def test_a_request_that_may_not_be_forwarded_is_special() -> None:
    head = request("TRACE / HTTP/1.1", "Max-Forwards: 0")
    assert (head.max_forwards, head.is_special) == (0, True)


def test_a_request_with_little_time_says_so_and_its_field_travels_on() -> None:
    head = request("POST / HTTP/1.1", "X-Request-Timeout: 0.25", "GRPC-Timeout: 100m")
    assert (head.timeout_s, head.is_special) == (0.1, True)
    assert head.forwarded == b"X-Request-Timeout: 0.25\r\nGRPC-Timeout: 100m\r\n"


def test_a_time_that_is_told_twice_is_400() -> None:
    data = head_bytes("POST / HTTP/1.1", "Host: a", "X-Request-Timeout: 1", "X-Request-Timeout: 1")
    assert refused(data)[0] == 400


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "x", "1, 1", "1" * 10])
def test_max_forwards_that_is_no_number_is_400(value: str) -> None:
    data = head_bytes("OPTIONS / HTTP/1.1", "Host: a", f"Max-Forwards: {value}")
    assert refused(data) == (400, "malformed request: Max-Forwards is not a number")


def test_what_tells_of_the_way_of_a_request_is_known_and_does_not_travel_on_by_itself() -> None:
    lines = {
        "Via": "1.1 a",
        "Forwarded": "for=b",
        "X-Forwarded-For": "c",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "d",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/e",
        "X-Forwarded-Server": "f",
        "X-Real-IP": "g",
    }
    head = request("GET / HTTP/1.1", *[f"{name}: {value}" for name, value in lines.items()])
    assert head.forwarded == b""
    assert head.known == {
        b"host": b"a",
        **{name.lower().encode(): value.encode() for name, value in lines.items()},
    }
    assert head.is_special  # it has passed a proxy, and may do so again


def test_a_claim_of_a_proxy_that_connection_names_is_dropped() -> None:
    head = request("GET / HTTP/1.1", "Connection: x-real-ip", "X-Real-IP: a", "X-Forwarded-Port: 1")
    assert head.known == {b"host": b"a", b"connection": b"x-real-ip", b"x-forwarded-port": b"1"}


# The framing of a request


@pytest.mark.parametrize(
    ("lines", "body_bytes"),
    [
        ([], 0),
        (["Content-Length: 0"], 0),
        (["Content-Length: 007"], 7),
        (["Content-Length: 18446744073709551615"], 18446744073709551615),
        (["Transfer-Encoding: chunked"], CHUNKED),
        (["Transfer-Encoding: CHUNKED"], CHUNKED),
        (["Transfer-Encoding: chunked "], CHUNKED),
    ],
)
def test_the_head_says_how_long_the_body_is(lines: list[str], body_bytes: int) -> None:
    assert request("POST / HTTP/1.1", *lines).body_bytes == body_bytes


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 3", "Content-Length: 3"], 400),
        (["Content-Length: 3", "content-length: 3"], 400),
        (["Content-Length: 3", "Content-Length: 4"], 400),
        (["Content-Length: 3, 3"], 400),
        (["Content-Length: 3 3"], 400),
        (["Content-Length: +3"], 400),
        (["Content-Length: -3"], 400),
        (["Content-Length: 0x3"], 400),
        (["Content-Length: 3.0"], 400),
        (["Content-Length: 1_0"], 400),
        (["Content-Length:"], 400),
        (["Content-Length: \xb2"], 400),
        (["Content-Length: 18446744073709551616"], 400),
        (["Content-Length: " + "0" * 5000 + "3"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 3"], 400),
        (["Content-Length: 3", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked, chunked"], 400),
        (["Transfer-Encoding: chunked, identity"], 400),
        (["Transfer-Encoding: identity"], 400),
        (["Transfer-Encoding: gzip"], 400),
        (["Transfer-Encoding: xchunked"], 400),
        (["Transfer-Encoding:"], 400),
        (["Transfer-Encoding: gzip, chunked"], 400),
    ],
)
def test_framing_that_two_readers_could_read_differently_is_refused(lines: list[str], status: int) -> None:
    assert refused(head_bytes("POST / HTTP/1.1", "Host: a", *lines))[0] == status


def test_chunks_in_http_1_0_are_400() -> None:
    data = head_bytes("POST / HTTP/1.0", "Transfer-Encoding: chunked")
    assert refused(data) == (400, "malformed request: Transfer-Encoding in HTTP/1.0")


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
