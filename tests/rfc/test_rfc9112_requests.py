"""Requests on the wire, section by section of RFC 9112: what is refused, and what a node gets of the rest.

Each case goes through all that is between the sockets. What is refused never reaches a node, and ends its
connection.
"""

import pytest

from support.messages import ANSWER, HOST, VIA
from support.rig import Rig

CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n"


def request(fields: bytes = HOST, line: bytes = b"POST /a HTTP/1.1", body: bytes = b"") -> bytes:
    return line + b"\r\n" + fields + b"\r\n" + body


def sized(length: bytes, body: bytes = b"") -> bytes:
    return request(HOST + b"Content-Length: " + length + b"\r\n", body=body)


def chunked(body: bytes) -> bytes:
    return request(CHUNKED, body=body)


REFUSED = [
    # 2.2 Message parsing
    ("2.2 a bare LF ends the request line", 400, b"GET /a HTTP/1.1\nHost: balancer\r\n\r\n"),
    ("2.2 a bare LF ends a field", 400, request(b"Host: balancer\nX: y\r\n")),
    ("2.2 bare LFs end all lines", 400, b"GET /a HTTP/1.1\nHost: balancer\n\n"),
    ("2.2 bare CRs end all lines", 400, b"GET /a HTTP/1.1\rHost: balancer\r\r"),
    ("2.2 a bare LF before the request", 400, b"\nGET /a HTTP/1.1\r\n"),
    ("2.2 a bare CR in the request line", 400, request(line=b"GET /a\rb HTTP/1.1")),
    ("2.2 a bare CR in a value", 400, request(HOST + b"X: a\rb\r\n")),
    ("2.2 a bare CR at the end of a value", 400, request(HOST + b"X: a\r\r\n")),
    ("2.2 a bare CR before the request", 400, b"\rGET /a HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("2.2 blanks before the first field", 400, request(b" X: y\r\n" + HOST)),
    ("2.2 a blank line of blanks", 400, b" \r\nGET /a HTTP/1.1\r\n" + HOST + b"\r\n"),
    # 2.3 Version
    ("2.3 version 2.0", 505, request(line=b"GET /a HTTP/2.0")),
    ("2.3 version 1.2", 505, request(line=b"GET /a HTTP/1.2")),
    ("2.3 no version", 505, request(line=b"GET /a")),
    ("2.3 a version in lower case", 400, request(line=b"GET /a http/1.1")),
    ("2.3 a version of many digits", 400, request(line=b"GET /a HTTP/1.11")),
    ("2.3 a version of one digit", 400, request(line=b"GET /a HTTP/1")),
    # 3 Request line
    ("3 two blanks", 400, request(line=b"GET  /a HTTP/1.1")),
    ("3 a tab", 400, request(line=b"GET\t/a HTTP/1.1")),
    ("3 a blank at its end", 400, request(line=b"GET /a HTTP/1.1 ")),
    ("3 a blank at its start", 400, request(line=b" GET /a HTTP/1.1")),
    ("3.1 a method that is no token", 400, request(line=b"GE{T /a HTTP/1.1")),
    ("3.1 no method", 400, request(line=b" /a HTTP/1.1")),
    ("3.2 a blank in the target", 400, request(line=b"GET /a b HTTP/1.1")),
    ("3.2 NUL in the target", 400, request(line=b"GET /a\x00b HTTP/1.1")),
    ("3.2 a byte above ASCII in the target", 400, request(line=b"GET /\xc3\xa9 HTTP/1.1")),
    ("3.2 a fragment", 400, request(line=b"GET /a#b HTTP/1.1")),
    ("3.2.1 a path without a slash", 400, request(line=b"GET a HTTP/1.1")),
    ("3.2.2 another scheme", 400, request(line=b"GET ftp://x/ HTTP/1.1")),
    ("3.2.2 a user part", 400, request(line=b"GET http://u:p@x/ HTTP/1.1")),
    ("3.2.2 no host", 400, request(line=b"GET http:///a HTTP/1.1")),
    ("3.2.3 CONNECT", 501, request(line=b"CONNECT x:443 HTTP/1.1")),
    ("3.2.4 an asterisk for GET", 400, request(line=b"GET * HTTP/1.1")),
    ("3.2 no Host", 400, request(b"X: y\r\n")),
    ("3.2 two Hosts", 400, request(HOST + HOST)),
    ("3.2 two Hosts that differ", 400, request(HOST + b"Host: b\r\n")),
    ("3.2 a list of hosts", 400, request(b"Host: a, b\r\n")),
    ("3.2 a Host with a path", 400, request(b"Host: a/b\r\n")),
    ("3.2 a Host with a port that is none", 400, request(b"Host: a:b\r\n")),
    ("3.2 a Host with half a literal", 400, request(b"Host: [::1\r\n")),
    ("3.2 a Host with a user part", 400, request(b"Host: u@a\r\n")),
    # 5 Fields
    ("5.1 a blank before the colon", 400, request(HOST + b"X : y\r\n")),
    ("5.1 a tab before the colon", 400, request(HOST + b"X\t: y\r\n")),
    ("5.1 a blank before the colon of a length", 400, request(HOST + b"Content-Length : 3\r\n", body=b"abc")),
    ("5 no colon", 400, request(HOST + b"X\r\n")),
    ("5 no name", 400, request(HOST + b": y\r\n")),
    ("5 a name with a blank", 400, request(HOST + b"X Y: z\r\n")),
    ("5 a name with a byte above ASCII", 400, request(HOST + b"X\xe9: y\r\n")),
    ("5 NUL in a value", 400, request(HOST + b"X: a\x00b\r\n")),
    ("5 a control byte in a value", 400, request(HOST + b"X: a\x0bb\r\n")),
    ("5 DEL in a value", 400, request(HOST + b"X: a\x7fb\r\n")),
    ("5.2 a folded line", 400, request(HOST + b"X: a\r\n b\r\n")),
    ("5.2 a line folded by a tab", 400, request(HOST + b"X: a\r\n\tb\r\n")),
    ("5.2 a folded coding", 400, request(HOST + b"Transfer-Encoding:\r\n chunked\r\n", body=b"0\r\n\r\n")),
    # 6 Message body
    ("6.1 a coding in HTTP/1.0", 400, request(CHUNKED, b"POST /a HTTP/1.0", b"0\r\n\r\n")),
    ("6.1 another coding", 400, request(HOST + b"Transfer-Encoding: gzip\r\n")),
    ("6.1 a coding before chunked", 400, request(HOST + b"Transfer-Encoding: gzip, chunked\r\n")),
    ("6.1 chunked twice", 400, request(HOST + b"Transfer-Encoding: chunked, chunked\r\n")),
    ("6.1 chunked in two lines", 400, request(CHUNKED + b"Transfer-Encoding: chunked\r\n")),
    ("6.1 chunked and not last", 400, request(HOST + b"Transfer-Encoding: chunked, gzip\r\n")),
    ("6.1 identity", 400, request(HOST + b"Transfer-Encoding: identity\r\n")),
    ("6.1 chunked in quotes", 400, request(HOST + b'Transfer-Encoding: "chunked"\r\n')),
    ("6.1 chunked with a parameter", 400, request(HOST + b"Transfer-Encoding: chunked;a=b\r\n")),
    ("6.1 a coding behind a vertical tab", 400, request(HOST + b"Transfer-Encoding: \x0bchunked\r\n")),
    ("6.1 no coding", 400, request(HOST + b"Transfer-Encoding:\r\n")),
    ("6.3 a length and a coding", 400, request(CHUNKED + b"Content-Length: 5\r\n", body=b"0\r\n\r\n")),
    (
        "6.3 a coding and a length",
        400,
        request(b"Content-Length: 5\r\n" + CHUNKED, body=b"0\r\n\r\n"),
    ),
    ("6.3 two lengths that differ", 400, sized(b"3\r\nContent-Length: 4", b"abcd")),
    ("6.3 one length twice", 400, sized(b"3\r\nContent-Length: 3", b"abc")),
    ("6.3 a list of lengths", 400, sized(b"3, 3", b"abc")),
    ("6.3 a signed length", 400, sized(b"+3", b"abc")),
    ("6.3 a negative length", 400, sized(b"-1")),
    ("6.3 a length in hexadecimal", 400, sized(b"0x3", b"abc")),
    ("6.3 a length with a blank in it", 400, sized(b"1 3", b"abc")),
    ("6.3 a length with an underscore", 400, sized(b"1_0", b"abc")),
    ("6.3 a length that is not ASCII", 400, sized(b"\xb2", b"abc")),
    ("6.3 a length beyond 64 bits", 400, sized(b"18446744073709551616")),
    ("6.3 no length", 400, sized(b"")),
    # 7.1 Chunked transfer coding
    ("7.1 a size that is no number", 400, chunked(b"x\r\n")),
    ("7.1 no size", 400, chunked(b"\r\n")),
    ("7.1 a signed size", 400, chunked(b"+1\r\na\r\n0\r\n\r\n")),
    ("7.1 a negative size", 400, chunked(b"-1\r\na\r\n0\r\n\r\n")),
    ("7.1 a prefixed size", 400, chunked(b"0x1\r\na\r\n0\r\n\r\n")),
    ("7.1 a size beyond 64 bits", 400, chunked(b"10000000000000000\r\n")),
    ("7.1 a blank before the size", 400, chunked(b" 1\r\na\r\n0\r\n\r\n")),
    ("7.1 a blank behind the size", 400, chunked(b"1 \r\na\r\n0\r\n\r\n")),
    ("7.1 a bare LF behind the size", 400, chunked(b"1\na\r\n0\r\n\r\n")),
    ("7.1 a bare CR behind the size", 400, chunked(b"1\ra\r\n0\r\n\r\n")),
    ("7.1 a bare LF behind the data", 400, chunked(b"1\r\na\n0\r\n\r\n")),
    ("7.1 a chunk longer than its size", 400, chunked(b"1\r\nab\r\n0\r\n\r\n")),
    ("7.1 a bare LF ends the body", 400, chunked(b"0\r\n\n")),
    ("7.1.1 a bare LF in an extension", 400, chunked(b"1;a\nb\r\na\r\n0\r\n\r\n")),
    ("7.1.1 a bare CR in an extension", 400, chunked(b"1;a\rb\r\na\r\n0\r\n\r\n")),
    ("7.1.1 NUL in an extension", 400, chunked(b"1;a\x00b\r\na\r\n0\r\n\r\n")),
    ("7.1.1 an endless extension", 400, chunked(b"1;" + b"a" * 300)),
    ("7.1.2 a trailer without a colon", 400, chunked(b"0\r\nX\r\n\r\n")),
    ("7.1.2 a blank before the colon of a trailer", 400, chunked(b"0\r\nX : y\r\n\r\n")),
    ("7.1.2 a folded trailer", 400, chunked(b"0\r\nX: y\r\n z\r\n\r\n")),
    ("7.1.2 a control byte in a trailer", 400, chunked(b"0\r\nX: \x01\r\n\r\n")),
    ("7.1.2 an endless trailer section", 400, chunked(b"0\r\n" + b"X: y\r\n" * 3000)),
    # RFC 9110, section 5.4, and 4.1
    ("9110 5.4 an endless head", 431, request(HOST + b"X: %s\r\n" % (b"y" * 70000))),
    ("9110 5.4 endless fields", 431, request(HOST + b"X: y\r\n" * 101)),
    ("9110 4.1 an endless target", 414, request(line=b"GET /%s HTTP/1.1" % (b"a" * 70000))),
    ("9110 10.1.1 another expectation", 417, request(HOST + b"Expect: more\r\nContent-Length: 1\r\n")),
]


@pytest.mark.parametrize(
    ("status", "data"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_is_refused_never_forwarded_and_ends_the_connection(status: int, data: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(data + b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nConnection: close\r\n" in answer and b"\r\nProxy-Status: lb; error=" in answer
        assert client.is_ended
        assert node.is_quiet()
        rig.advance(5.1)
        assert client.is_lost


@pytest.mark.parametrize(
    ("status", "data"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_is_refused_byte_by_byte_as_well(status: int, data: bytes) -> None:
    """The status is the same but for bounds, which are reached before the rest can be judged."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        for at in range(len(data)):
            client.send(data[at : at + 1])
            if client.is_ended:
                break
        assert client.take().startswith(b"HTTP/1.1 %d " % status)
        assert client.is_ended
        assert node.is_quiet()


def at_node(line: bytes = b"POST /a", fields: bytes = b"", body: bytes = b"", minor: int = 1) -> bytes:
    via = VIA.replace(b"1.1", b"1.%d" % minor)
    return b"%s HTTP/1.1\r\nHost: node-1\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
        line,
        fields,
        via,
        len(body),
        body,
    )


TAKEN = [
    ("2.2 empty lines before a request", b"\r\n\r\n" + sized(b"1", b"x"), at_node(body=b"x")),
    ("2.3 HTTP/1.0 without Host", request(b"", b"POST /a HTTP/1.0"), at_node(minor=0)),
    ("3.1 a method of an extension", request(line=b"BREW /a HTTP/1.1"), at_node(b"BREW /a")),
    ("3.2.1 a target with a query", request(line=b"POST /a?b=%20&c HTTP/1.1"), at_node(b"POST /a?b=%20&c")),
    ("9110 7.7 a query that is empty", request(line=b"POST /a? HTTP/1.1"), at_node(b"POST /a?")),
    ("3.2.2 an absolute target", request(line=b"POST HTTP://x:1/a?b HTTP/1.1"), at_node(b"POST /a?b")),
    ("3.2.4 an asterisk for OPTIONS", request(line=b"OPTIONS * HTTP/1.1"), None),
    ("3.2.4 an absolute target for OPTIONS without a path", request(line=b"OPTIONS http://x HTTP/1.1"), None),
    ("3.2 an empty Host", request(b"Host:\r\n"), at_node()),
    ("5.1 blanks around a value", request(HOST + b"X: \t a b \t\r\n"), at_node(fields=b"X: a b \t\r\n")),
    ("5.1 no blank behind the colon", request(HOST + b"X:y\r\n"), at_node(fields=b"X: y\r\n")),
    (
        "5 a value of bytes above ASCII",
        request(HOST + b"X: \x80\xff\r\n"),
        at_node(fields=b"X: \x80\xff\r\n"),
    ),
    ("6.2 zeros in front of a length", sized(b"0003", b"abc"), at_node(body=b"abc")),
    ("6.2 a length of zero", sized(b"0"), at_node()),
    ("6.1 case of chunked", request(HOST + b"Transfer-Encoding: Chunked\r\n", body=b"0\r\n\r\n"), at_node()),
    (
        "7.1 several chunks",
        chunked(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        at_node(body=b"abc0123456789"),
    ),
    ("7.1 zeros in front of a size", chunked(b"0001\r\na\r\n000\r\n\r\n"), at_node(body=b"a")),
    ("7.1.1 extensions", chunked(b'1;a;b="c;d" ;e\r\na\r\n0;f\r\n\r\n'), at_node(body=b"a")),
]


@pytest.mark.parametrize("is_split", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_is_taken_and_written_anew(data: bytes, expected: bytes | None, is_split: bool) -> None:
    expected = expected or b"OPTIONS * HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"\r\n"
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        for at in range(len(data)) if is_split else ():
            client.send(data[at : at + 1])
        if not is_split:
            client.send(data)
        call = node.accept()
        assert call.take() == expected
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


def test_7_1_2_trailers_follow_a_chunked_body_to_the_node() -> None:
    """But for those that have no place there (RFC 9110, section 6.5.1)."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(
            request(
                CHUNKED + b"Trailer: X-Sum\r\n",
                body=b"2\r\nab\r\n0\r\nX-Sum:  1 \r\nContent-Length: 9\r\nHost: x\r\nCookie: c\r\n\r\n",
            )
        )
        call = node.accept()
        assert call.take() == (
            b"POST /a HTTP/1.1\r\nHost: node-1\r\n"
            + VIA
            + b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        call.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")
        assert rig.engine.idle.count == 0, "how the node read the trailers is for it to know"


def test_7_1_2_trailers_that_connection_nominates_do_not_reach_the_node() -> None:
    """RFC 9110, section 7.6.1."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        fields = b"Transfer-Encoding: chunked\r\nConnection: keep-alive, X-Hop\r\n"
        client.send(b"POST /a HTTP/1.1\r\nHost: balancer\r\n" + fields)
        client.send(b"\r\n1\r\na\r\n0\r\nX-Sum: 2\r\nX-Hop: 1\r\n\r\n")
        call = node.accept()
        assert call.take().endswith(b"\r\n\r\n1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n")
        call.send(ANSWER)


def test_9_3_2_pipelined_requests_are_answered_in_their_order() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(sized(b"1", b"a") + chunked(b"1\r\nb\r\n0\r\n\r\n") + request(line=b"GET /c HTTP/1.1"))
        call = node.accept()
        for body in (b"a", b"b"):
            assert call.take() == at_node(body=body)
            call.send(ANSWER)
        assert call.take() == b"GET /c HTTP/1.1\r\nHost: node-1\r\n" + VIA + b"\r\n"
        call.send(ANSWER)
        assert client.take().count(b"HTTP/1.1 200 OK\r\n") == 3


@pytest.mark.parametrize(
    ("line", "fields", "stays"),
    [
        (b"GET /a HTTP/1.1", HOST, True),
        (b"GET /a HTTP/1.1", HOST + b"Connection: close\r\n", False),
        (b"GET /a HTTP/1.0", HOST, False),
        (b"GET /a HTTP/1.0", HOST + b"Connection: keep-alive\r\n", True),
    ],
)
def test_9_3_a_connection_stays_as_its_version_and_its_client_say(
    line: bytes, fields: bytes, stays: bool
) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(request(fields, line))
        node.accept().send(ANSWER)
        rig.run()
        assert client.is_lost is not stays


def test_9_8_a_body_that_ends_early_reaches_no_node() -> None:
    """Section 8: what is incomplete is no request."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(sized(b"3", b"ab"))
        client.end()
        rig.run()
        assert client.take() == b"" and client.is_lost
        assert node.is_quiet()
