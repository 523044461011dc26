"""Whatever comes in: h11 reads what we write as we read what came, and nothing but our errors is raised."""

import json
from itertools import pairwise

import h11
import hypothesis.strategies as st
from hypothesis import assume, event, example, given, settings

from priolb.errors import ClientError, FramingError, NodeError, Reason
from priolb.http.body import ChunkedReader
from priolb.http.framing import CHUNKED
from priolb.http.messages import RequestHead
from priolb.http.parser import HEAD_END, parse_request_head, parse_response_head
from priolb.http.refusal import Refusals
from priolb.http.rewrite import Target
from priolb.http.writer import answer_start, chunk, connection_field, is_chunked_to_client, last_chunk
from support.examples import examples

Fields = list[tuple[bytes, bytes]]

MAX_FIELDS = 100
NODE = Target("node:8545", "", "")
NO_LENGTH_METHODS = [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"]
HOP_BY_HOP = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
]

# Fields


def bytes_of(alphabet: str, max_size: int, min_size: int = 0) -> st.SearchStrategy[bytes]:
    return st.text(alphabet, min_size=min_size, max_size=max_size).map(lambda text: text.encode("latin-1"))


TOKEN = "!#$%&'*+-.^_`|~09azAZ"
KNOWN_NAMES = (
    "Accept accept Cookie X-Fast-Track x-request-id Authorization Content-Type TE Trailer Keep-Alive "
    "Proxy-Connection Upgrade Expect X-PrioLB-Mine"
)
names = st.one_of(
    st.sampled_from(KNOWN_NAMES.encode().split()),
    bytes_of(TOKEN, 8, min_size=1),
)
values = bytes_of(' \t!"(),/:;<=>?@[\\]{}~aZ09é\x80\xa0\xff', 12)
connection_options = st.lists(
    st.one_of(st.sampled_from([b"close", b"keep-alive", b"Accept", b"cookie", b"x-request-id", b""]), names),
    min_size=1,
    max_size=3,
).map(b", ".join)
field_lines = st.lists(
    st.one_of(
        st.tuples(names, values),
        st.tuples(st.sampled_from([b"Connection"]), connection_options),
        st.sampled_from(
            [
                (b"TE", b"gzip, trailers"),
                (b"Connection", b"Upgrade"),
                (b"upgrade", b"websocket"),
                (b"Expect", b"100-continue"),
            ]
        ),
    ),
    max_size=8,
)


def rendered(start: bytes, fields: Fields) -> bytes:
    return start + b"\r\n" + b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"


def end_to_end(fields: Fields, dropped: list[bytes]) -> Fields:
    """What of these fields may travel on: RFC 9110, section 7.6.1, with names in lower case."""
    nominated = [
        option.strip().lower()
        for name, value in fields
        if name.lower() == b"connection"
        for option in value.split(b",")
    ]
    gone = [*HOP_BY_HOP, *dropped, *(each for each in nominated if each not in {b"close", b"keep-alive"})]
    return [(name.lower(), value.strip(b" \t")) for name, value in fields if name.lower() not in gone]


def members_of(fields: Fields, name: bytes) -> list[bytes]:
    """The members of a list that may stand in several lines, in lower case."""
    values = [value for key, value in fields if key.lower() == name]
    return [member.strip(b" \t").lower() for value in values for member in value.split(b",")]


def for_the_next_connection(fields: Fields, may_upgrade: bool) -> Fields:
    """What of these fields concerns the connection to the node: trailers, and a switch of protocols."""
    wants_trailers = b"trailers" in members_of(fields, b"te")
    upgrade = b", ".join(value.strip(b" \t") for name, value in fields if name.lower() == b"upgrade")
    protocols = [member.partition(b"/")[0] for member in members_of(fields, b"upgrade")]
    upgrades = (
        may_upgrade
        and upgrade != b""
        and b"upgrade" in members_of(fields, b"connection")
        and not {b"h2", b"h2c", b"http"}.intersection(protocols)
    )
    options = [b"upgrade"] * upgrades + [b"TE"] * wants_trailers
    expected = [(b"connection", b", ".join(options))] if options else []
    expected += [(b"te", b"trailers")] if wants_trailers else []
    return expected + ([(b"upgrade", upgrade)] if upgrades else [])


