"""The fields of ours in an answer to a client: how long it took and where, which way it came, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from priolb.http.messages import ResponseHead
from priolb.http.writer import timing_fields

if TYPE_CHECKING:
    from priolb.net.engine import Engine
    from priolb.net.exchange.exchange import Exchange


def added_fields(engine: Engine, exchange: Exchange, head: ResponseHead, try_at: float, now: float) -> bytes:
    """Return the fields of ours in the answer to a request, rendered.

    Args:
        engine: runs it.
        exchange: the request.
        head: head of the node's answer.
        try_at: monotonic seconds of the start of the try that brought it.
        now: monotonic seconds.
    """
    times = timing_fields(
        int((try_at - exchange.enqueued_at) * 1e6),
        int((now - try_at) * 1e6),
        exchange.size_at_start,
        engine.scheduler.queue.lanes[exchange.lane].length,
    )
    return b"%b%b%b" % (times, engine.via[head.minor], b"" if b"date" in head.known else engine.date(now))
