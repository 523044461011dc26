"""What Prometheus reads off the running program."""

import json

import pytest

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scrape import scrape
from support.scripted_node import always
from support.wire import Client, post, request

BEARER = "Authorization: Bearer s3cret"
LOW = "low-priority"


def test_metrics_tell_of_nodes_lanes_and_refusals(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    good, bad = new_node(always(200, b"good")), new_node(always(503, b"bad"))
    balancer = launch(RETRIES_MAX="1", EJECT_AFTER="0", HEALTH_CHECK_INTERVAL="0")
    client = connect(balancer)
    client.ask(post(b"{}"))
    balancer.add_node(good.uri)
    for _ in range(3):
        assert client.ask(post(b"{}")).status == 200
    balancer.change_node(good.uri, state="cordoned")
    balancer.add_node(bad.uri)
    assert client.ask(post(b"{}", "X-Fast-Track: true")).status == 503
    series = scrape(balancer)
    assert {
        "usable": [series["priolb_node_usable", node.uri] for node in (good, bad)],
        "healthy": [series["priolb_node_healthy", node.uri] for node in (good, bad)],
        "in flight": [series["priolb_node_in_flight", node.uri] for node in (good, bad)],
        "cordoned": [series["priolb_node_state", node.uri, "cordoned"] for node in (good, bad)],
        "up": [series["priolb_node_state", node.uri, "up"] for node in (good, bad)],
        "came up": [series["priolb_node_state_changes_total", node.uri, "up"] for node in (good, bad)],
        "answers": [series["priolb_node_answers_total", node.uri] for node in (good, bad)],
        "failures": [series["priolb_node_failures_total", node.uri, "status_5xx"] for node in (good, bad)],
    } == {
        "usable": [0, 1],
        "healthy": [1, 1],
        "in flight": [0, 0],
        "cordoned": [1, 0],
        "up": [0, 1],
        "came up": [1, 1],
        "answers": [3, 0],
        "failures": [0, 1],
    }
    assert 0 < series["priolb_node_answer_seconds_total", good.uri] < 60
    assert series["priolb_requests_total",] == 4
    assert series["priolb_refusals_total", LOW, "no_nodes"] == 1
    assert sum(value for key, value in series.items() if key[0] == "priolb_refusals_total") == 1
    assert [key for key in series if key[0] in ("priolb_node_attested", "priolb_lane_limit")] == []
    assert series["process_resident_memory_bytes",] > 1e6


def test_a_request_that_waits_is_seen_in_its_lane_and_a_client_that_left_afterwards(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node()  # its answers are held
    balancer = launch(ITEMS_LOWPRIO_MAX="7")
    balancer.add_node(f"{node.uri}?_workers=1")
    first, second = connect(balancer), connect(balancer)
    first.send(post(b"{}", "X-Request-ID: first"))
    balancer.wait_queued("first")
    second.send(post(b"{}", "X-Request-ID: second"))
    balancer.wait_queued("second")
    series = scrape(balancer)
    assert (series["priolb_node_in_flight", node.uri], series["priolb_node_slots", node.uri]) == (1, 1)
    assert (series["priolb_lane_waiting", LOW], series["priolb_lane_waiting_bytes", LOW]) == (1, 2)
    assert series["priolb_lane_limit", LOW] == 7
    assert ("priolb_lane_limit", "fast-track") not in series
    second.close()
    balancer.wait_for("Client closed the connection prematurely", reqID="second")
    series = scrape(balancer)
    assert (series["priolb_lane_waiting", LOW], series["priolb_clients_left_total", LOW]) == (0, 1)


def test_what_is_no_request_is_counted_by_the_status_of_its_answer(balancer: Balancer) -> None:
    before = scrape(balancer).get(("priolb_rejections_total", "400"), 0)
    with Client(balancer.port) as client:
        client.send(b"NONSENSE\r\n\r\n")
        assert client.receive().status == 400
    assert scrape(balancer)["priolb_rejections_total", "400"] == before + 1


def test_labels_hold_nothing_of_the_query_and_are_bounded_by_the_list(
    launch: Launch, new_node: NewNode
) -> None:
    """Two entries that differ in their query alone are two nodes, with two labels."""
    node = new_node()
    balancer = launch()
    uris = [f"{node.uri}?key=s3cret", f"{node.uri}?key=0ther"]
    for uri in uris:
        balancer.add_node(uri)
    page = balancer.ask("GET", "/metrics").body
    assert b"s3cret" not in page and b"0ther" not in page
    series = scrape(balancer)
    assert [key[1] for key in series if key[0] == "priolb_node_slots"] == [node.uri, f"{node.uri}#2"]
    balancer.remove_node(uris[0])
    assert [key[1] for key in scrape(balancer) if key[0] == "priolb_node_slots"] == [node.uri]


def test_several_scrapers_take_nothing_from_each_other(balancer: Balancer) -> None:
    first, second = scrape(balancer), scrape(balancer)
    name = "priolb_event_loop_stall_seconds"
    assert 0 < first[f"{name}_count",] <= second[f"{name}_count",]
    assert first[f"{name}_sum",] <= second[f"{name}_sum",]
    assert second[f"{name}_bucket", "+Inf"] == second[f"{name}_count",]


def test_a_stranger_sees_no_metrics(launch: Launch) -> None:
    balancer = launch(ADMIN_ALLOW="192.0.2.0/24", ADMIN_TOKEN="s3cret")
    for method in ("GET", "HEAD"):
        answer = balancer.ask(method, "/metrics")
        assert answer.status == 403
        assert b"priolb_" not in answer.body
        balancer.wait_for("Admin call refused", method=method, path="/metrics", status=403)
    series = scrape(balancer, BEARER)
    assert (series["priolb_requests_total",], series["priolb_rejections_total", "403"]) == (0, 2)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_405_and_goes_to_no_node(
    balancer: Balancer, new_node: NewNode, method: str
) -> None:
    node = new_node()
    balancer.add_node(node.uri)
    answer = balancer.ask(method, "/metrics", json.dumps({"uri": node.uri}).encode())
    assert (answer.status, answer.field("Allow")) == (405, "GET, HEAD")
    assert node.requests == []


def test_head_is_answered_without_the_page(balancer: Balancer) -> None:
    answer = balancer.ask("HEAD", "/metrics")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.field("Content-Length") or 0) > 1000


def test_admin_listen_has_the_metrics_and_the_data_port_passes_the_path_on(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"of the node"))
    balancer = launch("-nodes", node.uri, ADMIN_LISTEN="127.0.0.1:0")
    assert connect(balancer).ask(request("GET", "/metrics"), "GET").body == b"of the node"
    assert scrape(balancer)["priolb_node_answers_total", node.uri] == 1