def without(fields: Fields, *names: bytes) -> Fields:
    return [(name, value) for name, value in fields if name not in names]


def value_of(fields: Fields, name: bytes) -> bytes | None:
    """The value of a field that may stand there once, or None."""
    found = [value for key, value in fields if key == name]
    assert len(found) <= 1
    return found[0] if found else None


# h11


def as_a_node_reads(data: bytes) -> tuple[h11.Request, bytes]:
    """Read one whole request, and make sure that nothing stands behind it."""
    node = h11.Connection(h11.SERVER)
    node.receive_data(data)
    request = node.next_event()
    assert isinstance(request, h11.Request)
    body = body_of(node)
    assert node.trailing_data == (b"", False)
    return request, body


def as_a_client_reads(data: bytes, method: bytes, is_ended: bool) -> tuple[h11.Response, bytes]:
    """Read one whole answer to a request of this method, and make sure that nothing stands behind it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    if is_ended:
        client.receive_data(b"")
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = body_of(client)
    assert client.trailing_data == (b"", is_ended)
    return response, body


def body_of(reader: h11.Connection) -> bytes:
    parts = []
    while not isinstance(got := reader.next_event(), h11.EndOfMessage):
        assert isinstance(got, h11.Data)
        parts.append(bytes(got.data))
    return b"".join(parts)


# Requests

methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND"])
url_ends = bytes_of("/aZ0%?&=._~!$'()*+,;:@-\"<>[]^`{|}#\\", 12)
targets = st.one_of(
    url_ends.map(lambda end: b"/" + end),
    st.sampled_from([b"*", b"http://host", b"HTTPS://u@host:1"]),
    url_ends.map(lambda end: b"http://host:80/" + end),
    url_ends.map(lambda end: b"http://host?" + end),
)
bodies = st.one_of(st.just(b""), st.just(b'{"method":"a","id":1}'), st.binary(max_size=40))


def parsed(data: bytes) -> RequestHead | ClientError:
    try:
        return parse_request_head(data, MAX_FIELDS)
    except ClientError as error:
        return error


def as_for_node(method: bytes, target: bytes) -> bytes:
    """The target as the node shall see it, from the client's: without scheme and host."""
    path, mark, query = target.partition(b"?")
    if method == b"OPTIONS" and target == b"http://host":
        return b"*"
    if not target.startswith((b"/", b"*")):
        path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
    return path + mark + query


def check_node_sees(
    head: RequestHead, method: bytes, target: bytes, fields: Fields, body: bytes, may_upgrade: bool
) -> None:
    """Let h11 judge what is written for a node, against what h11 or we know of the client's request."""
    data = NODE.request(head.method, head.path, head.query, b"", head.forwarded, body)
    request, received = as_a_node_reads(data)
    seen = list(request.headers)
    assert (request.method, request.target, request.http_version) == (method, target, b"1.1")
    assert value_of(seen, b"host") == b"node:8545"
    has_length = bool(body) or method not in NO_LENGTH_METHODS
    assert value_of(seen, b"content-length") == (b"%d" % len(body) if has_length else None)
    types = [value for name, value in end_to_end(fields, []) if name == b"content-type"]
    assert value_of(seen, b"content-type") == (b", ".join(types).strip(b" \t") if types else None)
    written_anew = [b"host", b"content-length", b"content-type"]
    for_the_node = for_the_next_connection(fields, may_upgrade)
    assert without(seen, *written_anew) == end_to_end(fields, [*written_anew, b"expect"]) + for_the_node
    assert received == body


