"""The fields of requests: which travel on, which are refused, and what they say of the body."""

import pytest

from priolb.http.framing import CHUNKED
from priolb.http.parser import parse_request_head
from support.heads import head_bytes, refused, request_head

# The fields of a request


@pytest.mark.parametrize(("count", "is_taken"), [(3, True), (4, False)])
def test_the_number_of_fields_is_bounded(count: int, is_taken: bool) -> None:
    data = head_bytes("GET / HTTP/1.1", *["Host: a", "X: 1", "X: 2", "X: 3"][:count])
    if is_taken:
        assert parse_request_head(data, 3).forwarded == b"X: 1\r\nX: 2\r\n"
    else:
        assert refused(data, 3) == (431, "more than 3 header fields")


def test_fields_of_this_connection_and_of_framing_do_not_travel_on() -> None:
    head = request_head(
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
    head = request_head("GET / HTTP/1.1", "x-b: 1", "X-A:2", "X-b:  a  b", "X-C:", "X-D: \xe9")
    assert head.forwarded == b"x-b: 1\r\nX-A: 2\r\nX-b: a  b\r\nX-C: \r\nX-D: \xe9\r\n"


@pytest.mark.parametrize("padded", ["true ", "true\t", "  true \t "])
def test_blanks_around_a_value_are_no_part_of_it(padded: str) -> None:
    """RFC 9110, section 5.5."""
    head = request_head("POST / HTTP/1.1", f"X-Fast-Track: {padded}", "Content-Length: 3 ")
    assert head.known[b"x-fast-track"] == b"true"
    assert head.body_bytes == 3


def test_several_lines_of_a_name_are_one_list() -> None:
    head = request_head("GET / HTTP/1.1", "X-Request-ID: a", "X-REQUEST-ID: b", "X-Request-ID: c")
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
    head = request_head("GET / HTTP/1.1", "X-A: 1", "X-Keep: 2", *lines, "x-b: 3", "X-A: 4")
    assert head.forwarded == b"X-Keep: 2\r\n"


def test_what_connection_names_is_dropped_only_by_its_whole_name() -> None:
    head = request_head(
        "GET / HTTP/1.1", "Connection: a, close, keep-alive", "A-B: 1", "BA: 2", "A: 3", "Close: 4"
    )
    assert head.forwarded == b"A-B: 1\r\nBA: 2\r\nClose: 4\r\n"


def test_a_client_cannot_name_the_framing_away() -> None:
    head = request_head("POST / HTTP/1.1", "Connection: content-length, host", "Content-Length: 5")
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
    assert request_head(f"POST / HTTP/{version}", *lines, *framing).keep_alive is keep_alive


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


def test_an_upgrade_travels_on_with_its_connection_field() -> None:
    """RFC 9110, section 7.8."""
    head = request_head(
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
    head = request_head(start, *lines, "X: y")
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
    head = request_head("GET / HTTP/1.1", *[f"TE: {value}" for value in te])
    assert head.forwarded == (b"Connection: TE\r\nTE: trailers\r\n" if travels else b"")
    assert not head.is_special


def test_trailers_and_an_upgrade_share_the_connection_field() -> None:
    head = request_head("GET / HTTP/1.1", "TE: trailers", *UPGRADE)
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
    assert request_head(start, *lines).expects_continue is expects


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
    head = request_head(f"{method} / HTTP/1.1", f"Max-Forwards: {value}")
    assert head.max_forwards == limit
    assert head.forwarded == f"Max-Forwards: {travels}\r\n".encode()
    assert not head.is_special


def test_a_request_that_may_not_be_forwarded_is_special() -> None:
    head = request_head("TRACE / HTTP/1.1", "Max-Forwards: 0")
    assert (head.max_forwards, head.is_special) == (0, True)


def test_a_request_with_little_time_says_so_and_its_field_travels_on() -> None:
    head = request_head("POST / HTTP/1.1", "X-Request-Timeout: 0.25", "GRPC-Timeout: 100m")
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
    head = request_head("GET / HTTP/1.1", *[f"{name}: {value}" for name, value in lines.items()])
    assert head.forwarded == b""
    assert head.known == {
        b"host": b"a",
        **{name.lower().encode(): value.encode() for name, value in lines.items()},
    }
    assert head.is_special  # it has passed a proxy, and may do so again


def test_a_claim_of_a_proxy_that_connection_names_is_dropped() -> None:
    head = request_head("GET / HTTP/1.1", "Connection: x-real-ip", "X-Real-IP: a", "X-Forwarded-Port: 1")
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
    assert request_head("POST / HTTP/1.1", *lines).body_bytes == body_bytes


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
