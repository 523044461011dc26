"""The requests of one client connection, one behind the other: each is taken up after the one before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from priolb.errors import ClientError, Reason
from priolb.http.head_reader import HeadReader
from priolb.http.messages import RequestHead
from priolb.http.parser import request_id_in
from priolb.net.front.output import AT_HEAD, BUSY, PASSING, FrontOutput
from priolb.net.transports import has_left

if TYPE_CHECKING:
    from priolb.net.front.listener import Listener

_HEADS_PER_TURN: Final = 16
MAX_PIPELINED_BYTES: Final = 65536

# So often a client is looked for of whom nothing is read.
_LOOK_AGAIN_S: Final = 1.0


class Pipeline(FrontOutput):
    """A client connection as far as the heads of its requests: whoever derives from it takes these up.

    Args:
        listener: what took it, and what it shares with others.
    """

    __slots__ = ("_heads", "_is_head_begun", "_is_reading", "_waiting")

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._waiting: bytes = b""
        """What the client has sent and nobody has taken up yet."""
        self._heads: HeadReader = HeadReader(listener.head_limits)
        self._is_head_begun: bool = False
        self._is_reading: bool = False

    def _begin(self, head: RequestHead) -> None:
        """Take up a request; what is there of its body waits behind it."""
        raise NotImplementedError

    def _reject(self, reason: Reason, detail: str = "", status: int = 0, request_id: bytes = b"") -> None:
        """Answer a request that is not read to its end, and close: where the next one starts is unknown."""
        raise NotImplementedError

    def _await_head(self, now: float) -> None:
        """Go on with the next request: one that waits, or of the network."""
        self.lapses_at = now + self._listener.keepalive_timeout_s
        if self.lapses_at < self.watched_at:
            self._engine.watch(self)
        if self._waiting:
            self._read_heads()
        if self._is_paused:
            self._read_on()

    def _hold_back(self) -> None:
        """Read no more while requests wait that cannot be taken up yet."""
        if self._must_wait():
            self._pause_reading()
            self._look_later()

    def _read_on(self) -> None:
        """Read again, unless too much waits that still cannot be taken up."""
        if len(self._waiting) > MAX_PIPELINED_BYTES and self._must_wait():
            self._look_later()
            return
        self._resume_reading()

    def _must_wait(self) -> bool:
        return self._state == BUSY or self._writing_paused or self._is_reading

    def _look_later(self) -> None:
        """Look in a while whether the client is still there, if nothing is read of it that would tell."""
        if self._is_paused and not self._writing_paused and self._state in {BUSY, PASSING}:
            self._lapse_in(_LOOK_AGAIN_S)

    def _has_left(self, is_heard_out: bool) -> bool:
        """Return whether a client has left of whom nothing is read (see `has_left`); if not, look later."""
        if self._transport is not None and has_left(self._transport, is_heard_out):
            return True
        self._look_later()
        return False

    def _read_heads(self) -> None:
        """Take up the requests that wait as long as none is under way."""
        if self._is_reading or self._writing_paused or self._state != AT_HEAD or not self._waiting:
            return  # not now; or an answer given at once leads back here: the loop below goes on
        self._is_reading = True
        for _ in range(_HEADS_PER_TURN):
            try:
                head = self._take_head()
            except ClientError as error:
                request_id = request_id_in(self._waiting)
                self._reject(Reason.BAD_REQUEST, str(error), error.status, request_id)
                head = None
            if head is not None:
                self._begin(head)
            elif not self._waiting:
                self._is_head_begun = False  # an empty line begins nothing
            elif not self._is_head_begun:
                self._is_head_begun = True
                self._lapse_in(self._listener.head_timeout_s)
            if head is None or self._state != AT_HEAD or not self._waiting or self._writing_paused:
                self._is_reading = False
                return
            if head.long_bytes:
                break  # it takes as much time as many others
        asyncio.get_running_loop().call_soon(self._go_on)

    def _take_head(self) -> RequestHead | None:
        """Take one head off the front of what waits; None when it is not all there.

        Raises:
            ClientError: it is malformed, or over a bound.
        """
        data = self._waiting
        last = self._last_head
        if last is not None and last.raw and not self._is_head_begun and data.startswith(last.raw):
            # As mostly. The reader would find the same, and with many clients be one more miss of the cache.
            self._waiting = data[len(last.raw) :]
            return last
        heads = self._heads
        head = heads.take(data)
        self._waiting = heads.rest
        if head is not None:
            self._is_head_begun = False
        return head

    def _go_on(self) -> None:
        """Take up more requests, now that other connections had their turn."""
        self._is_reading = False
        self._read_heads()
        if self._is_paused:
            self._read_on()