@given(methods, targets, st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]), field_lines, bodies, st.booleans())
@settings(max_examples=examples(400))
@example(b"POST", b"/", b"HTTP/1.1", [(b"Connection", b"content-length, host, accept")], b"ab", False)
@example(b"POST", b"/", b"HTTP/1.1", [(b"Connection", b"transfer-encoding")], b"ab", True)
@example(b"GET", b"/", b"HTTP/1.1", [(b"Content-Type", b""), (b"content-type", b"a ")], b"", False)
@example(b"GET", b"/", b"HTTP/1.1", [(b"Content-Type", b"a"), (b"Connection", b"content-type")], b"", False)
@example(b"OPTIONS", b"http://host", b"HTTP/1.1", [], b"", False)
def test_a_node_reads_what_the_client_wrote(
    method: bytes, target: bytes, version: bytes, fields: Fields, body: bytes, is_chunked: bool
) -> None:
    """The same method, target, end-to-end fields and body, under framing and Host of our own."""
    framing = (b"Transfer-Encoding", b"chunked") if is_chunked else (b"Content-Length", b"%d" % len(body))
    fields = [(b"Host", b"client.example"), *fields, framing]
    head = parsed(rendered(b"%s %s %s" % (method, target, version), fields))
    if isinstance(head, ClientError):
        event(f"refused: {head}")
        if head.status == 417:
            assert version == b"HTTP/1.1"
            assert set(members_of(fields, b"expect")) not in ({b"100-continue"}, set())
            return
        assert head.status == 400
        assert (
            (is_chunked and version == b"HTTP/1.0")
            or (target == b"*" and method != b"OPTIONS")
            or not target.startswith((b"/", b"*"))
            or b"#" in target
        ), "what is well-formed is taken"
        return
    event("taken")
    assert head.body_bytes == (CHUNKED if is_chunked else len(body))
    assert head.minor == int(version[-1:])
    may_upgrade = head.minor == 1 and head.body_bytes == 0
    check_node_sees(head, method, as_for_node(method, target), fields, body, may_upgrade)


# Answers


@given(
    st.integers(200, 999),
    bytes_of("\t OKé\xff!", 8),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]),
    field_lines,
    st.binary(max_size=40),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.integers(0, 1),
)
@settings(max_examples=examples(400))
@example(204, b"", b"HTTP/1.1", [], b"", "length", b"GET", 1)
@example(304, b"", b"HTTP/1.1", [], b"ab", "length", b"GET", 1)
def test_a_client_reads_what_the_node_wrote(
    status: int,
    phrase: bytes,
    version: bytes,
    fields: Fields,
    body: bytes,
    framing: str,
    method: bytes,
    minor: int,
) -> None:
    """The same status, phrase, end-to-end fields and body, with a default for the type."""
    fields = [each for each in fields if not each[0].lower().startswith(b"x-priolb-")]
    if framing == "length":
        fields = [*fields, (b"Content-Length", b"%d" % len(body))]
    elif framing == "chunked":
        fields = [(b"Transfer-Encoding", b"chunked"), *fields]
    if framing == "chunked":
        version = b"HTTP/1.1"  # it is an error of the node in HTTP/1.0
    head = parse_response_head(rendered(b"%s %d %s" % (version, status, phrase), fields), MAX_FIELDS)
    body_bytes = 0 if method == b"HEAD" else head.body_bytes
    if body_bytes == 0:
        body = b""
    is_ended = body_bytes < 0 and minor == 0
    data = (
        answer_start(head, method, body_bytes, minor, is_json=True)
        + b"X-Own: 1\r\n"
        + connection_field(minor, not is_ended)
        + b"\r\n"
    )
    if is_chunked_to_client(body_bytes, minor):
        data += b"".join(chunk(body[at : at + 7]) for at in range(0, len(body), 7)) + last_chunk(b"")
    else:
        data += body
    response, received = as_a_client_reads(data, method, is_ended)
    assert (response.status_code, response.http_version) == (status, b"1.1")
    assert response.reason == phrase
    assert received == body
    seen = list(response.headers)
    own = [b"content-length", b"transfer-encoding", b"connection"]
    typed = end_to_end(fields, own)
    upgrade = [value.strip(b" \t") for name, value in fields if name.lower() == b"upgrade"]
    if status in {101, 426} and upgrade:
        typed += [(b"upgrade", b", ".join(upgrade).strip())]
    trailer = [value.strip(b" \t") for name, value in fields if name.lower() == b"trailer"]
    own_trailer = (
        [(b"trailer", b", ".join(trailer).strip())] if trailer and body_bytes < 0 and minor == 1 else []
    )
    if body_bytes != 0 and not any(name == b"content-type" for name, _ in typed):
        typed.append((b"content-type", b"application/json"))
    assert without(seen, *own) == [*typed, *own_trailer, (b"x-own", b"1")]


