"""What the log says of a request, in both forms."""

import json
from math import inf

import pytest

from priolb.core.queueing.queue import PriorityQueue
from priolb.core.ticket import Ticket
from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.requests import RequestLog
from support.pipe_log import OpenLog
from support.tickets import queue_of

STAMP = "2026-11-22T08:00:00.123Z"


def a_ticket(lane: int, tries: int) -> Ticket:
    """Return that of a request which arrived at 8 s."""
    ticket = Ticket(lane, enqueued_at=8.0, start_by=inf)
    ticket.tries = tries
    return ticket


def complete(
    requests: RequestLog,
    ticket: Ticket,
    request_id: bytes,
    payload_bytes: int,
    status: int,
    node: str,
    started_at: float,
    now: float,
    queue: PriorityQueue,
) -> None:
    """Log that a request is completed by a node of this name."""
    node_name = requests.node_name(node)
    requests.completed(ticket, request_id, payload_bytes, status, node_name, started_at, now, queue)


@pytest.mark.parametrize(
    ("lane", "is_high", "is_fast"), [(0, False, True), (1, True, False), (2, False, False)]
)
def test_lines_tell_the_lane(open_log: OpenLog, lane: int, is_high: bool, is_fast: bool) -> None:
    log = open_log()
    requests = RequestLog(log.logger)
    requests.queued(b"", lane, 60, 7.5, queue_of(1, 20, 300))
    complete(requests, a_ticket(lane, 1), b"", 60, 200, "http://a", 8.125, 8.5, queue_of(0, 20, 300))
    requests.refused(b"", lane, "queue_full", 503, 8.5)
    priority = {"requestIsHighPrio": is_high, "requestIsFastTrack": is_fast}
    queued, completed, refused = (json.loads(line) for line in log.lines())
    assert queued == {
        "level": "info",
        "ts": 1795334400.123,
        "msg": "Request added to queue",
        **priority,
        "payloadSize": 60,
        "startQueueSize": 321,
        "startQueueSizeFastTrack": 1,
        "startQueueSizeHighPrio": 20,
        "startQueueSizeLowPrio": 300,
    }
    assert completed == {
        "level": "info",
        "ts": 1795334400.123,
        "msg": "Request completed",
        "durationMs": 500,
        "durationUs": 500000,
        "simDurationUs": 375000,
        "queueDurationUs": 125000,
        **priority,
        "payloadSize": 60,
        "statusCode": 200,
        "nodeURI": "http://a",
        "requestTries": 1,
        "endQueueSize": 320,
        "endQueueSizeFastTrack": 0,
        "endQueueSizeHighPrio": 20,
        "endQueueSizeLowPrio": 300,
    }
    assert refused == {
        "level": "error",
        "ts": 1795334400.123,
        "msg": "Request refused",
        **priority,
        "reason": "queue_full",
        "statusCode": 503,
    }


def test_readable_lines(open_log: OpenLog) -> None:
    log = open_log(json=False, service="lb")
    requests = RequestLog(log.logger)
    requests.queued(b"my id", 0, 60, 7.5, queue_of(1, 0, 0))
    complete(
        requests, a_ticket(1, 2), b"id-7", 60, 200, "http://a/?_workers=8", 8.125, 8.25, queue_of(1, 0, 0)
    )
    requests.client_left(b"id-7", 1, 2, 60)
    requests.node_failed(b"id-7", "http://a", "node_unreachable", "Connection refused", 1)
    requests.node_failed(b"", "http://a", "node_timeout", "", 3)
    requests.rejected(b"", "127.0.0.1", 431, "head too long", 7.0)
    requests.rejected(b"id-7", "127.0.0.1", 413, "payload_too_large", 7.0)
    queued, completed, *others = log.lines()
    assert queued == (
        f'{STAMP} INFO  Request added to queue  service=lb reqID="my id" '
        "requestIsHighPrio=false requestIsFastTrack=true payloadSize=60 "
        "startQueueSize=1 startQueueSizeFastTrack=1 startQueueSizeHighPrio=0 startQueueSizeLowPrio=0"
    )
    assert completed == (
        f"{STAMP} INFO  Request completed  service=lb reqID=id-7 "
        "durationMs=250 durationUs=250000 simDurationUs=125000 queueDurationUs=125000 "
        "requestIsHighPrio=true requestIsFastTrack=false payloadSize=60 statusCode=200 "
        "nodeURI=http://a/?_workers=8 requestTries=2 "
        "endQueueSize=1 endQueueSizeFastTrack=1 endQueueSizeHighPrio=0 endQueueSizeLowPrio=0"
    )
    assert [line.partition("  service=lb ")[2] for line in others] == [
        "reqID=id-7 requestIsHighPrio=true requestIsFastTrack=false payloadSize=60 requestTries=2",
        'reqID=id-7 nodeURI=http://a reason=node_unreachable err="Connection refused" requestTries=1',
        'nodeURI=http://a reason=node_timeout err="" requestTries=3',
        'peer=127.0.0.1 statusCode=431 err="head too long"',
        "reqID=id-7 peer=127.0.0.1 statusCode=413 err=payload_too_large",
    ]


