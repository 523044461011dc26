"""What the node sees of a request."""

from __future__ import annotations

from typing import Final

# What curl and other form-minded clients say when nobody told them the type.
_UNTYPED: Final = (None, b"application/x-www-form-urlencoded")
_NO_BODY_METHODS: Final = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE"})


class Target:
    """Where a node's own URI points, ready to be joined with a request's path and query.

    Args:
        host: value of the Host field.
        base_path: path of the node's URI, starting with a slash.
        query: query of the node's URI, without what is meant for us.
    """

    __slots__ = ("_base", "_host_line", "_own", "_query")

    def __init__(self, host: str, base_path: str, query: str) -> None:
        self._base = base_path.rstrip("/").encode()
        self._query = query.encode()
        self._own = (base_path or "/").encode() + (b"?" + self._query if query else b"")
        self._host_line = b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\n"

    def request(self, method: bytes, path: bytes, query: bytes, fields: bytes, body: bytes) -> bytes:
        """Return the whole request for this node.

        Args:
            method: as the client sent it.
            path: path to append to the node's own; empty for the node's own path alone.
            query: the client's query, appended to the node's own.
            fields: end-to-end fields, rendered.
            body: whole body.
        """
        if not path and not query:
            target = self._own
        elif path == b"*":
            target = path
        else:
            target = self._base + path if path else self._own.partition(b"?")[0]
            both = self._query + b"&" + query if self._query and query else self._query or query
            if both:
                target += b"?" + both
        if body or method not in _NO_BODY_METHODS:
            return b"%s %s%s%sContent-Length: %d\r\n\r\n%s" % (
                method,
                target,
                self._host_line,
                fields,
                len(body),
                body,
            )
        return b"%s %s%s%s\r\n" % (method, target, self._host_line, fields)


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
