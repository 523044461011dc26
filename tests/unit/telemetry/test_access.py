"""The two lines of a request, in both forms."""

import json

import pytest
from support.pipe_log import OpenLog

from priolb.telemetry.access import AccessLog


STAMP = "2026-11-22T08:00:00.123Z"


@pytest.mark.parametrize(
    ("lane", "is_high", "is_fast"), [(0, "false", "true"), (1, "true", "false"), (2, "false", "false")]
)
def test_lines_tell_the_lane(open_log: OpenLog, lane: int, is_high: str, is_fast: str) -> None:
    log = open_log()
    access = AccessLog(log.logger)
    access.queued("", lane, (1, 20, 300))
    access.completed("", lane, 60, 200, "http://a", 1, 11, 340, 1351, (0, 20, 300))
    assert log.lines() == [
        (
            '{"level":"info","ts":1795334400.123,"msg":"Request added to queue",'
            f'"requestIsHighPrio":{is_high},"requestIsFastTrack":{is_fast},'
            '"fastTrack":1,"highPrio":20,"lowPrio":300}'
        ),
        (
            '{"level":"info","ts":1795334400.123,"msg":"Request completed","durationMs":1,'
            f'"requestIsHighPrio":{is_high},"requestIsFastTrack":{is_fast},'
            '"payloadSize":60,"statusCode":200,"nodeURI":"http://a","requestTries":1,'
            '"queueDurationUs":11,"nodeDurationUs":340,"totalDurationUs":1351,'
            '"queueItems":320,"queueItemsFastTrack":0,"queueItemsHighPrio":20,"queueItemsLowPrio":300}'
        ),
    ]


def test_lines_carry_service_and_request_id(open_log: OpenLog) -> None:
    log = open_log(service="100% lb")
    access = AccessLog(log.logger)
    access.queued("id-7", 2, (0, 0, 1))
    access.completed("id-7", 2, 60, 504, "", 0, 5_000_000, 0, 5_000_017, (0, 0, 0))
    queued, completed = (json.loads(line) for line in log.lines())
    assert queued["service"] == completed["service"] == "100% lb"
    assert queued["reqID"] == completed["reqID"] == "id-7"
    assert (completed["statusCode"], completed["nodeURI"], completed["durationMs"]) == (504, "", 5000)


def test_readable_lines(open_log: OpenLog) -> None:
    log = open_log(json=False, service="lb")
    access = AccessLog(log.logger)
    access.queued("", 0, (1, 0, 0))
    access.queued("my id", 1, (1, 1, 0))
    access.completed("id-7", 1, 60, 200, "http://a/?_workers=8", 2, 11, 340, 2351, (1, 0, 0))
    access.completed("", 2, 60, 503, "", 0, 11, 0, 12, (1, 0, 0))
    assert log.lines() == [
        (
            f"{STAMP} INFO  Request added to queue  service=lb "
            "requestIsHighPrio=false requestIsFastTrack=true fastTrack=1 highPrio=0 lowPrio=0"
        ),
        (
            f'{STAMP} INFO  Request added to queue  service=lb reqID="my id" '
            "requestIsHighPrio=true requestIsFastTrack=false fastTrack=1 highPrio=1 lowPrio=0"
        ),
        (
            f"{STAMP} INFO  Request completed  service=lb reqID=id-7 durationMs=2 "
            "requestIsHighPrio=true requestIsFastTrack=false payloadSize=60 statusCode=200 "
            "nodeURI=http://a/?_workers=8 requestTries=2 queueDurationUs=11 nodeDurationUs=340 "
            "totalDurationUs=2351 queueItems=1 queueItemsFastTrack=1 queueItemsHighPrio=0 queueItemsLowPrio=0"
        ),
        (
            f"{STAMP} INFO  Request completed  service=lb durationMs=0 "
            "requestIsHighPrio=false requestIsFastTrack=false payloadSize=60 statusCode=503 "
            'nodeURI="" requestTries=0 queueDurationUs=11 nodeDurationUs=0 '
            "totalDurationUs=12 queueItems=1 queueItemsFastTrack=1 queueItemsHighPrio=0 queueItemsLowPrio=0"
        ),
    ]


@pytest.mark.parametrize("is_json", [True, False])
def test_fields_match_those_of_the_logger(open_log: OpenLog, is_json: bool) -> None:
    """An access line and the same line through the logger are one text: there is one mechanism."""
    log = open_log(json=is_json, service="s")
    AccessLog(log.logger).queued('a "b"\n%d', 1, (1, 2, 3))
    log.logger.info(
        "Request added to queue",
        reqID='a "b"\n%d',
        requestIsHighPrio=True,
        requestIsFastTrack=False,
        fastTrack=1,
        highPrio=2,
        lowPrio=3,
    )
    queued, logged = log.lines()
    assert queued == logged


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize("req_id", ["a\nforged", "a\r\x1b[2J", 'a","x":"', "%s%d%b", "ü\u202e", "\udc80"])
def test_request_id_cannot_forge_a_line(open_log: OpenLog, is_json: bool, req_id: str) -> None:
    log = open_log(json=is_json)
    access = AccessLog(log.logger)
    access.queued(req_id, 2, (0, 0, 1))
    access.completed(req_id, 2, 1, 200, "http://a", 1, 1, 1, 3, (0, 0, 0))
    lines = log.lines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    if is_json:
        assert [json.loads(line)["reqID"] for line in lines] == [req_id, req_id]


def test_texts_of_nodes_are_kept_but_not_without_bound(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("priolb.telemetry.access._KNOWN_NODES_MAX", 2)
    log = open_log()
    access = AccessLog(log.logger)
    nodes = ["http://a", "http://b", "http://a", "http://c", "", "http://a"]
    for node in nodes:
        access.completed("", 2, 1, 200, node, 1, 1, 1, 3, (0, 0, 0))
        assert len(access._known_nodes) <= 2
    assert [json.loads(line)["nodeURI"] for line in log.lines()] == nodes