def test_service_with_a_percent_sign_stays_as_it_is(open_log: OpenLog) -> None:
    log = open_log(service="100% %d lb")
    RequestLog(log.logger).queued(b"", 2, 60, 7.5, queue_of(0, 0, 1))
    assert [json.loads(line)["service"] for line in log.lines()] == ["100% %d lb"]


@pytest.mark.parametrize("sizes", [(0, 0, 0), (1, 2, 3)])
@pytest.mark.parametrize("request_id", [b"", b"50% %d"])
def test_node_and_service_with_percent_signs_stay_as_they_are(
    open_log: OpenLog, request_id: bytes, sizes: tuple[int, ...]
) -> None:
    log = open_log(service="100% %d lb")
    requests = RequestLog(log.logger)
    for _ in range(2):
        complete(
            requests, a_ticket(2, 1), request_id, 1, 200, "http://a/%20%d%%b", 8.125, 9.25, queue_of(*sizes)
        )
    found = [json.loads(line) for line in log.lines()]
    assert [line["service"] for line in found] == ["100% %d lb"] * 2
    assert [line["nodeURI"] for line in found] == ["http://a/%20%d%%b"] * 2
    assert [line.get("reqID", "").encode() for line in found] == [request_id] * 2
    assert [line["endQueueSize"] for line in found] == [sum(sizes)] * 2


@pytest.mark.parametrize(("lane", "sizes"), [(0, (1, 0, 0)), (1, (0, 1, 0)), (2, (0, 0, 1)), (2, (0, 1, 1))])
def test_who_is_alone_in_line_is_told_as_everybody_else(
    open_log: OpenLog, lane: int, sizes: tuple[int, ...]
) -> None:
    log = open_log()
    RequestLog(log.logger).queued(b"", lane, 60, 7.5, queue_of(*sizes))
    [line] = [json.loads(line) for line in log.lines()]
    names = ("startQueueSizeFastTrack", "startQueueSizeHighPrio", "startQueueSizeLowPrio")
    assert (line["startQueueSize"], tuple(line[name] for name in names)) == (sum(sizes), sizes)


@pytest.mark.parametrize("sizes", [(0, 0), (2, 3)])
def test_lanes_of_other_names_and_number_are_told_by_name(open_log: OpenLog, sizes: tuple[int, ...]) -> None:
    log = open_log()
    requests = RequestLog(log.logger, LaneWords(["a", "b"]))
    complete(requests, a_ticket(1, 1), b"", 0, 200, "http://a", 8.0, 9.5, queue_of(*sizes))
    [line] = [json.loads(line) for line in log.lines()]
    assert "requestIsHighPrio" not in line
    assert list(line.items())[-2:] == [("endQueueSize", sum(sizes)), ("endQueueSize_b", sizes[1])]
    assert line["lane"] == "b"


def test_a_request_that_began_at_once_has_not_waited(open_log: OpenLog) -> None:
    log = open_log()
    complete(RequestLog(log.logger), a_ticket(2, 1), b"", 0, 200, "http://a", 8.0, 9.5, queue_of(0, 0, 0))
    [line] = [json.loads(line) for line in log.lines()]
    names = ("durationMs", "durationUs", "simDurationUs", "queueDurationUs")
    assert [line[name] for name in names] == [1500, 1500000, 1500000, 0]


@pytest.mark.parametrize("is_json", [True, False])
def test_line_of_a_request_is_what_the_logger_would_make_of_it(open_log: OpenLog, is_json: bool) -> None:
    log = open_log(json=is_json, service="s")
    RequestLog(log.logger).queued(b'a "b"\n%d', 1, 60, 7.5, queue_of(1, 2, 3))
    log.logger.info(
        "Request added to queue",
        reqID='a "b"\n%d',
        requestIsHighPrio=True,
        requestIsFastTrack=False,
        payloadSize=60,
        startQueueSize=6,
        startQueueSizeFastTrack=1,
        startQueueSizeHighPrio=2,
        startQueueSizeLowPrio=3,
    )
    queued, logged = log.lines()
    assert queued == logged


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize("first_byte", range(0, 256, 64))  # a pipe that nobody reads yet holds no more lines
def test_an_id_of_any_byte_is_told_as_the_logger_would_tell_it(
    open_log: OpenLog, is_json: bool, first_byte: int
) -> None:
    log = open_log(json=is_json)
    requests = RequestLog(log.logger)
    ids = [bytes([byte]) for byte in range(first_byte, first_byte + 64)]
    for request_id in ids:
        complete(requests, a_ticket(2, 1), request_id, 7, 200, "http://a", 8.0, 8.0, queue_of(0, 0, 0))
        log.logger.info(
            "Request completed",
            reqID=request_id.decode("utf-8", "replace"),
            **dict.fromkeys(("durationMs", "durationUs", "simDurationUs", "queueDurationUs"), 0),
            requestIsHighPrio=False,
            requestIsFastTrack=False,
            payloadSize=7,
            statusCode=200,
            nodeURI="http://a",
            requestTries=1,
            **{f"endQueueSize{name}": 0 for name in ("", "FastTrack", "HighPrio", "LowPrio")},
        )
    lines = log.lines()
    assert len(lines) == 2 * len(ids)
    assert lines[::2] == lines[1::2]


