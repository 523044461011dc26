"""HTTP messages as values."""

from __future__ import annotations

from math import inf
from typing import Final

MAX_REQUEST_ID_BYTES: Final = 512
_OWN_PATHS: Final = frozenset({b"/", b"/sim"})


class RequestHead:
    """The head of a client's request, as parsed.

    Args:
        method: as sent, case kept.
        authority: host and port that the client asked for: of an absolute target, else of Host; may be empty.
        path: path of the target, starting with a slash, or `*`.
        query: query of the target with its question mark, empty when there was none.
        minor: minor version of HTTP/1.
        keep_alive: whether the client lets the connection stay open.
        known: values of the fields this program looks at, by lower-case name; several lines of one name
            are joined by a comma, as RFC 9110, section 5.3 says.
        forwarded: the end-to-end fields, rendered, ready for the node.
        rpc_forwarded: the same for a body that turns out to be JSON-RPC.
        body_bytes: announced length of the body, 0 for none; -1 for a chunked body.
        upgrade: the protocols that the client would switch to, as Upgrade lists them; empty for none.
        max_forwards: how many more proxies a TRACE or OPTIONS may pass; -1 for no limit.
        timeout_s: for how long the client waits for the head of an answer, seconds; infinity when it does
            not say.

    `request_id` is the client's X-Request-ID, as much of it as the log shows, empty when there was none.
    `node_path` is what is appended to a node's own path, for which `/` and its alias `/sim` stand; `is_rpc`
    says that JSON-RPC goes there, so that an answer is JSON unless the node says otherwise.
    `expects_continue` says that the client waits for 100 Continue before it sends the body. `is_special`
    says that the request asks for more than to be forwarded, which only few do: it has passed a proxy, must
    not pass another, wants to switch protocols, expects something, has little time, or a long head.

    `raw` are the bytes that it was parsed from, if it is short enough to be remembered; else empty, and
    `long_bytes` says how many they were.

    `model` is the head that it was made from, unless it was parsed (see `familiar`). Nodes are told the same
    of the way of both.

    `lane` is for `net`, which notes there the lane that the fields ask for; -1 when it has not.
    """

    __slots__ = (
        "authority",
        "body_bytes",
        "expects_continue",
        "forwarded",
        "is_rpc",
        "is_special",
        "keep_alive",
        "known",
        "lane",
        "long_bytes",
        "max_forwards",
        "method",
        "minor",
        "model",
        "node_path",
        "path",
        "query",
        "raw",
        "request_id",
        "rpc_forwarded",
        "timeout_s",
        "upgrade",
    )

    def __init__(
        self,
        method: bytes,
        authority: bytes,
        path: bytes,
        query: bytes,
        minor: int,
        keep_alive: bool,
        known: dict[bytes, bytes],
        forwarded: bytes,
        rpc_forwarded: bytes,
        body_bytes: int,
        upgrade: bytes,
        max_forwards: int,
        timeout_s: float,
    ) -> None:
        self.method = method
        self.authority = authority
        self.path = path
        self.query = query
        self.minor = minor
        self.keep_alive = keep_alive
        self.known = known
        self.forwarded = forwarded
        self.rpc_forwarded = rpc_forwarded
        self.request_id = known.get(b"x-request-id", b"")[:MAX_REQUEST_ID_BYTES]
        self.body_bytes = body_bytes
        self.upgrade = upgrade
        self.max_forwards = max_forwards
        self.timeout_s = timeout_s
        is_own = path in _OWN_PATHS
        self.node_path: bytes = b"" if is_own else path
        self.is_rpc: bool = is_own and method == b"POST"
        expectation = known.get(b"expect") if minor == 1 else None
        # RFC 9110, section 10.1.1: without a body there is nothing to wait for.
        self.expects_continue: bool = expectation is not None and body_bytes != 0
        self.is_special: bool = (
            expectation is not None
            or upgrade != b""
            or max_forwards == 0
            or timeout_s < inf
            or b"via" in known
        )
        self.raw: bytes = b""
        self.long_bytes: int = 0
        self.model: RequestHead | None = None
        self.lane: int = -1


class ResponseHead:
    """The head of a node's answer, as parsed.

    Args:
        status: three-digit status.
        phrase: reason phrase, may be empty.
        minor: minor version of HTTP/1.
        keep_alive: whether the node lets the connection stay open.
        known: as in `RequestHead`.
        forwarded: the end-to-end fields, rendered, ready for the client.
        body_bytes: length of the body, as in `framing`; that of an answer to HEAD is 0 whatever this says.

    `is_plain` says that its status is below 400, and that its body has no content coding: as nearly always.

    `raw` is what it is in `RequestHead`. `usual_start` is for `writer`, which notes there what it has made of
    the head.
    """

    __slots__ = (
        "body_bytes",
        "forwarded",
        "is_plain",
        "keep_alive",
        "known",
        "minor",
        "phrase",
        "raw",
        "status",
        "usual_start",
    )

    def __init__(
        self,
        status: int,
        phrase: bytes,
        minor: int,
        keep_alive: bool,
        known: dict[bytes, bytes],
        forwarded: bytes,
        body_bytes: int,
    ) -> None:
        self.status = status
        self.phrase = phrase
        self.minor = minor
        self.keep_alive = keep_alive
        self.known = known
        self.forwarded = forwarded
        self.body_bytes = body_bytes
        self.is_plain: bool = status < 400 and b"content-encoding" not in known
        self.raw: bytes = b""
        self.usual_start: bytes = b""


class LocalRequest:
    """A whole request that this program answers itself.

    Args:
        head: its head.
        body: its body, decoded from any chunking.
        peer: address of the client's end of the connection, empty for a Unix socket.
    """

    __slots__ = ("body", "head", "peer")

    def __init__(self, head: RequestHead, body: bytes, peer: str) -> None:
        self.head = head
        self.body = body
        self.peer = peer


class LocalResponse:
    """An answer of this program's own.

    Args:
        status: three-digit status.
        body: whole body.
        content_type: media type of the body.
        fields: further fields, rendered, each with its line end.
    """

    __slots__ = ("body", "content_type", "fields", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"text/plain; charset=utf-8",
        fields: bytes = b"",
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.fields = fields
