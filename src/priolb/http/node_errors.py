"""Answers that say, with whatever status, that another node should be asked."""

from __future__ import annotations

import json
from typing import Final

# An error stands near the start of an answer, and answers that carry one are short.
_LOOKED_THROUGH_BYTES: Final = 512
_MAX_PARSED_BYTES: Final = 65536
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
        if body.find(b'"error"', 0, _LOOKED_THROUGH_BYTES) < 0 or not self._codes:
            return False
        if len(body) > _MAX_PARSED_BYTES:
            return False
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if isinstance(answer, list):
            return bool(answer) and all(self._is_one(member) for member in answer)
        return self._is_one(answer)

    def _is_one(self, answer: object) -> bool:
        error = answer.get("error") if isinstance(answer, dict) else None
        code = error.get("code") if isinstance(error, dict) else None
        return isinstance(code, int) and code in self._codes


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
