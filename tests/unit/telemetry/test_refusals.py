"""Refusals and rejections in the log: one by one while they are few."""

import json

from priolb.telemetry.lane_words import LaneWords
from priolb.telemetry.logs import Logger, LogWriter
from priolb.telemetry.refusals import LINES_PER_S, RefusalLog, RejectionLog


class Lines:
    """A writer that keeps what it gets."""

    is_tty = False

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def set_notice(self, notice: object) -> None:
        """No line is ever lost."""

    def write(self, line: bytes) -> None:
        self.lines.append(json.loads(line))

    def take(self) -> list[dict[str, object]]:
        lines, self.lines = self.lines, []
        for line in lines:
            del line["level"], line["ts"]
        return lines


def logger_of(lines: Lines) -> Logger:
    writer: LogWriter = lines  # type: ignore[assignment]
    return Logger(writer, json=True, service="", clock_ns=lambda: 10**18)


def open_log() -> tuple[Lines, RefusalLog]:
    lines = Lines()
    return lines, RefusalLog(logger_of(lines), LaneWords(["a", "b"]))


def test_each_has_its_line_while_they_are_few() -> None:
    lines, log = open_log()
    log.refused(b"id-1", 1, "queue_full", 503, 7.0)
    log.refused(b"", 0, "shed", 503, 7.5)
    assert lines.take() == [
        {"msg": "Request refused", "reqID": "id-1", "lane": "b", "reason": "queue_full", "statusCode": 503},
        {"msg": "Request refused", "lane": "a", "reason": "shed", "statusCode": 503},
    ]


def test_beyond_a_hundred_in_a_second_they_are_counted_and_told_in_the_next() -> None:
    lines, log = open_log()
    for number in range(LINES_PER_S + 30):
        log.refused(b"%d" % number, number % 2, "shed", 503, 7.0)
    assert [line["reqID"] for line in lines.take()] == [str(number) for number in range(LINES_PER_S)]
    log.refused(b"x", 0, "deadline", 504, 7.9)
    assert lines.take() == []
    log.refused(b"y", 1, "shed", 503, 8.0)
    more = {"msg": "More requests refused"}
    assert lines.take() == [
        {**more, "lane": "a", "reason": "shed", "statusCode": 503, "requests": 15},
        {**more, "lane": "a", "reason": "deadline", "statusCode": 504, "requests": 1},
        {**more, "lane": "b", "reason": "shed", "statusCode": 503, "requests": 15},
        {"msg": "Request refused", "reqID": "y", "lane": "b", "reason": "shed", "statusCode": 503},
    ]


def test_those_who_were_the_last_are_told_when_somebody_asks_and_once() -> None:
    lines, log = open_log()
    for _ in range(LINES_PER_S + 1):
        log.refused(b"", 0, "shed", 503, 7.0)
    lines.take()
    log.tell_others()
    assert [line["requests"] for line in lines.take()] == [1]
    log.tell_others()
    assert lines.take() == []


def test_all_are_counted_by_lane_and_reason_whether_they_have_a_line_or_not() -> None:
    lines, log = open_log()
    assert log.totals() == {}
    for _ in range(LINES_PER_S + 5):
        log.refused(b"", 0, "shed", 503, 7.0)
    log.refused(b"", 1, "deadline", 504, 9.0)
    assert log.totals() == {(0, "shed"): LINES_PER_S + 5, (1, "deadline"): 1}
    assert len(lines.take()) == LINES_PER_S + 2


def test_rejections_have_lines_of_their_own_while_they_are_few() -> None:
    """Each had one, so that one client could write thousands of lines a second."""
    lines = Lines()
    log = RejectionLog(logger_of(lines))
    for number in range(LINES_PER_S + 30):
        status = 400 if number % 3 else 503
        log.rejected(b"%d" % number, f"192.0.2.{number}", status, "because", 7.0)
    said = lines.take()
    assert len(said) == LINES_PER_S
    assert said[1] == {
        "msg": "Connection rejected",
        "reqID": "1",
        "peer": "192.0.2.1",
        "statusCode": 400,
        "err": "because",
    }
    log.rejected(b"", "192.0.2.200", 400, "late", 8.0)
    more = {"msg": "More connections rejected"}
    assert lines.take() == [
        {**more, "statusCode": 400, "rejections": 20, "last": "192.0.2.128"},
        {**more, "statusCode": 503, "rejections": 10, "last": "192.0.2.129"},
        {"msg": "Connection rejected", "peer": "192.0.2.200", "statusCode": 400, "err": "late"},
    ]
    assert log.totals == {400: 87, 503: 44}
    log.tell_others()
    assert lines.take() == []


def test_refused_admin_calls_have_lines_of_their_own_while_they_are_few() -> None:
    """Each had one, so that one stranger wrote a hundred megabytes a second."""
    lines = Lines()
    log = RejectionLog(logger_of(lines))
    for number in range(LINES_PER_S + 30):
        call = {"reqID": f"id-{number}", "method": "GET", "path": "/metrics"}
        log.call_refused(call, f"192.0.2.{number}", 404 if number % 3 else 403, "because", 7.0)
    said = lines.take()
    assert len(said) == LINES_PER_S
    assert said[99] == {
        "msg": "Admin call refused",
        "reqID": "id-99",
        "method": "GET",
        "path": "/metrics",
        "peer": "192.0.2.99",
        "status": 403,
        "err": "because",
    }
    log.rejected(b"", "192.0.2.200", 400, "nonsense", 7.5)
    assert [line["msg"] for line in lines.take()] == ["Connection rejected"], "neither keeps the other out"
    log.call_refused({"method": "PUT", "path": "/nodes"}, "192.0.2.201", 405, "late", 8.0)
    more = {"msg": "More admin calls refused"}
    assert lines.take() == [
        {**more, "status": 404, "calls": 20, "last": "192.0.2.128"},
        {**more, "status": 403, "calls": 10, "last": "192.0.2.129"},
        {
            "msg": "Admin call refused",
            "method": "PUT",
            "path": "/nodes",
            "peer": "192.0.2.201",
            "status": 405,
            "err": "late",
        },
    ]
    assert log.totals == {404: 86, 403: 44, 400: 1, 405: 1}


def test_refused_admin_calls_that_were_the_last_are_told_when_somebody_asks_and_once() -> None:
    lines = Lines()
    log = RejectionLog(logger_of(lines))
    for _ in range(LINES_PER_S + 1):
        log.call_refused({}, "192.0.2.1", 403, "because", 7.0)
    lines.take()
    log.tell_others()
    assert lines.take() == [
        {"msg": "More admin calls refused", "status": 403, "calls": 1, "last": "192.0.2.1"}
    ]
    log.tell_others()
    assert lines.take() == []
