"""How the log speaks of lanes."""

import json

from priolb.core.queueing.classify import LANE_NAMES
from priolb.telemetry.lane_words import LaneWords, words_of
from priolb.telemetry.requests import RequestLog
from support.pipe_log import OpenLog
from support.tickets import queue_of


def test_the_lanes_of_the_original_have_its_words() -> None:
    words = words_of(LANE_NAMES)
    assert words.count == 3
    assert words.size_names == ["fastTrack", "highPrio", "lowPrio"]
    assert words.sizes("n", 1) == ["n", "nFastTrack", "nHighPrio", "nLowPrio"]
    assert words.tells_all
    assert [words.lengths_alone(lane) for lane in range(3)] == [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
    assert [words.of(lane) for lane in range(3)] == [
        {"requestIsHighPrio": False, "requestIsFastTrack": True},
        {"requestIsHighPrio": True, "requestIsFastTrack": False},
        {"requestIsHighPrio": False, "requestIsFastTrack": False},
    ]


def test_other_lanes_have_their_names() -> None:
    words = words_of(["a", "b-2"])
    assert words.count == 2
    assert words.size_names == ["queueSize_a", "queueSize_b-2"]
    assert [words.sizes("n", lane) for lane in range(2)] == [["n", "n_a"], ["n", "n_b-2"]]
    assert not words.tells_all
    assert [words.lengths_alone(lane) for lane in range(2)] == [(1, 1), (1, 1)]
    assert [words.of(lane) for lane in range(2)] == [{"lane": "a"}, {"lane": "b-2"}]


def test_lines_of_requests_in_other_lanes(open_log: OpenLog) -> None:
    log = open_log()
    requests = RequestLog(log.logger, LaneWords(["a", "b"]))
    requests.queued(b"", 1, 60, 7.5, queue_of(0, 1))
    requests.queued(b"", 1, 60, 7.5, queue_of(3, 4))
    requests.refused(b"", 0, "queue_full", 503, 7.5)
    requests.client_left(b"", 1, 1, 60)
    alone, queued, refused, left = (json.loads(line) for line in log.lines())
    assert list(alone.items())[3:] == [
        ("lane", "b"),
        ("payloadSize", 60),
        ("startQueueSize", 1),
        ("startQueueSize_b", 1),
    ]
    assert list(queued.values())[3:] == ["b", 60, 7, 4]
    assert list(refused.items())[3] == ("lane", "a")
    assert list(left.items())[3] == ("lane", "b")
