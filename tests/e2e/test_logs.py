"""What the log tells."""

import json

import pytest

from priolb import __version__
from support.balancer import Balancer, run_program
from support.factories import Connect, Launch, NewNode
from support.scripted_node import ScriptedNode, always
from support.wire import post, request


def test_each_request_logs_when_queued_and_when_completed(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    bad, good = new_node(always(500)), new_node(always(201))
    balancer.add_node(bad.uri)
    balancer.add_node(f"{good.uri}/rpc?_workers=3&key=secret")
    answer = connect(balancer).ask(post(b"12345", "X-High-Priority: true", "X-Request-ID: both lines"))
    queued = balancer.wait_for("Request added to queue", reqID="both lines")
    assert queued.items() >= {"level": "info", "payloadSize": 5, "requestIsHighPrio": True}.items()
    assert queued["requestIsFastTrack"] is False
    assert [queued[f"startQueueSize{lane}"] for lane in ("", "FastTrack", "HighPrio", "LowPrio")] == [
        1,
        0,
        1,
        0,
    ]
    done = balancer.wait_for("Request completed", reqID="both lines")
    assert done.items() >= {"level": "info", "payloadSize": 5, "statusCode": 201, "requestTries": 2}.items()
    assert done["nodeURI"] == f"{good.uri}/rpc", "without what may be secret"
    assert [done[f"endQueueSize{lane}"] for lane in ("", "FastTrack", "HighPrio", "LowPrio")] == [0] * 4
    assert done["queueDurationUs"] == int(answer.field("X-PrioLB-QueueDurationUs") or -1)
    assert 0 <= done["simDurationUs"] <= done["durationUs"]
    assert done["durationMs"] == done["durationUs"] // 1000


def test_the_lengths_of_all_queues_are_told_while_requests_wait(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()
    balancer.add_node(f"{node.uri}?_workers=1")
    connect(balancer).send(post(b"{}", "X-Request-ID: len-0"))
    node.next_call()
    lanes = ["X-Fast-Track: true", "X-No: true", "X-Fast-Track: true", "X-High-Priority: true"]
    for number, lane in enumerate(lanes, start=1):
        connect(balancer).send(post(b"{}", lane, f"X-Request-ID: len-{number}"))
        balancer.wait_queued(f"len-{number}")
    line = balancer.wait_for("Request added to queue", reqID="len-4")
    assert [line[f"startQueueSize{lane}"] for lane in ("", "FastTrack", "HighPrio", "LowPrio")] == [
        4,
        2,
        1,
        1,
    ]


def test_every_10_s_a_line_gives_the_lengths_of_the_queues_and_the_longest_stall(balancer: Balancer) -> None:
    """No wait in a whole run: the balancer that the tests share is older than that by now."""
    line = balancer.wait_for_line(lambda line: line["msg"] == "prioQueue size", timeout_s=15)
    assert list(line) == ["level", "ts", "msg", "fastTrack", "highPrio", "lowPrio", "longestStallMs"]
    assert min(line["fastTrack"], line["highPrio"], line["lowPrio"]) >= 0
    assert 0 <= line["longestStallMs"] < 10_000


def test_every_line_of_a_request_has_its_id(balancer: Balancer, node: ScriptedNode, connect: Connect) -> None:
    client = connect(balancer)
    client.send(post(b"{}", "X-Request-ID: everywhere"))
    node.next_call().close()
    node.next_call()
    client.close()
    balancer.wait_for("Client closed the connection prematurely", reqID="everywhere")
    assert [line["msg"] for line in balancer.lines if line.get("reqID") == "everywhere"] == [
        "Request added to queue",
        "Request proxying failed",
        "Client closed the connection prematurely",
    ]


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b'quote" and back\\slash', 'quote" and back\\slash'),
        ("Zoë".encode(), "Zoë"),
        (b"tab\tinside", "tab\tinside"),
        (b"x" * 2000, "x" * 512),
    ],
)
def test_an_id_can_be_anything_and_stays_on_its_line(
    balancer: Balancer, connect: Connect, sent: bytes, logged: str
) -> None:
    connect(balancer).ask(
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\nContent-Length: 0\r\n\r\n" % sent
    )
    balancer.wait_for("Request refused", reqID=logged)


def test_lines_for_people_are_the_default() -> None:
    done = run_program("-redis", "127.0.0.1:1", LISTEN_ADDR="127.0.0.1:0")
    assert done.returncode == 2
    _, level, words = done.stderr.splitlines()[0].split(maxsplit=2)
    assert (level, words) == ("INFO", f"Starting prio-load-balancer  version={__version__}")


def test_json_lines_have_level_time_message_and_service(launch: Launch) -> None:
    for balancer in (launch("-log-prod", "-log-service", "lb"), launch(LOG_PROD="1", LOG_SERVICE="lb")):
        line = balancer.wait_for("Listening")
        assert (line["level"], line["service"]) == ("info", "lb")
        assert isinstance(line["ts"], float)


def test_no_query_and_no_token_is_logged(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(always(500))
    balancer = launch("-nodes", f"{node.uri}?key=hidden", ADMIN_TOKEN="hidden", RETRIES_MAX="1")
    connect(balancer).ask(request("GET", "/?a=hidden", b"", "Authorization: Bearer hidden"), "GET")
    balancer.ask("POST", "/nodes", json.dumps({"uri": "http://127.0.0.1:1/?key=hidden"}).encode())
    balancer.stop()
    assert "hidden" not in str(balancer.lines)
