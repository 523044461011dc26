"""JSON-RPC as the mock node speaks it."""

from __future__ import annotations

import json
from typing import Final

from priolb.http.messages import LocalResponse

HEALTH_CHECK: Final = "net_version"

_RESULTS: Final = {HEALTH_CHECK: "1", "eth_chainId": "0x1", "eth_callBundle": "cool"}
_INTERNAL_ERROR: Final = -32603
# The id in answers to what has none, as the mock node of the original answers.
_NO_ID: Final = -1


class Calls:
    """The JSON-RPC calls of one body.

    Args:
        body: one call or a list of calls; anything else is answered with an error.
    """

    __slots__ = ("_calls", "_flaw")

    def __init__(self, body: bytes) -> None:
        self._calls: object = None
        self._flaw = ""
        try:
            self._calls = json.loads(body)
        except RecursionError:
            self._flaw = "nested too deep"
        except ValueError as error:
            self._flaw = str(error)

    @property
    def is_health_check(self) -> bool:
        """Whether it is one call of `net_version`."""
        return isinstance(self._calls, dict) and self._calls.get("method") == HEALTH_CHECK

    def answer(self, fields: bytes) -> LocalResponse:
        """Return the answer, a list for a list; errors of JSON-RPC have status 200.

        Args:
            fields: further fields of the answer, rendered.
        """
        if isinstance(self._calls, list):
            return _response(200, [_answer(call) for call in self._calls], fields)
        if self._flaw:
            return _response(200, _error(_NO_ID, f"failed to parse JSON RPC request: {self._flaw}"), fields)
        return _response(200, _answer(self._calls), fields)

    def fail(self, fields: bytes) -> LocalResponse:
        """Return the answer of a node that is out of order: status 500."""
        if isinstance(self._calls, list):
            return _response(500, [_error(_id_of(call), "mock error") for call in self._calls], fields)
        return _response(500, _error(_id_of(self._calls), "mock error"), fields)


def _answer(call: object) -> dict[str, object]:
    if not isinstance(call, dict) or not isinstance(call.get("method", ""), str):
        return _error(_NO_ID, "failed to parse JSON RPC request: not an object with a method")
    method = call.get("method", "")
    if method not in _RESULTS:
        return _error(_id_of(call), f"no RPC method handler implemented for {method}")
    return {"jsonrpc": "2.0", "id": _id_of(call), "result": _RESULTS[method]}


def _error(call_id: object, message: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": call_id, "error": {"code": _INTERNAL_ERROR, "message": message}}


def _id_of(call: object) -> object:
    """Return the id of a call; of what the standard allows as one, or None."""
    if not isinstance(call, dict):
        return _NO_ID
    call_id = call.get("id")
    is_usable = isinstance(call_id, (str, int, float)) and not isinstance(call_id, bool)
    return call_id if is_usable else None


def _response(status: int, value: object, fields: bytes) -> LocalResponse:
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    return LocalResponse(status, body, b"application/json", fields)
