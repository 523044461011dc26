"""The routes of the program itself: what each answers."""

import asyncio
import json
from ipaddress import ip_network

import pytest

from priolb.admin.access import AdminAccess
from priolb.admin.api import AdminApi
from priolb.attest.attestors import Attestors
from priolb.attest.sev.policy import SevPolicy
from priolb.attest.sgx.policy import SgxPolicy
from priolb.errors import ConfigError, NodeError, StoreError
from priolb.net.front.listener import LocalHandler
from priolb.nodes.factory import NodeFactory
from priolb.nodes.pool import NodePool
from priolb.nodes.slots import Slots
from priolb.store.memory import MemoryStore
from priolb.tls import NodeTLS
from support.admin_desk import STRANGER, TEXT, URI, Desk, RecordingRefusals, a_page
from support.local_requests import local_request
from support.memory_log import MemoryLog
from support.pool_desk import FakeTraffic, NoPause

JSON = b"application/json"


@pytest.mark.parametrize(
    ("method", "path", "is_owned"),
    [
        (b"GET", b"/", True),
        (b"HEAD", b"/", True),
        (b"POST", b"/", False),
        (b"PUT", b"/", False),
        (b"POST", b"/sim", False),
        (b"GET", b"/nodes", True),
        (b"POST", b"/nodes", True),
        (b"PATCH", b"/nodes", True),
        (b"GET", b"/nodes/", False),
        (b"GET", b"//nodes", False),
        (b"GET", b"/NODES", False),
        (b"GET", b"/healthz", True),
        (b"POST", b"/readyz", True),
        (b"GET", b"/metrics", True),
        (b"POST", b"/metrics", True),
        (b"GET", b"/metrics/", False),
        (b"GET", b"/debug/", True),
        (b"POST", b"/debug/pprof/heap", True),
        (b"GET", b"/debug/../sim", True),
        (b"GET", b"/debug", False),
        (b"GET", b"/debugger", False),
        (b"OPTIONS", b"*", False),
    ],
)
def test_owns_what_is_for_the_program_and_nothing_else(method: bytes, path: bytes, is_owned: bool) -> None:
    assert Desk().api.owns(method, path) is is_owned


@pytest.mark.parametrize("has_debug", [True, False])
def test_owns_debug_paths_whether_they_are_turned_on_or_not(has_debug: bool) -> None:
    """What is meant for a look inside must not end up at a node."""
    assert Desk(has_debug=has_debug).api.owns(b"GET", b"/debug/pprof/heap") is True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/", b"prio-load-balancer\n", TEXT),
        ("/?x=1", b"prio-load-balancer\n", TEXT),
        ("/nodes", b'["http://a:1"]\n', JSON),
        ("/healthz", b"ok\n", TEXT),
        ("/readyz", b"ready\n", TEXT),
    ],
)
def test_what_only_shows_is_for_everybody(method: str, path: str, body: bytes, content_type: bytes) -> None:
    desk = Desk()
    assert desk.ask(local_request(method, path, peer=STRANGER)) == (200, body, content_type, b"")
    assert desk.log.lines == []


def test_the_node_list_may_be_empty_and_is_written_as_the_original_writes_it() -> None:
    desk = Desk()
    desk.nodes.members = []
    assert desk.ask(local_request("GET", "/nodes"))[1] == b"[]\n"
    desk.nodes.members = ["http://a:1", "http://b:2?_workers=4"]
    assert desk.ask(local_request("GET", "/nodes"))[1] == b'["http://a:1","http://b:2?_workers=4"]\n'


def test_readyz_is_503_once_the_program_shuts_down_and_healthz_is_not() -> None:
    desk = Desk(is_ready=False)
    assert desk.ask(local_request("GET", "/readyz")) == (503, b"shutting down\n", TEXT, b"")
    assert desk.ask(local_request("GET", "/healthz")) == (200, b"ok\n", TEXT, b"")
    assert desk.log.lines == []


