"""Heads of requests: what is taken, what is refused with which status, and what travels on."""

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
        "path": b"/sim",
        "query": b"a=1&b=2",
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
        "request_id": b"abc-1",
    }


def test_an_empty_line_in_front_of_a_request_is_passed_over() -> None:
    """RFC 9112, section 2.2."""
    head = parse_request_head(b"\r\nGET /a HTTP/1.0\r\n\r\n", MAX_FIELDS)
    assert (head.method, head.path, head.minor) == (b"GET", b"/a", 0)


def test_a_request_of_http_1_0_needs_no_host_and_does_not_stay() -> None:
    assert values_of(parse_request_head(b"GET /nodes HTTP/1.0\r\n\r\n", MAX_FIELDS)) == {
        "method": b"GET",
        "path": b"/nodes",
        "query": b"",
        "minor": 0,
        "keep_alive": False,
        "known": {},
        "forwarded": b"",
        "rpc_forwarded": b"Content-Type: application/json\r\n",
        "body_bytes": 0,
        "request_id": b"",
    }


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "M-SEARCH"]
)
def test_methods_are_kept_as_they_are(method: str) -> None:
    assert request(f"{method} / HTTP/1.1").method == method.encode()


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", b"/", b""),
        ("/?", b"/", b""),
        ("/a/b%20c", b"/a/b%20c", b""),
        ("/a?b=c?d", b"/a", b"b=c?d"),
        ("//a", b"//a", b""),
        ("/?u=http://x/y", b"/", b"u=http://x/y"),
        ("http://x", b"/", b""),
        ("http://x/", b"/", b""),
        ("http://x/a/b?c", b"/a/b", b"c"),
        ("http://x?c=/d", b"/", b"c=/d"),
        ("HTTP://X:80/a", b"/a", b""),
        ("https://u@x:1/a", b"/a", b""),
    ],
)
def test_a_target_is_a_path_or_an_http_url(target: str, path: bytes, query: bytes) -> None:
    head = request(f"GET {target} HTTP/1.1")
    assert (head.path, head.query) == (path, query)


def test_options_may_ask_the_server_as_a_whole() -> None:
    head = request("OPTIONS * HTTP/1.1")
    assert (head.path, head.query) == (b"*", b"")


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
    "start", ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET /", "GET / RTSP/1.0", "SOURCE / ICE/1.0"]
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
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
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
    assert refused(data) == (400, "malformed request: more than one Host field")


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
        "TE: trailers",
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
        b"transfer-encoding": b"chunked",
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


def test_an_upgrade_stands_as_if_it_had_not_been_asked_for() -> None:
    head = request("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "X: y", "Content-Length: 4")
    assert (head.forwarded, head.keep_alive, head.body_bytes) == (b"X: y\r\n", True, 4)


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
        (["Transfer-Encoding: gzip, chunked"], 501),
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
    data = head_bytes("HTTP/1.1 200 OK", "X: " + "y" * 1100)
    assert parse_response_head(data, MAX_FIELDS) is not parse_response_head(data, MAX_FIELDS)


def test_limits_are_what_they_were_given() -> None:
    limits = HeadLimits(65536, 100)
    assert (limits.max_bytes, limits.max_fields) == (65536, 100)
