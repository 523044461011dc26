"""Answers that say, with whatever status, that another node should be asked."""

from __future__ import annotations

import json
from typing import Final

from priolb.http.inflater import INFLATED_CODINGS, Inflater
from priolb.http.messages import ResponseHead

# An error stands near the start of an answer, and answers that carry one are short.
LOOKED_THROUGH_BYTES: Final = 512
MAX_PARSED_BYTES: Final = 65536
_JSON_STARTS: Final = (b"{", b"[", b"")
# More than a day is a slip of the unit.
_MAX_RETRY_AFTER_S: Final = 86_400


class NodeErrors:
    """Knows the JSON-RPC errors that mean the node and not the request.

    Args:
        codes: error codes; of EIP-1474, say, -32002 (resource unavailable) and -32005 (limit exceeded).
    """

    __slots__ = ("_codes",)

    def __init__(self, codes: frozenset[int]) -> None:
        self._codes = codes

    def are_in(self, body: bytes) -> bool:
        """Return whether an answer to JSON-RPC says that its node cannot serve; of a batch, in every member.

        Args:
            body: the whole body of the answer.
        """
        start = body if len(body) <= LOOKED_THROUGH_BYTES else body[:LOOKED_THROUGH_BYTES]
        # Not `in` or `find`, which take twice to three times as long to begin.
        if not start.partition(b'"error"')[1] or not self._codes:
            return False
        if len(body) > MAX_PARSED_BYTES:
            return False
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if isinstance(answer, list):
            return bool(answer) and all(self._is_one(member) for member in answer)
        return self._is_one(answer)

    def are_in_coded(self, head: ResponseHead, body: bytes) -> bool:
        """Do as `are_in` for a body with a content coding; of one that cannot be read, False.

        Args:
            head: the head of the answer.
            body: as in `are_in`, as it came.
        """
        if len(body) > MAX_PARSED_BYTES or not self._codes or not is_inflated(head):
            return False
        inflater = Inflater()
        start = inflater.take(body, LOOKED_THROUGH_BYTES)
        if b'"error"' not in start:
            return False
        text = start + inflater.take(inflater.rest, MAX_PARSED_BYTES)
        return inflater.is_whole and self.are_in(text)

    def may_follow(self, head: ResponseHead, body_bytes: int) -> bool:
        """Return whether the body that follows a head may be one of `are_in`, or `are_in_coded`.

        Args:
            head: the head of an answer to JSON-RPC.
            body_bytes: length of its body, as in `framing`.
        """
        if not self._codes or body_bytes > MAX_PARSED_BYTES:
            return False
        if b"content-encoding" in head.known and not is_inflated(head):
            return False
        content_type = head.known.get(b"content-type")
        return content_type is None or content_type[:16].lower() == b"application/json"

    def may_become(self, start: bytes, size_bytes: int) -> bool:
        """Return whether a body of which a part is there may turn out to be one of `are_in`.

        Args:
            start: its first `LOOKED_THROUGH_BYTES`, or what there is of them, without its content coding.
            size_bytes: how much is there of it, without its content coding.
        """
        if size_bytes > MAX_PARSED_BYTES or start.lstrip(b" \t\r\n")[:1] not in _JSON_STARTS:
            return False
        error, result = start.find(b'"error"'), start.find(b'"result"')
        if error < 0:
            return result < 0 and size_bytes < LOOKED_THROUGH_BYTES
        return result < 0 or error < result

    def _is_one(self, answer: object) -> bool:
        error = answer.get("error") if isinstance(answer, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        return isinstance(code, int) and code in self._codes


def is_inflated(head: ResponseHead) -> bool:
    """Return whether an answer has a content coding that is looked into."""
    return head.known.get(b"content-encoding", b"").lower() in INFLATED_CODINGS


def retry_after_s(value: bytes | None) -> float:
    """Return for how long a node asks not to be asked again, seconds; 0 when it does not say.

    A date, which RFC 9110, section 10.2.3 allows as well, is not heeded: the clocks of two machines differ by
    more than a request may wait.

    Args:
        value: its Retry-After field.
    """
    if value is None or not value.isdigit() or len(value) > len(str(_MAX_RETRY_AFTER_S)):
        return 0.0
    return float(min(int(value), _MAX_RETRY_AFTER_S))
