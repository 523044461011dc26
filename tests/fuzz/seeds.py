"""What fuzzing starts from: messages that parsers have read in more than one way, and plain ones beside them.

The cases are facts known from public suites (llhttp's, h11's and Go's, the published ways of smuggling
requests), put in our own words.
"""

from base64 import b64encode

KEY = b64encode(b"0123456789abcdef")

SMUGGLED = "\r\n" * 40 + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def lines(*parts: str) -> bytes:
    """Return lines that each end in CR LF; the last one is followed by nothing."""
    return "\r\n".join(parts).encode("latin-1")


REQUESTS = [
    lines("GET / HTTP/1.1", "Host: a", "", ""),
    lines("GET /a/b?c=d&e HTTP/1.1", "Host: a:80", "Accept: */*", "Accept: text/html;q=0.1", "", ""),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 2", "", "{}"),
    lines("POST /x HTTP/1.1", "Host: a", "Content-Type: text/plain", "Content-Length: 40", "", "x" * 40),
    lines("HEAD /h HTTP/1.1", "Host: a", "", ""),
    lines("PUT /p HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3", "abc", "0", "", ""),
    lines("PATCH /p HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked", "Trailer: X-Sum", "")
    + lines("", '1e;name=value;other="a;b"', "y" * 30, "00", "X-Sum: 1", "Content-Length: 9", "", ""),
    lines("GET / HTTP/1.0", "", ""),
    lines("POST / HTTP/1.0", "Connection: keep-alive", "Content-Length: 2", "", "[]"),
    lines("OPTIONS * HTTP/1.1", "Host: a", "Max-Forwards: 1", "", ""),
    lines("TRACE /t HTTP/1.1", "Host: a", "Max-Forwards: 0", "Cookie: a=b", "", ""),
    lines("GET http://b:81/abs?q HTTP/1.1", "Host: a", "", ""),
    lines("GET http://b HTTP/1.1", "Host: a", "", ""),
    lines("PROPFIND /dav/../x%2e%2e/ HTTP/1.1", "Host: [::1]:8080", "Depth: 1", "Content-Length: 0", "", ""),
    lines("M-SEARCH /m HTTP/1.1", "Host:", "", ""),
    lines("POST / HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 3", "", "abc"),
    lines("GET /ws HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "")
    + lines(f"Sec-WebSocket-Key: {KEY.decode()}", "Sec-WebSocket-Version: 13", "", "", "frames"),
    lines("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "", ""),
    lines(
        "GET / HTTP/1.1", "Host: a", "Connection: close, x-mine", "X-Mine: 1", "TE: trailers, gzip", "", ""
    ),
    lines("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 9.9.9.9", "Forwarded: for=x", "Via: 1.1 b", "", ""),
    lines("", "", "GET /after-empty-lines HTTP/1.1", "Host: a", "", ""),
    lines("DELETE /d HTTP/1.1", "Host: a", "Content-Length: 1", "", "d"),
    lines("GET /one HTTP/1.1", "Host: a", "", "GET /two HTTP/1.1", "Host: a", "")
    + lines("", "POST /three HTTP/1.1", "Host: a", "Content-Length: 1", "", "3"),
    # Bodies that would be requests, wherever somebody lost his place in them
    lines("PUT /p HTTP/1.1", "Host: a", f"Content-Length: {len(SMUGGLED)}", "", SMUGGLED),
    lines(
        "PUT /p HTTP/1.1",
        "Host: a",
        "Transfer-Encoding: chunked",
        "",
        f"{len(SMUGGLED):x}",
        SMUGGLED,
        "0",
        "",
        "",
    ),
    # Two lengths, in one way or the other
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Transfer-Encoding: chunked", "", "0", "", "G"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 4", "", "abcd"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 3", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3, 3", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: identity", "Content-Length: 3", "", "abc"),
    # Codings that one reader knows and another does not
    lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked", "", "0", "", ""),
    lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, chunked", "", "0", "", ""),
    lines(
        "POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked", "", "0", "", ""
    ),
    lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:\x0bchunked", "", "0", "", ""),
    lines("POST / HTTP/1.1", "Host: a", "Transfer-Encoding", " : chunked", "", "0", "", ""),
    lines("POST / HTTP/1.1", "Host: a", 'Transfer-Encoding: "chunked"', "", "0", "", ""),
    lines("POST / HTTP/1.0", "Transfer-Encoding: chunked", "", "0", "", ""),
    # Lengths that are no plain number
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: +3", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 0x3", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 1_0", "", "0123456789"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 3 0", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: ", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 003", "", "abc"),
    lines("POST / HTTP/1.1", "Host: a", "Content-Length: 18446744073709551618", "", "ab"),
    # Lines and fields that are not what they seem
    lines("GET / HTTP/1.1", "Host : a", "", ""),
    lines("GET / HTTP/1.1", "Host: a", " folded: x", "", ""),
    lines("GET / HTTP/1.1", " Host: a", "", ""),
    lines("GET / HTTP/1.1", "Host: a", ": nameless", "", ""),
    lines("GET / HTTP/1.1", "Host: a", "no colon", "", ""),
    lines("GET / HTTP/1.1", "Host: a", "X: nul\0", "", ""),
    lines("GET / HTTP/1.1", "Host: a", "X: bare\rreturn", "", ""),
    lines("GET / HTTP/1.1", "Host: a", "X\xe9: name", "Y: \xe9", "", ""),
    lines("GET / HTTP/1.1", "Host: a", "Host: b", "", ""),
    lines("GET / HTTP/1.1", "Host: a@b", "", ""),
    lines("GET / HTTP/1.1", "", ""),
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    b"GET / HTTP/1.1\rHost: a\r\r",
    lines("GET  / HTTP/1.1", "Host: a", "", ""),
    lines("GET\t/ HTTP/1.1", "Host: a", "", ""),
    lines("GET / HTTP/1.1 ", "Host: a", "", ""),
    lines("GET /a b HTTP/1.1", "Host: a", "", ""),
    lines("get / HTTP/1.1", "Host: a", "", ""),
    lines("GET / http/1.1", "Host: a", "", ""),
    lines("GET / HTTP/1.2", "Host: a", "", ""),
    lines("GET / HTTP/01.1", "Host: a", "", ""),
    lines("GET / HTTP/2.0", "Host: a", "", ""),
    lines("GET / ICE/1.0", "Host: a", "", ""),
    lines("GET /", "", ""),
    lines("GET /#fragment HTTP/1.1", "Host: a", "", ""),
    lines("GET ftp://a/ HTTP/1.1", "Host: a", "", ""),
    lines("CONNECT a:443 HTTP/1.1", "Host: a:443", "", ""),
    lines("PRI * HTTP/2.0", "", "SM", "", ""),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]

ANSWERS = [
    lines("HTTP/1.1 200 OK", "Content-Length: 2", "", "[]"),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[]", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum", "", "2;a=b", "[]", "0", "")[:-2]
    + lines("", "X-Sum: 1", "Set-Cookie: a=b", "", ""),
    lines("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "", "data: 1\n\ndata: 2\n\n"),
    lines("HTTP/1.0 200 OK", "", "until the end"),
    lines("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 3", "", "abc"),
    lines("HTTP/1.1 204 No Content", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 304 Not Modified", "Content-Length: 99", 'ETag: "x"', "", ""),
    lines("HTTP/1.1 200", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 200 ", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 404 Not Found", "Content-Length: 4", "Connection: close", "", "gone"),
    lines("HTTP/1.1 500 No", "Transfer-Encoding: chunked", "", "4", "oops", "0", "", ""),
    lines("HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 103 Early Hints", "Link: </a>", "", "HTTP/1.1 200 OK", "Content-Length: 1", "", "x"),
    lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "", "\x81\x02hi"),
    lines("HTTP/1.1 101 Switching Protocols", "Upgrade: other", "", ""),
    lines("HTTP/1.1 426 Upgrade Required", "Upgrade: websocket", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 200 OK", "Content-Length: 2", "", "[]HTTP/1.1 200 OK", "Content-Length: 6", "", "poison"),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[]", "0", "", "HTTP/1.1 200 OK", "", ""),
    lines("HTTP/1.1 200 OK", "Content-Length: 2", "Transfer-Encoding: chunked", "", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", "", "abc"),
    lines("HTTP/1.1 200 OK", "Content-Length: 2, 2", "", "[]"),
    lines("HTTP/1.1 200 OK", "Content-Length: -1", "", "[]"),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", "", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: identity", "", "[]"),
    lines("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", "", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Content-Length : 2", "", "[]"),
    lines("HTTP/1.1 200 OK", "X: y", " folded", "Content-Length: 2", "", "[]"),
    lines("HTTP/1.1 200 OK", "X: a\0b", "Content-Length: 2", "", "[]"),
    lines("HTTP/1.1 200 O\x01K", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 099 Low", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 2000 Long", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 20 Short", "Content-Length: 0", "", ""),
    lines("HTTP/2.0 200 OK", "Content-Length: 0", "", ""),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[]x", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "-1", "[]", "0", "", ""),
    lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "2", "[]", "0", "bad trailer", "", ""),
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\n[]",
    b"SSH-2.0-node\r\n",
    b"[]",
]

CHUNKED_BODIES = [
    lines("0", "", ""),
    lines("3", "abc", "0", "", ""),
    lines("a", "0123456789", "A", "0123456789", "0", "", "rest"),
    lines("003", "abc", "000", "", ""),
    lines("3;name", "abc", "3 ;name=value", "def", '0;last="\xe9"', "", ""),
    lines("3", "abc", "0", "X: y", "Content-Length: 3", "Z:", "", "GET / HTTP/1.1"),
    lines("ffffffffffffffff", "abc"),
    lines("10000000000000000", "abc"),
    lines("0x3", "abc", "0", "", ""),
    lines("+3", "abc", "0", "", ""),
    lines(" 3", "abc", "0", "", ""),
    lines("3 ", "abc", "0", "", ""),
    lines("", "3", "abc", "0", "", ""),
    lines("3", "abcd", "0", "", ""),
    lines("3", "ab", "0", "", ""),
    lines("3;a\0b", "abc", "0", "", ""),
    lines("3;a\nb", "abc", "0", "", ""),
    b"3\nabc\n0\n\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\n",
    b"3\r\nabc0\r\n\r\n",
    lines("0", "no colon", "", ""),
    lines("0", " folded: x", "", ""),
    lines("0", "X : y", "", ""),
    lines("3;" + "x" * 300, "abc", "0", "", ""),
    lines("0", "X: " + "x" * 17000, "", ""),
]
