"""Heads of requests, one after the other, from what a client has sent."""

from __future__ import annotations

import re
from typing import Final

from priolb.errors import ClientError
from priolb.http.familiar import Familiar, learn
from priolb.http.messages import RequestHead
from priolb.http.parser import HEAD_END, HeadLimits, breaks_lines, parse_request_head

_CARRIAGE_RETURN: Final = 13
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*+")
# Of two heads in a row little can be learned when these many pairs have taught nothing.
_MAX_LESSONS: Final = 4


class HeadReader:
    """Takes heads off the front of what one client has sent.

    Args:
        limits: bounds on a head.

    `rest` is what the last call of `take` has left of the bytes that it was given.
    """

    __slots__ = ("_familiar", "_last_head", "_lessons_left", "_limits", "_scanned", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self.rest: bytes = b""
        self._limits = limits
        self._last_head: RequestHead | None = None
        self._familiar: Familiar | None = None
        self._lessons_left: int = _MAX_LESSONS
        self._scanned: int = 0

    def take(self, data: bytes) -> RequestHead | None:
        """Take one head off the front; None when it is not all there.

        Args:
            data: what the client has sent, not empty; after a None `rest`, and something behind it.

        Raises:
            ClientError: it is malformed, or over a bound.
        """
        last = self._last_head
        if last is not None and data.startswith(last.raw):
            # A client says the same over and over: not even its end has to be looked for.
            self._scanned = 0
            self.rest = data[len(last.raw) :]
            return last
        familiar = self._familiar
        if familiar is not None:
            head = familiar.take(data)
            if head is not None and familiar.taken_bytes <= self._limits.max_bytes:
                self._scanned = 0
                self.rest = data[familiar.taken_bytes :]
                return head
        end = data.find(HEAD_END, self._scanned) + 4
        if not 4 <= end <= self._limits.max_bytes or data[0] == _CARRIAGE_RETURN:
            return self._take_odd_head(data)
        self._scanned = 0
        self.rest = data[end:]
        head = parse_request_head(data[:end], self._limits.max_fields)
        if not head.raw:
            self._last_head = None
            return head
        if last is not None and self._lessons_left:
            self._familiar = learn(last, head)
            if self._familiar is None:
                self._lessons_left -= 1
        self._last_head = head
        return head

    def _take_odd_head(self, data: bytes) -> RequestHead | None:
        """Do the same for a head that starts with empty lines, is not all there, or is too large."""
        if data.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request are ignored
            found = _EMPTY_LINES.match(data)
            assert found is not None
            self.rest = data[found.end() :]
            self._scanned = 0
            return self.take(self.rest) if self.rest else None
        self.rest = data
        max_bytes = self._limits.max_bytes
        if len(data) > max_bytes:
            if data.find(b"\r\n", 0, max_bytes) < 0:
                raise ClientError(414, "the request line is too long")
            raise ClientError(431, "the head of the request is too large")
        if breaks_lines(data, self._scanned):
            raise ClientError(400, "malformed request: a line that does not end in CR LF")
        self._scanned = max(0, len(data) - 3)
        return None
