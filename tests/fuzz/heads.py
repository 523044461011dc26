"""Heads alone: of requests and of answers, against the model, and on to the other side."""

import inspect
import re
import string

import h11

from fuzz import reference
from fuzz.reference import Fields, Head, IncompleteError, MalformedError
from fuzz.split import parts_of
from priolb.errors import ClientError, NodeError
from priolb.http.framing import CHUNKED, UNTIL_CLOSE
from priolb.http.head_reader import HeadReader
from priolb.http.messages import RequestHead
from priolb.http.parser import HEAD_END, HeadLimits, parse_response_head
from priolb.http.rewrite import Target
from priolb.http.writer import answer_start, connection_field

LIMITS = HeadLimits(2048, 20)
HEX = b"0123456789abcdefABCDEF"
NAME = string.ascii_letters.encode() + b"0123456789-._~!$&'()*+,;="
NODE = Target("node:8545", "/base", "key=1")

HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"content-length",
}
NOT_FORWARDED = HOP_BY_HOP | {
    b"proxy-authorization",
    b"host",
    b"expect",
    b"max-forwards",
    b"via",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-real-ip",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-server",
    b"content-type",
}
NOT_RETURNED = HOP_BY_HOP | {
    b"proxy-authenticate",
    b"x-priolb-queuedurationus",
    b"x-priolb-simdurationus",
    b"x-priolb-totaldurationus",
    b"x-priolb-queuesizestart",
    b"x-priolb-queuesizeend",
}


def end_to_end(fields: Fields, dropped: set[bytes]) -> Fields:
    """Return what of these fields travels on, with names in lower case and values trimmed."""
    nominated = reference.members(reference.values(fields, b"connection")) - {b"close", b"keep-alive"}
    return [(name.lower(), value) for name, value in fields if name.lower() not in dropped | nominated]


# Heads of requests

_HALF_AN_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def request_heads(data: bytes) -> None:
    """A head is accepted if it keeps to the grammar, and reaches the node as what it was."""
    status, head = taken([data])
    later_status, later_head = taken(parts_of(data))
    assert values_of(head) == values_of(later_head)
    if len(data) <= LIMITS.max_bytes and not _HALF_AN_END.search(data):
        assert status == later_status
    else:  # what is wrong first depends on how much is there
        assert (status >= 400) is (later_status >= 400)
    try:
        model = reference.read_request_head(data, reference.skip_empty_lines(data, 0))
    except MalformedError:
        assert status >= 400, "accepted, though malformed"
        return
    except IncompleteError:
        assert status in {0, 400, 414, 431}
        return
    if status:
        assert status in {414, 431} or is_refused(model) or _has_tab(data), f"{status} for a good request"
        return
    assert head is not None
    check_request(head, model)


def taken(parts: list[bytes]) -> tuple[int, RequestHead | None]:
    """Return what is made of what comes in these parts: the status of a refusal, or a head."""
    heads = HeadReader(LIMITS)
    for part in parts:
        if not heads.rest + part:
            continue
        try:
            head = heads.take(heads.rest + part)
        except ClientError as error:
            return error.status, None
        if head is not None:
            return 0, head
    return 0, None


def values_of(head: RequestHead | None) -> object:
    """Return every attribute of a head, in either form of the program: a compiled class lists no slots."""
    attributes = inspect.getmembers(type(head), inspect.isdatadescriptor)
    return None if head is None else {name: getattr(head, name) for name, _ in attributes if name[0] != "_"}


def _has_tab(data: bytes) -> bool:
    """Return whether a tab stands behind a transfer coding: allowed, and refused by llhttp all the same."""
    return re.search(rb"(?i)chunked[ \t]*\t", data) is not None


def is_refused(head: Head) -> bool:
    """Return whether the balancer refuses this request, good as its grammar is."""
    standard = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"}
    method, target = head.method, head.target
    if method == b"CONNECT" or (method.upper() in standard and method not in standard):
        return True
    if b"#" in target:
        return True
    if not target.startswith(b"/") and (target, method) != (b"*", b"OPTIONS") and not _is_plain_url(target):
        return True
    expectations = reference.members(head.values(b"expect"))
    if head.minor == 1 and expectations and expectations != {b"100-continue"}:
        return True
    if not all(_is_host(host) for host in head.values(b"host")):
        return True
    seconds, grpc = head.values(b"x-request-timeout"), head.values(b"grpc-timeout")
    if seconds and (len(seconds) > 1 or not _is_seconds(seconds[0])):
        return True
    if grpc and (len(grpc) > 1 or not _is_grpc_timeout(grpc[0])):
        return True
    limits = head.values(b"max-forwards")
    if method in {b"TRACE", b"OPTIONS"} and limits:
        return len(limits) > 1 or not limits[0].isdigit() or len(limits[0]) > 9
    return len(head.fields) > LIMITS.max_fields


def _is_seconds(value: bytes) -> bool:
    whole, point, fraction = value.partition(b".")
    is_decimal = whole.isdigit() and (fraction.isdigit() if point else True)
    return is_decimal and len(whole) <= 6 and len(fraction) <= 9 and any(b in b"123456789" for b in value)


def _is_grpc_timeout(value: bytes) -> bool:
    number, unit = value[:-1], value[-1:]
    return number.isdigit() and len(number) <= 8 and int(number) > 0 and len(unit) == 1 and unit in b"HMSmun"


