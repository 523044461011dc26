"""Child processes: started on their own cores, ended by their own pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.cpu import on_cores, process_tree

ROOT: Final = Path(__file__).resolve().parent.parent
START_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 5.0
_FIRST_PORT: Final = 20_000
_LAST_PORT: Final = 30_000


class BenchmarkError(Exception):
    """A benchmark could not be carried out; the message says which part and why."""


class Child:
    """A process of ours.

    Args:
        name: for messages.
        command: program and arguments.
        cores: the cores it may run on.
        log: file that takes what it prints to stdout and stderr.
        environment: variables on top of our own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cores: Collection[int],
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.log = log
        # Appending, so that `forget_log` can empty the file while the child writes to it.
        with log.open("ab") as output, on_cores(cores):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **environment},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check_running(self) -> None:
        """Do nothing while the process runs.

        Raises:
            BenchmarkError: it has ended; with its status and the end of its log.
        """
        if self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise BenchmarkError(f"{self.name} ended with status {self._process.returncode}:\n{tail}")

    def wait_until_answering(self, port: int, request: bytes) -> None:
        """Wait until this request sent to `port` is answered with status 200.

        Raises:
            BenchmarkError: not within START_TIMEOUT_S, or the process ended.
        """
        give_up_at = time.monotonic() + START_TIMEOUT_S
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200 "):
            self.check_running()
            if time.monotonic() > give_up_at:
                raise BenchmarkError(f"{self.name} does not serve on port {port}: {answer[:300]!r}")
            time.sleep(0.05)
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                    connection.sendall(request)
                    answer = connection.recv(4096)
            except OSError as error:
                answer = repr(error).encode()

    def wait_until_printed(self, text: str) -> None:
        """Wait until the process has printed this text.

        Raises:
            BenchmarkError: not within START_TIMEOUT_S, or the process ended.
        """
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while text not in self.log.read_text(errors="replace"):
            self.check_running()
            if time.monotonic() > give_up_at:
                raise BenchmarkError(f"{self.name} has not printed {text!r}")
            time.sleep(0.05)

    def forget_log(self) -> None:
        """Empty the log file, which a balancer that logs each request fills fast."""
        os.truncate(self.log, 0)

    def rest(self) -> None:
        """Do nothing at all until `go_on`, neither the process nor its children."""
        for pid in process_tree(self.pid):
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Go on after `rest`; otherwise this does nothing."""
        for pid in process_tree(self.pid):
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the process: politely, then at once."""
        if self._process.poll() is None:
            self.go_on()  # one that rests does not hear that it shall end
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def python_module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> int:
    """Return the first of `count` TCP ports in a row that nobody listens on, below those given to clients.

    Raises:
        BenchmarkError: there are none.
    """
    for first in range(_FIRST_PORT, _LAST_PORT - count, count):
        with ExitStack() as probes:
            try:
                for port in range(first, first + count):
                    probes.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise BenchmarkError(f"no {count} ports in a row are free between {_FIRST_PORT} and {_LAST_PORT}")
