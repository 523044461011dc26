"""An answer on its way: to the client, part by part, or kept in case no better one comes."""

from __future__ import annotations

from typing import Final

from priolb.http.inflater import Inflater
from priolb.http.messages import ResponseHead
from priolb.http.node_errors import LOOKED_THROUGH_BYTES, MAX_PARSED_BYTES, is_inflated

SWITCHING_PROTOCOLS: Final = 101

# A failing answer is kept while another try runs; a larger one is not worth the memory.
MAX_KEPT_ANSWER_BYTES: Final = 65536


class AnswerStream:
    """An answer on its way to the client, part by part.

    Args:
        status: its status.
        body_bytes: length of its body, as in `framing`.
        is_chunked: it goes to the client in chunks.
    """

    __slots__ = ("is_chunked", "status", "until_close")

    def __init__(self, status: int, body_bytes: int, is_chunked: bool) -> None:
        self.status = status
        self.is_chunked = is_chunked
        self.until_close = body_bytes < 0 and not is_chunked


class HeldAnswer:
    """An answer of which the client sees nothing yet, collected because there may be a better one.

    Args:
        head: its head.
        body_bytes: length of its body, as in `framing`.
        is_failing: its status says that it failed; else only its body can say so.

    `start` is the first of its body, without its content coding: as much as tells whether that may say so.
    `text_bytes` is how much of the body has come, counted likewise; more than is looked into when that coding
    cannot be undone. `size_bytes` is how much has come as it is.
    """

    __slots__ = (
        "_inflater",
        "_parts",
        "body_bytes",
        "head",
        "is_failing",
        "size_bytes",
        "start",
        "text_bytes",
    )

    def __init__(self, head: ResponseHead, body_bytes: int, is_failing: bool) -> None:
        self.head = head
        self.body_bytes = body_bytes
        self.is_failing = is_failing
        self.start: bytes = b""
        self.size_bytes: int = 0
        self.text_bytes: int = 0
        self._parts: list[bytes] = []
        self._inflater: Inflater | None = Inflater() if not is_failing and is_inflated(head) else None

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self.size_bytes += len(data)
        text = data
        if self._inflater is not None:
            text = self._inflater.take(data, MAX_PARSED_BYTES + 1)
            if self._inflater.is_broken or self.size_bytes > MAX_PARSED_BYTES:
                self.text_bytes = MAX_PARSED_BYTES + 1
        if self.text_bytes < LOOKED_THROUGH_BYTES:
            self.start += text[: LOOKED_THROUGH_BYTES - self.text_bytes]
        self.text_bytes += len(text)

    def body(self) -> bytes:
        return b"".join(self._parts)