# Chunks


def encoded(chunks: list[tuple[bytes, bytes]], trailer: Fields) -> bytes:
    """Chunk a body in the most naive way."""
    parts = [b"%x%s\r\n%s\r\n" % (len(data), extension, data) for data, extension in chunks]
    return b"".join(parts) + rendered(b"0", trailer)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def decoded(pieces: list[bytes]) -> tuple[bytes, bool, bytes] | None:
    """Feed these pieces; None when the framing is broken."""
    decoder = ChunkedReader()
    body = rest = b""
    for piece in pieces:
        if decoder.done:
            rest += piece
            continue
        try:
            body += decoder.feed(piece)
        except FramingError:
            return None
        rest = decoder.rest
    return body, decoder.done, rest


extensions = st.sampled_from([b"", b"", b";a", b";a=b", b' ;a="b;\t"', b"\t;a"])
chunks_of_a_body = st.lists(st.tuples(st.binary(min_size=1, max_size=40), extensions), max_size=6)
cuts_of_data = st.lists(st.integers(0, 1000), max_size=8)


@given(chunks_of_a_body, field_lines, st.binary(max_size=10), cuts_of_data)
@settings(max_examples=examples(300))
def test_how_a_body_was_chunked_and_how_it_comes_change_nothing(
    chunks: list[tuple[bytes, bytes]], trailer: Fields, behind: bytes, cuts: list[int]
) -> None:
    data = encoded(chunks, trailer) + behind
    body = b"".join(part for part, _ in chunks)
    assert decoded(in_pieces(data, cuts)) == (body, True, behind)
    assert decoded([data[at : at + 1] for at in range(len(data))]) == (body, True, behind)


# Mutations

pieces = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\x00", b" ", b":", b"\t", b",", b"\xff", b"0" * 5000]),
)
LINES = (
    b"Content-Length: 1|Transfer-Encoding: chunked|Host: b|Connection: host, x-a|X-A:  b\t|Upgrade: x|"
    b"Connection: upgrade, close|Expect: 100-continue|Content-Type: a/b| folded"
)
lines = st.sampled_from(LINES.split(b"|"))
mutations = st.lists(
    st.one_of(
        st.tuples(st.just("line"), st.integers(0, 10_000), lines),
        st.tuples(
            st.sampled_from(["replace", "insert", "delete", "repeat", "cut"]), st.integers(0, 10_000), pieces
        ),
    ),
    max_size=4,
)


def mutated(data: bytes, steps: list[tuple[str, int, bytes]]) -> bytes:
    for kind, position, piece in steps:
        at = position % (len(data) + 1)
        end = at + len(piece)
        match kind:
            case "line":
                at = max(0, data.find(b"\r\n", at))
                data = data[:at] + b"\r\n" + piece + data[at:]
            case "replace":
                data = data[:at] + piece + data[end:]
            case "insert":
                data = data[:at] + piece + data[at:]
            case "delete":
                data = data[:at] + data[end:]
            case "repeat":
                data = data[:at] + data[at:end] * 2 + data[end:]
            case _:
                data = data[:at]
    return data


def one_head(data: bytes) -> bytes:
    """Cut behind the first empty line, as whoever reads a connection does."""
    end = data.find(HEAD_END)
    return data if end < 0 else data[: end + len(HEAD_END)]


REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /sim?a=b HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nX-A: b\r\n\r\n",
    b"POST http://a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x-a\r\nX-A: b\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nX-High-Priority: true\r\nContent-Length: 3\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n",
    b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\nConnection: close, x-a\r\nX-A: b\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
]


