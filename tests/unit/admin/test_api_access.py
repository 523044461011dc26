"""The routes of the program itself: who may do what, and what he is told who may not."""

import pytest

from support.admin_desk import STRANGER, TEXT, TOKEN, URI, Desk
from support.local_requests import local_request

ORIGIN = "Origin: http://localhost:8080"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nodes"),
        ("DELETE", "/nodes"),
        ("GET", "/metrics"),
        ("HEAD", "/metrics"),
        ("GET", "/debug/pprof/"),
        ("POST", "/debug/pprof/"),
        ("GET", "/debug/pprof/heap"),
        ("GET", "/debug/testLogLevels"),
        ("GET", "/debug/nothing"),
    ],
)
@pytest.mark.parametrize(
    ("peer", "fields", "who"),
    [
        (STRANGER, (), STRANGER),
        (STRANGER, ("Authorization: Bearer wrong",), STRANGER),
        ("::ffff:203.0.113.9", (), "::ffff:203.0.113.9"),
        ("", (), "a peer without an address"),
    ],
)
def test_a_stranger_may_neither_change_nor_look_inside(
    method: str, path: str, peer: str, fields: tuple[str, ...], who: str
) -> None:
    """Told of what there is to learn: not even which debug pages there are."""
    desk = Desk()
    text = f"forbidden: {who} is not in ADMIN_ALLOW; send ADMIN_TOKEN as Authorization: Bearer"
    answer = desk.ask(local_request(method, path, URI, peer, fields))
    assert answer == (403, text.encode() + b"\n", TEXT, b"")
    assert desk.nodes.changes == []
    line = {"method": method, "path": path, "peer": peer, "status": 403, "err": text}
    assert desk.log.lines == [("warning", "Admin call refused", line)]


@pytest.mark.parametrize(
    ("method", "path", "peer", "status"),
    [
        ("POST", "/nodes", STRANGER, 403),
        ("PATCH", "/nodes", STRANGER, 403),
        ("DELETE", "/nodes", STRANGER, 403),
        ("GET", "/nodes?detail=1", STRANGER, 403),
        ("GET", "/metrics", STRANGER, 403),
        ("POST", "/debug/pprof/", STRANGER, 403),
        ("POST", "/debug/pprof/", "127.0.0.1", 405),
        ("PUT", "/nodes", "127.0.0.1", 405),
        ("POST", "/sim", "127.0.0.1", 404),
        ("POST", "/nodes", "127.0.0.1", 0),
        ("GET", "/nodes?detail=1", "127.0.0.1", 0),
        ("GET", "/nodes", STRANGER, 0),
        ("GET", "/healthz", STRANGER, 0),
    ],
)
def test_who_is_refused_is_so_for_the_head_alone_and_in_the_same_words(
    method: str, path: str, peer: str, status: int
) -> None:
    request = local_request(method, path, URI, peer)
    first, whole = Desk(), Desk()
    answer = first.api.refusal(request.head, request.peer)
    if answer is None:
        assert (status, first.log.lines) == (0, [])
    else:
        assert answer.status == status
        assert (answer.status, answer.body, answer.content_type, answer.fields) == whole.ask(request)
        assert first.log.lines == whole.log.lines != []


@pytest.mark.parametrize("peer", [STRANGER, ""])
def test_a_stranger_with_the_token_may_change_and_look_inside(peer: str) -> None:
    desk = Desk()
    assert desk.ask(local_request("POST", "/nodes", URI, peer, (TOKEN,)))[0] == 200
    assert desk.ask(local_request("GET", "/debug/pprof/", b"", peer, (TOKEN,)))[0] == 200
    assert desk.nodes.changes == [("add", "http://a:1")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("peer", "fields"), [("127.0.0.1", ()), (STRANGER, (TOKEN,))])
def test_metrics_are_in_the_text_format_of_prometheus(
    method: str, peer: str, fields: tuple[str, ...]
) -> None:
    desk = Desk()
    answer = desk.ask(local_request(method, "/metrics?x=1", b"", peer, fields))
    assert answer == (200, b"up 1\n", b"text/plain; version=0.0.4; charset=utf-8", b"")
    assert desk.log.lines == []


@pytest.mark.parametrize("origin", [ORIGIN, "Origin: https://evil.example", "Origin: null", "Origin:"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_web_page_cannot_change_nodes_through_a_trusted_browser(method: str, origin: str) -> None:
    """Not even a page that seems to come from here: names can be made to point at this machine."""
    desk = Desk()
    answer = desk.ask(local_request(method, "/nodes", URI, "127.0.0.1", (origin,)))
    text = (
        b"forbidden: sent by a web page (the request has an Origin field), "
        b"which ADMIN_ALLOW does not let in; send ADMIN_TOKEN as Authorization: Bearer\n"
    )
    assert answer == (403, text, TEXT, b"")
    assert desk.nodes.changes == []
    assert len(desk.log.lines) == 1


def test_a_web_page_may_read_what_is_open_to_all() -> None:
    desk = Desk()
    assert desk.ask(local_request("GET", "/nodes", b"", "127.0.0.1", (ORIGIN,)))[:2] == (
        200,
        b'["http://a:1"]\n',
    )


def test_a_web_page_that_has_the_token_may_change_nodes() -> None:
    desk = Desk()
    assert desk.ask(local_request("POST", "/nodes", URI, STRANGER, (ORIGIN, TOKEN)))[0] == 200
    assert desk.nodes.changes == [("add", "http://a:1")]


@pytest.mark.parametrize(
    ("method", "body"), [("GET", b""), ("PATCH", b'{"uri":"http://a:1","state":"active"}')]
)
def test_details_and_changes_are_not_for_strangers(method: str, body: bytes) -> None:
    desk = Desk()
    path = "/nodes?detail=1" if method == "GET" else "/nodes"
    assert desk.ask(local_request(method, path, body, peer=STRANGER))[0] == 403
    assert desk.nodes.changes == []
    assert desk.ask(local_request(method, path, body, STRANGER, (TOKEN,)))[0] == 200