@pytest.mark.parametrize(("method", "change"), [("POST", "add"), ("DELETE", "remove")])
def test_a_change_is_made_and_answered_200_without_a_body(method: str, change: str) -> None:
    desk = Desk()
    assert desk.ask(local_request(method, "/nodes", URI)) == (200, b"", TEXT, b"")
    assert desk.nodes.changes == [(change, "http://a:1")]
    assert desk.log.lines == []


def test_further_members_of_the_body_mean_nothing() -> None:
    desk = Desk()
    body = b' {"name": [1, {"uri": 2}], "uri": "http://a:1", "x": null}\n'
    assert desk.ask(local_request("POST", "/nodes", body)) == (200, b"", TEXT, b"")
    assert desk.nodes.changes == [("add", "http://a:1")]


def test_removing_a_node_that_is_not_there_is_400_in_the_words_of_the_original() -> None:
    desk = Desk()
    answer = desk.ask(local_request("DELETE", "/nodes", b'{"uri":"http://b:2"}'))
    assert answer == (400, b"node not found\n", TEXT, b"")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the body is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"uri" 1}', "the body is not JSON: Expecting ':' delimiter: line 1 column 8 (char 7)"),
        (URI + b"x", "the body is not JSON: Extra data: line 1 column 21 (char 20)"),
        (
            b"\xff",
            "the body is not JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (b"[" * 1_000_000, "the body is nested too deep"),
        (b'{"uri":' * 1_000_000, "the body is nested too deep"),
        (b'{"uri":"http://a:1","workers":%s}' % (b"9" * 5000), "the body has a number of too many digits"),
        (b"null", 'the body is not a JSON object like {"uri": "http://host:port"}'),
        (b'["http://a:1"]', 'the body is not a JSON object like {"uri": "http://host:port"}'),
        (b"{}", '"uri" is missing'),
        (b'{"URI":"http://a:1"}', '"uri" is missing'),
        (b'{"uri":null}', '"uri" is not a string'),
        (b'{"uri":["http://a:1"]}', '"uri" is not a string'),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_body_that_says_nothing_is_400_and_says_why(method: str, body: bytes, text: str) -> None:
    desk = Desk()
    assert desk.ask(local_request(method, "/nodes", body)) == (400, text.encode() + b"\n", TEXT, b"")
    assert desk.nodes.changes == []
    assert [(level, msg) for level, msg, _ in desk.log.lines] == [("warning", "Admin call refused")]


@pytest.mark.parametrize(
    ("fault", "status", "fields"),
    [
        (ConfigError("node URI 'x': the scheme must be http or https"), 400, b""),
        (NodeError("cannot connect to http://ä: \udcff"), 400, b""),
        (StoreError("store redis://r:6379: away"), 503, b"Retry-After: 1\r\n"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_change_that_fails_is_answered_by_whose_fault_it_is(
    method: str, fault: Exception, status: int, fields: bytes
) -> None:
    desk = Desk(fault)
    text = str(fault).encode(errors="backslashreplace") + b"\n"
    assert desk.ask(local_request(method, "/nodes", URI)) == (status, text, TEXT, fields)
    line = {"method": method, "path": "/nodes", "peer": "127.0.0.1", "status": status, "err": str(fault)}
    assert desk.log.lines == [("warning", "Admin call refused", line)]


def test_the_id_of_a_call_stands_in_its_lines() -> None:
    desk = Desk(ConfigError("no"))
    desk.ask(local_request("POST", "/nodes", URI, fields=("X-Request-ID: id-7",)))
    assert [fields["reqID"] for _, _, fields in desk.log.lines] == ["id-7"]


def test_what_nobody_thought_of_is_500_to_the_client_and_a_traceback_in_the_log() -> None:
    desk = Desk(ZeroDivisionError("secret detail"))
    assert desk.ask(local_request("POST", "/nodes", URI)) == (500, b"internal error\n", TEXT, b"")
    [(level, msg, fields)] = desk.log.lines
    assert (level, msg, fields["path"]) == ("error", "Admin call failed", "/nodes")
    exception = str(fields["exception"])
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("\nZeroDivisionError: secret detail")


def test_a_call_whose_client_left_is_cancelled_and_not_taken_for_an_error() -> None:
    desk = Desk(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        desk.ask(local_request("POST", "/nodes", URI))
    assert desk.log.lines == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/nodes", b"Allow: GET, HEAD, POST, DELETE, PATCH\r\n"),
        ("OPTIONS", "/nodes", b"Allow: GET, HEAD, POST, DELETE, PATCH\r\n"),
        ("POST", "/metrics", b"Allow: GET, HEAD\r\n"),
        ("POST", "/healthz", b"Allow: GET, HEAD\r\n"),
        ("DELETE", "/readyz", b"Allow: GET, HEAD\r\n"),
        ("POST", "/", b"Allow: GET, HEAD\r\n"),
        ("POST", "/debug/pprof/heap", b"Allow: GET, HEAD\r\n"),
    ],
)
def test_another_method_is_405_and_told_which_there_are(method: str, path: str, allow: bytes) -> None:
    desk = Desk()
    assert desk.ask(local_request(method, path, URI)) == (405, b"method not allowed\n", TEXT, allow)
    assert desk.nodes.changes == []
    assert len(desk.log.lines) == 1


def test_a_change_of_a_node_is_all_members_but_the_uri() -> None:
    desk = Desk()
    body = b'{"uri":"http://a:1","state":"drained","hard_stop_after":5}'
    assert desk.ask(local_request("PATCH", "/nodes", body)) == (200, b"", TEXT, b"")
    assert desk.nodes.changes == [("change [('hard_stop_after', 5), ('state', 'drained')]", "http://a:1")]


def test_changing_a_node_that_is_not_there_is_400() -> None:
    desk = Desk()
    answer = desk.ask(local_request("PATCH", "/nodes", b'{"uri":"http://b","weight":2}'))
    assert answer == (400, b"node not found\n", TEXT, b"")


def test_an_order_that_cannot_be_carried_out_is_400_with_the_parameter() -> None:
    desk = Desk(fault=ConfigError("weight must be a number from 1 to 100"))
    answer = desk.ask(local_request("PATCH", "/nodes", b'{"uri":"http://a:1","weight":0}'))
    assert answer == (400, b"weight must be a number from 1 to 100\n", TEXT, b"")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"uri":"http://a:1","workers":1,"weight":2,"workers":3}', b'"workers" is given twice\n'),
        (b'{"uri":"http://a:1","state":"drained","state":"drained"}', b'"state" is given twice\n'),
        (b'{"uri":"http://a:1","uri":"http://b:1"}', b'"uri" is given twice\n'),
        (b'{"%s":1,"%s":1}' % (b"x" * 90, b"x" * 90), b'"%s" is given twice\n' % (b"x" * 80)),
    ],
)
def test_a_member_that_is_given_twice_contradicts_itself(method: str, body: bytes, text: bytes) -> None:
    desk = Desk()
    assert desk.ask(local_request(method, "/nodes", body)) == (400, text, TEXT, b"")
    assert desk.nodes.changes == []


def test_further_members_mean_nothing_when_a_node_is_added() -> None:
    """As in the original."""
    desk = Desk()
    assert desk.ask(local_request("POST", "/nodes", b'{"uri":"http://a:1","weight":0}'))[0] == 200
    assert desk.nodes.changes == [("add", "http://a:1")]


@pytest.mark.parametrize("query", ["detail=1", "x=2&detail=1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_details_are_a_list_of_objects(method: str, query: str) -> None:
    answer = Desk().ask(local_request(method, f"/nodes?{query}"))
    assert answer == (200, b'[{"uri":"http://a:1","state":"up"}]\n', JSON, b"")


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_details_of_many_nodes_are_one_list(count: int) -> None:
    desk = Desk()
    desk.nodes.members = [f"http://n{number}" for number in range(count)]
    status, body, *_ = desk.ask(local_request("GET", "/nodes?detail=1"))
    expected = [{"uri": uri, "state": "up"} for uri in desk.nodes.members]
    assert (status, body) == (200, json.dumps(expected, separators=(",", ":")).encode() + b"\n")


@pytest.mark.parametrize("query", ["", "detail", "detail=0", "detail=10", "details=1", "x"])
def test_any_other_query_means_nothing(query: str) -> None:
    assert Desk().ask(local_request("GET", f"/nodes?{query}"))[1] == b'["http://a:1"]\n'


@pytest.mark.parametrize("path", ["/sim", "/nodes/", "/favicon.ico", "*"])
def test_what_is_no_route_is_404(path: str) -> None:
    """It gets here on a listener that is for the program alone."""
    method = "OPTIONS" if path == "*" else "GET"
    assert Desk().ask(local_request(method, path)) == (404, b"not found\n", TEXT, b"")


@pytest.mark.parametrize(("has_debug", "path"), [(False, "/debug/pprof/"), (True, "/debug/testLogLevels")])
def test_a_debug_page_that_is_turned_off_is_404_and_tells_how_to_turn_it_on(
    has_debug: bool, path: str
) -> None:
    answer = Desk(has_debug=has_debug).ask(local_request("GET", path))
    text = b"not found; ENABLE_PPROF=1 and ENABLE_ERROR_TEST_API=1 turn debug pages on\n"
    assert answer == (404, text, TEXT, b"")


def test_neither_a_long_path_nor_a_long_method_is_logged_whole() -> None:
    desk = Desk()
    desk.ask(local_request("GET", "/" + "x" * 60_000))
    desk.ask(local_request("M" * 60_000, "/metrics"))
    [(*_, of_path), (*_, of_method)] = desk.log.lines
    assert of_path["path"] == "/" + "x" * 255
    assert of_method["method"] == "M" * 256
    assert desk.refusals.times == [7.0, 7.0]


def test_changes_reach_the_node_pool_and_its_refusals_reach_the_client() -> None:
    async def main() -> None:
        store, log, traffic, slots = MemoryStore(), MemoryLog(), FakeTraffic(), Slots(8, 0)
        traffic.down.add("http://down:1")
        await store.open()
        attestors = Attestors(SevPolicy(), SgxPolicy(), "", log)
        factory = NodeFactory(traffic, slots, False, NodeTLS("", "", ""), attestors)
        pool = NodePool(store, traffic, factory, slots, NoPause(), 30.0, log)
        access = AdminAccess([ip_network("127.0.0.0/8")], "")
        refusals = RecordingRefusals(log)
        api: LocalHandler = AdminApi(pool, access, lambda: True, a_page, None, log, refusals, lambda: 7.0)

        async def ask(method: str, uri: str) -> tuple[int, bytes]:
            response = await api.handle(local_request(method, "/nodes", b'{"uri":"%s"}' % uri.encode()))
            return response.status, response.body

        assert await ask("POST", "http://a:1?_workers=2") == (200, b"")
        assert await ask("POST", "http://a:1?_workers=2") == (200, b"")
        assert await ask("POST", "http://down:1") == (400, b"http://down:1 is down\n")
        assert await ask("POST", "ftp://a") == (
            400,
            b"node URI 'ftp://a': the scheme must be http or https\n",
        )
        assert (await api.handle(local_request("GET", "/nodes"))).body == b'["http://a:1?_workers=2"]\n'
        assert await ask("PATCH", "http://a:1?_workers=2") == (
            400,
            b"nothing to change: none of state, workers, weight, hard_stop_after is given\n",
        )
        [detail] = json.loads((await api.handle(local_request("GET", "/nodes?detail=1"))).body)
        assert (detail["uri"], detail["state"], detail["slots"]) == ("http://a:1?_workers=2", "up", 2)
        assert await ask("DELETE", "http://a:1?_workers=2") == (200, b"")
        assert await ask("DELETE", "http://a:1?_workers=2") == (400, b"node not found\n")
        assert (await api.handle(local_request("GET", "/nodes"))).body == b"[]\n"
        await pool.close()
        await store.close()

    asyncio.run(main())


def test_what_is_no_text_can_be_removed_and_not_added() -> None:
    """JSON in Redis may hold half a character, too."""
    desk = Desk()
    body = b'{"uri":"http://\\ud800"}'
    refused = (400, b'"uri" is not Unicode text\n', TEXT, b"")
    assert desk.ask(local_request("POST", "/nodes", body)) == refused
    assert desk.ask(local_request("DELETE", "/nodes", body)) == (400, b"node not found\n", TEXT, b"")
