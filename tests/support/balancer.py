"""The real program as a process of its own, and its log to wait for."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from priolb.config.settings import SETTINGS
from support.wire import PATIENCE_S, Answer, Client, request

Line = dict[str, Any]

COMMAND = [sys.executable, "-m", "priolb"]

# The program, but for three things that tests wait for: lines of its log are written after 5 ms instead of
# 100, files of certificates are looked at every 10 ms instead of every second, and a second signal ends the
# program at once from the first moment instead of after a second.
_IMPATIENT = """
import sys
from priolb import stop_signals, tls
from priolb.cli.main import main
from priolb.telemetry import writer
writer.FLUSH_INTERVAL_S = 0.005
tls._LOOK_INTERVAL_S = 0.01
stop_signals.TOGETHER_S = 0.0
sys.exit(main())
"""
_IMPATIENT_COMMAND = [sys.executable, "-c", _IMPATIENT]

_SETTINGS = {setting.env for setting in SETTINGS.values() if setting.env}


class Balancer:
    """The running program, which logs JSON and listens where the system lets it.

    Args:
        flags: flags of the program.
        command: what to run instead, `COMMAND` for the program without any change.
        settings: its environment, which else holds no setting of ours.
    """

    def __init__(self, *flags: str, command: list[str] = _IMPATIENT_COMMAND, **settings: str) -> None:
        self.lines: list[Line] = []
        self.noise: list[str] = []
        self._changed = threading.Condition()
        self._is_over = False
        defaults = {"LISTEN_ADDR": "127.0.0.1:0", "LOG_PROD": "1"}
        self.process = subprocess.Popen(
            [*command, *flags],
            env=environment(defaults | settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read_log, name="balancer log", daemon=True)
        self._reader.start()
        try:
            self.port = self._port(admin=False)
            self.name: str = self.wait_for("Listening")["name"]
            self.admin_port = self._port(admin=True) if settings.get("ADMIN_LISTEN") else self.port
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    # The log

    def wait_for_line(self, is_it: Callable[[Line], bool], timeout_s: float = PATIENCE_S) -> Line:
        """Return the first line of the log, past or to come, that `is_it`."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if is_it(line):
                        return line
                seen = len(self.lines)
                if self._is_over or not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no such line among {self.lines[-20:]}, {self.noise}")

    def wait_for(self, msg: str, **fields: object) -> Line:
        """Return the first line with this message and these fields."""
        return self.wait_for_line(
            lambda line: line["msg"] == msg and all(line.get(name) == value for name, value in fields.items())
        )

    def wait_queued(self, *request_ids: str) -> None:
        """Return when the requests with these X-Request-ID have been put in line."""
        for request_id in request_ids:
            self.wait_for("Request added to queue", reqID=request_id)

    # The program's own routes

    def ask(self, method: str, target: str, body: bytes = b"", *fields: str) -> Answer:
        """Ask on a connection of its own to the listener that has the admin routes."""
        with Client(self.admin_port) as client:
            return client.ask(request(method, target, body, *fields), method)

    def add_node(self, uri: str) -> None:
        answer = self.ask("POST", "/nodes", json.dumps({"uri": uri}).encode())
        assert (answer.status, answer.body) == (200, b""), answer

    def refused_node(self, uri: str) -> str:
        """Add a node that is refused, and return why; the list stays as it was."""
        before = self.nodes()
        answer = self.ask("POST", "/nodes", json.dumps({"uri": uri}).encode())
        assert (answer.status, self.nodes()) == (400, before), answer
        return answer.body.decode()

    def remove_node(self, uri: str) -> None:
        answer = self.ask("DELETE", "/nodes", json.dumps({"uri": uri}).encode())
        assert (answer.status, answer.body) == (200, b""), answer

    def change_node(self, uri: str, **order: object) -> None:
        answer = self.ask("PATCH", "/nodes", json.dumps({"uri": uri, **order}).encode())
        assert (answer.status, answer.body) == (200, b""), answer

    def detail(self, uri: str) -> Line:
        """Return what the balancer knows of a node."""
        answer = self.ask("GET", "/nodes?detail=1")
        assert answer.status == 200
        [found] = [detail for detail in json.loads(answer.body) if detail["uri"] == uri]
        detail: Line = found
        return detail

    def nodes(self) -> list[str]:
        answer = self.ask("GET", "/nodes")
        assert answer.status == 200
        uris: list[str] = json.loads(answer.body)
        return uris

    # The process

    def resident_bytes(self) -> int:
        """Return the memory that the process has in use."""
        return self._memory_bytes("VmRSS")

    def peak_bytes(self) -> int:
        """Return the most that `resident_bytes` has been since `forget_peak`, or ever."""
        return self._memory_bytes("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak be what is in use now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _memory_bytes(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [kilobytes] = [line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")]
        return int(kilobytes) * 1024

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait until the process has ended by itself, check its log, and return its exit status."""
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        self._close_log()
        self.check_log()
        return status

    def stop(self) -> None:
        """End the process, if it runs still, and check that it ended in order."""
        if self.process.returncode is not None:
            return
        try:
            self.signal(signal.SIGTERM)
            assert self.wait() == 0
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process, however it feels."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self._close_log()

    def check_log(self) -> None:
        """Check that nothing went wrong inside: every line is JSON, and none holds a traceback."""
        assert self.noise == []
        assert [line for line in self.lines if "exception" in line or "Traceback" in str(line)] == []

    def _port(self, admin: bool) -> int:
        return int(self.wait_for("Listening", admin=admin)["port"])

    def _read_log(self) -> None:
        log = self.process.stderr
        assert log is not None
        for raw in log:
            with self._changed:
                try:
                    self.lines.append(json.loads(raw))
                except ValueError:
                    self.noise.append(raw.decode(errors="replace"))
                self._changed.notify_all()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _close_log(self) -> None:
        if self.process.stderr is not None:
            with contextlib.suppress(OSError):
                self.process.stderr.close()


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment of the tests with these settings of ours and no other."""
    kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    kept.pop("PRIOLB_URL", None)
    return kept | settings


def run_program(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end and return its exit status and what it printed."""
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
