"""Answers of our own to a request that could not be served.

A JSON-RPC request gets a JSON-RPC error with its own id (codes of EIP-1474), anything else a problem
document (RFC 9457). In both stand the words of the original. Proxy-Status (RFC 9209) tells programs the same.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from math import isfinite
from typing import Final

from priolb.errors import Reason
from priolb.http.call_error import CallError
from priolb.http.messages import LocalResponse
from priolb.http.rpc_id import plain_id

_RETRY_AFTER: Final = b"Retry-After: %d\r\n"
RETRY_AFTER: Final = _RETRY_AFTER % 1

_INTERNAL_ERROR: Final = -32603
_INVALID_REQUEST: Final = -32600
_RESOURCE_UNAVAILABLE: Final = -32002
_LIMIT_EXCEEDED: Final = -32005


class _Answer:
    __slots__ = ("code", "legacy_status", "passes", "proxy_error", "status", "words")

    def __init__(
        self,
        status: int,
        words: str,
        code: int,
        legacy_status: int,
        proxy_error: bytes,
        passes: bool = False,
    ) -> None:
        self.status = status
        self.words = words
        self.code = code
        self.legacy_status = legacy_status
        self.proxy_error = proxy_error
        self.passes = passes


# Errors of RFC 9209, section 2.3.
_LIMIT_REACHED: Final = b"connection_limit_reached"
_UNAVAILABLE: Final = b"destination_unavailable"
_REQUEST_ERROR: Final = b"http_request_error"

# It makes sense to come back.
_PASSES: Final = True

# One line for each, to be read as a table.
# fmt: off
_ANSWERS: Final[dict[Reason, _Answer]] = {
    Reason.BAD_REQUEST: _Answer(400, "bad request", _INVALID_REQUEST, 400, _REQUEST_ERROR),
    Reason.PAYLOAD_TOO_LARGE: _Answer(413, "Payload too large", _LIMIT_EXCEEDED, 400, _REQUEST_ERROR),
    Reason.TOO_MANY_CONNECTIONS: _Answer(
        429, "too many connections", _LIMIT_EXCEEDED, 500, b"http_request_denied", _PASSES),
    Reason.RATE_LIMITED: _Answer(
        429, "rate limit exceeded", _LIMIT_EXCEEDED, 429, b"http_request_denied"),
    Reason.LOOP: _Answer(508, "loop detected", _INTERNAL_ERROR, 500, b"proxy_loop_detected"),
    Reason.QUEUE_FULL: _Answer(503, "queue full", _LIMIT_EXCEEDED, 500, _LIMIT_REACHED, _PASSES),
    Reason.WAIT_TOO_LONG: _Answer(
        503, "expected wait too long", _LIMIT_EXCEEDED, 500, _LIMIT_REACHED, _PASSES),
    Reason.DISPLACED: _Answer(
        503, "displaced by a better request", _LIMIT_EXCEEDED, 500, _LIMIT_REACHED, _PASSES),
    Reason.SHED: _Answer(503, "shed under overload", _LIMIT_EXCEEDED, 500, _LIMIT_REACHED, _PASSES),
    Reason.UPGRADES_FULL: _Answer(
        503, "too many upgraded connections", _LIMIT_EXCEEDED, 500, _LIMIT_REACHED, _PASSES),
    Reason.NO_NODES: _Answer(
        503, "no nodes available", _RESOURCE_UNAVAILABLE, 500, _UNAVAILABLE, _PASSES),
    Reason.DEADLINE: _Answer(
        504, "request timeout hit before processing", _RESOURCE_UNAVAILABLE, 500, _LIMIT_REACHED),
    Reason.NODE_TIMEOUT: _Answer(504, "node timeout", _RESOURCE_UNAVAILABLE, 500, b"http_response_timeout"),
    Reason.NODE_DRAINED: _Answer(504, "node timeout", _RESOURCE_UNAVAILABLE, 500, b"http_response_timeout"),
    Reason.NODE_UNREACHABLE: _Answer(502, "node unreachable", _INTERNAL_ERROR, 500, _UNAVAILABLE),
    Reason.NODE_BAD_ANSWER: _Answer(
        502, "bad answer from node", _INTERNAL_ERROR, 500, b"http_protocol_error"),
    Reason.NODE_UNATTESTED: _Answer(
        502, "node not attested", _INTERNAL_ERROR, 500, b"tls_certificate_error"),
    Reason.NO_SOCKET: _Answer(
        503, "no socket left", _RESOURCE_UNAVAILABLE, 500, b"proxy_internal_error", _PASSES),
    Reason.SHUTTING_DOWN: _Answer(
        503, "shutting down", _RESOURCE_UNAVAILABLE, 500, b"proxy_internal_response", _PASSES),
}
# fmt: on

# draft-ietf-httpapi-ratelimit-headers-11, section 5.1.
_QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"

_RATE_LIMITED: Final = _ANSWERS[Reason.RATE_LIMITED]

# Whoever storms the door is told the same again and again.
_ERRORS_REMEMBERED: Final = 1024

# Larger bodies are not parsed on the event loop: their id is looked for at both ends.
_MAX_PARSED_BYTES: Final = 65536
_ENDS_BYTES: Final = 1024
# Batches of more calls get one error for all of them: a refusal must cost less than what it refuses.
_MAX_CALLS_ANSWERED: Final = 100
_JSON_STARTS: Final = (b"{", b"[")
_BLANKS: Final = b" \t\r\n"
_ID: Final = rb'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+|null)'
_ID_AT_START: Final = re.compile(
    rb'\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"]*"\s*,\s*)*' + _ID + rb"\s*[,}]",
)
_ID_AT_END: Final = re.compile(
    rb"[,\]]\s*" + _ID + rb'(?:\s*,\s*"(?:jsonrpc|method)"\s*:\s*"[^"]*")*\s*\}\s*$'
)


def looks_like_rpc(body: bytes) -> bool:
    """Return whether `body` starts as JSON-RPC does: with an object or a list."""
    return body[:1] in _JSON_STARTS or body[:64].lstrip(_BLANKS)[:1] in _JSON_STARTS


class Refusals:
    """Makes our own answers.

    Args:
        name: how this program calls itself in Proxy-Status; a token.
        legacy: answer in the statuses and plain texts of the original, and with no field that it lacks.
    """

    __slots__ = ("_legacy", "_name", "_over_limit", "_overloaded")

    def __init__(self, name: str, legacy: bool) -> None:
        self._name: bytes = name.encode()
        self._legacy = legacy
        # By reason, and by the seconds of Retry-After, of which there are few.
        self._overloaded: dict[Reason, dict[int, CallError]] = {reason: {} for reason in Reason}
        self._over_limit = lru_cache(maxsize=_ERRORS_REMEMBERED)(self._over_limit_error)

    def answer(
        self, reason: Reason, body: bytes, detail: str = "", status: int = 0, retry_after_s: int = 1
    ) -> LocalResponse:
        """Return the answer for a request that ended for `reason`.

        Args:
            reason: why.
            body: the request's body, as far as it is known: tells whether this is JSON-RPC, and its id.
            detail: what exactly was wrong, for the client's eyes.
            status: another status than the reason's own.
            retry_after_s: when the client should come back, seconds, if that is told for such a reason.
        """
        answer = _ANSWERS[reason]
        words = f"{answer.words}: {detail}" if detail else answer.words
        if self._legacy:
            return LocalResponse(answer.legacy_status, words.encode() + b"\n")
        status = status or answer.status
        fields = self._proxy_status(answer)
        if answer.passes:
            fields = _RETRY_AFTER % retry_after_s + fields
        error = {"code": answer.code, "message": words}
        rpc = _rpc_answer(body, error)
        if rpc is not None:
            return LocalResponse(status, _dump(rpc), b"application/json", fields)
        problem = {"type": "about:blank", "title": answer.words, "status": status, "detail": words}
        return LocalResponse(status, _dump(problem), b"application/problem+json", fields)

    def call_id(self, body: bytes) -> bytes:
        """Return the id of a call that may be answered with `overloaded` or `over_limit`.

        Empty for everything else, and when all is answered as the original does.
        """
        return b"" if self._legacy else plain_id(body)

    def overloaded(self, reason: Reason, retry_after_s: int) -> CallError:
        """Return what `answer` says to calls that there is no capacity for.

        Args:
            reason: why.
            retry_after_s: when the client should come back, whole seconds; few different numbers.
        """
        errors = self._overloaded[reason]
        error = errors.get(retry_after_s)
        if error is None:
            answer = _ANSWERS[reason]
            fields = _RETRY_AFTER % retry_after_s + self._proxy_status(answer)
            error = CallError(reason.value, answer.status, answer.words, answer.code, fields)
            errors[retry_after_s] = error
        return error

    def add_fields(self, response: LocalResponse, fields: bytes) -> None:
        """Add fields, rendered, to an answer of this kind; the original's form has none."""
        if not self._legacy:
            response.fields += fields

    def over_limit(self, policy: str, wait_s: int, fields: bytes) -> CallError:
        """Return what `answer_over_limit` says to calls that are over a limit of their sender.

        Args:
            policy: name of the limit, of letters, digits, `-`, `.` and `_`.
            wait_s: seconds after which the same request would be within it, 0 for never.
            fields: what is told of the sender's limits, rendered.
        """
        return self._over_limit(policy, wait_s, fields)

    def answer_over_limit(self, error: CallError, policy: str, body: bytes) -> LocalResponse:
        """Return the answer for a request that is over a limit of its sender, of any kind.

        Args:
            error: what `over_limit` has returned.
            policy: as there.
            body: as in `answer`.
        """
        answer = _RATE_LIMITED
        if self._legacy:
            return LocalResponse(answer.legacy_status, error.words.encode() + b"\n")
        rpc = _rpc_answer(body, {"code": answer.code, "message": error.words})
        if rpc is not None:
            return LocalResponse(answer.status, _dump(rpc), b"application/json", error.fields)
        problem = {
            "type": _QUOTA_EXCEEDED,
            "title": answer.words,
            "status": answer.status,
            "detail": error.words,
            "violated-policies": [policy],
        }
        return LocalResponse(answer.status, _dump(problem), b"application/problem+json", error.fields)

    def _over_limit_error(self, policy: str, wait_s: int, fields: bytes) -> CallError:
        answer = _RATE_LIMITED
        words = f"{answer.words}: {policy}, a single request may not cost that much"
        retry_after = b""
        if wait_s:
            words = f"{answer.words}: {policy}, try again in {wait_s} s"
            retry_after = _RETRY_AFTER % wait_s
        fields = b"%b%b%b" % (retry_after, fields, self._proxy_status(answer))
        return CallError(Reason.RATE_LIMITED.value, answer.status, words, answer.code, fields)

    def _proxy_status(self, answer: _Answer) -> bytes:
        return b"Proxy-Status: %b; error=%b\r\n" % (self._name, answer.proxy_error)


