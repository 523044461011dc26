"""What a client has sent and nobody has taken up yet: requests, one behind the other."""

from __future__ import annotations

from typing import Final

from priolb.errors import ClientError
from priolb.http.familiar import Familiar, learn
from priolb.http.messages import RequestHead
from priolb.http.parser import HEAD_END, HeadLimits, breaks_lines, parse_request_head

_CARRIAGE_RETURN: Final = 13
# Of two heads in a row little can be learned when these many pairs have taught nothing.
_MAX_LESSONS: Final = 4


class Inbox:
    """Holds the bytes behind the request under way, and takes heads off their front.

    Args:
        limits: bounds on a head.

    `data` are the bytes that wait.
    """

    __slots__ = ("_familiar", "_last_head", "_lessons_left", "_limits", "_scanned", "data")

    def __init__(self, limits: HeadLimits) -> None:
        self.data: bytes = b""
        self._limits = limits
        self._last_head: RequestHead | None = None
        self._familiar: Familiar | None = None
        self._lessons_left: int = _MAX_LESSONS
        self._scanned: int = 0

    def clear(self) -> None:
        """Throw away what waits."""
        self.data = b""
        self._scanned = 0

    def take_head(self) -> RequestHead | None:
        """Take one head off the front; None when it is not all there. Not called while nothing waits.

        Raises:
            ClientError: it is malformed, or over a bound.
        """
        data = self.data
        last = self._last_head
        if last is not None and data.startswith(last.raw):
            # A client says the same over and over: not even its end has to be looked for.
            self._scanned = 0
            self.data = data[len(last.raw) :]
            return last
        if self._familiar is not None:
            head = self._familiar.take(data)
            if head is not None and self._familiar.taken_bytes <= self._limits.max_bytes:
                self._scanned = 0
                self.data = data[self._familiar.taken_bytes :]
                return head
        end = data.find(HEAD_END, self._scanned) + 4
        if not 4 <= end <= self._limits.max_bytes or data[0] == _CARRIAGE_RETURN:
            return self._take_odd_head()
        self._scanned = 0
        self.data = data[end:]
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

    def _take_odd_head(self) -> RequestHead | None:
        """Do the same for a head that starts with empty lines, is not all there, or is too large."""
        data = self.data
        if data.startswith(b"\r\n"):  # RFC 9112, section 2.2: empty lines before a request are ignored
            start = 2
            while data.startswith(b"\r\n", start):
                start += 2
            self.data = data[start:]
            self._scanned = 0
            return self.take_head() if self.data else None
        max_bytes = self._limits.max_bytes
        if len(data) > max_bytes:
            if data.find(b"\r\n", 0, max_bytes) < 0:
                raise ClientError(414, "the request line is too long")
            raise ClientError(431, "the head of the request is too large")
        if breaks_lines(data, self._scanned):
            raise ClientError(400, "malformed request: a line that does not end in CR LF")
        self._scanned = max(0, len(data) - 3)
        return None
