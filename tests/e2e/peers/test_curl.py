"""curl as the client."""

import gzip
import subprocess
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.factories import Launch, NewNode
from support.programs import program
from support.scripted_node import Call, ScriptedNode, always, reply
from support.wire import PATIENCE_S


def command(*words: str) -> list[str]:
    return [program("curl"), "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *words]


def curl(*words: str, stdin: bytes = b"") -> bytes:
    """Run curl, check that it was content, and return what it printed."""
    found = subprocess.run(
        command(*words), input=stdin, capture_output=True, timeout=2 * PATIENCE_S, check=False
    )
    assert (found.returncode, found.stderr) == (0, b"")
    return found.stdout


def url(balancer: Balancer, target: str = "/") -> str:
    return f"http://127.0.0.1:{balancer.port}{target}"


@pytest.fixture
def echo(balancer: Balancer, new_node: NewNode) -> ScriptedNode:
    """A node that answers with the body of the request."""
    node = new_node(lambda call: call.answer(200, b"" if call.method == "HEAD" else call.body))
    balancer.add_node(node.uri)
    return node


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE"])
def test_every_method_arrives_with_path_query_and_fields(
    balancer: Balancer, echo: ScriptedNode, method: str
) -> None:
    assert curl("-X", method, "-H", "X-Mine: a;b", url(balancer, "/a/b%20c?d=e&f")) == b""
    [call] = echo.requests
    assert (call.method, call.target, call.field("x-mine")) == (method, "/a/b%20c?d=e&f", "a;b")
    assert call.field("via") == f"1.1 {balancer.name}"


def test_a_head_request_tells_the_length_and_sends_nothing(balancer: Balancer, new_node: NewNode) -> None:
    node = new_node(lambda call: call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"))
    balancer.add_node(node.uri)
    head = curl("--head", url(balancer, "/file"), url(balancer, "/file")).decode()
    assert head.count("HTTP/1.1 200 OK\r\n") == head.count("Content-Length: 12345\r\n") == 2
    assert [call.method for call in node.requests] == ["HEAD", "HEAD"]


def test_two_requests_share_a_connection(balancer: Balancer, echo: ScriptedNode) -> None:
    words = ["--data", "x", "--write-out", " %{num_connects}\n"]
    assert curl(*words, url(balancer), url(balancer)) == b"x 1\nx 0\n"


def test_a_large_upload_waits_for_leave_and_arrives_whole(
    balancer: Balancer, echo: ScriptedNode, tmp_path: Path
) -> None:
    body = bytes(range(256)) * 12_288
    (tmp_path / "body").write_bytes(body)
    words = ["-H", "Expect: 100-continue", "--expect100-timeout", "20", "-T", str(tmp_path / "body")]
    trace = tmp_path / "trace"
    assert curl(*words, "--trace-ascii", str(trace), url(balancer, "/up")) == body
    assert "HTTP/1.1 100 Continue" in trace.read_text()
    [call] = echo.requests
    assert (call.method, call.target, call.body == body) == ("PUT", "/up", True)
    assert (call.field("content-length"), call.field("expect")) == (str(len(body)), None)


def test_a_refused_upload_costs_nothing(launch: Launch, new_node: NewNode, tmp_path: Path) -> None:
    node = new_node()
    balancer = launch("-nodes", node.uri, PAYLOAD_MAX_KB="64")
    (tmp_path / "body").write_bytes(bytes(100_000))
    words = ["-H", "Expect: 100-continue", "-T", str(tmp_path / "body"), "--output", str(tmp_path / "answer")]
    seen = curl(*words, "--write-out", "%{http_code} %{size_upload}", url(balancer))
    assert seen == b"413 0"
    assert node.requests == []


def test_an_upload_of_unknown_length_arrives_in_chunks(balancer: Balancer, echo: ScriptedNode) -> None:
    """Longer than what is held for a retry: it passes through, and stays chunked."""
    body = b"0123456789abcdef" * 200_000
    assert curl("-T", "-", url(balancer, "/up"), stdin=body) == body
    [call] = echo.requests
    assert (call.field("transfer-encoding"), call.field("content-length")) == ("chunked", None)


def test_a_form_with_a_file_arrives_as_it_was_sent(
    balancer: Balancer, echo: ScriptedNode, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"\0\xff" * 1000)
    body = curl("--form", "name=value", "--form", f"file=@{tmp_path / 'file'}", url(balancer, "/form"))
    assert b"\0\xff" * 1000 in body
    content_type = echo.requests[0].field("content-type") or ""
    assert content_type.startswith("multipart/form-data; boundary=")
    assert content_type.partition("=")[2].encode() in body


def test_an_old_client_gets_a_chunked_answer_without_chunks(balancer: Balancer, new_node: NewNode) -> None:
    def chunks(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n4\r\npart\r\n0\r\n\r\n")

    node = new_node(chunks)
    balancer.add_node(node.uri)
    answer = curl("--http1.0", "--include", url(balancer, "/x")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert body == "partpart"
    assert "Transfer-Encoding" not in head
    assert "Connection: close" in head
    assert node.requests[0].field("via") == f"1.0 {balancer.name}"


def test_a_compressed_answer_passes_untouched(balancer: Balancer, new_node: NewNode) -> None:
    packed = gzip.compress(b"text " * 1000)
    node = new_node(always(200, packed, "Content-Encoding: gzip", "Vary: Accept-Encoding"))
    balancer.add_node(node.uri)
    assert curl(url(balancer, "/text")) == packed
    assert curl("--compressed", url(balancer, "/text")) == b"text " * 1000
    assert "gzip" in (node.requests[1].field("accept-encoding") or "")


def test_events_are_there_as_soon_as_the_node_has_sent_them(balancer: Balancer, node: ScriptedNode) -> None:
    """The node sends the next one only after the last has been seen."""
    words = command("--no-buffer", "-H", "Accept: text/event-stream", url(balancer, "/events"))
    with subprocess.Popen(words, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        call = node.next_call()
        call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(5):
            call.send(b"data: %d\n\n" % number)
            assert client.stdout.readline() == b"data: %d\n" % number
            assert client.stdout.readline() == b"\n"
        call.close()
        assert client.stdout.read() == b""
        assert client.wait(PATIENCE_S) == 0


def test_hints_come_before_the_answer(balancer: Balancer, new_node: NewNode) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    balancer.add_node(new_node(lambda call: call.send(hints + reply(200, b"page"))).uri)
    answer = curl("--include", url(balancer, "/page"))
    assert answer.startswith(hints + b"HTTP/1.1 200 Fine\r\n")
    assert answer.endswith(b"\r\n\r\npage")


def test_an_answer_that_breaks_off_is_an_error_for_the_client(balancer: Balancer, node: ScriptedNode) -> None:
    words = command("--no-buffer", url(balancer, "/x"))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        call = node.next_call()
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        assert client.stdout is not None
        assert client.stdout.read(4) == b"part"
        call.close()
        assert client.wait(PATIENCE_S) == 18  # CURLE_PARTIAL_FILE