def _rpc_answer(body: bytes, error: dict[str, object]) -> object | None:
    """Return the JSON-RPC answer to `body` that carries `error`, or None when it is no JSON-RPC."""
    if not looks_like_rpc(body):
        return None
    try:
        if len(body) > _MAX_PARSED_BYTES:
            found = _ID_AT_START.match(body[:_ENDS_BYTES]) or _ID_AT_END.search(body[-_ENDS_BYTES:])
            return _rpc_error(json.loads(found[1]) if found else None, error)
        if body.count(b'"method"') > _MAX_CALLS_ANSWERED and body[:64].lstrip(_BLANKS)[:1] == b"[":
            return _rpc_error(None, error)
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(request, dict):
        return _rpc_error(request.get("id"), error) if "method" in request else None
    calls = [call for call in request if isinstance(call, dict) and "method" in call]
    if not calls:
        return None
    ids = [call["id"] for call in calls if "id" in call]
    if not ids or len(ids) > _MAX_CALLS_ANSWERED:
        return _rpc_error(None, error)
    return [_rpc_error(each, error) for each in ids]


def _rpc_error(request_id: object, error: dict[str, object]) -> dict[str, object]:
    usable = isinstance(request_id, (str, int, float)) and not isinstance(request_id, bool)
    if isinstance(request_id, float) and not isfinite(request_id):
        usable = False  # Python reads NaN, and 1e999 as infinity; nobody could read what it would write
    return {"jsonrpc": "2.0", "id": request_id if usable else None, "error": error}


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
