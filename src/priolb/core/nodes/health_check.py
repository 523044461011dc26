"""What a health check asks a node, and whether the answer is good enough."""

from __future__ import annotations

import json
from typing import Any, Final

DEFAULT_ASK: Final = "net_version"

# More than any answer to a health check, and little enough to be kept for a moment.
MAX_BODY_BYTES: Final = 65536

# What speaks of the question rather than of the node: not allowed, not there, not in this way.
_WRONG_QUESTION: Final = frozenset({401, 403, 404, 405, 406, 410, 415, 501})
_UNKNOWN_METHOD: Final = -32601

_RPC_FIELDS: Final = b"Accept: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n"
_HTTP_FIELDS: Final = b"Accept: */*\r\nConnection: close\r\n"

_SHOWN_MAX: Final = 80


class HealthCheck:
    """A question to a node, and the answer that is expected.

    Args:
        ask: a JSON-RPC method, called without parameters at the node's own path, or, if it starts with a
            slash, a path below that one, which is read.
        status: the status that the answer must have, 0 for any below 400.
        result: JSON text of what must be the result of the call, or the body of what was read; an object is
            matched by one that has the same members and maybe more. Empty for anything, or nothing.

    What it asks is an HTTP request of `method`, `path`, `query`, `fields` and `body`; `needs_body` says
    whether the body of the answer matters.
    """

    __slots__ = ("_ask", "_result", "_status", "body", "fields", "method", "needs_body", "path", "query")

    def __init__(self, ask: str = DEFAULT_ASK, status: int = 0, result: str = "") -> None:
        self._ask = ask
        self._status = status
        self.needs_body: bool = result != ""
        self._result: Any = json.loads(result) if result else None
        self.path: bytes = b""
        self.query: bytes = b""
        if ask.startswith("/"):
            path, mark, query = ask.partition("?")
            self.method: bytes = b"GET"
            self.path, self.query = path.encode(), (mark + query).encode()
            self.fields: bytes = _HTTP_FIELDS
            self.body: bytes = b""
        else:
            self.method = b"POST"
            self.fields = _RPC_FIELDS
            self.body = b'{"jsonrpc":"2.0","method":"%b","params":[],"id":123}' % ask.encode()

    def failure(self, status: int, body: bytes) -> str | None:
        """Return why an answer is not good enough, in words for the operator; None when it is.

        Args:
            status: its status.
            body: its body; anything unless `needs_body`.
        """
        if self._status and status != self._status:
            return f"it was answered with status {status} instead of {self._status}{self._doubt(status)}"
        if not self._status and status >= 400:
            return f"it was answered with status {status}{self._doubt(status)}"
        return self._failure_of_body(body) if self.needs_body else None

    def _failure_of_body(self, body: bytes) -> str | None:
        if len(body) > MAX_BODY_BYTES:
            return f"the answer is larger than {MAX_BODY_BYTES} bytes, which HEALTH_CHECK_RESULT never is"
        try:
            return self._failure_of_value(json.loads(body))
        except (ValueError, RecursionError):  # what can just be read may be nested too deeply to be shown
            return "the answer is no JSON, so that HEALTH_CHECK_RESULT never fits it"

    def _failure_of_value(self, value: Any) -> str | None:
        if not self.path:
            if not isinstance(value, dict) or ("result" not in value and "error" not in value):
                return "the answer is no JSON-RPC, so that HEALTH_CHECK_RESULT never fits it"
            error = value.get("error")
            if error is not None:
                is_unknown = isinstance(error, dict) and error.get("code") == _UNKNOWN_METHOD
                doubt = f": HEALTH_CHECK={self._ask} does not fit this node" if is_unknown else ""
                return f"it was answered with the error {_shown(error)}{doubt}"
            value = value.get("result")
        if _fits(self._result, value):
            return None
        return f"it was answered with {_shown(value)} instead of {_shown(self._result)}"

    def _doubt(self, status: int) -> str:
        return f": HEALTH_CHECK={self._ask} does not fit this node" if status in _WRONG_QUESTION else ""


def _fits(expected: Any, value: Any) -> bool:
    """Return whether a JSON value is what is expected, or an object with more members than are."""
    if isinstance(expected, dict) and isinstance(value, dict):
        return all(name in value and _fits(each, value[name]) for name, each in expected.items())
    if isinstance(expected, list) and isinstance(value, list):
        return len(expected) == len(value) and all(map(_fits, expected, value))
    # True is no 1 in JSON, whatever Python thinks.
    return isinstance(expected, bool) is isinstance(value, bool) and bool(expected == value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