def _is_plain_url(target: bytes) -> bool:
    scheme, separator, rest = target.partition(b"://")
    host = rest.partition(b"?")[0].partition(b"/")[0]
    return bool(
        separator and scheme.lower() in {b"http", b"https"} and host and _is_host(host) and b"#" not in target
    )


def _is_host(value: bytes) -> bool:
    if value.startswith(b"["):
        literal, bracket, rest = value[1:].partition(b"]")
        version, point, address = literal[1:].partition(b".")
        if literal[:1] in {b"v", b"V"}:
            is_literal = _is_of(version, HEX) and point != b"" and _is_of(address, NAME + b":")
        else:
            is_literal = _is_of(literal, HEX + b":.")
        return is_literal and bracket != b"" and (not rest or (rest[:1] == b":" and _is_port(rest[1:])))
    name, _, port = value.partition(b":")
    first, *others = name.split(b"%")
    coded = all(_is_of(each[:2], HEX) and len(each) > 1 for each in others)
    return coded and _is_of(b"-" + first + b"".join(others), NAME) and _is_port(port)


def _is_port(value: bytes) -> bool:
    return not value or value.isdigit()


def _is_of(value: bytes, allowed: bytes) -> bool:
    return value != b"" and not value.translate(None, allowed)


def check_request(head: RequestHead, model: Head) -> None:
    """Check that a head says what the model says, and that a node reads it as that."""
    assert (head.method, head.minor, head.keep_alive) == (model.method, model.minor, model.keeps_alive)
    assert head.body_bytes == (CHUNKED if model.length is None else model.length)
    target = model.target
    if not target.startswith(b"/") and target != b"*":
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        if b"/" not in model.target.partition(b"://")[2].partition(b"?")[0]:
            target = b"/" + b"".join(model.target.partition(b"?")[1:])
            if target == b"/" and model.method == b"OPTIONS":
                target = b"*"
    path, mark, query = target.partition(b"?")
    assert (head.path, head.query) == (path, mark + query)
    body = b"{}" if head.body_bytes else b""
    sent = NODE.request(head.method, head.path, head.query, head.authority, head.forwarded, body)
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(sent)
    seen = judge.next_event()
    assert isinstance(seen, h11.Request)
    if body:
        data = judge.next_event()
        assert isinstance(data, h11.Data)
        assert data.data == body
    assert isinstance(judge.next_event(), h11.EndOfMessage)
    assert judge.trailing_data == (b"", False)
    assert seen.method == model.method
    expected = end_to_end(model.fields, NOT_FORWARDED)
    ours = {b"host", b"content-length", b"content-type", b"connection", b"te", b"upgrade", b"max-forwards"}
    found = [(name, value) for name, value in seen.headers if name not in ours]
    assert found == [(name, value) for name, value in expected if name not in ours]
    assert [value for name, value in seen.headers if name == b"host"] == [b"node:8545"]


# Heads of answers


def answer_heads(data: bytes) -> None:
    """A node's head is accepted if it keeps to the grammar, and reaches a client as what it was."""
    end = data.find(HEAD_END) + 4
    if end < 4:
        return
    head_bytes = data[:end]
    try:
        line, fields, _ = reference.read_head(head_bytes, 0)
        minor, status, phrase = reference.read_status_line(line)
        length = reference.body_length(fields, minor, none=UNTIL_CLOSE)
    except MalformedError:
        fields = []
        status = 0
    try:
        head = parse_response_head(head_bytes, LIMITS.max_fields)
    except NodeError:
        options = reference.members(reference.values(fields, b"connection"))
        switches = b"upgrade" in options and any(reference.values(fields, b"upgrade"))
        is_odd = len(fields) > LIMITS.max_fields or (status == 101 and not switches)
        assert not status or is_odd, "refused, though good"
        return
    if not status and _has_no_body(head.status):
        return  # what its framing says is read by nobody
    assert status, "accepted, though malformed"
    assert (head.minor, head.status, head.phrase) == (minor, status, phrase)
    assert head.keep_alive == reference.keeps_alive(fields, minor)
    body_bytes = 0 if _has_no_body(status) else CHUNKED if length is None else length
    assert head.body_bytes == body_bytes
    for method, client_minor in ((b"GET", 1), (b"POST", 0), (b"HEAD", 1)):
        size = 0 if method == b"HEAD" else body_bytes
        text = answer_start(head, method, size, client_minor, is_json=method == b"POST")
        text += connection_field(client_minor, keep_alive=False) + b"\r\n"
        if status < 200:
            continue
        judge = h11.Connection(h11.CLIENT)
        judge.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        judge.send(h11.EndOfMessage())
        judge.receive_data(text)
        seen = judge.next_event()
        assert isinstance(seen, h11.Response)
        assert (seen.status_code, seen.reason.strip(b" \t")) == (status, phrase.strip(b" \t"))
        expected = end_to_end(fields, NOT_RETURNED)
        ours = HOP_BY_HOP | {b"content-type"}
        found = [(name, value) for name, value in seen.headers if name not in ours]
        assert found == [(name, value) for name, value in expected if name not in ours]


def _has_no_body(status: int) -> bool:
    return status < 200 or status in {204, 304}
