"""`health` against an instance that is a plain HTTP server, or is none, or is not there."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from priolb.cli import health
from priolb.cli.main import main


class Instance(http.server.HTTPServer):
    """Gives one prepared answer to whatever comes, and keeps what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = b"ok\n"
        self.seen: list[tuple[str, str]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Instance

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Host"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Instance]:
    for variable in ("CONFIG_FILE", "LISTEN_ADDR", "ADMIN_LISTEN", "TLS_CERT", "TLS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    # Nothing listens there: whoever asks this proxy does not reach the instance.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    with Instance() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1"])
def test_an_instance_that_works_is_asked_on_an_address_of_its_own(
    instance: Instance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("LISTEN_ADDR", f"{host}:{instance.server_port}")
    assert main(["health"]) == 0
    assert capsys.readouterr() == (f"http://127.0.0.1:{instance.server_port}/healthz: works\n", "")
    assert instance.seen == [("/healthz", f"127.0.0.1:{instance.server_port}")]


@pytest.mark.parametrize("words", [[], ["--config", "other.toml"]])
def test_the_admin_listener_of_the_configuration_file_is_asked(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("LISTEN_ADDR", ":1")
    Path(words[1] if words else "priolb.toml").write_text(f"ADMIN_LISTEN = ':{instance.server_port}'\n")
    assert main(["health", *words]) == 0
    assert len(instance.seen) == 1


@pytest.mark.parametrize(("status", "body"), [(200, b"ok"), (200, b"ok\n\n"), (503, b"ok\n"), (404, b"")])
def test_another_answer_is_told(
    instance: Instance,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
) -> None:
    instance.status, instance.body = status, body
    monkeypatch.setenv("LISTEN_ADDR", f":{instance.server_port}")
    assert main(["health"]) == 1
    url = f"http://127.0.0.1:{instance.server_port}/healthz"
    told = f"prio-load-balancer: {url}: answered with status {status}, and not as an instance\n"
    assert capsys.readouterr() == ("", told)


def test_an_instance_that_is_not_there_or_does_not_answer_is_told(
    instance: Instance, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert health.TIMEOUT_S == 2.0
    monkeypatch.setattr(health, "TIMEOUT_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/healthz"
        monkeypatch.setenv("LISTEN_ADDR", f":{silent.getsockname()[1]}")
        assert main(["health"]) == 1
        assert capsys.readouterr() == ("", f"prio-load-balancer: {url}: timed out\n")
    assert main(["health"]) == 1
    assert capsys.readouterr() == ("", f"prio-load-balancer: {url}: Connection refused\n")


def test_settings_that_cannot_be_read_are_no_healthy_instance(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    """For Docker, 1 is unhealthy, and 2 has no meaning."""
    Path("priolb.toml").write_text("LISTEN_ADDR = 1\nfoo = 2\n")
    assert main(["health"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert printed.err.startswith("prio-load-balancer: priolb.toml:1: LISTEN_ADDR: '1' is not host:port")
    assert instance.seen == []
