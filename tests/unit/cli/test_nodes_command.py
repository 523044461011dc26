"""`nodes` against an instance that is a plain HTTP server, or is none, or is not there."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from priolb.cli import nodes
from priolb.cli.main import main

TOKEN = "s3cret"
Seen = tuple[str, str, str | None, bytes]


class Instance(http.server.ThreadingHTTPServer):
    """Gives one prepared answer to whatever comes and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.status = 200
        self.content_type = "application/json"
        self.body = b"[]\n"
        self.details: list[object] | None = None  # what it has for who asks for those
        self.fields: dict[str, str] = {}
        self.seen: list[Seen] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Instance

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization"), body))
        asks_for_details = self.server.details is not None and self.path.endswith("?detail=1")
        answer = json.dumps(self.server.details).encode() if asks_for_details else self.server.body
        self.answer(self.server.status, self.server.content_type, answer)

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815 - names that http.server calls

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    for variable in ("PRIOLB_URL", "ADMIN_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    # Nothing listens there: whoever asks this proxy does not reach the instance.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Instance() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def listing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """An instance that gives its list to who asks for it, and does with changes what `instance` does."""

    def do_get(handler: _Handler) -> None:
        handler.server.seen.append((handler.command, handler.path, handler.headers.get("Authorization"), b""))
        handler.answer(200, "application/json", b"[]")

    monkeypatch.setattr(_Handler, "do_GET", do_get)
    return instance


def changes_at(instance: Instance) -> list[Seen]:
    """Return what came but the question for the list, which is first."""
    first, *changes = instance.seen
    assert first[:2] == ("GET", "/nodes")
    return changes


def test_list_prints_one_uri_a_line(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    instance.body = b'["http://a","http://b?_workers=8"]\n'
    assert main(["nodes", "list", "--url", instance.url]) == 0
    assert capsys.readouterr() == ("http://a\nhttp://b?_workers=8\n", "")
    assert instance.seen == [("GET", "/nodes", None, b"")]


def test_list_of_no_nodes_prints_nothing(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", "list", "--url", f"{instance.url}/"]) == 0
    assert capsys.readouterr() == ("", "")


def test_list_prints_no_terminal_commands(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    instance.body = json.dumps(["http://a\x1b[2J\nhttp://b"]).encode()
    assert main(["nodes", "list", "--url", instance.url]) == 0
    assert capsys.readouterr().out == "http://a\\x1b[2J\\nhttp://b\n"


@pytest.mark.parametrize(
    ("action", "method", "confirmation"),
    [("add", "POST", "registered http://a\n"), ("remove", "DELETE", "removed http://a\n")],
)
def test_change_is_confirmed(
    listing: Instance,
    capsys: pytest.CaptureFixture[str],
    action: str,
    method: str,
    confirmation: str,
) -> None:
    listing.body = b""
    assert main(["nodes", action, "http://a", "-url", listing.url, "-token", TOKEN]) == 0
    assert capsys.readouterr() == (confirmation, "")
    assert changes_at(listing) == [(method, "/nodes", f"Bearer {TOKEN}", b'{"uri": "http://a"}')]


@pytest.mark.parametrize(
    ("words", "confirmation", "members"),
    [
        (["drain"], "draining", {"state": "drained"}),
        (["drain", "--hard-stop-after", "5"], "draining", {"state": "drained", "hard_stop_after": 5}),
        (["drain", "-hard-stop-after=0.5"], "draining", {"state": "drained", "hard_stop_after": 0.5}),
        (["cordon"], "cordoned", {"state": "cordoned"}),
        (["uncordon"], "uncordoned", {"state": "active"}),
        (["set", "--workers", "4", "--weight", "2"], "changed", {"workers": 4, "weight": 2}),
        (["set", "--workers", "auto"], "changed", {"workers": "auto"}),
        (["set", "--weight", "007"], "changed", {"weight": "007"}),
    ],
)
def test_orders_are_sent_as_they_are_meant(
    listing: Instance,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    confirmation: str,
    members: dict[str, object],
) -> None:
    """What is no number goes as text: the instance knows what it takes."""
    listing.body = b""
    assert main(["nodes", words[0], "http://a", *words[1:], "--url", listing.url]) == 0
    assert capsys.readouterr() == (f"{confirmation} http://a\n", "")
    [(method, path, _, body)] = changes_at(listing)
    assert (method, path, json.loads(body)) == ("PATCH", "/nodes", {"uri": "http://a", **members})


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (["drain"], "drain needs the URI of a node"),
        (["show", "http://a"], "show takes no URI"),
        (["set", "http://a"], "set needs --workers or --weight"),
        (["cordon", "http://a", "--hard-stop-after", "5"], "--hard-stop-after goes only with drain"),
        (["drain", "http://a", "--weight", "5"], "--weight goes only with set"),
        (["list", "--workers", "5"], "--workers goes only with set"),
        (["drian", "http://a"], "unknown action 'drian'; did you mean drain?"),
    ],
)
def test_words_that_do_not_go_together_are_a_mistake(
    capsys: pytest.CaptureFixture[str], words: list[str], mistake: str
) -> None:
    assert main(["nodes", *words]) == 2
    assert capsys.readouterr() == ("", f"prio-load-balancer: nodes: {mistake}\n")


def test_show_prints_a_table(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    one = {"uri": "http://a", "state": "up", "since": "2026-11-22T08:00:00.000Z", "in_flight": 3, "slots": 8}
    one |= {
        "latency_ms": 20.5,
        "success_ratio": 1.0,
        "reason": "added",
        "weight": 2,
        "answered": 70,
        "failed": 1,
    }
    other = {"uri": "http://longer?_weight=2", "state": "unusable", "reason": "two words\x1b[2J"}
    instance.details = [one, other]
    assert main(["nodes", "show", "--url", instance.url, "--token", TOKEN]) == 0
    assert capsys.readouterr().out.splitlines() == [
        (
            "uri                      state     since                     in_flight  slots  weight"
            "  latency_ms  success_ratio  answered  failed  reason"
        ),
        (
            "http://a                 up        2026-11-22T08:00:00.000Z  3          8      2     "
            "  20.5        1.0            70        1       added"
        ),
        (
            "http://longer?_weight=2  unusable  -                         -          -      -     "
            "  -           -              -         -       two words\\x1b[2J"
        ),
    ]
    assert instance.seen == [
        ("GET", "/nodes", None, b""),
        ("GET", "/nodes?detail=1", f"Bearer {TOKEN}", b""),
    ]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://SEV_H4sIAAAAAAAAA6vm5VIyUbJSUEp@foo/a?b", "https://SEV_H4sIAAAA...@foo/a?b"),
        (f"https://SGX_{'0f' * 32}@foo", "https://SGX_0f0f0f0f...@foo"),
        ("https://SGX_0f@foo", "https://SGX_0f@foo"),
        ("http://foo/0123456789012345678901234567890@x", "http://foo/0123456789012345678901234567890@x"),
    ],
)
def test_show_cuts_long_user_parts_short(
    instance: Instance, capsys: pytest.CaptureFixture[str], uri: str, shown: str
) -> None:
    instance.details = [{"uri": uri, "state": "up"}]
    assert main(["nodes", "show", "--url", instance.url]) == 0
    assert capsys.readouterr().out.splitlines()[1].split("  ")[0] == shown


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("words", [["list"], ["show"], ["add", "http://a"], ["drain", "http://a"]])
def test_the_token_is_not_shown_to_a_node_that_answers_by_way_of_a_balancer(
    instance: Instance, capsys: pytest.CaptureFixture[str], words: list[str], status: int
) -> None:
    """It is at the data port, whose requests go to nodes where the admin API has a port of its own."""
    instance.status, instance.body = status, b'["http://a"]'
    instance.fields["X-PrioLB-TotalDurationUs"] = "17"
    assert main(["nodes", *words, "--url", instance.url, "--token", TOKEN]) == 1
    what = "is it a prio-load-balancer, and, where it has one, its ADMIN_LISTEN?"
    told = f"prio-load-balancer: {instance.url} did not answer with a list of nodes: {what}\n"
    assert capsys.readouterr() == ("", told)
    assert instance.seen == [("GET", "/nodes", None, b"")]


@pytest.mark.parametrize("body", [b"[]", b'["http://a"]', b"{}", b"x"])
def test_show_wants_details(instance: Instance, capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    instance.body = body
    assert main(["nodes", "show", "--url", instance.url]) == (0 if body == b"[]" else 1)
    assert ("did not answer with a list of nodes" in capsys.readouterr().err) is (body != b"[]")


def test_address_and_token_come_from_the_environment(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIOLB_URL", f"{instance.url}/behind/a/path")
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    assert main(["nodes", "show"]) == 0
    assert main(["nodes", "show", "--token", "other"]) == 0
    assert [(seen[1], seen[2]) for seen in instance.seen] == [
        ("/behind/a/path/nodes", None),
        ("/behind/a/path/nodes?detail=1", f"Bearer {TOKEN}"),
        ("/behind/a/path/nodes", None),
        ("/behind/a/path/nodes?detail=1", "Bearer other"),
    ]


def test_default_address_is_that_of_a_local_instance(
    instance: Instance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_DEFAULT_URL", instance.url)
    monkeypatch.setenv("PRIOLB_URL", "")
    instance.body = b'["http://a"]'
    assert main(["nodes", "list"]) == 0
    assert capsys.readouterr().out == "http://a\n"


@pytest.mark.parametrize(
    ("status", "content_type", "body", "reason"),
    [
        (400, "text/plain", b"node not found\n", "node not found (400)"),
        (403, "application/json", b'{"error": "not allowed"}', "not allowed (403)"),
        (
            503,
            "application/problem+json",
            b'{"type": "about:blank", "title": "store", "status": 503, "detail": "Redis is away"}',
            "Redis is away (503)",
        ),
        (503, "application/problem+json", b'{"title": "Redis is away"}', "Redis is away (503)"),
        (404, "text/plain", b"", "Not Found (404)"),
        (400, "text/plain", b"a\x1b[2J\nb\xff", "a\\x1b[2J\\nb\ufffd (400)"),
        (400, "application/json", b"[" * 100_000, f"{'[' * 100_000} (400)"),
    ],
)
def test_refusal_is_told_in_the_words_of_the_instance(
    listing: Instance,
    capsys: pytest.CaptureFixture[str],
    status: int,
    content_type: str,
    body: bytes,
    reason: str,
) -> None:
    listing.status, listing.content_type, listing.body = status, content_type, body
    assert main(["nodes", "remove", "http://a", "--url", listing.url]) == 1
    assert capsys.readouterr() == ("", f"prio-load-balancer: {listing.url} refused: {reason}\n")


def test_redirect_is_not_followed_with_the_token(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    instance.status, instance.body = 302, b""
    instance.fields["Location"] = f"{instance.url}/elsewhere"
    assert main(["nodes", "list", "--url", instance.url, "--token", TOKEN]) == 1
    assert capsys.readouterr().err == f"prio-load-balancer: {instance.url} refused: Found (302)\n"
    assert len(instance.seen) == 1


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b"[1]", b"null", b"\xff", b"[" * 100_000])
def test_answer_of_something_else_is_told(
    instance: Instance, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    instance.body = body
    assert main(["nodes", "list", "--url", instance.url]) == 1
    error = f"prio-load-balancer: {instance.url} did not answer with a list of nodes: "
    told = f"{error}is it a prio-load-balancer, and, where it has one, its ADMIN_LISTEN?\n"
    assert capsys.readouterr() == ("", told)
    assert main(["nodes", "drain", "http://a", "--url", instance.url]) == 1
    assert capsys.readouterr() == ("", told)
    assert [method for method, *_ in instance.seen] == ["GET", "GET"], "nothing was to be changed there"


def test_instance_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert main(["nodes", "list", "--url", url]) == 1
    assert capsys.readouterr() == ("", f"prio-load-balancer: cannot reach {url}: Connection refused\n")


def test_instance_that_does_not_answer_is_given_up_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (nodes.TIMEOUT_S, nodes.ADD_TIMEOUT_S) == (10.0, 60.0)
    monkeypatch.setattr(nodes, "TIMEOUT_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main(["nodes", "list", "--url", url]) == 1
    assert capsys.readouterr() == (
        "",
        f"prio-load-balancer: {url} did not answer in time: nothing for 0.01 s\n",
    )


def test_who_adds_a_node_waits_longer(
    listing: Instance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "ADD_TIMEOUT_S", 0.01)
    is_over = threading.Event()
    monkeypatch.setattr(_Handler, "do_POST", lambda _handler: is_over.wait())
    assert main(["nodes", "add", "http://a", "--url", listing.url]) == 1
    is_over.set()
    assert capsys.readouterr() == (
        "",
        f"prio-load-balancer: {listing.url} did not answer in time: nothing for 0.01 s\n",
    )


def test_refusal_whose_reason_never_comes_is_told_by_its_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "TIMEOUT_S", 0.2)
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n")
                is_over.wait(30)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert main(["nodes", "list", "--url", url]) == 1
        is_over.set()
        thread.join()
    assert capsys.readouterr().err == f"prio-load-balancer: {url} refused: Bad Request (400)\n"


def test_answer_that_is_no_http_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x1b[2J nonsense\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert main(["nodes", "list", "--url", url]) == 1
        thread.join()
    assert capsys.readouterr().err == f"prio-load-balancer: cannot reach {url}: \\x1b[2J nonsense\\r\\n\n"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "file:///etc/passwd",
        "ftp://localhost",
        "http://",
        "http://:80",
        "http://a:b",
        "http://a:0",
        "http://a:99999",
        "http://[::1",
        "http://a b",
        "http://a/?x=1",
        "http://a/#x",
        "http://ä",
        "http://a\n",
    ],
)
def test_address_that_is_none_is_a_mistake(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["nodes", "list", "--url", url]) == 2
    expected = f"prio-load-balancer: --url: {url!r} is not an address like http://localhost:8080\n"
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    "words",
    [
        ["--token", f"{TOKEN} with space"],
        ["--token", f"{TOKEN}\n"],
        ["--tokne", TOKEN],
        [f"--tokne={TOKEN}"],
        ["--url", f"http://user:{TOKEN}@host"],
    ],
)
def test_mistake_never_shows_a_secret(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["nodes", "list", *words]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("prio-load-balancer: ")
    assert TOKEN not in printed.out + printed.err
