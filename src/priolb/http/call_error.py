"""The answer to JSON-RPC calls that are refused, which has to be cheap: they may come by the ten thousand."""

from __future__ import annotations

import json
from typing import Final

from priolb.http.numbers import decimal
from priolb.http.writer import status_line

_BODY_START: Final = b'{"jsonrpc":"2.0","id":'


class CallError:
    """What all calls are answered that are refused for the same reason; only their ids differ.

    Args:
        reason: why, as logs and metrics name it.
        status: of the answer.
        words: what is told.
        code: of the error in JSON-RPC.
        fields: fields of the answer, rendered.
    """

    __slots__ = ("_body_bytes", "_body_end", "_start", "fields", "reason", "status", "words")

    def __init__(self, reason: str, status: int, words: str, code: int, fields: bytes) -> None:
        self.reason = reason
        self.status = status
        self.words = words
        self.fields = fields
        self._start: bytes = status_line(status) + b"Content-Type: application/json\r\nContent-Length: "
        error = json.dumps({"code": code, "message": words}, separators=(",", ":"))
        self._body_end: bytes = b',"error":%b}\n' % error.encode()
        self._body_bytes: int = len(_BODY_START) + len(self._body_end)

    def answer(self, call_id: bytes, fields: bytes, date: bytes, connection: bytes) -> bytes:
        """Return the whole answer to a call.

        Args:
            call_id: its id, as it stands in the call.
            fields: further fields, rendered.
            date: the Date field, rendered.
            connection: the Connection field, rendered; empty for none.
        """
        return b'%b%b\r\n%b%b%b%b\r\n{"jsonrpc":"2.0","id":%b%b' % (
            self._start,
            decimal(self._body_bytes + len(call_id)),
            self.fields,
            fields,
            date,
            connection,
            call_id,
            self._body_end,
        )
