"""What the node sees of a request."""

from __future__ import annotations

import re
from typing import Final

# What curl and other form-minded clients say when nobody told them the type.
_UNTYPED: Final = (None, b"application/x-www-form-urlencoded")
_NO_BODY_METHODS: Final = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"})

# What some node takes for a separator, or for a dot segment: many decode a path before they look for either,
# and what stands behind a semicolon is no part of its segment for some (Tomcat).
_SEPARATOR: Final = re.compile(rb"(/|\\|%2f|%5c)", re.IGNORECASE)
_DOTS: Final = re.compile(rb"(?:\.|%2e)(\.|%2e)?(?:(?:;|%3b).*)?", re.IGNORECASE)
_MAY_CLIMB: Final = re.compile(rb"(?:/|\\|%2f|%5c)(?:\.|%2e)", re.IGNORECASE)


class Target:
    """Where a node's own URI points, ready to be joined with a request's path and query.

    Args:
        host: host and port of the node.
        base_path: path of the node's URI, starting with a slash.
        query: query of the node's URI, without what is meant for us.
        keeps_host: the node is told the host that the client asked for, rather than its own.
    """

    __slots__ = ("_base", "_host_line", "_keeps_host", "_own", "_query", "_usual_start")

    def __init__(self, host: str, base_path: str, query: str, keeps_host: bool = False) -> None:
        self._base = base_path.rstrip("/").encode()
        self._query = query.encode()
        self._own = (base_path or "/").encode() + (b"?" + self._query if query else b"")
        self._host_line = _host_line(host.encode())
        self._usual_start = b" " + self._own + self._host_line
        self._keeps_host = keeps_host

    def request(
        self, method: bytes, path: bytes, query: bytes, authority: bytes, fields: bytes, body: bytes
    ) -> bytes:
        """Return the whole request for this node.

        Args:
            method: as the client sent it.
            path: path to append to the node's own; empty for the node's own path alone.
            query: the client's query with its question mark, appended to the node's own; empty for none.
            authority: host and port that the client asked for, may be empty.
            fields: end-to-end fields, rendered.
            body: whole body.
        """
        if path or query or self._keeps_host:
            start = self.start(method, path, query, authority)
        else:
            start = method + self._usual_start  # as mostly
        if body or method not in _NO_BODY_METHODS:
            return b"%s%sContent-Length: %d\r\n\r\n%s" % (start, fields, len(body), body)
        return b"%s%s\r\n" % (start, fields)

    def head(
        self, method: bytes, path: bytes, query: bytes, authority: bytes, fields: bytes, body_bytes: int
    ) -> bytes:
        """Return the head of a request whose body has this length; otherwise as `request`."""
        start = self.start(method, path, query, authority)
        return b"%s%sContent-Length: %d\r\n\r\n" % (start, fields, body_bytes)

    def start(self, method: bytes, path: bytes, query: bytes, authority: bytes) -> bytes:
        """Return the request line and the Host field; the arguments are those of `request`."""
        if not path and not query:
            target = self._own
        elif path == b"*":
            target = path
        else:
            if self._base and _MAY_CLIMB.search(path):
                path = _without_dots(path)
            target = self._base + path if path else self._own.partition(b"?")[0]
            if self._query:
                query = b"?%s&%s" % (self._query, query[1:]) if len(query) > 1 else b"?" + self._query
            target += query
        host_line = _host_line(authority) if self._keeps_host and authority else self._host_line
        return b"%s %s%s" % (method, target, host_line)


def typed_fields(fields: bytes, content_type: bytes | None) -> tuple[bytes, bytes]:
    """Return the fields for the node with the body's type: for any body, and for one that is JSON-RPC.

    The original sends every body as JSON, so clients were free not to say what it is. JSON-RPC that nobody
    typed stays JSON; anything else keeps the client's own type.

    Args:
        fields: end-to-end fields, rendered, without the type.
        content_type: what the client says the body is.
    """
    own = fields if content_type is None else b"%sContent-Type: %s\r\n" % (fields, content_type)
    return own, fields + b"Content-Type: application/json\r\n" if content_type in _UNTYPED else own


def _host_line(host: bytes) -> bytes:
    return b" HTTP/1.1\r\nHost: %s\r\n" % host


def _without_dots(path: bytes) -> bytes:
    """Return `path` without `.` and `..` (RFC 3986, section 5.2.4), so that it stays below the node's own.

    What any node may take for a dot segment is one, so that none is left however a node reads it.
    """
    kept: list[bytes] = []
    dots: re.Match[bytes] | None = None
    parts = _SEPARATOR.split(path)  # nothing, and then each separator and what follows it
    for at in range(1, len(parts), 2):
        dots = _DOTS.fullmatch(parts[at + 1])
        if dots is None:
            kept.append((parts[at] if kept else b"/") + parts[at + 1])
        elif dots[1] and kept:
            kept.pop()
    if dots is not None:
        kept.append(b"/")
    return b"".join(kept)
