"""HTTP/1.1 as RFC 9112 has it, read from a whole stream at once: the model that the balancer is held against.

Slow, without any state, and written from the grammar rather than from the code under test. It is as strict as
the balancer means to be: what a lenient reader might let pass is malformed here.
"""

import re
from dataclasses import dataclass

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_MAX_CHUNK_LINE_BYTES = 256
_MAX_TRAILER_BYTES = 16384
_MAX_TRAILERS = 256

Fields = list[tuple[bytes, bytes]]


class MalformedError(Exception):
    """The stream breaks the rules at this point."""


class IncompleteError(Exception):
    """The stream ends before the message does."""


@dataclass
class Head:
    """The head of a request; `length` is that of its body, None when that comes in chunks."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    length: int | None
    end: int

    def values(self, name: bytes) -> list[bytes]:
        return values(self.fields, name)

    @property
    def keeps_alive(self) -> bool:
        return keeps_alive(self.fields, self.minor)


@dataclass
class Body:
    """A body, its trailer fields, and where in the stream the next message starts."""

    data: bytes
    trailers: Fields
    end: int


@dataclass
class Request:
    """A whole request."""

    head: Head
    body: Body


def read_requests(stream: bytes) -> tuple[list[Request], bool]:
    """Return the requests at the front of a stream, and whether what follows them is malformed."""
    found: list[Request] = []
    position = 0
    try:
        while position < len(stream):
            head = read_request_head(stream, skip_empty_lines(stream, position))
            body = read_body(stream, head)
            found.append(Request(head, body))
            position = body.end
    except MalformedError:
        return found, True
    except IncompleteError:
        return found, False
    return found, False


def skip_empty_lines(stream: bytes, position: int) -> int:
    while stream.startswith(b"\r\n", position):
        position += 2
    return position


def read_request_head(stream: bytes, start: int = 0) -> Head:
    line, fields, end = read_head(stream, start)
    parts = _REQUEST_LINE.fullmatch(line)
    if parts is None:
        raise MalformedError(line)
    method, target, minor = parts[1], parts[2], int(parts[3])
    hosts = values(fields, b"host")
    if len(hosts) > 1 or (minor == 1 and not hosts):
        raise MalformedError("not one Host")
    return Head(method, target, minor, fields, body_length(fields, minor, none=0), end)


def body_length(fields: Fields, minor: int, none: int) -> int | None:
    """Return the length of a body that these fields announce, None for chunks, `none` for no word of it."""
    lengths, codings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if lengths and codings:
        raise MalformedError("both lengths")
    if codings:
        if minor == 0 or [coding.lower() for coding in codings] != [b"chunked"]:
            raise MalformedError("coding")
        return None
    if not lengths:
        return none
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,20}", lengths[0]) or int(lengths[0]) >= 1 << 64:
        raise MalformedError("Content-Length")
    return int(lengths[0])


def read_body(stream: bytes, head: Head) -> Body:
    if head.length is None:
        return read_chunked(stream, head.end)
    end = head.end + head.length
    if len(stream) < end:
        raise IncompleteError
    return Body(stream[head.end : end], [], end)


@dataclass
class Answer:
    """An answer of a node; after a 101, `rest` is what another protocol says."""

    status: int
    body: bytes
    rest: bytes


def read_answer(stream: bytes, method: bytes, is_ended: bool) -> Answer:
    """Return the answer to a request with this method.

    Args:
        stream: all that the node has said.
        method: what was asked.
        is_ended: whether the node has ended its connection in order behind that.
    """
    position = 0
    while True:
        line, fields, position = read_head(stream, position)
        minor, status, _ = read_status_line(line)
        if status == 101:
            return Answer(status, b"", stream[position:])
        if status >= 200:
            break
    until_close = -1
    length = 0 if status in {204, 304} else body_length(fields, minor, until_close)
    if method == b"HEAD":
        length = 0
    if length is None:
        body = read_chunked(stream, position)
        return Answer(status, body.data, stream[body.end :])
    end = len(stream) if length == until_close else position + length
    if end > len(stream) or (length == until_close and not is_ended):
        raise IncompleteError
    return Answer(status, stream[position:end], stream[end:])


def read_head(stream: bytes, start: int) -> tuple[bytes, Fields, int]:
    """Return the first line of a head, its fields, and where it ends."""
    end = stream.find(b"\r\n\r\n", start)
    if end < 0:
        raise IncompleteError
    first, *lines = stream[start:end].split(b"\r\n")
    return first, [read_field(line) for line in lines], end + 4


def read_status_line(line: bytes) -> tuple[int, int, bytes]:
    """Return minor version, status and reason phrase."""
    parts = _STATUS_LINE.fullmatch(line)
    if parts is None:
        raise MalformedError(line)
    return int(parts[1]), int(parts[2]), parts[3] or b""


def read_field(line: bytes) -> tuple[bytes, bytes]:
    parts = _FIELD_LINE.fullmatch(line)
    if parts is None:
        raise MalformedError(line)
    return parts[1], parts[2].rstrip(b" \t")


def read_chunked(stream: bytes, position: int) -> Body:
    data = b""
    while True:
        line, position = _line(stream, position, _MAX_CHUNK_LINE_BYTES)
        parts = _CHUNK_LINE.fullmatch(line)
        if parts is None:
            raise MalformedError(line)
        size = int(parts[1], 16)
        if size == 0:
            break
        data += stream[position : position + size]
        position += size
        if not b"\r\n".startswith(stream[position : position + 2]):
            raise MalformedError("chunk end")
        if len(stream) < position + 2:
            raise IncompleteError
        position += 2
    trailers: Fields = []
    budget = _MAX_TRAILER_BYTES
    while True:
        line, after = _line(stream, position, budget)
        budget -= after - position
        position = after
        if not line:
            return Body(data, trailers, position)
        if len(trailers) == _MAX_TRAILERS:
            raise MalformedError("too many trailers")
        trailers.append(read_field(line))


def keeps_alive(fields: Fields, minor: int) -> bool:
    options = members(values(fields, b"connection"))
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name]


def members(lists: list[bytes]) -> set[bytes]:
    """Return the members of comma-separated lists, in lower case."""
    return {member.strip(b" \t").lower() for value in lists for member in value.split(b",")}


def _line(stream: bytes, start: int, max_bytes: int) -> tuple[bytes, int]:
    """Return a line without its end, and where the next one starts."""
    newline = stream.find(b"\n", start)
    line = stream[start:] if newline < 0 else stream[start : newline + 1]
    if len(line) > max_bytes:
        raise MalformedError("too long")
    if newline < 0:
        raise IncompleteError
    if not line.endswith(b"\r\n"):
        raise MalformedError(line)
    return line[:-2], newline + 1
