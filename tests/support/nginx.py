"""nginx on loopback, as a node."""

import os
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from support.programs import program
from support.wire import PATIENCE_S

# Health checks are POSTs to the node's own path; all else is what a test is about.
_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    {settings}
    server {{
        listen 127.0.0.1:{port}{ssl};
        root {folder}/files;
        location = / {{ return 200 health; }}
        {rules}
    }}
}}
"""


class Nginx:
    """A running nginx that serves the files of `folder/files`.

    Args:
        folder: for its files, logs and configuration; of this server alone.
        rules: what its server block says beside `root`, and POSTs to / that are answered.
        settings: what the block around that says.
        tls: it speaks https.
    """

    def __init__(self, folder: Path, rules: str = "", settings: str = "", tls: bool = False) -> None:
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self._folder = folder
        # It takes over a socket that listens already: so its port is sure, and whoever connects is served.
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = listener.getsockname()[1]
        self.uri = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        config = folder / "nginx.conf"
        ssl = " ssl" if tls else ""
        user = "user root;" if os.geteuid() == 0 else ""  # the folders of tests are for their user alone
        config.write_text(
            _CONFIG.format(folder=folder, rules=rules, settings=settings, port=self.port, ssl=ssl, user=user)
        )
        with listener:
            self._process = subprocess.Popen(
                [program("nginx"), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")],
                env=os.environ | {"NGINX": f"{listener.fileno()};"},
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it at once."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def log(self) -> list[str]:
        """End it and return the lines of its access log: some are written only after their answers."""
        self.stop()
        return (self._folder / "access.log").read_text().splitlines()