@given(st.sampled_from(REQUESTS), mutations, st.booleans())
@settings(max_examples=examples(1500))
def test_a_mutated_request_is_refused_or_reaches_the_node_as_h11_would_read_it(
    seed: bytes, steps: list[tuple[str, int, bytes]], is_cut: bool
) -> None:
    """Where h11 takes the client's head as well, it finds the same in it as in what the node gets."""
    data = mutated(seed, steps)
    if is_cut:
        data = one_head(data)
    head = parsed(data)
    if isinstance(head, ClientError):
        assert head.status in {400, 417, 431, 501, 505}
        return
    assume(data.endswith(HEAD_END) and one_head(data) == data)
    node_reads, _ = as_a_node_reads(
        NODE.request(head.method, head.path, head.query, b"", head.forwarded, b"ab")
    )
    assert node_reads.method == head.method
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    try:
        client_wrote = reader.next_event()
    except h11.RemoteProtocolError:
        event("not taken by h11")
        return
    assert isinstance(client_wrote, h11.Request)
    event("taken by both")
    fields = list(client_wrote.headers)
    may_upgrade = head.minor == 1 and head.body_bytes == 0
    check_node_sees(
        head,
        client_wrote.method,
        as_for_node(client_wrote.method, client_wrote.target),
        fields,
        b"ab",
        may_upgrade,
    )


@given(st.sampled_from(RESPONSES), mutations, st.booleans())
@settings(max_examples=examples(1000))
def test_a_mutated_answer_is_the_nodes_fault_or_can_be_read_by_a_client(
    seed: bytes, steps: list[tuple[str, int, bytes]], is_cut: bool
) -> None:
    data = mutated(seed, steps)
    if is_cut:
        data = one_head(data)
    try:
        head = parse_response_head(data, MAX_FIELDS)
    except NodeError:
        return
    body_bytes = head.body_bytes
    assume(head.status >= 200 and one_head(data) == data and 0 <= body_bytes < 100)
    written = answer_start(head, b"POST", body_bytes, 1, is_json=True) + b"\r\n" + b"x" * body_bytes
    response, body = as_a_client_reads(written, b"POST", is_ended=False)
    assert (response.status_code, response.reason, len(body)) == (head.status, head.phrase, body_bytes)


@given(chunks_of_a_body, mutations, cuts_of_data)
@settings(max_examples=examples(500))
def test_mutated_chunks_are_broken_framing_however_they_come(
    chunks: list[tuple[bytes, bytes]], steps: list[tuple[str, int, bytes]], cuts: list[int]
) -> None:
    data = mutated(encoded(chunks, [(b"X-Sum", b"1")]), steps)
    whole = decoded([data])
    assert decoded(in_pieces(data, cuts)) == whole
    assert decoded([data[at : at + 1] for at in range(len(data))]) == whole


def refuse_word(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


RPC = [
    b'{"jsonrpc":"2.0","id":1,"method":"a","params":[1.5,"x",null,true,{"id":2}]}',
    b'[{"jsonrpc":"2.0","id":"a","method":"b"},{"method":"c"},{"id":1e3,"method":"d"}]',
    b'{"method":"a","params":["' + b"0" * 66000 + b'"],"id":17,"jsonrpc":"2.0"}',
    b'{"id":"\\u00e9","method":"a","params":["' + b"0" * 66000 + b'"]}',
]


@given(st.sampled_from(RPC), mutations, st.sampled_from(list(Reason)))
@settings(max_examples=examples(500))
def test_any_body_is_refused_in_json_that_others_can_read(
    seed: bytes, steps: list[tuple[str, int, bytes]], reason: Reason
) -> None:
    response = Refusals("lb", legacy=False).answer(reason, mutated(seed, steps))
    answer = json.loads(response.body, parse_constant=refuse_word)
    if response.content_type == b"application/problem+json":
        assert answer["status"] == response.status
        return
    for each in answer if isinstance(answer, list) else [answer]:
        assert set(each) == {"jsonrpc", "id", "error"}
        assert each["id"] is None or isinstance(each["id"], (str, int, float))
