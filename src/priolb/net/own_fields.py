"""The fields of ours in an answer to a client: how long it took and where, which way it came, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from priolb.http.messages import ResponseHead
from priolb.http.numbers import NUMBERS, THREE_DIGITS, decimal

if TYPE_CHECKING:
    from priolb.net.engine import Engine
    from priolb.net.exchange import Exchange


def own_fields(engine: Engine, exchange: Exchange, head: ResponseHead, try_at: float, now: float) -> bytes:
    """Return the fields of ours in the answer to a request, rendered.

    Args:
        engine: runs it.
        exchange: the request.
        head: head of the node's answer.
        try_at: monotonic seconds of the start of the try that brought it.
        now: monotonic seconds.
    """
    size_at_start = exchange.size_at_start
    size_at_end = engine.scheduler.queue.lanes[exchange.lane].length
    node_us = int((now - try_at) * 1e6)
    node_ms = node_us // 1000
    node_time = b"%d" % node_us
    queue_time, queue_span, total_time = b"0", b"0.000", node_time  # of one that started at once
    if try_at != exchange.enqueued_at:
        queue_us = int((try_at - exchange.enqueued_at) * 1e6)
        queue_ms = queue_us // 1000
        queue_time = b"%d" % queue_us
        queue_span = b"%b.%b" % (decimal(queue_ms), THREE_DIGITS[queue_us - 1000 * queue_ms])
        total_time = b"%d" % int((now - exchange.enqueued_at) * 1e6)
    return (
        b"X-PrioLB-QueueDurationUs: %b\r\nX-PrioLB-SimDurationUs: %b\r\nX-PrioLB-TotalDurationUs: %b\r\n"
        b"X-PrioLB-QueueSizeStart: %b\r\nX-PrioLB-QueueSizeEnd: %b\r\n"
        b"Server-Timing: queue;dur=%b, node;dur=%b.%b\r\n%b%b"
        % (
            queue_time,
            node_time,
            total_time,
            NUMBERS[size_at_start] if size_at_start < 1000 else b"%d" % size_at_start,
            NUMBERS[size_at_end] if size_at_end < 1000 else b"%d" % size_at_end,
            queue_span,
            NUMBERS[node_ms] if node_ms < 1000 else b"%d" % node_ms,
            THREE_DIGITS[node_us - 1000 * node_ms],
            engine.via[head.minor],
            b"" if b"date" in head.known else engine.date(now),
        )
    )
