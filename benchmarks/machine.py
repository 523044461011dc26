"""The machine and the versions that a result was measured with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

# Debian keeps daemons in /usr/sbin, which is not on the PATH of an ordinary user.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True)
class Machine:
    """What stands beside every figure; None for a program that is not installed."""

    date: str
    cpu: str
    cores: int
    kernel: str
    python: str
    priolb: str | None
    haproxy: str | None
    nginx: str | None
    wrk: str | None

    def sentence(self) -> str:
        """Return the facts as one line for people."""
        versions = {"priolb": self.priolb, "HAProxy": self.haproxy, "nginx": self.nginx, "wrk": self.wrk}
        programs = [f"{name} {version or 'not installed'}" for name, version in versions.items()]
        facts = [f"{self.cpu}, {self.cores} cores", f"Linux {self.kernel}", f"Python {self.python}"]
        return "; ".join([self.date, *facts, *programs])


def this_machine() -> Machine:
    """Return the facts of this machine as of now."""
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        priolb=_version([sys.executable, "-m", "priolb", "--version"]),
        haproxy=_version([program("haproxy"), "-v"]),
        nginx=_version([program("nginx"), "-v"]),
        wrk=_version([program("wrk"), "-v"]),
    )


@cache
def program(name: str) -> str | None:
    """Return the full path of an installed program, or None."""
    return shutil.which(name, path=SEARCH_PATH)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(command: list[str | None]) -> str | None:
    """Return the first version number a program prints, wherever it prints it; None without the program.

    With the word that priolb puts after it: whether it is compiled decides what a request costs.
    nginx prints it to stderr, and wrk exits 1 after it, so neither the stream nor the status is looked at.
    """
    arguments = [argument for argument in command if argument is not None]
    if len(arguments) < len(command):
        return None
    shown = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
    number = re.search(r"\d+\.\d+[\w.+~-]*( \(?(interpreted|compiled))?", shown.stdout + shown.stderr)
    return number.group().replace("(", "") if number and "No module named" not in shown.stderr else None