def test_each_line_tells_the_facts_of_its_own_request(open_log: OpenLog) -> None:
    log = open_log()
    requests = RequestLog(log.logger)
    facts = [(200, "http://a", 1), (404, "http://a", 1), (404, "http://b", 1), (404, "http://b", 2)]
    for status, node, tries in [*facts, facts[0]]:
        complete(requests, a_ticket(2, tries), b"", 60, status, node, 8.0, 8.5, queue_of(0, 0, 0))
    lines = [json.loads(line) for line in log.lines()]
    told = [(line["statusCode"], line["nodeURI"], line["requestTries"]) for line in lines]
    assert told == [*facts, facts[0]]


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize(
    "request_id",
    [b"a\nforged", b"a\r\x1b[2J", b'a","x":"', b"%s%d%b", b"\x9b31m", b"\x85", b"\xff\xfe", b"\x00"],
)
def test_request_id_cannot_forge_a_line(open_log: OpenLog, is_json: bool, request_id: bytes) -> None:
    log = open_log(json=is_json)
    requests = RequestLog(log.logger)
    requests.queued(request_id, 2, 1, 7.5, queue_of(0, 0, 1))
    complete(requests, a_ticket(2, 1), request_id, 1, 200, "http://a", 8.0, 8.0, queue_of(0, 0, 0))
    requests.refused(request_id, 2, "deadline", 504, 8.0)
    requests.client_left(request_id, 2, 1, 1)
    requests.node_failed(request_id, "http://a", "node_timeout", "", 1)
    lines = log.lines()
    assert len(lines) == 5
    assert all(line.isprintable() for line in lines)
    if is_json:
        assert [json.loads(line)["reqID"] for line in lines] == [request_id.decode("utf-8", "replace")] * 5


def test_what_does_not_get_through_is_counted(open_log: OpenLog) -> None:
    log = open_log()
    requests = RequestLog(log.logger)
    assert (requests.refusals.totals(), requests.rejections.totals, requests.clients_left) == (
        {},
        {},
        [0, 0, 0],
    )
    for lane, reason in ((0, "queue_full"), (2, "queue_full"), (2, "deadline"), (2, "queue_full")):
        requests.refused(b"", lane, reason, 503, 8.0)
    for status in (400, 431, 400, 0):
        requests.rejected(b"", "127.0.0.1", status, "because", 7.0)
    for lane in (1, 1, 2):
        requests.client_left(b"", lane, 1, 60)
    assert requests.refusals.totals() == {(0, "queue_full"): 1, (2, "queue_full"): 2, (2, "deadline"): 1}
    assert requests.rejections.totals == {400: 2, 431: 1, 0: 1}
    for lane in (2, 1, 2):
        requests.preempted(b"loses", lane, "http://a", b"wins")
    assert requests.clients_left == [0, 2, 1]
    assert requests.preemptions == [0, 1, 2]
    lines = log.lines()
    assert len(lines) == 14
    preempted = json.loads(lines[-1])
    assert (preempted["msg"], preempted["reqID"], preempted["nodeURI"], preempted["by"]) == (
        "Request preempted",
        "loses",
        "http://a",
        "wins",
    )


def test_what_gets_through_is_not_counted_by_the_log(open_log: OpenLog) -> None:
    log = open_log()
    requests = RequestLog(log.logger, LaneWords(["a", "b"]))
    requests.queued(b"", 0, 60, 7.5, queue_of(1, 0))
    complete(requests, a_ticket(0, 1), b"", 0, 200, "http://a", 8.0, 8.5, queue_of(0, 0))
    requests.node_failed(b"", "http://a", "node_timeout", "late", 1)
    assert (requests.refusals.totals(), requests.rejections.totals, requests.clients_left) == ({}, {}, [0, 0])
    assert len(log.lines()) == 3
