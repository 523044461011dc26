"""A stretch of measuring: its directory, its cores, and the processes that end with it."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from benchmarks.child import ROOT, BenchmarkError, Child, python_module
from benchmarks.cpu import Cores, on_cores, split_cores


class Workbench:
    """A context manager: leaving it ends every child and removes the directory."""

    def __init__(self) -> None:
        self.cores: Cores = split_cores()
        self._exits = ExitStack()
        self.directory: Path = Path(self._exits.enter_context(TemporaryDirectory(prefix="priolb-bench-")))
        self._children_started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def start(self, name: str, command: Sequence[str], cores: Collection[int], **environment: str) -> Child:
        """Start a process that ends with this workbench."""
        self._children_started += 1
        log = self.directory / f"{self._children_started}.log"
        child = Child(name, command, cores, log, environment)
        self._exits.callback(child.stop)
        return child

    def run(self, command: Sequence[str], timeout_s: float, **environment: str) -> str:
        """Run a load generator on the other cores to its end and return what it printed to stdout.

        Raises:
            BenchmarkError: it failed or did not end in time.
        """
        try:
            with on_cores(self.cores.others):
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                    env={**os.environ, **environment},
                    timeout=timeout_s,
                    check=True,
                )
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError(f"{command} did not end within {timeout_s:.0f} s") from error
        except subprocess.CalledProcessError as error:
            raise BenchmarkError(f"{command} ended with {error.returncode}: {error.stderr}") from error
        return done.stdout

    def run_module(self, name: str, *arguments: object, timeout_s: float) -> str:
        """Run one of our own load generators, as `run` does."""
        return self.run(python_module(name, *arguments), timeout_s)


def raise_open_files_limit(needed: int) -> None:
    """Raise the soft limit of open files to the hard one, for this process and its children.

    Raises:
        BenchmarkError: the hard limit is below what is needed.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchmarkError(f"this needs {needed} open files; the hard limit (ulimit -Hn) is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
