"""The requests of one client connection, one behind the other: each is taken up after the one before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from priolb.errors import ClientError, Reason
from priolb.http.inbox import Inbox
from priolb.http.messages import RequestHead
from priolb.net.client import AT_HEAD, BUSY, ClientConnection

if TYPE_CHECKING:
    from priolb.net.listener import Listener

_HEADS_PER_TURN: Final = range(16)
MAX_PIPELINED_BYTES: Final = 65536


class Pipeline(ClientConnection):
    """A client connection as far as the heads of its requests: whoever derives from it takes these up.

    Args:
        listener: what took it, and what it shares with others.
    """

    __slots__ = ("_inbox", "_is_head_begun", "_is_reading")

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._inbox: Inbox = Inbox(listener.head_limits)
        self._is_head_begun: bool = False
        self._is_reading: bool = False

    def _begin(self, head: RequestHead) -> None:
        """Take up a request; what is there of its body is in the inbox."""
        raise NotImplementedError

    def _refuse(self, reason: Reason, detail: str = "", status: int = 0) -> None:
        """Answer a request that is not read to its end, and close: where the next one starts is unknown."""
        raise NotImplementedError

    def _await_head(self, now: float) -> None:
        """Go on with the next request: of the inbox, or of the network."""
        self._is_head_begun = False
        self.lapses_at = now + self._listener.keepalive_timeout_s
        if self.lapses_at < self.watched_at:
            self._engine.watch(self)
        if self._inbox.data:
            self._read_heads()
        if self._is_paused:
            self._read_on()

    def _hold_back(self) -> None:
        """Read no more while requests wait in the inbox that cannot be taken up yet."""
        if self._must_wait():
            self._pause_reading()

    def _read_on(self) -> None:
        """Read again, unless too much waits in the inbox that still cannot be taken up."""
        if len(self._inbox.data) > MAX_PIPELINED_BYTES and self._must_wait():
            return
        self._resume_reading()

    def _must_wait(self) -> bool:
        return self._state == BUSY or self._writing_paused or self._is_reading

    def _read_heads(self) -> None:
        """Take requests out of the inbox as long as none is under way."""
        inbox = self._inbox
        if self._is_reading or self._writing_paused or self._state != AT_HEAD or not inbox.data:
            return  # not now; or an answer given at once leads back here: the loop below goes on
        self._is_reading = True
        for _ in _HEADS_PER_TURN:
            try:
                head = inbox.take_head()
            except ClientError as error:
                self._refuse(Reason.BAD_REQUEST, str(error), error.status)
                head = None
            if head is not None:
                self._begin(head)
            elif not inbox.data:
                self._is_head_begun = False  # an empty line begins nothing
            elif not self._is_head_begun:
                self._is_head_begun = True
                self._lapse_in(self._listener.head_timeout_s)
            if head is None or self._state != AT_HEAD or not inbox.data or self._writing_paused:
                self._is_reading = False
                return
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take more requests out of the inbox, now that other connections had their turn."""
        self._is_reading = False
        self._read_heads()
        if self._is_paused:
            self._read_on()
