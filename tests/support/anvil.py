"""anvil, an Ethereum node for development, on loopback."""

import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from support.programs import give_up
from support.wire import PATIENCE_S

# Where `make` puts it.
_FOLDER = Path(__file__).parents[2] / ".venv" / "npm" / "node_modules" / "@foundry-rs"


class Anvil:
    """A running node with a chain of its own, whose accounts are unlocked and rich."""

    def __init__(self) -> None:
        found = sorted(_FOLDER.glob("anvil-*/bin/anvil"))
        if not found:
            give_up("anvil is not installed: make installs it with npm, which is not on PATH")
        self._process = subprocess.Popen(
            [found[0], "--port", "0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.port = 0
        self._is_listening = threading.Event()
        self._reader = threading.Thread(target=self._read, name="anvil log", daemon=True)
        self._reader.start()
        assert self._is_listening.wait(3 * PATIENCE_S)
        assert self.port, "anvil did not start"

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        """Read what it prints to the end, so that it never has to wait."""
        log = self._process.stdout
        assert log is not None
        with log:
            for line in log:
                if line.startswith("Listening on "):
                    self.port = int(line.rpartition(":")[2])
                    self._is_listening.set()
        self._is_listening.set()
